// Package chain is what is hashed: the entry, the genesis, the control
// statements, and the fold that turns a stream of messages into entries.
//
// The rule the package exists for: the same stream gives the same ledger, on
// every replica and on every run. So nothing here reads a clock, draws a random
// number, starts a goroutine or touches a disk; what a step depends on is in
// its arguments. docs/format says every byte of it.
//
// A message passes two steps. [State.Prepare] parses it, checks it and hashes
// its payloads; many run in parallel. [State.Fold] is the sequential step: it
// settles duplicates, numbers the entries and links them. [State.FoldGap] stands
// for messages that are lost, when an operator has signed that they are.
package chain
