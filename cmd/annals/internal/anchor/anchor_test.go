package anchor

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"annals/cmd/annals/internal/audit"
	"annals/ledger/chain"
	"annals/ledger/proof"

	"golang.org/x/mod/sumdb/tlog"
)

// held is a place in memory, which fails or hangs when it is told to.
type held struct {
	mu    sync.Mutex
	b     []byte
	puts  int
	fails error
	hangs bool
}

func (h *held) String() string { return "held" }
func (h *held) Close() error   { return nil }

func (h *held) Get(ctx context.Context) ([]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.hangs {
		h.mu.Unlock()
		<-ctx.Done()
		h.mu.Lock()
		return nil, ctx.Err()
	}
	return h.b, h.fails
}

func (h *held) Put(_ context.Context, b []byte, _ uint64) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.b = b
	h.puts++
	return nil
}

func (h *held) size(t *testing.T) uint64 {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.b == nil {
		return 0
	}
	r, err := audit.ParseRemembered(h.b)
	if err != nil {
		t.Fatal(err)
	}
	return r.Size
}

// history is a tree of leaves, and its checkpoints.
type history struct {
	hashes []tlog.Hash
	leaves []chain.Hash
	mu     sync.Mutex
	news   chan struct{}
}

func newHistory(size int, name string) *history {
	h := &history{news: make(chan struct{})}
	h.grow(size, name)
	return h
}

func (h *history) grow(n int, name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for range n {
		leaf := fmt.Append(nil, name, len(h.leaves))
		if len(h.leaves) < 4 {
			leaf = fmt.Append(nil, len(h.leaves)) // every history begins alike
		}
		more, err := tlog.StoredHashes(int64(len(h.leaves)), leaf, h)
		if err != nil {
			panic(err)
		}
		h.hashes = append(h.hashes, more...)
		h.leaves = append(h.leaves, chain.Hash(tlog.RecordHash(leaf)))
	}
	close(h.news)
	h.news = make(chan struct{})
}

// ReadHashes implements [tlog.HashReader].
func (h *history) ReadHashes(at []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(at))
	for i, n := range at {
		if n >= int64(len(h.hashes)) {
			return nil, errors.New("no such hash")
		}
		out[i] = h.hashes[n]
	}
	return out, nil
}

func (h *history) next(ctx context.Context, after uint64) (proof.Checkpoint, error) {
	for {
		h.mu.Lock()
		size, news := uint64(len(h.leaves)), h.news
		root, err := tlog.TreeHash(int64(size), h)
		h.mu.Unlock()
		if size > after {
			return proof.Checkpoint{Origin: "log", Size: size, Root: chain.Hash(root), Note: []byte("note")}, err
		}
		select {
		case <-news:
		case <-ctx.Done():
			return proof.Checkpoint{}, ctx.Err()
		}
	}
}

func (h *history) consistency(from, to uint64) ([]chain.Hash, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p, err := tlog.ProveTree(int64(to), int64(from), h)
	out := make([]chain.Hash, len(p))
	for i := range p {
		out[i] = chain.Hash(p[i])
	}
	return out, err
}

func leafOf(h *history) func(uint64) (chain.Hash, error) {
	return func(index uint64) (chain.Hash, error) {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.leaves[index], nil
	}
}

var ledgerID = chain.Hash(sha256.Sum256([]byte("a ledger")))

// run anchors a history, until it is told to stop.
func run(h *history, id chain.Hash, log *bytes.Buffer, places ...Place) (a *Anchors, stop func()) {
	a = New(Options{
		Places: places, Ledger: id, Next: h.next, Consistency: h.consistency,
		Leaf: leafOf(h), Logger: slog.New(slog.NewTextHandler(log, nil)),
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		a.Run(ctx)
		close(done)
	}()
	return a, func() {
		cancel()
		<-done
	}
}

// TestAnchors: heads go into every place, at once and then now and again, and one that
// hangs or fails holds up no other.
func TestAnchors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHistory(7, "a")
		var log bytes.Buffer
		good, failing, hanging := new(held), &held{fails: errors.New("no rights")}, &held{hangs: true}
		_, stop := run(h, ledgerID, &log, hanging, failing, good)
		defer stop()
		synctest.Wait()
		if good.size(t) != 7 {
			t.Errorf("%d is anchored at once", good.size(t))
		}
		if r, _ := audit.ParseRemembered(good.b); r.Ledger != ledgerID || r.LastLeaf != h.leaves[6] || r.Note != "note" {
			t.Errorf("%+v", r)
		}
		h.grow(3, "a")
		time.Sleep(DefaultEvery + time.Second)
		synctest.Wait()
		if good.size(t) != 10 {
			t.Errorf("%d is anchored after a while", good.size(t))
		}
		time.Sleep(time.Hour)
		if good.puts != 2 {
			t.Errorf("an idle ledger was anchored %d times", good.puts)
		}
		if n := strings.Count(log.String(), "no rights"); n != 1 {
			t.Errorf("logged %d times:\n%s", n, &log)
		}
		failing.mu.Lock()
		failing.fails = nil
		failing.mu.Unlock()
		hanging.mu.Lock()
		hanging.hangs = false
		hanging.mu.Unlock()
		time.Sleep(2 * DefaultEvery)
		synctest.Wait()
		if failing.size(t) != 10 || hanging.size(t) != 10 {
			t.Errorf("mended, and %d and %d are anchored\n%s", failing.size(t), hanging.size(t), &log)
		}
	})
}

// TestNeverBack: what stands in a place is written over by what goes on from it, and
// by nothing else.
func TestNeverBack(t *testing.T) {
	kept := func(h *history, id chain.Hash, size uint64) []byte {
		root, err := tlog.TreeHash(int64(size), h)
		if err != nil {
			t.Fatal(err)
		}
		b, err := (&audit.Remembered{Ledger: id, Head: proof.Head{Size: size, Root: chain.Hash(root)}}).Bytes()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	a, b := newHistory(20, "a"), newHistory(20, "b")
	other := chain.Hash(sha256.Sum256([]byte("another ledger")))
	for _, c := range []struct {
		name   string
		stands []byte
		put    bool
		said   string
	}{
		{"nothing", nil, true, ""},
		{"an earlier head", kept(a, ledgerID, 7), true, ""},
		{"what both histories begin with", kept(b, ledgerID, 4), true, ""},
		{"this very head", kept(a, ledgerID, 10), false, ""},
		{"a later head", kept(a, ledgerID, 15), false, "older copy"},
		{"another root", kept(b, ledgerID, 10), false, "ANOTHER HISTORY"},
		{"another history", kept(b, ledgerID, 7), false, "ANOTHER HISTORY"},
		{"another ledger's", kept(a, other, 7), false, "left alone"},
		{"something else", []byte("holiday"), false, "left alone"},
		{"nothing in it", []byte{}, false, "left alone"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				place := &held{b: c.stands}
				anchors, stop := run(newHistory(10, "a"), ledgerID, &log, place)
				synctest.Wait()
				stop()
				if (place.puts > 0) != c.put || !c.put && !bytes.Equal(place.b, c.stands) {
					t.Errorf("put %d times:\n%s", place.puts, place.b)
				}
				if (log.Len() == 0) != (c.said == "") || !strings.Contains(log.String(), c.said) {
					t.Errorf("it says %q", log.String())
				}
				if failed := anchors.state[0].err != nil; failed != (c.said != "") {
					t.Errorf("failed: %v", anchors.state[0].err)
				}
			})
		})
	}
}

func TestOpen(t *testing.T) {
	for spec, want := range map[string]string{
		"file:/var/heads/ledger.json":                                "file:/var/heads/ledger.json",
		"file:///var/heads/x":                                        "file:/var/heads/x",
		"nats://127.0.0.1:4222/HEADS":                                "nats:HEADS/head",
		"nats://user:secret@127.0.0.1:4222/HEADS/ledger1?creds=file": "nats:HEADS/ledger1",
		"nats:///HEADS?context=auditor":                              "nats:HEADS/head",
		"s3://heads/ledger?endpoint=https://minio.example:9000&region=eu&retain-days=3650": "s3://heads/ledger/",
		"s3://heads":                           "s3://heads/",
		"":                                     "",
		"head.json":                            "",
		"file:":                                "",
		"ftp://x/y":                            "",
		"nats://127.0.0.1:4222":                "",
		"nats://127.0.0.1:4222/a/b/c":          "",
		"nats://127.0.0.1:4222/HEADS?cred=f":   "",
		"nats://127.0.0.1:4222/HEADS?creds=":   "",
		"s3:///x":                              "",
		"s3://heads?retain-days=0":             "",
		"s3://heads?retain-days=ten":           "",
		"s3://heads?endpoint=minio":            "",
		"s3://heads?endpoint=https://x/y":      "",
		"s3://heads?region=a&region=b":         "",
		"s3://heads?secret=x":                  "",
		"nats://%zz":                           "",
		"s3://heads?endpoint=https://x&creds=": "",
	} {
		p, err := Open(spec)
		switch {
		case want == "" && !errors.Is(err, ErrSpec):
			t.Errorf("%q: %v, %v", spec, p, err)
		case want != "" && (err != nil || p.String() != want):
			t.Errorf("%q: %v, %v", spec, p, err)
		}
	}
}

// TestFile: a file is a place, and what verify remembers is what stands in it.
func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "head.json")
	p, err := Open("file:" + path)
	if err != nil {
		t.Fatal(err)
	}
	a := New(Options{Ledger: ledgerID, Consistency: newHistory(9, "a").consistency, Leaf: func(uint64) (chain.Hash, error) { return chain.Hash{}, nil }})
	c, _ := newHistory(9, "a").next(t.Context(), 0)
	if size, err := a.put(t.Context(), p, &c); err != nil || size != 9 {
		t.Fatal(size, err)
	}
	r, err := audit.Recall(path)
	if err != nil || r.Size != 9 || r.Ledger != ledgerID {
		t.Errorf("%+v, %v", r, err)
	}
}
