// Package query is how the ledger is read over HTTP.
//
// The rule it exists for: an answer is the ledger at one moment. A page, its
// total and its as_of speak of the same tree size, and later pages of the same
// cursor keep to it, however much is recorded meanwhile. Records are shown as
// the bytes that were published, never printed again.
//
// What may be asked is data: each operation is a row of [operations], each
// parameter a row of [parameters]. The same rows parse requests, name what is
// valid in refusals and become the OpenAPI document, so they can't disagree.
package query
