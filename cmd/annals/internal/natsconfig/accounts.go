package natsconfig

import (
	"slices"

	"annals/ingest"
	"annals/ingest/broker"
	"annals/ingest/door"

	"github.com/nats-io/jwt/v2"
)

// The accounts beside the two that the embedded server has too.
const (
	accountDoors    = "DOORS"
	accountOperator = "OPERATORS"
	accountMonitor  = "MONITORS"
	accountAnchors  = "ANCHORS"
	accountSystem   = "SYS"
	tenantPrefix    = broker.AccountProducers + "_" // and the workspace
)

// OperatorPrefix is where operators find the part of JetStream's API that they may
// use: `nats --js-api-prefix annals.js stream info ANNALS`.
const OperatorPrefix = "annals.js"

// inbox is where answers come to.
const inbox = "_INBOX.>"

// account is one of the server's.
type account struct {
	name      string
	jetStream string              // "enabled", or limits; "": it has none
	limits    jwt.JetStreamLimits // the same for operator mode
	users     []user
	exports   []export
	imports   []service
}

// user is who gets in with a seed.
type user struct {
	name      string // of the seed's file
	about     string
	publish   []string
	subscribe []string
	responds  bool // may answer what it was asked
}

// export is a service that some accounts may import.
type export struct {
	subject string
	to      []string
	many    bool // of the answers to one request
}

// service is an import of one.
type service struct {
	from, subject string
	as            string // under which subject it is found; "": the same
}

// accounts are all there are, in the order in which they are printed.
func (o *Options) accounts() []account {
	all := []account{o.ledgers(), o.producers()}
	for _, w := range o.Workspaces {
		all = append(all, tenant(w))
	}
	if o.Door {
		all = append(all, account{
			name:    accountDoors,
			users:   []user{{name: "door", about: "a door of its own, which vouches for whom it lets in", publish: []string{ingest.RootVouched + ".>"}, subscribe: []string{inbox}}},
			imports: []service{{from: broker.AccountLedger, subject: ingest.RootVouched + ".>"}},
		})
	}
	all = append(all, o.operators(), monitors())
	if o.AnchorBucket != "" {
		all = append(all, anchors(o.AnchorBucket))
	}
	return append(all, account{name: accountSystem, exports: systemExports()})
}

// streams are those of the stream's account: the log, what the replicas say of
// themselves, and the mirror, if there is one.
func (o *Options) streams() []string {
	all := []string{ingest.Stream, ingest.ReplicaStream, ingest.HeadStream}
	if o.Mirror != "" {
		all = append(all, o.Mirror)
	}
	return all
}

// ledgers is the account that holds the stream.
func (o *Options) ledgers() account {
	a := account{
		name: broker.AccountLedger, jetStream: "enabled",
		limits: jwt.JetStreamLimits{MemoryStorage: jwt.NoLimit, DiskStorage: jwt.NoLimit, Streams: jwt.NoLimit, Consumer: jwt.NoLimit},
	}
	names := []string{"ledger"}
	for _, r := range o.Replicas {
		names = append(names, "ledger-"+r)
	}
	for _, name := range names {
		a.users = append(a.users, user{
			name: name, about: "a ledger with its doors: `annals serve --nkey`",
			publish: o.ledgerPublishes(), subscribe: []string{inbox, door.SubjectRecord, door.SubjectRecord + ".*", door.SubjectReceipt, door.SubjectReceipt + ".*", "$SRV.>"},
			responds: true,
		})
	}
	tenants := []string{broker.AccountProducers}
	for _, w := range o.Workspaces {
		tenants = append(tenants, tenantPrefix+w)
	}
	a.exports = []export{
		{subject: ingest.RootActivity + ".>", to: tenants},
		{subject: door.SubjectRecord, to: []string{broker.AccountProducers}},
		{subject: door.SubjectRecord + ".*", to: tenants},
		{subject: door.SubjectReceipt, to: []string{broker.AccountProducers}},
		{subject: door.SubjectReceipt + ".*", to: tenants},
		{subject: "$SRV.>", to: []string{broker.AccountProducers}, many: true},
	}
	if o.Door {
		a.exports = append(a.exports, export{subject: ingest.RootVouched + ".>", to: []string{accountDoors}})
	}
	for _, call := range o.operatorCalls() {
		a.exports = append(a.exports, export{subject: "$JS.API." + call, to: []string{accountOperator}})
	}
	a.imports = []service{{from: accountSystem, subject: durability}}
	return a
}

// durability is what a ledger asks to see that the servers sync before they
// acknowledge.
const durability = "$SYS.REQ.SERVER.PING.JSZ"

// ledgerPublishes are the subjects of a ledger and its doors. Nobody else may delete,
// purge, update or restore.
func (o *Options) ledgerPublishes() []string {
	all := []string{
		ingest.RootActivity + ".>", ingest.RootVouched + ".>", ingest.RootControl + ".>", "annals.replica.*", "annals.head.*",
		durability, "$JS.API.INFO", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.LIST",
	}
	for _, stream := range o.streams() {
		for _, call := range []string{"INFO", "CREATE", "UPDATE", "DELETE", "PURGE", "SNAPSHOT", "RESTORE", "MSG.GET", "MSG.DELETE", "LEADER.STEPDOWN"} {
			all = append(all, "$JS.API.STREAM."+call+"."+stream)
		}
	}
	for _, call := range []string{"CREATE.%", "CREATE.%.>", "INFO.%.*", "NAMES.%", "LIST.%", "DELETE.%.*", "MSG.NEXT.%.*"} {
		all = append(all, "$JS.API.CONSUMER."+of(call, ingest.Stream))
	}
	return append(all, "$JS.SNAPSHOT.ACK."+ingest.Stream+".>", "$JS.SNAPSHOT.RESTORE."+ingest.Stream+".>")
}

// producers is the account of those who may name any workspace.
func (o *Options) producers() account {
	subjects := []string{ingest.RootActivity + ".>", door.SubjectRecord, door.SubjectRecord + ".*", door.SubjectReceipt, door.SubjectReceipt + ".*", "$SRV.>"}
	return producing(broker.AccountProducers, "producer", "whoever may record in any workspace", subjects)
}

// tenant is the account of a producer that is held to one workspace.
func tenant(workspace string) account {
	subjects := []string{ingest.RootActivity + "." + workspace + ".>", door.SubjectRecord + "." + workspace, door.SubjectReceipt + "." + workspace}
	return producing(tenantPrefix+workspace, "producer-"+workspace, "whoever may record in "+workspace+" alone", subjects)
}

func producing(name, file, about string, subjects []string) account {
	a := account{name: name, users: []user{{name: file, about: about, publish: subjects, subscribe: []string{inbox}}}}
	for _, s := range subjects {
		a.imports = append(a.imports, service{from: broker.AccountLedger, subject: s})
	}
	return a
}

// operatorCalls are what operators may do with the streams: look, move the lead, and
// withdraw what a replica that is gone has said. They see no message: there are
// secrets in them.
func (o *Options) operatorCalls() []string {
	calls := []string{"STREAM.NAMES", "STREAM.LIST"}
	for _, stream := range o.streams() {
		calls = append(calls, "STREAM.INFO."+stream)
	}
	for _, stream := range []string{ingest.Stream, ingest.ReplicaStream, ingest.HeadStream} {
		calls = append(calls, "STREAM.LEADER.STEPDOWN."+stream)
	}
	return append(calls,
		"STREAM.PURGE."+ingest.ReplicaStream, "STREAM.PURGE."+ingest.HeadStream,
		"CONSUMER.NAMES."+ingest.Stream, "CONSUMER.LIST."+ingest.Stream, "CONSUMER.INFO."+ingest.Stream+".*")
}

// operators is the account of those who look after the streams.
func (o *Options) operators() account {
	a := account{name: accountOperator}
	u := user{name: "operator", about: "who looks after the streams: `nats --js-api-prefix " + OperatorPrefix + "`", subscribe: []string{inbox}}
	for _, call := range o.operatorCalls() {
		u.publish = append(u.publish, OperatorPrefix+"."+call)
		a.imports = append(a.imports, service{from: broker.AccountLedger, subject: "$JS.API." + call, as: OperatorPrefix + "." + call})
	}
	a.users = []user{u}
	return a
}

// monitoring are the questions to the servers that monitoring asks. The others of
// the system's account end connections, and remove servers and accounts: nobody is
// in that.
func monitoring() []string {
	all := []string{"$SYS.REQ.SERVER.PING"}
	for _, what := range []string{"STATSZ", "VARZ", "JSZ", "CONNZ", "ROUTEZ", "HEALTHZ"} {
		all = append(all, "$SYS.REQ.SERVER.PING."+what)
	}
	return all
}

func monitors() account {
	a := account{name: accountMonitor, users: []user{{name: "system", about: "who watches the servers: `nats server ls`", publish: monitoring(), subscribe: []string{inbox}}}}
	for _, subject := range monitoring() {
		a.imports = append(a.imports, service{from: accountSystem, subject: subject})
	}
	return a
}

func systemExports() []export {
	var all []export
	for _, subject := range monitoring() {
		to := []string{accountMonitor}
		if subject == durability {
			to = append(to, broker.AccountLedger)
		}
		all = append(all, export{subject: subject, to: to, many: true})
	}
	return all
}

// anchors is an account for heads that are kept outside: with a bucket of its own,
// which the ledger's server writes and somebody else owns.
func anchors(bucket string) account {
	stream := "KV_" + bucket
	return account{
		name: accountAnchors, jetStream: "{ max_file: 64MB, max_streams: 4 }",
		limits: jwt.JetStreamLimits{DiskStorage: 64 << 20, Streams: 4, Consumer: jwt.NoLimit},
		users: []user{
			{name: "anchor", about: "the ledger's server: `--anchor nats://HOST:PORT/" + bucket + "`", subscribe: []string{inbox}, publish: []string{
				"$JS.API.INFO", "$JS.API.STREAM.INFO." + stream, "$JS.API.STREAM.MSG.GET." + stream, "$JS.API.DIRECT.GET." + stream, "$JS.API.DIRECT.GET." + stream + ".>", "$KV." + bucket + ".*",
			}},
			{name: "anchor-owner", about: "who makes the bucket, and looks at it: `nats kv add " + bucket + " --history 64`", publish: []string{"$JS.API.>", "$KV." + bucket + ".*"}, subscribe: []string{inbox}},
		},
	}
}

// of puts a name where a pattern has a percent sign.
func of(pattern, name string) string {
	i := slices.Index([]byte(pattern), '%')
	return pattern[:i] + name + pattern[i+1:]
}
