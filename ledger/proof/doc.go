// Package proof is what an auditor needs: it reads a ledger through a [Source]
// and says whether it is what was recorded, and if not, what is wrong with it
// and from which entry on.
//
// The rule the package exists for: an audit believes nothing that it can
// recompute. It takes entries, payloads and node hashes as bytes, hashes them
// itself, and compares each redundancy that docs/format puts into a ledger with
// every other: index, id, order of the stream's messages, both previous hashes,
// places in the workspaces' chains, payload commitments, control signatures,
// marks, the tree at every level, and the heads that were remembered outside.
// So it needs no store, no network and no trust in who serves the ledger.
//
// One fault breaks many redundancies. The audit reports causes: an altered
// entry is one finding at its index, not a broken link, a broken workspace
// chain, a dozen wrong node hashes and a wrong root.
//
// # Receipts
//
// A [Receipt] proves one entry to somebody who has the ledger's key and nothing
// else: what was recorded, or that something was refused, and why. Parse it with
// [ParseReceipt], verify it with [Receipt.Verify] by a [Keyring], and rely on what
// that returns: the fields alone say only what the text says. [CheckInclusion] and
// [CheckConsistency] are the two proofs beneath, for trees that are known in other
// ways.
package proof
