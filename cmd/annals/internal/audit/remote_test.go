package audit

import (
	"encoding/binary"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"golang.org/x/mod/sumdb/tlog"

	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
	"annals/ledger/proof"
	"annals/ledger/proof/prooftest"
	"annals/ledger/proof/tiles"
)

// log is a ledger whose checkpoint keys change, and the files that it serves.
type log struct {
	*prooftest.Ledger
	now     string // the key that signs
	retired []proof.Checkpoint
	files   map[string][]byte
}

func newLog(name string, records int) *log {
	l := &log{Ledger: prooftest.New(name), now: "checkpoint"}
	for i := range records {
		l.Record(fmt.Sprint("ws_", i%3), fmt.Sprint(i), `{}`)
	}
	l.Fold()
	return l
}

func (l *log) key(name string) string { return prooftest.VKeyOf(l.Settled.Origin, name) }

func (l *log) at(size uint64) proof.Checkpoint {
	c := proof.Checkpoint{Origin: l.Settled.Origin, Size: size, Root: l.Root(size)}
	c.Note = l.Sign(c.Text(), l.now)
	return c
}

// change puts another checkpoint key in force, and records a little.
func (l *log) change(reason uint8, to string) {
	l.retired = append(l.retired, l.at(l.Size()))
	c := chain.KeyChange{
		Reason: reason, Removed: []chain.Hash{chaintest.Signer(l.now).Public(0).ID()},
		Added: []chain.Key{chaintest.Signer(to).Public(chain.RoleCheckpoint)},
	}
	signers := []chain.Signer{l.Stream.Root}
	if reason == chain.Rotation {
		signers = append(signers, chaintest.Signer(l.now))
	}
	l.ChangeKeys(c, "", signers...)
	l.now = to
	for i := range 5 {
		l.Record("ws_1", fmt.Sprint(to, i), `{}`)
	}
	l.Fold()
}

// serve puts the files of a size in place.
func (l *log) serve(t testing.TB, size uint64) {
	t.Helper()
	l.files = map[string][]byte{}
	for n := range tiles.Needed(size) {
		var b []byte
		for i := n.N * tiles.Width; i < n.N*tiles.Width+uint64(n.Width); i++ {
			if n.Entries {
				b = binary.BigEndian.AppendUint16(b, uint16(len(l.Leaves[i].Raw)))
				b = append(b, l.Leaves[i].Raw...)
				continue
			}
			h, err := l.ReadHashes([]int64{tlog.StoredHashIndex(n.Level, int64(i))})
			if err != nil {
				t.Fatal(err)
			}
			b = append(b, h[0][:]...)
		}
		l.files[n.Path()] = b
	}
	c := l.at(size)
	l.files[tiles.CheckpointPath] = c.Note
	h := &proof.KeyHistory{Checkpoint: string(c.Note)}
	entry := func(index uint64) proof.KeyEntry {
		k := proof.KeyEntry{Index: index, Entry: l.Leaves[index].Raw}
		for _, h := range l.Inclusion(index, size) {
			k.Proof = append(k.Proof, h[:])
		}
		return k
	}
	h.Genesis = entry(0)
	for i := range l.Leaves[:size] {
		if e := &l.Leaves[i].Entry; e.Kind == chain.KindControl && e.Code == uint16(chain.ControlKey) {
			h.Changes = append(h.Changes, entry(uint64(i)))
		}
	}
	if err := h.List(); err != nil {
		t.Fatal(err)
	}
	for _, c := range l.retired {
		proven, err := tlog.ProveTree(int64(size), int64(c.Size), l)
		if err != nil {
			t.Fatal(err)
		}
		hashes := [][]byte{}
		for _, h := range proven {
			hashes = append(hashes, h[:])
		}
		h.Retired, h.Consistency = append(h.Retired, string(c.Note)), append(h.Consistency, hashes)
	}
	l.setHistory(t, h)
}

func (l *log) setHistory(t testing.TB, h *proof.KeyHistory) {
	t.Helper()
	b, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	l.files[tiles.KeysPath] = b
}

// edit changes the key history that is served.
func (l *log) edit(t testing.TB, change func(h *proof.KeyHistory)) {
	t.Helper()
	h, err := proof.ParseKeyHistory(l.files[tiles.KeysPath])
	if err != nil {
		t.Fatal(err)
	}
	change(h)
	l.setHistory(t, h)
}

func (l *log) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, ok := l.files[strings.TrimPrefix(r.URL.Path, "/")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	_, _ = w.Write(b)
}

// audit is what an auditor with a key and perhaps a remembered head finds.
func (l *log) audit(t testing.TB, o Options) Result {
	t.Helper()
	server := httptest.NewServer(l)
	defer server.Close()
	place, err := tiles.Open(server.URL, tiles.Options{Attempts: 2, Pause: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = place.Close() }()
	r, err := Remote(t.Context(), place, o)
	if err != nil && r.Verdict != proof.Inconclusive {
		t.Errorf("%v beside %s", err, r.Sentence)
	}
	return r
}

func (l *log) remembered(size uint64) *Remembered {
	c := l.at(size)
	return &Remembered{Ledger: l.ID, Head: proof.Head{Size: size, Root: c.Root}, Note: string(c.Note)}
}

// TestRotations audits with each key that a ledger ever had.
func TestRotations(t *testing.T) {
	l := newLog("rotations", 300)
	l.change(chain.Rotation, "second")
	l.change(chain.Rotation, "third")
	l.change(chain.Revocation, "fourth")
	l.serve(t, l.Size())
	for _, key := range []string{"checkpoint", "second", "third", "fourth"} {
		if r := l.audit(t, Options{Key: l.key(key)}); r.Verdict != proof.Clean || r.Entries != l.Size() || r.Note == "" {
			t.Errorf("by %s: %s", key, r.Sentence)
		}
	}
	if r := l.audit(t, Options{Key: l.key("heads")}); r.Verdict != proof.UnknownKey || r.Entries != 0 {
		t.Errorf("by the heads key: %s", r.Sentence)
	}
	// Without a history only the key in force is known.
	delete(l.files, tiles.KeysPath)
	if r := l.audit(t, Options{Key: l.key("fourth")}); r.Verdict != proof.Clean {
		t.Errorf("without a history: %s", r.Sentence)
	}
	if r := l.audit(t, Options{Key: l.key("third")}); r.Verdict != proof.UnknownKey {
		t.Errorf("an old key without a history: %s", r.Sentence)
	}
	// At a size before the changes, the first key is the one in force.
	l.now = "checkpoint"
	l.retired = nil
	l.serve(t, 250)
	if r := l.audit(t, Options{Key: l.key("checkpoint")}); r.Verdict != proof.Clean {
		t.Errorf("before the changes: %s", r.Sentence)
	}
}

// TestServedHistories serves key histories that leave something out or lie: the
// entries are sound, and the history is found at fault.
func TestServedHistories(t *testing.T) {
	l := newLog("histories", 20)
	l.change(chain.Rotation, "second")
	cases := []struct {
		name, key string
		change    func(h *proof.KeyHistory)
		want      proof.Finding
	}{
		{"as it is", "second", func(*proof.KeyHistory) {}, proof.Clean},
		{"without the retired checkpoint", "second", func(h *proof.KeyHistory) { h.Retired, h.Consistency = nil, nil }, proof.Clean},
		{"without the change", "second", func(h *proof.KeyHistory) { h.Changes = nil }, proof.UnknownKey},
		{"without the change, and listed so, in an old checkpoint", "second", func(h *proof.KeyHistory) {
			c := l.retired[0]
			h.Changes, h.Retired, h.Consistency, h.Checkpoint = nil, nil, nil, string(c.Note)
			h.Genesis.Proof = nil
			for _, hash := range l.Inclusion(0, c.Size) {
				h.Genesis.Proof = append(h.Genesis.Proof, hash[:])
			}
			if err := h.List(); err != nil {
				t.Fatal(err)
			}
		}, proof.Clean}, // it was so then
		{"a longer range", "second", func(h *proof.KeyHistory) {
			h.Keys[slices.IndexFunc(h.Keys, func(k proof.NamedKey) bool { return k.To != nil })].To = nil
		}, proof.Inconclusive},
		{"another proof", "second", func(h *proof.KeyHistory) { h.Genesis.Proof[0][0] ^= 1 }, proof.RootMismatch},
		{"another ledger's", "second", func(h *proof.KeyHistory) { h.Origin = "annals.example/x" }, proof.WrongLedger},
	}
	for _, c := range cases {
		l.serve(t, l.Size())
		l.edit(t, c.change)
		r := l.audit(t, Options{Key: l.key(c.key)})
		if r.Verdict != c.want || r.Entries != l.Size() {
			t.Errorf("%s: %s", c.name, r.Sentence)
		}
	}
	l.serve(t, l.Size())
	l.files[tiles.KeysPath] = []byte("{")
	if r := l.audit(t, Options{Key: l.key("second")}); r.Findings == nil || r.Findings[0].Finding != proof.Inconclusive || r.Entries != l.Size() {
		t.Errorf("a history that doesn't parse: %s", r.Sentence)
	}
	// With the old key it is the history that would lead to the new one: what is
	// damaged says nothing about keys.
	server := httptest.NewServer(l)
	defer server.Close()
	p, err := tiles.Open(server.URL, tiles.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	r, err := Remote(t.Context(), p, Options{Key: l.key("checkpoint")})
	if err == nil || r.Verdict != proof.Inconclusive || !strings.Contains(r.Sentence, "key history") {
		t.Errorf("a history that doesn't parse, and an old key: %v, %s", err, r.Sentence)
	}
	l.serve(t, l.Size())
	l.edit(t, func(h *proof.KeyHistory) { h.Origin = "annals.example/x" })
	if r := l.audit(t, Options{Key: l.key("checkpoint")}); r.Verdict != proof.WrongLedger {
		t.Errorf("another ledger's history, and an old key: %s", r.Sentence)
	}
}

// TestRememberedHeads comes back to a log with a head that was remembered.
func TestRememberedHeads(t *testing.T) {
	l, other := newLog("heads", 600), newLog("heads", 100)
	for i := range 520 {
		other.Record("ws_2", fmt.Sprint("other", i), `{}`)
	}
	other.Fold()
	key := l.key("checkpoint")
	cases := []struct {
		name       string
		serve      func()
		remembered *Remembered
		want       proof.Finding
		evidence   int
	}{
		{"the same", func() { l.serve(t, 500) }, l.remembered(500), proof.Clean, 0},
		{"grown", func() { l.serve(t, 600) }, l.remembered(257), proof.Clean, 0},
		{"older, and all is there", func() {
			l.serve(t, 600)
			l.files[tiles.CheckpointPath] = l.at(300).Note
			l.files[tiles.Path(0, 1, 44)] = l.files[tiles.Path(0, 1, 256)][:44*32]
			l.files[tiles.Path(1, 0, 1)] = l.files[tiles.Path(1, 0, 2)][:32]
		}, l.remembered(600), proof.StaleHead, 2},
		{"older, and the rest is gone", func() { l.serve(t, 300) }, l.remembered(600), proof.Truncated, 2},
		{"another history, shorter", func() { other.serve(t, 550) }, l.remembered(600), proof.Truncated, 2},
		{"another history, as long", func() { other.serve(t, 600) }, l.remembered(600), proof.Forked, 2},
		{"another history, longer", func() { other.serve(t, 610) }, l.remembered(600), proof.Forked, 2},
		{"another history, under the remembered tree", func() {
			l.serve(t, 600)
			note := other.at(300).Note
			other.serve(t, 300)
			for name, b := range other.files {
				if _, taken := l.files[name]; !taken {
					l.files[name] = b
				}
			}
			l.files[tiles.CheckpointPath] = note
		}, l.remembered(600), proof.Forked, 2},
		{"another ledger", func() { l.serve(t, 500) }, &Remembered{Ledger: chain.Hash{1}, Head: proof.Head{Size: 500, Root: l.Root(500)}}, proof.WrongLedger, 0},
	}
	for _, c := range cases {
		c.serve()
		on := l
		if strings.HasPrefix(c.name, "another history, ") && !strings.HasSuffix(c.name, "tree") {
			on = other
		}
		r := on.audit(t, Options{Key: key, Remembered: c.remembered})
		i := slices.IndexFunc(r.Findings, func(f proof.Found) bool { return f.Finding == c.want })
		if r.Verdict != c.want && !(c.name == "another history, under the remembered tree" && i >= 0) {
			t.Errorf("%s: %s", c.name, r.Sentence)
			continue
		}
		if c.want != proof.Clean && len(r.Findings[i].Evidence) != c.evidence {
			t.Errorf("%s: evidence %q", c.name, r.Findings[i].Evidence)
		}
	}
}
