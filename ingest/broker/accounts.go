package broker

import (
	_ "embed"
	"errors"
	"fmt"

	"github.com/nats-io/nats-server/v2/server"
)

// The accounts and the users of the embedded server.
const (
	AccountLedger    = "ANNALS"    // holds the stream
	AccountProducers = "PRODUCERS" // sees activity.> of it, as a service
	UserLedger       = "annals"    // the ledger, its doors and its operator
	UserProducer     = "producer"  // whoever connects without naming a user
)

// accounts is the part of a server's configuration that says who may do what.
//
//go:embed accounts.conf
var accounts string

// options returns the server's options with the accounts in place and password
// as the ledger's. The rest of the configuration is the caller's.
func options(password string) (*server.Options, error) {
	o := new(server.Options)
	if err := o.ProcessConfigString(fmt.Sprintf("ANNALS_NATS_PASSWORD: %q\n%s", password, accounts)); err != nil {
		return nil, fmt.Errorf("broker: the built-in accounts don't parse: %w", err)
	}
	return o, nil
}

// ErrAccounts is a file of accounts that can't be, or that lets in whoever comes.
var ErrAccounts = errors.New("broker: the accounts' file is not one to serve with; write it with `annals nats-config`")

// optionsOf returns the server's options with the accounts of a file.
func optionsOf(file string) (*server.Options, error) {
	o, err := server.ProcessConfigFile(file)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrAccounts, file, err)
	}
	switch {
	case len(o.TrustedOperators) > 0:
		return nil, fmt.Errorf("%w: %s is for servers in operator mode, which the embedded one is not; write it without --operator-mode", ErrAccounts, file)
	case o.NoAuthUser != "":
		return nil, fmt.Errorf("%w: %s has no_auth_user, by which everybody gets in", ErrAccounts, file)
	case len(o.Nkeys) == 0:
		return nil, fmt.Errorf("%w: %s names nobody", ErrAccounts, file)
	}
	for _, a := range o.Accounts {
		if a.Name == AccountLedger {
			return o, nil
		}
	}
	return nil, fmt.Errorf("%w: %s has no account %s, which the stream is in", ErrAccounts, file, AccountLedger)
}
