// Package ledger keeps the log in Pebble: it is the only writer of its folder.
//
// The rule the package exists for: what it has said is durable stays, whole and
// in one piece. One Pebble batch an append holds the entries, their payloads,
// the tree's hashes, the dedupe keys, the workspaces' heads and the fold's
// state, so there is no second store to disagree with. Receipts, reads and the
// head wait for the durable watermark.
//
// Messages pass three stages: they are prepared in parallel, folded one batch
// after the other, and synced while the next batch is under way.
//
// What became durable a moment ago stays in memory for a while, parsed as it is:
// followers and receipts read it from there.
package ledger
