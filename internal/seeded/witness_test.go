//go:build seeded

package seeded_test

// witnessBugs are in what collects cosignatures, and in what gives them.
var witnessBugs = []bug{
	{
		part: "witness", name: "a cosignature leaves before it is on disk",
		file: "cmd/annals/internal/witness/witness.go", old: "	if err := l.keep(signed, w.o.Replace); err != nil {", new: "	if err := l.keep(signed, w.o.Replace); err != nil && len(signed) == 0 {",
		tests: "./cmd/annals/internal/witness",
	},
	{
		part: "witness", name: "what was cosigned is forgotten at a restart",
		file: "cmd/annals/internal/witness/folder.go", old: "	l.last, l.note = last, b\n", new: "	_ = last\n",
		tests: "./cmd/annals/internal/cosign", run: "TestFaults",
	},
	{
		part: "witness", name: "the consistency proof is not looked at",
		file: "cmd/annals/internal/witness/witness.go", old: "	if err := proof.CheckConsistency(l.last.size, orEmpty(l.last), next.size, next.root, hashes); err != nil {", new: "	if err := proof.CheckConsistency(l.last.size, orEmpty(l.last), next.size, next.root, hashes); err != nil && next.size == 0 {",
		tests: "./cmd/annals/internal/cosign", run: "TestFaults",
	},
	{
		part: "witness", name: "two roots of one size",
		file: "cmd/annals/internal/witness/witness.go", old: "next.size == l.last.size && next.root != l.last.root:", new: "next.size == l.last.size && next.root != l.last.root && len(hashes) > 0:",
		tests: "./cmd/annals/internal/witness", run: "TestStatuses",
	},
	{
		part: "witness", name: "check and keep are two steps",
		file: "cmd/annals/internal/witness/witness.go", old: "	l.mu.Lock()\n	defer l.mu.Unlock()\n	if l.failed != nil {", new: "	if l.failed != nil {",
		tests: "./cmd/annals/internal/witness", run: "TestRace", race: true,
	},
	{
		part: "witness", name: "cosignatures of other checkpoints count",
		file: "cmd/annals/internal/cosign/ask.go", old: "		s, err := e.witnesses[i].Cosignature(cp.Text(), body)", new: "		s, err := proof.Cosignature{Line: string(body), Time: uint64(now.Unix()) + uint64(0*i)}, error(nil)",
		tests: "./cmd/annals/internal/cosign", run: "TestAnswers|TestFaults",
	},
	{
		part: "witness", name: "an old cosignature passes for a new one",
		file: "cmd/annals/internal/cosign/ask.go", old: "s.Time < uint64(max(least, 0)) || ", new: "least < 0 || ",
		tests: "./cmd/annals/internal/cosign", run: "TestAnswers",
	},
	{
		part: "witness", name: "cosignatures are shown that are not on disk",
		file: "cmd/annals/internal/cosign/follow.go", old: "	if err := c.files.keep(met, n); err != nil {", new: "	if err := c.files.keep(met, n); err != nil && n == nil {",
		tests: "./cmd/annals/internal/cosign", run: "TestKept",
	},
	{
		part: "witness", name: "cosignatures of different checkpoints are added up",
		file: "cmd/annals/internal/cosign/collector.go", old: "			if !e.resting && e.cosigned < size {\n				return\n			}\n", new: "			_ = e\n",
		tests: "./cmd/annals/internal/cosign", run: "TestRounds",
	},
	{
		part: "witness", name: "another history is collected for, over what was cosigned",
		file: "cmd/annals/internal/cosign/collector.go", old: "if err := c.consistent(&old.Checkpoint, newest); errors.Is", new: "if err := error(nil); errors.Is",
		tests: "./cmd/annals/internal/cosign", run: "TestFaults",
	},
}
