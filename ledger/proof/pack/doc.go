// Package pack writes, reads and verifies evidence packs: one file with a range of
// one workspace's history, what was published of a selection, and everything that
// is needed to check both without the ledger (docs/format/pack.md).
//
// The rule it exists for: a pack is somebody's word until it was verified, and is
// built so that tools which its maker didn't write can do that. So a reader takes
// nothing from it that is not bounded and of the one form that the format has, the
// report in it claims nothing of its own, and the checks are those of
// [proof.Tenant], which read no pack's word for what they can recompute.
package pack

import (
	_ "embed"

	"annals/ledger/chain"
	"annals/ledger/proof"
)

// Format is what pack.json says of itself.
const Format = "annals/pack/v1"

// The names of a pack's files, in the order in which they are written.
const (
	Readme    = "README.txt"
	Report    = "REPORT.html"
	Script    = "verify.py"
	Manifest  = "pack.json"
	Note      = "checkpoint"
	Keys      = "keys.json"
	Head      = "head.json"
	Entries   = "entries.jsonl"
	Erasures  = "erasures.jsonl"
	Catalogue = "catalogue.json"
)

const mib = 1 << 20

// Bounds of a pack, in bytes uncompressed.
const (
	MaxLine    = 2 * mib
	maxEntries = 4096 * mib
	maxKeys    = 64 * mib
	maxOther   = 2 * mib
	maxFiles   = 1000 // in the archive, of a pack or not
)

// files are the names of a pack's files, whether a pack is none without, and how
// large each may be. The report grows with the selection, and is not read.
var files = []struct {
	name   string
	needed bool
	most   int64
}{
	{Readme, false, maxOther},
	{Report, false, maxEntries},
	{Script, false, maxOther},
	{Manifest, true, maxOther},
	{Note, true, maxOther},
	{Keys, true, maxKeys},
	{Head, true, maxOther},
	{Entries, true, maxEntries},
	{Erasures, false, maxEntries},
	{Catalogue, false, maxOther},
}

// VerifyScript is verify.py as every pack holds it: the checker in Python, written
// from docs/format alone.
//
//go:embed verify.py
var VerifyScript []byte

// About is pack.json: what the pack is said to be. Selection and Created are its
// maker's words; everything else is compared with what is signed and hashed.
type About struct {
	Format    string       `json:"format"`
	Origin    string       `json:"origin"`
	Ledger    chain.Hash   `json:"ledger"`
	Workspace string       `json:"workspace"`
	Tag       proof.Hash64 `json:"tag"`
	First     uint64       `json:"first"` // position in the workspace's chain
	Last      uint64       `json:"last"`
	Selection string       `json:"selection"` // by what payloads were chosen
	Payloads  uint64       `json:"payloads"`  // how many
	Created   string       `json:"created"`   // RFC 3339
}
