// Package projections indexes a ledger, so that any question about a workspace is
// answered in a millisecond: the page exactly, the total exactly.
//
// The rule the package exists for: an index never decides what is true. All that
// stands here is a fold over the ledger's entries and payloads, in a Pebble
// folder of its own, and may be deleted at any time: it is folded again. So
// nothing here is synced for its own sake, a damaged or outdated folder is
// emptied rather than repaired, and every row can be told from the ledger alone.
//
// A second rule: the workspace stands first in every list's name and is never
// optional in a question, so no question can cross from one workspace into
// another. A third: every answer has a bound on its work, and says so when it
// reached it (Truncated). No question reads the ledger.
//
// # Rows
//
// A list holds the indexes of the entries that have one value in one field of one
// workspace ([Field]). Its name is the workspace's number (4 bytes, in the order
// in which the fold met them), the field (1), and the value, escaped and ended so
// that none is the beginning of another and values that start alike stand
// together (key.go). Of each block of 2^14 indexes it has a row, and 2^6 blocks
// are an era, which begins the key:
//
//	0x01 || era (4) || 0x01 || name || block (1)              →  offsets
//	0x01 || era (4) || 0x02 || workspace (4) || block (1)     →  zone
//	0x01 || era (4) || 0x03 || block (1) || chunk (1)         →  column
//	0x02 || workspace's tag (32)                              →  number (4)
//	0x03 || quarter of an hour (8)                            →  first index (8)
//	0x04 "head"                                               →  schema, ledger, size, last leaf
//
// Fewer than 1,024 offsets are two bytes each, more are a bitmap of 2 KiB (set.go).
// A column holds when the entries of a chunk of 2^11 occurred, a zone between
// which times those of a workspace in a block did (column.go).
//
// The era comes first so that the tables of an old era are never rewritten: what
// is compacted is at most the newest 2^20 entries, however large the ledger is.
// A list that has nothing in an era costs a question one seek there.
//
// The head is written in the batch that holds these entries' rows: they agree
// after any crash. Pieces of a row that were written apart are merged into the
// one form that the row has (merger.go), so however it came about, one ledger
// gives one set of rows.
//
// # Hot entries
//
// The newest entries' rows stand in memory first (tail.go) and reach Pebble a
// block at a time. So it costs the same to follow a ledger entry by entry as to
// fold it in one go, and what a crash takes is folded again within a fraction of
// a second: the ledger is the write-ahead log.
//
// # Questions
//
// A question ([Query]) is made into terms (plan.go), each the union of lists or of
// ranges of lists, and these are walked block by block (walk.go): from one block
// to the next that every term has, there intersected from the rarest on, and what
// is asked not to be is taken away. Pages, counts, histograms and values are what
// is made of the matches of a block.
package projections
