package service

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"

	"annals/cmd/annals/internal/accessfile"
	"annals/cmd/annals/internal/natsconfig"
	"annals/ingest/broker"
)

// admitNATS holds the embedded server to the loopback where nobody is asked who they
// are: whoever reaches it may publish.
func (s *Service) admitNATS() error {
	if s.o.Cluster != nil {
		if s.o.NATSAccounts != "" || s.o.NATSTLS != (accessfile.TLS{}) {
			return errors.New("--nats-accounts and --nats-tls-cert are of the embedded NATS server, and the stream is on a cluster: its own configuration says who gets in there")
		}
		return nil
	}
	host, _, err := net.SplitHostPort(s.o.NATSListen)
	if err != nil {
		return fmt.Errorf("--nats-listen: %q is no HOST:PORT: %w", s.o.NATSListen, err)
	}
	if !loopback(host) && s.o.NATSAccounts == "" {
		return fmt.Errorf("--nats-listen %s is not on the loopback, and the embedded NATS server lets any client publish: "+
			"say who gets in with `annals nats-config` and --nats-accounts, let producers record over HTTP, or use a NATS server of your own and name it with --nats (docs/access.md)", s.o.NATSListen)
	}
	if !loopback(host) && s.o.NATSTLS == (accessfile.TLS{}) {
		s.o.Logger.Warn("what is published over NATS comes in the clear, and whoever is on the way can read and change it: serve TLS with --nats-tls-cert and --nats-tls-key")
	}
	return nil
}

// accounts says to the embedded server who is let in, where that is configured.
func (s *Service) accounts(o *broker.Options) (err error) {
	if s.o.NATSTLS != (accessfile.TLS{}) {
		if o.TLS, err = s.o.NATSTLS.Config(s.o.Logger); err != nil {
			return fmt.Errorf("the embedded NATS server: %w", err)
		}
	}
	if s.o.NATSAccounts == "" {
		return nil
	}
	o.Accounts = filepath.Join(s.o.NATSAccounts, natsconfig.AccountsFile)
	o.Seed = natsconfig.SeedFile(s.o.NATSAccounts, "ledger")
	return nil
}
