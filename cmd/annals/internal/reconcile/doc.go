// Package reconcile holds what a producer kept against the ledger.
//
// The rule it exists for: nothing that the ledger says now is believed without the
// signature under it, and nothing that it once signed is forgotten. A claim is
// satisfied only by an entry that is proven to be in the signed tree and to be of
// the producer's bytes, or of bytes that another entry says were erased; a receipt
// binds the ledger to the tree that it was given under. An honest ledger is never
// called a liar: what can't be told is said to be so.
package reconcile
