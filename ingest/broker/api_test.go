package broker_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// TestTenantRequests: a tenant's account asks for its own workspace, and for no
// other; a producer of no tenant asks for any, and for nothing else below
// annals.api.
func TestTenantRequests(t *testing.T) {
	file, err := os.ReadFile("accounts.conf")
	if err != nil {
		t.Fatal(err)
	}
	config := strings.ReplaceAll(string(file), "accounts: [PRODUCERS]", "accounts: [PRODUCERS, TENANT]")
	config = strings.Replace(config, "\n  SYS {", `
  TENANT {
    users: [ { user: tenant, password: tenant } ]
    imports: [
      { service: { account: ANNALS, subject: "annals.api.record.ws_a" } }
      { service: { account: ANNALS, subject: "annals.api.receipt.ws_a" } }
    ]
  }
  SYS {`, 1)
	connect := serve(t, "ANNALS_NATS_PASSWORD: annals\n"+config)
	ledger := connect("annals")
	if _, err := ledger.Subscribe("annals.api.>", func(m *nats.Msg) { _ = m.Respond([]byte(m.Subject)) }); err != nil {
		t.Fatal(err)
	}
	if err := ledger.Flush(); err != nil {
		t.Fatal(err)
	}
	for user, subjects := range map[string]map[string]bool{
		"tenant": {
			"annals.api.record.ws_a": true, "annals.api.receipt.ws_a": true,
			"annals.api.record.ws_b": false, "annals.api.record": false, "annals.api.receipt.ws_b": false, "annals.api.receipt": false,
		},
		"producer": {
			"annals.api.record": true, "annals.api.record.ws_b": true, "annals.api.receipt": true, "annals.api.receipt.ws_b": true,
			"annals.api.control": false, "annals.api.record.ws_b.x": false,
		},
	} {
		nc := connect(user)
		for subject, want := range subjects {
			patience := 30 * time.Second
			if !want {
				patience = 500 * time.Millisecond
			}
			m, err := nc.Request(subject, nil, patience)
			if want && (err != nil || string(m.Data) != subject) || !want && err == nil {
				t.Errorf("%s asks on %s: %v, want an answer: %v", user, subject, err, want)
			}
		}
	}
}
