package proof

import (
	"context"
	"fmt"
	"math/bits"
	"runtime"

	"annals/ledger/chain"
)

// Options says how to audit, and what the auditor knows already. The zero value
// audits everything that the ledger itself shows.
type Options struct {
	// Workers is how many goroutines hash; 0 means one a core. The report
	// doesn't depend on it.
	Workers int
	// Chunk is how many entries a worker takes at once, a power of two of at
	// least 2; 0 means 4,096. An audit holds up to 3×Workers + 2 chunks of about
	// 400 bytes an entry, besides 64 bytes for each chunk and 150 for each
	// workspace of the ledger.
	Chunk int
	// Findings is the most findings that the report lists; 0 means 100.
	Findings int
	// Remembered is a head of this ledger that was kept outside of it, by the
	// auditor or a witness: without one, a ledger that was cut off, or written
	// anew from its first entry to its head, can't be told from a sound one. A
	// last leaf of zeros is not compared: checkpoints don't hold one.
	Remembered *Head
	// RememberedNote is the note that the remembered head was signed in, if it was.
	RememberedNote []byte
	// Ledger is the id that the ledger must have; zeros take any.
	Ledger chain.Hash
	// Tag gives a workspace's tag, for an auditor who knows the workspace key;
	// nil leaves tags unrecomputed. It is called from many goroutines.
	Tag func(workspace string) chain.Hash
	// EntriesOnly is for sources that have no payloads by their nature: an absent
	// payload is then no finding.
	EntriesOnly bool
	// Tiles is for sources that hold tlog-tiles (C2SP): of the tree's nodes those of
	// every eighth level, the leaves' hashes among them. The head's last leaf is then
	// one of them and no word of the ledger's.
	Tiles bool

	// Checkpoint is a signed head of this ledger (a note), and Retired are others
	// that the same ledger signed: they must be signed by keys that its entries put
	// in force at their sizes, and be heads of these entries.
	Checkpoint []byte
	Retired    [][]byte
	// History is the key history that is shown with the ledger, already verified: it
	// must leave no change of keys out.
	History *KeyHistory
	// Key is a verifier key that the auditor knows the ledger by: the checkpoint must
	// be its own, or of a key that followed it as docs/format/keys.md says.
	Key string
	// Policy says which witnesses must have cosigned the checkpoint.
	Policy *Policy
	// Token judges timestamp tokens; nil: nobody judges them, and a notice says so.
	Token JudgeToken
	// Found is what the caller found before the audit, and Notices what it has to
	// say: the report ranks them with the rest.
	Found   []Found
	Notices []Notice
}

const (
	defaultChunk    = 4096
	defaultFindings = 100
)

func (o Options) filled() (Options, error) {
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.Chunk == 0 {
		o.Chunk = defaultChunk
	}
	if o.Findings <= 0 {
		o.Findings = defaultFindings
	}
	if o.Chunk < 2 || bits.OnesCount(uint(o.Chunk)) != 1 {
		return o, fmt.Errorf("proof: a chunk of %d entries: use a power of two of at least 2, or 0", o.Chunk)
	}
	return o, nil
}

// Audit checks a whole ledger. What is wrong with the ledger is in the report;
// an error means that the audit could not be finished (reading failed, ctx
// ended), and comes with an [Inconclusive] report.
//
// The ledger may grow meanwhile: the audit is of the head that it read first.
func Audit(ctx context.Context, src Source, o Options) (Report, error) {
	o, err := o.filled()
	if err != nil {
		return inconclusive(0, err), err
	}
	head, err := src.Head(ctx)
	if err != nil {
		err = fmt.Errorf("proof: reading the head: %w", err)
		return inconclusive(0, err), err
	}
	found := newFindings(o.Findings)
	for _, f := range o.Found {
		found.put(f)
	}
	found.notices = append(found.notices, o.Notices...)
	begun, err := begin(ctx, src, head, o, found)
	if err != nil {
		err = fmt.Errorf("proof: reading the genesis: %w", err)
		return inconclusive(0, err), err
	}
	pipe := start(ctx, reading{src: src, o: o, ledger: begun.id, payloads: true, nodes: true}, 0, head.Size)
	defer pipe.stop()
	j := newJoiner(ctx, src, o, head, begun, found, pipe)
	if err := j.run(); err != nil {
		err = fmt.Errorf("proof: %w", err)
		return inconclusive(j.read, err), err
	}
	return j.report(), nil
}
