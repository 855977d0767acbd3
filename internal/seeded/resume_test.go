//go:build seeded

package seeded_test

// resumeBugs are in what a restart goes on from.
var resumeBugs = []bug{
	{
		part: "resume", name: "a seed of another number",
		file: "ledger/chain/state.go", old: "s.Secret, err = secret(s.Seed); err", new: "s.Secret, err = secret(0); err",
		tests: "./ledger/chain", run: "StoredStates",
	},
	{
		part: "resume", name: "keys as the genesis named them",
		file: "ledger/chain/state.go", old: "s.keys, whole = parseRoster(changed)", new: "_, whole = parseRoster(changed)",
		tests: "./ledger/chain", run: "StoredStates",
	},
	{
		part: "resume", name: "a last witnessed time that is forgotten",
		file: "ledger/chain/state.go", old: "	s.Wall = int64(c.u64())", new: "	c.u64()",
		tests: "./ledger/chain", run: "ResumeBehind",
	},
	{
		part: "resume", name: "a time that runs backwards",
		file: "ledger/chain/state.go", old: "	s.Millis = int64(c.u64())", new: "	c.u64()",
		tests: "./ledger/chain", run: "StoredStates",
	},
	{
		part: "resume", name: "workspaces' chains that begin anew",
		file: "ledger/lookup.go", old: "f.db.Get(hashKey(prefixHead, tag))", new: "f.db.Get(hashKey(prefixSeed, tag))",
		tests: "./ledger", run: "Deterministic|AppendAndRead",
	},
	{
		part: "resume", name: "an end that nobody checks",
		file: "ledger/open.go", old: "	from := state.Size - min(state.Size, tailChecked)", new: "	from := state.Size",
		tests: "./ledger", run: "DamagedEnd",
	},
	{
		part: "resume", name: "a stream that was written anew under the same sequences",
		file: "ingest/check.go", old: "		if held && got != at.Digest {", new: "		if held && got.IsZero() {",
		tests: "./ingest", run: "RestoredFolder|Recreated",
	},
	{
		part: "resume", name: "a stream that was wound back",
		file: "ingest/check.go", old: "	if state.LastSeq < at.Sequence {", new: "	if state.LastSeq == 0 && at.Sequence > 0 {",
		tests: "./ingest", run: "RestoredFolder|Recreated",
	},
}
