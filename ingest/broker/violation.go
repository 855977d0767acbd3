package broker

import (
	"net"
	"strings"
	"time"
)

// violations keeps the log readable when a client goes on asking for what it may
// not do: of each client's address one line a minute is a warning, and the rest
// are for debugging. A client that reconnects is the same client.
type violations struct {
	told map[string]time.Time // by the client's address, without the port
}

// Bounds of violations: how long an address is quiet, and how many are kept.
const (
	violationPause = time.Minute
	maxViolators   = 1024
)

// violator returns the address of the client whose violation a line of the
// server's log is about: "192.0.2.1:4711 - cid:7 - … Violation - Subject …".
func violator(line string) (address string, ok bool) {
	client, rest, found := strings.Cut(line, " - ")
	if !found || !strings.Contains(rest, "Publish Violation - ") && !strings.Contains(rest, "Subscription Violation - ") {
		return "", false
	}
	if host, _, err := net.SplitHostPort(client); err == nil {
		return host, true
	}
	return client, true
}

// tell reports whether an address' violation is to be told now.
func (v *violations) tell(address string, now time.Time) bool {
	if last, ok := v.told[address]; ok && now.Sub(last) < violationPause {
		return false
	}
	if len(v.told) >= maxViolators {
		for a, last := range v.told {
			if now.Sub(last) >= violationPause {
				delete(v.told, a)
			}
		}
	}
	if v.told == nil {
		v.told = map[string]time.Time{}
	}
	if len(v.told) >= maxViolators {
		return false // so many at once: the lines there are say enough
	}
	v.told[address] = now
	return true
}
