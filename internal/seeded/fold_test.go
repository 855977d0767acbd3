//go:build seeded

package seeded_test

// foldBugs are in what every replica must do alike.
var foldBugs = []bug{
	{
		part: "fold", name: "a length missing from a hash",
		file: "ledger/chain/payload.go", old: "	dst = be32(dst, len(envelope))\n	return append(dst, envelope...)", new: "	return append(dst, envelope...)",
		tests: "./ledger/chain", run: "Vectors",
	},
	{
		part: "fold", name: "a far time that pins the clock",
		file: "ledger/chain/state.go", old: "min(FloorMillis(timestamp), ahead)", new: "max(FloorMillis(timestamp), min(ahead, 0))",
		tests: "./ledger/chain", run: "Millis|Vectors",
	},
	{
		part: "fold", name: "ids of one workspace suppress another's",
		file: "ledger/chain/prepare.go", old: "	b = be16(b, len(workspace))\n	b = append(b, workspace...)\n", new: "",
		tests: "./ledger/chain", run: "^TestVectors",
	},
	{
		part: "fold", name: "every repeat is a duplicate, whatever it says",
		file: "ledger/chain/dedupe.go", old: "!original.Same(item.Record(), item.attributes)", new: "!original.Same(original.Record, item.attributes)",
		tests: "./ledger/chain", run: "^TestVectors|Fold",
	},
	{
		part: "fold", name: "a control number that may be left out",
		file: "ledger/chain/admit.go", old: "if st.Number != s.Control {", new: "if st.Number < s.Control {",
		tests: "./ledger/chain", run: "Refused",
	},
	{
		part: "fold", name: "another ledger's control message taken for ours",
		file: "ledger/chain/admit.go", old: "if st.Ledger != s.ledger {", new: "if st.Ledger.IsZero() {",
		tests: "./ledger/chain", run: "Refused",
	},
	{
		part: "fold", name: "a key that anybody can sign for",
		file: "ledger/chain/ed25519.go", old: "case p.MultByCofactor(p).Equal(edwards25519.NewIdentityPoint()) == 1:", new: "case p.Equal(edwards25519.NewIdentityPoint()) == 1:",
		tests: "./ledger/chain", run: "Weak|KeyVectors",
	},
	{
		part: "fold", name: "a key that signs without the role",
		file: "ledger/chain/roster.go", old: "if role == 0 || key.Roles&role != 0 {", new: "if role == 0 || key.Roles != 0 {",
		tests: "./ledger/chain", run: "Refused",
	},
	{
		part: "fold", name: "one key that signs twice counts as two",
		file: "ledger/chain/roster.go", old: "len(signed) < need {", new: "len(signed) > 0 && len(signatures) < need {",
		tests: "./ledger/chain", run: "Thresholds",
	},
	{
		part: "fold", name: "a removed key that goes on signing",
		file: "ledger/chain/roster.go", old: "if span := &r.spans[i]; span.To == standing && span.ID() == id {", new: "if span := &r.spans[i]; span.ID() == id {",
		tests: "./ledger/chain", run: "KeyChanges|KeysInForce",
	},
	{
		part: "fold", name: "bytes behind an entry are ignored",
		file: "ledger/chain/entry.go", old: "if HeaderSize+tail != len(b) {", new: "if HeaderSize+tail > len(b) {",
		tests: "./ledger/chain", run: "EndWhere",
	},
	{
		part: "fold", name: "a condition that is not compared with the ledger",
		file: "ledger/chain/admit.go", old: "	case root != st.Root:", new: "	case root != st.Root && root.IsZero():",
		tests: "./ledger/chain", run: "Trims|Epochs|Refused",
	},
}
