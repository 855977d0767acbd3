package ledger_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"annals/ledger"
	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
)

var (
	freedOf     = flag.Int("freed-of", 4000, "how many records TestEraseFrees records")
	freedRecord = flag.Int("freed", 400, "how many of them it erases, spread over the ledger")
)

// TestEraseFrees records the same in two ledgers, and erases some of it in one. The rows
// of both are then written into empty stores, so that the one thing that differs is what
// was erased: those of one take less by the bytes of its payloads. And nothing else
// differs: each proof of an entry from before the erasure, each consistency proof, and
// each other entry and payload is the same, byte for byte.
func TestEraseFrees(t *testing.T) {
	s := chaintest.NewKeyed("frees")
	noise := rand.NewChaCha8([32]byte{9}) // no compression hides what goes
	each := *freedOf / *freedRecord
	var indexes []uint64
	for i := range *freedOf {
		b := make([]byte, 150)
		_, _ = noise.Read(b)
		if i%each == each/2 && len(indexes) < *freedRecord {
			indexes = append(indexes, uint64(len(s.Messages)))
		}
		s.Record("ws_7", fmt.Sprint(i), fmt.Sprintf(`"%x"`, b))
		if i%50_000 == 49_999 {
			s.Seed()
		}
	}
	type kept struct {
		fs   vfs.FS
		dir  string
		l    *ledger.Ledger
		size uint64
	}
	var twins [2]kept
	for i := range twins {
		k := kept{fs: vfs.Default, dir: t.TempDir() + "/ledger"}
		var err error
		if k.l, err = ledger.Create(k.dir, s.Messages[0], s.Messages[1], ledger.Options{FS: k.fs}); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(k.l.Append(t.Context(), s.Messages[2:]), k.l.Flush(t.Context())); err != nil {
			t.Fatal(err)
		}
		twins[i] = k
	}
	one, other := &twins[0], &twins[1]
	head := one.l.Head()
	e := chain.Erase{
		Role: chain.RoleOperator, Reason: chain.EraseRequest, Rule: chain.NoRef, Workspace: one.l.Tag("ws_7"), Parts: 1,
		Ranges: chain.Ranges(func(yield func(uint64) bool) {
			for _, index := range indexes {
				if !yield(index) {
					return
				}
			}
		}),
	}
	var payloads uint64
	gone := map[uint64]bool{}
	e.Leaves, _ = chain.SelectionHash(one.l.ID(), e.Workspace, e.Ranges, func(index uint64) (chain.Hash, error) {
		leaf, hash, err := one.l.Get(index)
		if err != nil || leaf.Entry.Kind != chain.KindRecord {
			t.Fatalf("entry %d is a %s, %v", index, leaf.Entry.Kind, err)
		}
		payloads += uint64(len(leaf.Payload.Append(nil)))
		gone[index] = true
		return hash, nil
	})
	e.Selection = e.Leaves
	s.Erase(head.Size, head.Root, e, "")
	last := s.Messages[len(s.Messages)-1:]
	if err := errors.Join(one.l.Append(t.Context(), last), one.l.Flush(t.Context())); err != nil {
		t.Fatal(err)
	}
	if one.l.Head().State.Erasures != 1 {
		t.Fatal("the erasure was rejected")
	}
	owed, err := one.l.Unscrubbed()
	if err = errors.Join(err, one.l.Scrub(t.Context(), owed)); err != nil {
		t.Fatal(err)
	}
	for i := range uint64(300) {
		index := i * (head.Size / 300)
		a, err := one.l.Inclusion(index, head.Size)
		b, failed := other.l.Inclusion(index, head.Size)
		if err = errors.Join(err, failed); err != nil || fmt.Sprint(a) != fmt.Sprint(b) {
			t.Fatalf("the proof of entry %d has changed, %v", index, err)
		}
		if index == 0 {
			continue
		}
		a, err = one.l.Consistency(index, head.Size)
		b, failed = other.l.Consistency(index, head.Size)
		if err = errors.Join(err, failed); err != nil || fmt.Sprint(a) != fmt.Sprint(b) {
			t.Fatalf("the proof from size %d has changed, %v", index, err)
		}
	}
	compared := 0
	for leaf, err := range one.l.Leaves(t.Context(), 0, head.Size) {
		if err != nil {
			t.Fatal(err)
		}
		index := leaf.Entry.Index
		if *freedOf > 10_000 && index%97 != 0 && !gone[index] {
			continue
		}
		was, _, err := other.l.Get(index)
		if err != nil || !bytes.Equal(was.Raw, leaf.Raw) {
			t.Fatalf("entry %d has changed, %v", index, err)
		}
		if gone[index] {
			if leaf.Payload != nil {
				t.Fatalf("entry %d is erased, and its payload is there", index)
			}
			continue
		}
		if (was.Payload == nil) != (leaf.Payload == nil) || leaf.Payload != nil && !bytes.Equal(was.Payload.Append(nil), leaf.Payload.Append(nil)) {
			t.Fatalf("the payload of entry %d has changed", index)
		}
		compared++
	}
	if compared == 0 {
		t.Fatal("nothing was compared")
	}
	for i := range twins {
		k := &twins[i]
		if err := k.l.Close(); err != nil {
			t.Fatal(err)
		}
		k.size = rewritten(t, k.fs, k.dir)
	}
	freed := int64(other.size) - int64(one.size)
	t.Logf("%d of %d records erased: their payloads are %d bytes; the rows take %d bytes instead of %d, %d fewer, %.0f %% of them",
		len(indexes), *freedOf, payloads, one.size, other.size, freed, 100*float64(freed)/float64(payloads))
	// What says that they are gone, an index of 17 bytes each, takes some of it, and hex
	// digits are stored in half their room.
	if freed < int64(payloads)*4/10 || freed > int64(payloads) {
		t.Errorf("%d bytes were erased, and the folder is smaller by %d", payloads, freed)
	}
}

// rewritten writes a closed ledger's rows into an empty store, and returns how many
// bytes of tables they take there: how a store came to its rows, and what it has yet to
// compact, makes no difference then.
func rewritten(t *testing.T, fs vfs.FS, dir string) (size uint64) {
	t.Helper()
	from, err := pebble.Open(dir, &pebble.Options{FS: fs, ReadOnly: true, Logger: quiet{}})
	if err != nil {
		t.Fatal(err)
	}
	to, err := pebble.Open(t.TempDir(), &pebble.Options{FormatMajorVersion: pebble.FormatValueSeparation, DisableWAL: true, Logger: quiet{}})
	if err != nil {
		t.Fatal(err)
	}
	it, err := from.NewIter(nil)
	if err != nil {
		t.Fatal(err)
	}
	for it.First(); it.Valid(); it.Next() {
		if err := to.Set(it.Key(), it.Value(), pebble.NoSync); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(it.Close(), from.Close(), to.Flush(), to.Compact(t.Context(), []byte{0}, []byte{0xff}, false)); err != nil {
		t.Fatal(err)
	}
	size = uint64(to.Metrics().Total().TablesSize)
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	return size
}
