// Package tamper_test holds every verifier to every way of tampering.
//
// The rule the package exists for: whoever looks at the same damage says the same
// of it. One ledger is tampered with in one place, in memory; it is then laid out
// as a folder, as a log's tiles behind a URL, as an export and as an evidence
// pack, and audited by each program that can read that. What a medium doesn't
// hold, it can't show: the table says so, case by case.
package tamper_test

import (
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"annals/ledger"
	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
)

// house is a ledger that runs: a stream, and the ledger that folds it, in memory.
type house struct {
	t      testing.TB
	stream *chaintest.Stream
	fs     *vfs.MemFS
	ledger *ledger.Ledger
	done   int // messages folded
	reigns []reign
}

// reign is a checkpoint key's time: it signs sizes from here on, up to the next
// one's.
type reign struct {
	from   uint64
	secret [sha256.Size]byte
}

// keyAt is the checkpoint key in force at a size.
func keyAt(reigns []reign, size uint64) (secret [sha256.Size]byte) {
	for _, r := range reigns {
		if r.from <= size {
			secret = r.secret
		}
	}
	return secret
}

// newHouse begins a ledger whose genesis names a key for each role. A house of an
// origin that is not its own is another ledger under the same name.
func newHouse(t testing.TB, name, origin string) *house {
	t.Helper()
	s := chaintest.NewKeyed(name)
	if origin != s.Settled.Origin {
		s.Messages, s.Next, s.Now, s.Seeds = nil, s.Settled.FirstSequence, chaintest.Start, 0
		s.Settled.Origin = origin
		s.ID = s.Settled.LedgerID()
		s.Publish(chain.ControlGenesis.Subject(), string(s.Settled.Seal(chaintest.WorkspaceKey(), s.Root)))
		s.Control = 1
		s.Seed()
	}
	h := &house{t: t, stream: s, fs: vfs.NewMem(), done: 2, reigns: []reign{{1, checkpointKey}}}
	var err error
	if h.ledger, err = ledger.Create("ledger", s.Messages[0], s.Messages[1], ledger.Options{FS: h.fs, CacheSize: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.ledger.Close() })
	return h
}

// fold folds what was published since.
func (h *house) fold() {
	h.t.Helper()
	if err := h.ledger.Append(h.t.Context(), h.stream.Messages[h.done:]); err != nil {
		h.t.Fatal(err)
	}
	if err := h.ledger.Flush(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
	h.done = len(h.stream.Messages)
}

// gap loses n messages, publishes more ones, and admits the loss.
func (h *house) gap(n uint64, more func()) {
	h.t.Helper()
	h.fold()
	head, s := h.ledger.Head(), h.stream
	first := s.Next
	s.Next += n
	if more != nil {
		more()
	}
	s.Gap(head.Size, head.Root, first, first+n-1)
	if err := h.ledger.AppendGap(h.t.Context(), s.Messages[len(s.Messages)-1]); err != nil {
		h.t.Fatal(err)
	}
	h.fold()
}

// epoch goes on in a stream that was made anew.
func (h *house) epoch() {
	h.t.Helper()
	h.fold()
	head := h.ledger.Head()
	h.stream.Begin(head.Size, head.Root, 1)
	h.fold()
}

// replaceOperator puts another operator key in force.
func (h *house) replaceOperator() {
	h.t.Helper()
	old, next := h.stream.Operator, signerOf(chaintest.Secret("operator 2"))
	c := chain.KeyChange{Removed: []chain.Hash{old.Public(0).ID()}, Added: []chain.Key{next.Public(chain.RoleOperator)}}
	h.stream.ChangeKeys(c, "", h.stream.Root, old)
	h.stream.Operator = next
	h.fold()
}

// erasers are the keys of two people who erase together.
func erasers() []chain.Signer {
	return []chain.Signer{signerOf(chaintest.Secret("eraser 1")), signerOf(chaintest.Secret("eraser 2"))}
}

// nameErasers names them, and a third one.
func (h *house) nameErasers() {
	h.t.Helper()
	c := chain.KeyChange{Thresholds: []chain.Threshold{{Role: chain.RoleEraser, Keys: 2}}}
	for _, s := range append(erasers(), signerOf(chaintest.Secret("eraser 3"))) {
		c.Added = append(c.Added, s.Public(chain.RoleEraser))
	}
	h.stream.ChangeKeys(c, "", h.stream.Root)
	h.fold()
}

// erase erases the last two entries, which are a workspace's.
func (h *house) erase(workspace string) chain.Range {
	h.t.Helper()
	h.fold()
	size := h.ledger.Head().Size
	r := chain.Range{From: size - 2, To: size}
	h.eraseRange(workspace, r)
	return r
}

// eraseRange erases entries of a workspace. signers are whose signatures are due; none:
// the operator's.
func (h *house) eraseRange(workspace string, r chain.Range, signers ...chain.Signer) {
	h.t.Helper()
	head := h.ledger.Head()
	e := chain.Erase{
		Role: head.State.Roster().Eraser(), Reason: chain.EraseOrder, Rule: chain.NoRef, Workspace: h.ledger.Tag(workspace), Parts: 1,
		Ranges: []chain.Range{r},
	}
	var err error
	e.Leaves, err = chain.SelectionHash(h.ledger.ID(), e.Workspace, e.Ranges, func(index uint64) (chain.Hash, error) {
		_, hash, err := h.ledger.Get(index)
		return hash, err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	e.Selection = e.Leaves
	h.stream.Erase(head.Size, head.Root, e, "by Erin", signers...)
	h.fold()
	if after := h.ledger.Head(); after.State.Erasures != head.State.Erasures+1 {
		h.t.Fatal("the erasure was rejected")
	}
}

// rotate puts another checkpoint key in force, in good order or not.
func (h *house) rotate(reason uint8) {
	h.t.Helper()
	h.fold()
	old := h.reigns[len(h.reigns)-1].secret
	next := chaintest.Secret(fmt.Sprint("checkpoint ", len(h.reigns)))
	c := chain.KeyChange{
		Reason: reason, Removed: []chain.Hash{signerOf(old).Public(0).ID()}, Added: []chain.Key{signerOf(next).Public(chain.RoleCheckpoint)},
	}
	signers := []chain.Signer{h.stream.Root}
	if reason == chain.Rotation {
		signers = append(signers, signerOf(old))
	}
	h.reigns = append(h.reigns, reign{h.ledger.Head().Size + 1, next})
	h.stream.ChangeKeys(c, "in a test", signers...)
	h.fold()
}

// mark publishes a mark of the ledger as it stands; what is published between is
// the stream's backlog.
func (h *house) mark(backlog func()) {
	h.t.Helper()
	h.fold()
	head, heads, err := h.ledger.Heads(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	if backlog != nil {
		backlog()
	}
	h.stream.Mark(head.Size, head.Root, heads)
}
