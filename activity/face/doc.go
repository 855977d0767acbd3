// Package face speaks for systems that were published elsewhere: a file for each
// maps its JSON to the native record, and back, by that system's own rules.
//
// The rule it exists for: a face is a way of writing a record and of reading one,
// never another kind of record. What a face made is found by every native question,
// what was recorded otherwise is seen through a face as far as the face has words
// for it, and neither the ledger nor an index knows that there are faces. There is
// no HTTP here: the doors and the query API have that.
package face
