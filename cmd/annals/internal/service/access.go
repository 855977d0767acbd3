package service

import (
	"fmt"
	"net"
)

// admit refuses listeners that others than this machine can reach, for whoever
// reaches them reads and writes everything. What was asked for in spite of it is
// said at each start.
func (s *Service) admit() error {
	flags := map[string]string{"--listen": s.o.Listen}
	if s.o.Cluster == nil {
		flags["--nats-listen"] = s.o.NATSListen
	}
	for _, flag := range []string{"--listen", "--nats-listen"} {
		address, ok := flags[flag]
		if !ok {
			continue
		}
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return fmt.Errorf("%s: %q is no HOST:PORT: %w", flag, address, err)
		}
		switch {
		case loopback(host):
		case !s.o.NoAccess:
			return fmt.Errorf("%s %s is not on the loopback, and there is no access control yet: anybody who reaches it reads and writes everything; "+
				"put something that authenticates in front, or say --insecure-no-access", flag, address)
		default:
			s.o.Logger.Warn("INSECURE: --insecure-no-access: anybody who reaches this address reads and writes everything", "listener", flag, "address", address)
		}
	}
	return nil
}

// loopback reports whether a host is this machine and no other.
func loopback(host string) bool {
	if ip := net.ParseIP(host); ip != nil {
		return ip.IsLoopback()
	}
	ips, err := net.LookupIP(host)
	if host == "" || err != nil || len(ips) == 0 {
		return false
	}
	for _, ip := range ips {
		if !ip.IsLoopback() {
			return false
		}
	}
	return true
}
