// Package broker runs a nats-server inside the process, so that one command is
// a whole ledger, and settles who can reach the stream.
//
// The rule the package exists for: what a PubAck promises is on the disk, and
// nobody but the ledger and its doors can reach the stream. So
// JetStream syncs before it acknowledges (sync_interval: always, and no option
// to turn it off), and there are two accounts. The stream lives in ANNALS.
// Producers are in PRODUCERS, which sees one thing of ANNALS: the service
// activity.>, to publish on. Permissions to publish would not be enough: a
// client may name any subject as its reply, and the server would store its own
// acknowledgement there. An account is a wall that replies don't pass either.
//
// accounts.conf says who may do what on the loopback, in the server's own language.
// docker-compose.yml gives the same file to a cluster of separate servers. Where
// others than this machine connect, a file that `annals nats-config` wrote says it.
package broker
