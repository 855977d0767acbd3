// Package door records over HTTP, for producers that don't speak NATS.
//
// The rule it exists for: an answer says no more than is known. 202 "accepted"
// comes after the stream's acknowledgement, "recorded" after the ledger's fsync,
// and where neither is known the answer says so, and what to do. A door vouches
// for what it saw of the caller and passes the record on as it came, byte for
// byte; it refuses beforehand what the ledger would refuse, with the place.
package door
