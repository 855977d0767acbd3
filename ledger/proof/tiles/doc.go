// Package tiles reads a ledger as tlog-tiles (C2SP): from a server, or from a
// folder that holds the same files, for an audit that needs nothing else.
//
// The rule the package exists for: what could not be read says nothing about the
// ledger. A network that fails, a server that is slow, that sends its visitors
// elsewhere or answers with a page of its own: these are errors, after which
// nothing is known. Only what a server says plainly, that a file which a signed
// checkpoint requires is not there, or the bytes of the file itself, is evidence,
// and the audit judges it.
//
// Nothing is fetched that a checkpoint doesn't require, and nothing is kept on
// disk.
package tiles
