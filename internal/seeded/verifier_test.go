//go:build seeded

package seeded_test

// verifierBugs are in what an auditor relies on.
var verifierBugs = []bug{
	{
		part: "verifier", name: "links in the middle of the chain are not checked",
		file: "ledger/proof/attest.go", old: "	return named, j.blame(x, it, next)\n", new: "	return named, innocent\n",
		tests: "./ledger/proof", run: "TwoAltered|FlippedTail",
	},
	{
		part: "verifier", name: "the chain is checked, the payloads are not",
		file: "ledger/proof/payload.go", old: "if h != e.Commitment {", new: "if h.IsZero() {",
		tests: "./ledger/proof", run: "Payload",
	},
	{
		part: "verifier", name: "a duplicate is compared with itself",
		file: "ledger/proof/original.go", old: "w.original(ctx, it.entry.Ref); err", new: "w.original(ctx, it.entry.Index); err",
		tests: "./ledger/proof", run: "FalseDuplicates",
	},
	{
		part: "verifier", name: "a workspace's chain may leave an entry out",
		file: "ledger/proof/workspace.go", old: "if e.Position != head.Count || e.PreviousInWorkspace != due {", new: "if e.PreviousInWorkspace != due {",
		tests: "./ledger/proof", run: "ForgedEntries",
	},
	{
		part: "verifier", name: "a remembered head's size is compared, its root is not",
		file: "ledger/proof/finish.go", old: "if !ok || now.Root == r.Root && (r.LastLeaf.IsZero() || now.LastLeaf == r.LastLeaf) {", new: "if !ok || now.Size == r.Size {",
		tests: "./ledger/proof", run: "Forked|Tail",
	},
	{
		part: "verifier", name: "a checkpoint with lines that nobody reads",
		file: "ledger/proof/checkpoint.go", old: "if len(lines) != 4 || lines[0] == \"\" || lines[3] != \"\" {", new: "if len(lines) < 4 || lines[0] == \"\" {",
		tests: "./ledger/proof", run: "Checkpoint|Keyring",
	},
	{
		part: "verifier", name: "a removed key that is good for one size more",
		file: "ledger/chain/roster.go", old: "next.spans[at].To = index + 1", new: "next.spans[at].To = index + 2",
		tests: "./ledger/chain", run: "KeysInForce",
	},
	{
		part: "verifier", name: "a receipt's proof is of another entry",
		file: "ledger/proof/receipt_check.go", old: "if r.Index != r.Entry.Index {", new: "if r.Index > checkpoint.Size {",
		tests: "./ledger/proof", run: "AnotherPlace",
	},
	{
		part: "verifier", name: "an empty proof is accepted",
		file: "ledger/proof/merkle.go", old: "	if err := tlog.CheckRecord(", new: "	if len(hashes) == 0 {\n		return nil\n	}\n	if err := tlog.CheckRecord(",
		tests: "./ledger/proof", run: "InclusionExhaustively",
	},
	{
		part: "verifier", name: "two roots of one size are consistent",
		file: "ledger/proof/merkle.go", old: "	case from > to || to > maxTree:", new: "	case from == to:\n		return nil\n	case from > to || to > maxTree:",
		tests: "./ledger/proof", run: "ConsistencyExhaustively",
	},
	{
		part: "verifier", name: "the signed root is not compared with the entries'",
		file: "ledger/proof/signed.go", old: "	if !known || head.Root == c.Root {", new: "	if !known || head.Size == c.Size {",
		tests: "./ledger/proof", run: "Signed",
	},
	{
		part: "verifier", name: "whoever follows on a revoked key is its heir",
		file: "ledger/proof/trust.go", old: "if len(heirs) == before || c.Reason != chain.Rotation {", new: "if len(heirs) == before {",
		tests: "./ledger/proof", run: "ForgedHistories|AttackerWithOldKey",
	},
	{
		part: "verifier", name: "a full tile that is one hash short",
		file: "ledger/proof/tiles/path.go", old: "return int(min(Width, nodes-n*Width))", new: "return int(min(Width-1, nodes-n*Width))",
		tests: "./ledger/proof/tiles", run: "Clean|Needed",
	},
	{
		part: "verifier", name: "bytes behind a bundle are ignored",
		file: "ledger/proof/tiles/tree.go", old: "\t\t\tif i == want-1 {", new: "\t\t\tif i == want {",
		tests: "./ledger/proof/tiles", run: "Tampered",
	},
	{
		part: "verifier", name: "a server that fails is taken for the log's end",
		file: "ledger/proof/tiles/fetch.go", old: "case code == http.StatusNotFound || code == http.StatusGone:", new: "case code >= http.StatusBadRequest:",
		tests: "./ledger/proof/tiles", run: "Servers",
	},
}
