// Package freeport finds loopback ports for tests whose servers have to know an
// address before they listen on it. Such a port is free for a while in which anyone
// may take it, so none is in the range that systems give out by themselves (32768
// and up by Linux's default, 49152 and up by RFC 6335): only another test that asks
// here could be in its way, and chance keeps them apart.
package freeport

import (
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
)

const (
	first = 15000
	end   = 32000
)

// Find returns n different ports of 127.0.0.1 that nobody listened on a moment ago.
func Find(t testing.TB, n int) []int {
	t.Helper()
	var ports []int
	for range 1000 {
		if len(ports) == n {
			return ports
		}
		// Held until the end, so that no port is found twice.
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", first+rand.IntN(end-first)))
		if err != nil {
			continue
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	t.Fatalf("found %d of %d free ports between %d and %d", len(ports), n, first, end)
	return nil
}
