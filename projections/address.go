package projections

import (
	"net/netip"
	"strings"
)

// An address stands in a list's name in binary, so that a CIDR prefix is a range
// of names: one of these, then 4 or 16 bytes, then the zone. What is no address
// stands there as it was written.
const (
	addressV4    = "\x04"
	addressV6    = "\x06"
	addressZoned = "\x07"
	addressNone  = "\x7f"
)

// appendAddress appends the form in which an address is a value.
func appendAddress(dst []byte, text string) []byte {
	a, err := netip.ParseAddr(text)
	if err != nil {
		return append(append(dst, addressNone...), text...)
	}
	return appendAddr(dst, a)
}

func appendAddr(dst []byte, a netip.Addr) []byte {
	a = a.Unmap()
	if a.Is4() {
		b := a.As4()
		return append(append(dst, addressV4...), b[:]...)
	}
	tag := addressV6
	if a.Zone() != "" {
		tag = addressZoned
	}
	b := a.As16()
	dst = append(append(dst, tag...), b[:]...)
	return append(dst, a.Zone()...)
}

// addressText is the reverse: an address in its canonical form, or what was written.
func addressText(value string) (string, bool) {
	tag, rest := value[:min(1, len(value))], value[min(1, len(value)):]
	switch {
	case tag == addressNone:
		return rest, true
	case tag == addressV4 && len(rest) == 4:
		return netip.AddrFrom4([4]byte([]byte(rest))).String(), true
	case tag == addressV6 && len(rest) == 16:
		return netip.AddrFrom16([16]byte([]byte(rest))).String(), true
	case tag == addressZoned && len(rest) > 16:
		return netip.AddrFrom16([16]byte([]byte(rest[:16]))).WithZone(rest[16:]).String(), true
	}
	return "", false
}

// network reads a CIDR prefix, such as 10.0.0.0/8. Addresses with a zone are in
// none.
func network(text string) (netip.Prefix, bool) {
	if !strings.Contains(text, "/") {
		return netip.Prefix{}, false
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, false
	}
	if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	return p.Masked(), true
}

// lastOf returns the last address of a network.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := range b {
		if ones := p.Bits() - 8*i; ones <= 0 {
			b[i] = 0xff
		} else if ones < 8 {
			b[i] |= 0xff >> ones
		}
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}
