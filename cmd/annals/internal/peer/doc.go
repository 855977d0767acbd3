// Package peer lets one replica of a ledger take messages from another that the
// stream has lost, and gives them to others.
//
// The rule it exists for: a peer is believed for what it can prove, and told nothing
// that it does not hold. What it sends is folded on trial, and taken only where the
// root that comes of it is the one that the peer's checkpoint, signed by a key of
// this very ledger, has at that size. Messages hold seeds and, at the stream's
// beginning, the workspace key: so they go to those alone who show the replicas'
// token, and over a line that nobody else reads (docs/adr/0014).
package peer
