package broker

import (
	_ "embed"
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
