package natsconfig

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

const accountsHead = `# Who can reach the stream, as annals nats-config wrote it. Write it anew rather than
# editing it: seeds that are there stay. A running server takes it over with
# nats-server --signal reload.
#
# Only ledgers are in ANNALS. Whoever may publish anything in an account can have the
# server's answer stored under any subject of it, by naming that as their reply; so
# everybody else has an account of their own, which imports what it may use.

`

// printer writes the server's language, which is JSON with fewer marks.
type printer struct{ strings.Builder }

func (p *printer) line(depth int, format string, args ...any) {
	p.WriteString(strings.Repeat("  ", depth))
	fmt.Fprintf(p, format, args...)
	p.WriteByte('\n')
}

// subjects is a list of them.
func subjects(all []string) string {
	quoted := make([]string, len(all))
	for i, s := range all {
		quoted[i] = strconv.Quote(s)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// printAccounts prints accounts with the public keys of their users.
func printAccounts(all []account, public func(name string) (string, error)) (string, error) {
	p := new(printer)
	p.WriteString(accountsHead)
	p.line(0, "accounts {")
	for _, a := range all {
		p.line(1, "%s {", a.name)
		if a.jetStream != "" {
			p.line(2, "jetstream: %s", a.jetStream)
		}
		if err := p.users(a.users, public); err != nil {
			return "", err
		}
		p.services(&a)
		p.line(1, "}")
	}
	p.line(0, "}")
	p.line(0, "system_account: %s", accountSystem)
	return p.String(), nil
}

func (p *printer) users(all []user, public func(string) (string, error)) error {
	if len(all) == 0 {
		return nil
	}
	p.line(2, "users: [")
	for _, u := range all {
		key, err := public(u.name)
		if err != nil {
			return err
		}
		p.line(3, "# %s: %s.", u.name, u.about)
		p.line(3, "{")
		p.line(4, "nkey: %s", key)
		p.line(4, "permissions {")
		p.line(5, "publish { allow: [")
		for _, s := range u.publish {
			p.line(6, "%q", s)
		}
		p.line(5, "] }")
		p.line(5, "subscribe { allow: %s }", subjects(u.subscribe))
		if u.responds {
			p.line(5, "allow_responses: true")
		}
		p.line(4, "}")
		p.line(3, "}")
	}
	p.line(2, "]")
	return nil
}

func (p *printer) services(a *account) {
	if len(a.exports) > 0 {
		p.line(2, "exports: [")
		for _, e := range a.exports {
			kind := ""
			if e.many {
				kind = ", response_type: stream"
			}
			p.line(3, "{ service: %q%s, accounts: %s }", e.subject, kind, subjects(e.to))
		}
		p.line(2, "]")
	}
	if len(a.imports) > 0 {
		p.line(2, "imports: [")
		for _, s := range a.imports {
			as := ""
			if s.as != "" {
				as = fmt.Sprintf(", to: %q", s.as)
			}
			p.line(3, "{ service: { account: %s, subject: %q }%s }", s.from, s.subject, as)
		}
		p.line(2, "]")
	}
}

const nodeHead = `# A NATS server that holds the stream of an Annals ledger, as annals nats-config wrote
# it; accounts.conf lies beside it. Start it with nats-server --config %s.conf.

`

// printNode prints the configuration of a server.
func (o *Options) printNode(i int, password string) string {
	p, n := new(printer), &o.Nodes[i]
	fmt.Fprintf(p, nodeHead, n.Name)
	p.line(0, "server_name: %q", n.Name)
	p.line(0, "listen: %q", o.Listen)
	if o.Monitor != "" {
		p.line(0, "http: %q", o.Monitor)
	}
	p.line(0, "")
	p.line(0, "# One message, so also one gathered NDJSON message. A record may have 256 KiB;")
	p.line(0, "# what is larger but fits becomes a rejection in the ledger, with its evidence.")
	p.line(0, "max_payload: 1MB")
	p.line(0, "")
	p.line(0, "jetstream {")
	p.line(1, "store_dir: %q", o.Store)
	p.line(1, "# Sync before acknowledging: the ledger refuses to record on a server that does not.")
	p.line(1, "sync_interval: always")
	p.line(0, "}")
	if o.Cert != "" {
		p.line(0, "")
		p.line(0, "tls {")
		p.line(1, "cert_file: %q", o.Cert)
		p.line(1, "key_file: %q", o.Key)
		p.line(0, "}")
	}
	if len(o.Nodes) > 1 {
		o.printCluster(p, i, password)
	}
	p.line(0, "")
	p.line(0, "include ./%s", AccountsFile)
	return p.String()
}

func (o *Options) printCluster(p *printer, i int, password string) {
	p.line(0, "")
	p.line(0, "cluster {")
	p.line(1, "name: annals")
	p.line(1, "listen: %q", o.ClusterListen)
	p.line(1, "authorization { user: route, password: %q }", password)
	p.line(1, "routes: [")
	for j, other := range o.Nodes {
		if j != i {
			u := url.URL{Scheme: "nats", User: url.UserPassword("route", password), Host: other.Route}
			p.line(2, "%q", u.String())
		}
	}
	p.line(1, "]")
	p.line(1, "# Clients keep to the addresses that they were given.")
	p.line(1, "no_advertise: true")
	if o.CA != "" {
		p.line(1, "tls {")
		p.line(2, "cert_file: %q", o.Cert)
		p.line(2, "key_file: %q", o.Key)
		p.line(2, "ca_file: %q", o.CA)
		p.line(2, "verify: true")
		p.line(1, "}")
	}
	p.line(0, "}")
}
