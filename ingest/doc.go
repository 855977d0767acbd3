// Package ingest is the way in: the producer's SDK, the stream's configuration,
// and the reader that hands the stream to the ledger.
//
// The rule the package exists for: what was acknowledged is in the stream once
// or more and never not at all, and what the reader hands on is the stream,
// whole and in order, or an error that says which of the ways of losing it has
// happened. JetStream promises neither by itself. An acknowledgement that does
// not come means "unknown", so the [Publisher] sends again, with the same id, and
// the ledger drops what it has already. A consumer skips deleted messages in
// silence, so the [Reader] counts for itself.
//
// A PubAck means accepted: the stream has it, synced to the disk. Recorded and
// witnessed are the ledger's words, and come later.
//
// Producers link this package: it imports neither a NATS server nor a store.
package ingest
