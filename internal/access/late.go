package access

import (
	"net/netip"
	"time"
)

// Lateness says for how long whoever comes too often is kept waiting: as a queue of
// their own, in which so many a second get on. So what somebody does again and again
// happens no more often than that, over however many connections they do it.
type Lateness struct {
	l       *limiter
	longest time.Duration
}

// NewLateness keeps nobody waiting who comes so often a second, and anybody no longer
// than longest: for that long each of their connections is busy with it. As much as a
// second's may come at once.
func NewLateness(perSecond float64, longest time.Duration) *Lateness {
	return &Lateness{newLimiter(Limits{PerSecond: perSecond, Burst: max(1, int(perSecond))}), longest}
}

// Of counts that somebody has come, and returns for how long to keep them waiting.
func (l *Lateness) Of(who string, now time.Time) time.Duration {
	l.l.mu.Lock()
	defer l.l.mu.Unlock()
	r := l.l.of(who, now).bucket.ReserveN(now, 1)
	wait := r.DelayFrom(now)
	if wait > l.longest { // what isn't waited for isn't owed
		r.CancelAt(now)
		return l.longest
	}
	return wait
}

// Address is where the other end of a connection is: of IPv6 the network, of which a
// machine has all addresses (RFC 6177, 2).
func Address(remote string) string {
	from, err := netip.ParseAddrPort(remote)
	if err != nil {
		return remote
	}
	address := from.Addr().Unmap().WithZone("")
	if address.Is6() {
		if network, err := address.Prefix(64); err == nil {
			return network.String()
		}
	}
	return address.String()
}
