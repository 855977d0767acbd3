package signer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"annals/ledger/chain"
	"annals/ledger/proof"

	notes "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// toDisk writes without syncing: what a test writes need not survive a power cut.
func toDisk(path string, data []byte) error { return os.WriteFile(path, data, 0o600) }

// TestEvery: a growing ledger gets a checkpoint each second, an idle one none, and
// whoever waits gets one sooner, though not sooner than 100 ms after the last.
func TestEvery(t *testing.T) {
	folder := mustKeys(t, false)
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		h := newHistory(folder)
		writes := atomic.Int64{}
		s := opened(t, h, Options{Keys: folder, Path: dir, write: func(path string, data []byte) error {
			writes.Add(1)
			return toDisk(path, data)
		}})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			s.Run(ctx)
			close(done)
		}()
		size := func() uint64 {
			synctest.Wait()
			c, _ := s.Latest()
			return c.Size
		}
		h.grow(3, 0)
		time.Sleep(900 * time.Millisecond)
		if got := size(); got != 0 {
			t.Errorf("size %d is signed before its time", got)
		}
		time.Sleep(100 * time.Millisecond)
		if got := size(); got != 3 {
			t.Errorf("after a second size %d is signed", got)
		}
		time.Sleep(10 * time.Second)
		if got := writes.Load(); got != 1 {
			t.Errorf("an idle ledger was signed %d times", got)
		}
		begun := time.Now()
		for i := range uint64(5) {
			go func() { h.grow(1, 0) }()
			c, err := s.Await(ctx, 4+i)
			if err != nil || c.Size < 4+i {
				t.Fatalf("awaited %d: %d, %v", 4+i, c.Size, err)
			}
		}
		took := time.Since(begun)
		if took < 4*leastApart || took > 6*leastApart {
			t.Errorf("five on demand took %s", took)
		}
		short, stop := context.WithTimeout(ctx, time.Second)
		defer stop()
		if _, err := s.Await(short, 100); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("awaiting what doesn't come: %v", err)
		}
		go func() {
			time.Sleep(time.Second)
			cancel()
		}()
		if _, err := s.Await(context.WithoutCancel(ctx), 8); err != nil {
			t.Errorf("what is there already: %v", err)
		}
		<-done
		if _, err := s.Await(t.Context(), 9); err == nil {
			t.Error("a checkpoint is promised that nobody signs")
		}
		if c, ok := s.Latest(); !ok || c.Size != 8 {
			t.Error("a stopped signer shows nothing")
		}
	})
}

// TestCheck: nothing is signed unless the stream is the ledger's own.
func TestCheck(t *testing.T) {
	folder := mustKeys(t, false)
	h := newHistory(folder)
	h.grow(2, 0)
	stranger := errors.New("the stream is another one")
	answer := stranger
	s := opened(t, h, Options{Keys: folder, Path: t.TempDir(), write: toDisk, Check: func(context.Context) error { return answer }})
	if err := s.Sign(t.Context()); !errors.Is(err, stranger) {
		t.Errorf("signed, or for another reason not: %v", err)
	}
	if _, ok := s.Latest(); ok {
		t.Error("a checkpoint of a stranger's stream")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := s.Await(ctx, 2); !errors.Is(err, stranger) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("who waits isn't told why: %v", err)
	}
	answer = nil
	if err := s.Sign(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestDiskFails: after a write that failed nobody knows what a restart would find,
// so nothing is signed before one, and what was shown stays.
func TestDiskFails(t *testing.T) {
	folder := mustKeys(t, false)
	h := newHistory(folder)
	h.grow(2, 0)
	fails := false
	s := opened(t, h, Options{Keys: folder, Path: t.TempDir(), write: func(path string, data []byte) error {
		if fails {
			return errWrite
		}
		return toDisk(path, data)
	}})
	if err := s.Sign(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.grow(1, 0)
	fails = true
	if err := s.Sign(t.Context()); !errors.Is(err, errWrite) {
		t.Error(err)
	}
	fails = false
	if err := s.Sign(t.Context()); !errors.Is(err, errWrite) {
		t.Errorf("tried again in place: %v", err)
	}
	if _, err := s.Await(t.Context(), 3); !errors.Is(err, errWrite) {
		t.Error(err)
	}
	if c, ok := s.Latest(); !ok || c.Size != 2 {
		t.Errorf("%d, %v", c.Size, ok)
	}
}

// TestRotation: the key that is in force at a size signs it; the last checkpoint by
// one that no longer is stays for ever.
func TestRotation(t *testing.T) {
	folder := mustKeys(t, false)
	h := newHistory(folder)
	o := Options{Keys: folder, Path: t.TempDir(), write: toDisk}
	s := opened(t, h, o)
	opens := func(at int) {
		t.Helper()
		if err := s.Sign(t.Context()); err != nil {
			t.Fatal(err)
		}
		c, _ := s.Latest()
		for i, span := range h.spans() {
			if span.Roles != chain.RoleCheckpoint {
				continue
			}
			ring, err := proof.NewKeyring(proof.VKey(origin, 1, span.Public))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := ring.Open(c.Note); (err == nil) != (i == at) {
				t.Errorf("size %d, key %d: %v", c.Size, i, err)
			}
		}
	}
	retired := func(want ...uint64) {
		t.Helper()
		for range 2 { // as it is, and as it is found again
			var got []uint64
			for _, c := range s.Retired() {
				got = append(got, c.Size)
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("retired %v, want %v", got, want)
			}
			s = opened(t, h, o)
		}
	}
	h.grow(3, 0)
	opens(3)
	h.grow(2, 0)
	opens(3)
	retired()
	h.change(t, folder.Dir(), chain.RoleCheckpoint) // entry 5
	opens(5)
	retired(5)
	h.change(t, folder.Dir(), chain.RoleHeads) // no checkpoint key's end
	opens(5)
	h.grow(1, 0)
	h.change(t, folder.Dir(), chain.RoleCheckpoint) // entry 8; the key before signed 7
	h.grow(1, 0)
	opens(7)
	retired(5, 7)
	// A retired checkpoint that is damaged is not there, and the others are.
	old := filepath.Join(o.Path, "checkpoints", "5")
	kept, err := os.ReadFile(old)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range [][]byte{kept[:20], kept} {
		if err := os.WriteFile(old, b, 0o600); err != nil {
			t.Fatal(err)
		}
		s = opened(t, h, o)
		if want := len(b) / len(kept); len(s.Retired()) != 1+want {
			t.Errorf("%d of %d bytes: %d are retired", len(b), len(kept), len(s.Retired()))
		}
	}
	// A key that isn't here signs nothing, and is asked for by its id.
	next := h.change(t, folder.Dir(), chain.RoleCheckpoint)
	if err := os.Rename(filepath.Join(folder.Dir(), next.File), filepath.Join(t.TempDir(), "elsewhere")); err != nil {
		t.Fatal(err)
	}
	if err := s.Sign(t.Context()); err == nil || !strings.Contains(err.Error(), next.Key().ID().String()) {
		t.Errorf("signed without the key in force: %v", err)
	}
}

// TestMLDSA: a second line, after the first, which is enough.
func TestMLDSA(t *testing.T) {
	folder := mustKeys(t, true)
	h := newHistory(folder)
	h.grow(300, 0)
	s := opened(t, h, Options{Keys: folder, Path: t.TempDir(), write: toDisk})
	if err := s.Sign(t.Context()); err != nil {
		t.Fatal(err)
	}
	c, _ := s.Latest()
	lines := strings.Split(strings.TrimSuffix(string(c.Note), "\n"), "\n")
	if len(lines) != 6 || len(lines[4]) > 200 || len(lines[5]) < 2420 {
		t.Fatalf("%d lines:\n%s", len(lines), c.Note)
	}
	for _, span := range h.spans() {
		if span.Roles != chain.RoleCheckpoint {
			continue
		}
		var v note.Verifier
		var err error
		if span.Algorithm == chain.AlgorithmMLDSA44 {
			v, err = notes.NewMLDSAVerifier(proof.VKey(origin, 6, span.Public))
		} else {
			v, err = note.NewVerifier(proof.VKey(origin, 1, span.Public))
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := note.Open(c.Note, note.VerifierList(v)); err != nil {
			t.Errorf("algorithm %d: %v", span.Algorithm, err)
		}
	}
}

// TestFound: what lies in the data folder must be a checkpoint of this ledger's.
func TestFound(t *testing.T) {
	folder := mustKeys(t, false)
	h := newHistory(folder)
	h.grow(3, 0)
	dir := t.TempDir()
	other := opened(t, h, Options{Keys: folder, Path: dir, write: toDisk})
	if err := other.Sign(t.Context()); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	if err != nil {
		t.Fatal(err)
	}
	stranger := mustKeys(t, false)
	s := opened(t, newHistoryOf(stranger, 3), Options{Keys: stranger, Path: dir, write: toDisk})
	if _, ok := s.Latest(); ok || !errors.Is(s.Err(), chain.ErrUnknownKey) {
		t.Errorf("another ledger's checkpoint: %v", s.Err())
	}
	if err := s.Sign(t.Context()); err == nil {
		t.Error("signed, though nobody knows what was signed")
	}
	for name, bytes := range map[string][]byte{"empty": {}, "cut": good[:len(good)-1], "text": []byte("x\n")} {
		if err := os.WriteFile(filepath.Join(dir, "checkpoint"), bytes, 0o600); err != nil {
			t.Fatal(err)
		}
		s := opened(t, h, Options{Keys: folder, Path: dir, write: toDisk})
		if err := s.Sign(t.Context()); !errors.Is(err, proof.ErrNote) {
			t.Errorf("%s: a damaged checkpoint passes: %v", name, err)
		}
		if got, err := os.ReadFile(filepath.Join(dir, "checkpoint")); err != nil || string(got) != string(bytes) {
			t.Errorf("%s: the damaged checkpoint was written over", name)
		}
	}
	good[len(good)-20] ^= 1
	if err := os.WriteFile(filepath.Join(dir, "checkpoint"), good, 0o600); err != nil {
		t.Fatal(err)
	}
	if s := opened(t, h, Options{Keys: folder, Path: dir}); s.Err() == nil {
		t.Error("a signature that doesn't verify passes")
	}
}

// TestSignHead: heads have a key of their own, that of the size which they name.
func TestSignHead(t *testing.T) {
	folder := mustKeys(t, false)
	h := newHistory(folder)
	h.grow(3, 0)
	s := opened(t, h, Options{Keys: folder, Path: t.TempDir(), write: toDisk})
	first := h.spans()[4]
	h.change(t, folder.Dir(), chain.RoleHeads)
	second := h.spans()[5]
	for size, by := range map[uint64]chain.KeySpan{3: first, 4: second} {
		text := fmt.Sprintf("annals/workspace-head/v1\n%s\n%d\n", origin, size)
		signed, err := s.SignHead([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		v, err := note.NewVerifier(proof.VKey(origin, 1, by.Public))
		if err != nil {
			t.Fatal(err)
		}
		if n, err := note.Open(signed, note.VerifierList(v)); err != nil || n.Text != text {
			t.Errorf("size %d: %v", size, err)
		}
	}
	for _, text := range []string{"", "x\n", "x\n5\n", "x\n-1\n"} {
		if _, err := s.SignHead([]byte(text)); err == nil {
			t.Errorf("%q is signed", text)
		}
	}
}

// TestContradicted: what was shown is shown no more once the ledger, while it runs,
// turns out to be another.
func TestContradicted(t *testing.T) {
	folder := mustKeys(t, false)
	h := newHistoryOf(folder, 9)
	s := opened(t, h, Options{Keys: folder, Path: t.TempDir(), write: toDisk})
	if err := s.Sign(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.cut(4)
	h.grow(7, 1)
	if err := s.Sign(t.Context()); !contradicts(err) {
		t.Error(err)
	}
	if _, ok := s.Latest(); ok {
		t.Error("a checkpoint is shown that the ledger contradicts")
	}
	if _, err := s.Await(t.Context(), 1); !contradicts(err) {
		t.Errorf("awaited: %v", err)
	}
	if _, err := s.SignHead([]byte("x\n4\n")); !contradicts(err) {
		t.Errorf("a head is signed of another ledger: %v", err)
	}
}

// TestSignsWhatIsAgreed: with others to agree with, nothing is signed but what they
// show too, and never less than before.
func TestSignsWhatIsAgreed(t *testing.T) {
	folder := mustKeys(t, false)
	h := newHistoryOf(folder, 5)
	var size uint64
	var failing error
	s := opened(t, h, Options{Keys: folder, Path: t.TempDir(), write: toDisk, Agreed: func() (uint64, chain.Hash, error) {
		root, err := tlog.TreeHash(int64(size), h)
		if err != nil {
			t.Fatal(err)
		}
		return size, chain.Hash(root), failing
	}})
	behind := errors.New("one of two is behind")
	for _, c := range []struct {
		agreed, want uint64
		failing      error
	}{{0, 0, nil}, {3, 3, nil}, {2, 3, nil}, {4, 3, behind}, {4, 4, nil}, {5, 5, nil}} {
		size, failing = c.agreed, c.failing
		if err := s.Sign(t.Context()); !errors.Is(err, c.failing) {
			t.Errorf("agreed on %d: %v", c.agreed, err)
		}
		last, _ := s.Latest()
		root, err := tlog.TreeHash(int64(c.want), h)
		if err != nil {
			t.Fatal(err)
		}
		if last.Size != c.want || c.want > 0 && last.Root != chain.Hash(root) {
			t.Errorf("agreed on %d: signed size %d, root %s", c.agreed, last.Size, last.Root)
		}
	}
}
