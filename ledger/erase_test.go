package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"annals/internal/disk/disktest"
	"annals/ledger"
	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
)

// secret is what must not be found in any file after it is erased.
const secret = "her telephone number is 555 0123"

// erasing is a stream with an erasure in it: of ws_7's record "0" (entry 2, with a
// duplicate, entry 30) and of records that lie apart; behind it the erased ids come
// again, and a trim lets go of everything before it.
func erasing(t testing.TB, name string) *chaintest.Stream {
	t.Helper()
	s := chaintest.NewKeyed(name)
	record := func(id int) { s.Record("ws_7", fmt.Sprint(id), fmt.Sprintf(`"%s, %s"`, secret, id7(id))) }
	for id := range 28 {
		if id == 20 {
			s.Seed()
		}
		record(id)
	}
	record(0)
	s.Seed()
	record(100)
	fold(t, s).erase(t, 2, 7, 8, 9, 25)
	record(0)
	s.Record("ws_7", "5", `"something else"`)
	l := fold(t, s)
	size := l.State.Size
	root, sequence := l.At(size)
	s.Trim(size, root, sequence-1, map[string]uint64{"a": sequence})
	record(101)
	return s
}

func id7(id int) string { return fmt.Sprintf("it is record %07d", id) }

type folded struct {
	*chaintest.Log
	s *chaintest.Stream
}

func fold(t testing.TB, s *chaintest.Stream) folded {
	t.Helper()
	l, err := chaintest.NewLog(s.Messages[0])
	if err == nil {
		err = l.Fold(s.Messages, func(n int) int { return n })
	}
	if err != nil {
		t.Fatal(err)
	}
	return folded{l, s}
}

// erase adds an erasure of ws_7's entries to the stream.
func (l folded) erase(t testing.TB, indexes ...uint64) {
	root, _ := l.At(l.State.Size)
	l.s.Erase(l.State.Size, root, chaintest.Select(l.Log, "ws_7", indexes...), "by Erin: she asked, "+secret)
}

// grep returns the files below a folder that hold text, compressed or not.
func grep(t testing.TB, fs vfs.FS, dir, text string) []string {
	t.Helper()
	found, err := disktest.Holding(fs, dir, text)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestErase: what an erasure covers is gone from reads at once, memory included, and
// after a scrub from every file; what it doesn't cover is there as before.
func TestErase(t *testing.T) {
	s := erasing(t, "erase")
	fs := vfs.NewMem()
	l := create(t, s, ledger.Options{FS: fs})
	defer l.Close()
	ctx := t.Context()
	at := slices.IndexFunc(s.Messages, func(m chain.Message) bool { return m.Subject == chain.ControlErase.Subject() })
	if err := errors.Join(l.Append(ctx, s.Messages[2:at]), l.Flush(ctx)); err != nil {
		t.Fatal(err)
	}
	text := id7(0)
	if len(grep(t, fs, "ledger", text)) == 0 {
		t.Fatal("the record is in no file before it is erased: the search finds nothing")
	}
	head := l.Head()
	before, err := l.Inclusion(10, head.Size)
	if err != nil {
		t.Fatal(err)
	}
	appendAll(t, l, s, anyOrder(1))

	gone := []uint64{2, 7, 8, 9, 25, 31}
	erasure := uint64(34)
	for index := range l.Head().Size {
		leaf, _, err := l.Get(index)
		if err != nil {
			t.Fatal(err)
		}
		by, erased, err := l.Erased(index)
		if err != nil {
			t.Fatal(err)
		}
		// The repeat has nothing to lose, and the seeds went with the trim.
		repeat := leaf.Entry.Kind == chain.KindDuplicate && leaf.Entry.Code == chain.DuplicateUncompared
		seed := leaf.Entry.Kind == chain.KindControl && erased
		switch want := slices.Contains(gone, index); {
		case want && (!erased || by != erasure), !want && erased && !repeat && !seed:
			t.Errorf("entry %d: erased %v, by %d", index, erased, by)
		case (leaf.Payload == nil) != erased:
			t.Errorf("entry %d: erased %v, and its payload is %v", index, erased, leaf.Payload)
		}
	}
	owed, err := l.Unscrubbed()
	if err != nil || !slices.Equal(owed, []uint64{erasure, 37}) {
		t.Fatalf("to be scrubbed behind entries %v, %v", owed, err)
	}
	if destroyed, err := l.Destroyed(erasure); err != nil || !slices.Equal(destroyed, gone) {
		t.Errorf("entry %d destroyed %v, %v", erasure, destroyed, err)
	}
	if err := l.Scrub(ctx, owed); err != nil {
		t.Fatal(err)
	}
	for _, index := range []int{0, 5, 6, 7, 22} {
		id := index
		if found := grep(t, fs, "ledger", id7(id)); len(found) > 0 {
			t.Errorf("record %d is erased and still stands in %v", id, found)
		}
	}
	for _, name := range []string{"seed 0", "seed 1"} {
		key := chaintest.Secret(name)
		if found := grep(t, fs, "ledger", string(key[:])); len(found) > 0 {
			t.Errorf("%s salted what is erased, and still stands in %v", name, found)
		}
	}
	if found := grep(t, fs, "ledger", id7(1)); len(found) == 0 {
		t.Error("record 1, which nobody erased, is gone")
	}
	if err := l.Scrubbed(owed); err != nil {
		t.Fatal(err)
	}
	if owed, err := l.Unscrubbed(); err != nil || len(owed) > 0 {
		t.Errorf("still to be scrubbed behind %v, %v", owed, err)
	}
	if seeds, err := l.Incomplete(); err != nil || len(seeds) > 0 {
		t.Errorf("seeds that still salt something erased: %v, %v", seeds, err)
	}
	after, err := l.Inclusion(10, head.Size)
	if err != nil || !slices.Equal(after, before) {
		t.Errorf("the proof of a record that stands has changed (%v)", err)
	}
	source := l.Source()
	defer source.Close()
	if err := source.CheckTables(ctx); err != nil {
		t.Error(err)
	}
	for workspace, want := range map[string][]uint64{"ws_7": {erasure}, "ws_8": nil} {
		tag := l.Tag(workspace)
		live, err := l.Erasures(tag)
		if stored, failed := source.Erasures(ctx, tag); err != nil || failed != nil || !slices.Equal(live, want) || !slices.Equal(stored, want) {
			t.Errorf("what erases something of %s is %v, %v; of the folder %v, %v", workspace, live, err, stored, failed)
		}
	}
}

// TestErasedLedgersAreEqual: however a stream with an erasure is cut into appends,
// and whether files were scrubbed or the ledger was opened anew on the way, it makes
// the same keys.
func TestErasedLedgersAreEqual(t *testing.T) {
	s := erasing(t, "equal")
	want := map[string]string{}
	for trial := range uint64(12) {
		fs := vfs.NewMem()
		l := create(t, s, ledger.Options{FS: fs})
		r := anyOrder(trial)
		for l.Position().Sequence < s.Messages[len(s.Messages)-1].Sequence {
			rest := s.Messages[l.Position().Sequence:]
			if err := errors.Join(l.Append(t.Context(), rest[:1+r.IntN(len(rest))]), l.Flush(t.Context())); err != nil {
				t.Fatal(err)
			}
			scrubAll(t, l, r)
			if r.IntN(3) == 0 {
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
				var err error
				if l, err = ledger.Open("ledger", ledger.Options{FS: fs}); err != nil {
					t.Fatal(err)
				}
			}
		}
		owed, err := l.Unscrubbed()
		if err = errors.Join(err, l.Scrubbed(owed), l.Close()); err != nil {
			t.Fatal(err)
		}
		got := keyspace(t, fs, "ledger")
		if trial == 0 {
			want = got
		}
		if diff := firstDifference(want, got); diff != "" {
			t.Fatalf("trial %d: %s", trial, diff)
		}
	}
}

// scrubAll scrubs what there is to scrub, sometimes.
func scrubAll(t *testing.T, l *ledger.Ledger, r *rand.Rand) {
	t.Helper()
	owed, err := l.Unscrubbed()
	if err == nil && r.IntN(2) == 0 {
		if err = l.Scrub(t.Context(), owed); err == nil && r.IntN(2) == 0 {
			err = l.Scrubbed(owed)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestEraseChecksFirst: of payloads that are not what was published nothing is
// destroyed, and recording stops with all of them in place.
func TestEraseChecksFirst(t *testing.T) {
	for name, change := range map[string]func(b []byte) []byte{
		"altered": func(b []byte) []byte { b[len(b)-1] ^= 1; return b },
		"gone":    func([]byte) []byte { return nil },
		"no payload": func([]byte) []byte {
			return []byte{9}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := erasing(t, "checks first")
			at := slices.IndexFunc(s.Messages, func(m chain.Message) bool { return m.Subject == chain.ControlErase.Subject() })
			fs := vfs.NewMem()
			l := create(t, s, ledger.Options{FS: fs})
			if err := errors.Join(l.Append(t.Context(), s.Messages[2:at]), l.Flush(t.Context()), l.Close()); err != nil {
				t.Fatal(err)
			}
			tamper(t, fs, payloadKey(8), change)
			want := keyspace(t, fs, "ledger")
			for range 2 { // and after a restart too
				l, err := ledger.Open("ledger", ledger.Options{FS: fs})
				if err != nil {
					t.Fatal(err)
				}
				_ = l.Append(t.Context(), s.Messages[at:])
				var evidence *ledger.ErasureError
				if err := l.Flush(t.Context()); !errors.As(err, &evidence) || evidence.Index != 8 || evidence.By != 34 {
					t.Errorf("the ledger says %v", err)
				}
				_ = l.Close()
				if diff := firstDifference(want, keyspace(t, fs, "ledger")); diff != "" {
					t.Errorf("something was changed: %s", diff)
				}
			}
		})
	}
}

// tamper changes a stored value.
func tamper(t testing.TB, fs vfs.FS, key []byte, change func([]byte) []byte) {
	t.Helper()
	db, err := pebble.Open("ledger", &pebble.Options{FS: fs, FormatMajorVersion: pebble.FormatValueSeparation, Logger: quiet{}})
	if err != nil {
		t.Fatal(err)
	}
	b, closer, err := db.Get(key)
	if err != nil {
		t.Fatal(err)
	}
	value := change(bytes.Clone(b))
	_ = closer.Close()
	if value == nil {
		err = db.Delete(key, pebble.Sync)
	} else {
		err = db.Set(key, value, pebble.Sync)
	}
	if err = errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestEraseDictionary: what is left of an erased record confirms no guess, not even
// the right one, even to who reads every file, once the trim has passed.
func TestEraseDictionary(t *testing.T) {
	s := erasing(t, "dictionary")
	fs := vfs.NewMem()
	l := create(t, s, ledger.Options{FS: fs})
	appendAll(t, l, s, anyOrder(2))
	leaf, _, err := l.Get(2)
	if err = errors.Join(err, l.Close()); err != nil {
		t.Fatal(err)
	}
	original := s.Messages[2]
	preparer := chain.Payload{Envelope: chain.Envelope(original.Subject, original.Header), Body: original.Body}
	tries, hits := 0, 0
	guess := func(salt chain.Hash) {
		p := preparer
		p.Salt = salt
		tries++
		if h, _ := p.Commitment(s.ID, &leaf.Entry, nil); h == leaf.Entry.Commitment {
			hits++
		}
	}
	seed := chaintest.Secret("seed 0")
	if guess(chain.Salt(seed, s.ID, 0, original.Sequence, 0)); hits != 1 {
		t.Fatal("the right body under the right salt is no hit: the guesses test nothing")
	}
	hits = 0
	// Every 32 bytes anywhere in what is stored, as a salt, and as a seed.
	for key, value := range keyspace(t, fs, "ledger") {
		for _, b := range []string{key, value} {
			for at := 0; at+32 <= len(b); at++ {
				guess(chain.Hash([]byte(b[at : at+32])))
				guess(chain.Salt([32]byte([]byte(b[at:at+32])), s.ID, 0, original.Sequence, 0))
			}
		}
	}
	if hits > 0 || tries < 10_000 {
		t.Errorf("%d of %d guesses hit", hits, tries)
	}
}

// TestEraseCrashes: after a crash anywhere around an erasure, with the files being
// scrubbed, the ledger grows into the one that never crashed.
func TestEraseCrashes(t *testing.T) {
	s := erasing(t, "crashes")
	want := reference(t, s)
	for trial := range uint64(30) {
		r := rand.New(rand.NewPCG(trial, 17))
		mem := vfs.NewCrashableMem()
		l, err := ledger.Create("ledger", s.Messages[0], s.Messages[1], ledger.Options{FS: mem})
		if err != nil {
			t.Fatal(err)
		}
		n := 30 + r.IntN(len(s.Messages)-30)
		if err := errors.Join(l.Append(t.Context(), s.Messages[2:n]), l.Flush(t.Context())); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		scrubbing := make(chan struct{})
		go func() {
			defer close(scrubbing)
			if owed, err := l.Unscrubbed(); err == nil {
				_ = l.Scrub(ctx, owed)
			}
		}()
		crashed := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: r.IntN(101), RNG: r})
		cancel()
		<-scrubbing
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		l, err = ledger.Open("ledger", ledger.Options{FS: crashed})
		if err != nil {
			t.Fatal(err)
		}
		owed, err := l.Unscrubbed()
		if err != nil {
			t.Fatal(err)
		}
		appendAll(t, l, s, r)
		if err := errors.Join(l.Scrub(t.Context(), owed), l.Close()); err != nil {
			t.Fatal(err)
		}
		if diff := firstDifference(want, keyspace(t, crashed, "ledger")); diff != "" {
			t.Fatalf("trial %d: %s", trial, diff)
		}
	}
}
