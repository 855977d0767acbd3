//go:build seeded

package seeded_test

// signerBugs are in what can't be taken back.
var signerBugs = []bug{
	{
		part: "signer", name: "a checkpoint is published though it is not on disk",
		file: "cmd/annals/internal/signer/sign.go", old: "	if err := s.files.replace(next.Note); err != nil {\n		return s.refuse(unwritten(err))\n	}\n", new: "	_ = s.files.replace(next.Note)\n",
		tests: "./cmd/annals/internal/signer",
	},
	{
		part: "signer", name: "sizes that run backwards after a restart",
		file: "cmd/annals/internal/signer/sign.go", old: "	case head.Size < last.Size:\n		return &BehindError", new: "	case head.Size < last.Size:\n		return nil\n	case head.Size == 0:\n		return &BehindError",
		tests: "./cmd/annals/internal/signer",
	},
	{
		part: "signer", name: "another history signed over the first",
		file: "cmd/annals/internal/signer/sign.go", old: "if tlog.CheckTree(tree, int64(head.Size), tlog.Hash(head.Root), int64(last.Size), tlog.Hash(last.Root)) != nil {", new: "if tlog.CheckTree(tree, int64(head.Size), tlog.Hash(head.Root), int64(last.Size), tlog.Hash(last.Root)) == nil && last.Size > head.Size {",
		tests: "./cmd/annals/internal/signer",
	},
	{
		part: "signer", name: "a checkpoint of a stream that is not the ledger's any more",
		file: "cmd/annals/internal/signer/sign.go", old: "if err := s.o.Check(ctx); err != nil {", new: "if err := s.o.Check(ctx); err != nil && ctx.Err() != nil {",
		tests: "./cmd/annals/internal/signer",
	},
	{
		part: "signer", name: "the last checkpoint of a retired key is lost",
		file: "cmd/annals/internal/signer/sign.go", old: "	return s.publish(next, retires(named, last.Size, size))", new: "	return s.publish(next, false)",
		tests: "./cmd/annals/internal/signer",
	},
}
