package witness

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"annals/cmd/annals/internal/cosign"
	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
	"annals/ledger/proof"

	notes "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const origin = "log.example/one"

// logged is a log that the tests make up: its leaves say which history they are of.
type logged struct {
	hashes []tlog.Hash
	size   uint64
	by     note.Signer
	vkey   string
}

func newLog(t testing.TB, name string, size int, history string) *logged {
	t.Helper()
	seed := chaintest.Secret("log key")
	public := ed25519.NewKeyFromSeed(seed[:]).Public().(ed25519.PublicKey)
	l := &logged{vkey: proof.VKey(name, 1, public)}
	var err error
	l.by, err = note.NewSigner("PRIVATE+KEY+" + name + "+" + strings.Split(l.vkey, "+")[1] + "+" + base64.StdEncoding.EncodeToString(append([]byte{1}, seed[:]...)))
	if err != nil {
		t.Fatal(err)
	}
	for i := range size {
		if i == 4 {
			history += " goes on"
		}
		leaf := fmt.Sprint(i)
		if i >= 4 {
			leaf = history + leaf
		}
		more, err := tlog.StoredHashes(int64(i), []byte(leaf), l)
		if err != nil {
			t.Fatal(err)
		}
		l.hashes = append(l.hashes, more...)
		l.size++
	}
	return l
}

func (l *logged) ReadHashes(at []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(at))
	for i, n := range at {
		if n >= int64(len(l.hashes)) {
			return nil, errors.New("no such hash")
		}
		out[i] = l.hashes[n]
	}
	return out, nil
}

// text is a checkpoint's, at a size.
func (l *logged) text(size int64) string {
	root, err := tlog.TreeHash(size, l)
	if err != nil {
		panic(err)
	}
	if size == 0 {
		root = tlog.Hash(orEmpty(head{}))
	}
	return fmt.Sprintf("%s\n%d\n%s\n", l.by.Name(), size, base64.StdEncoding.EncodeToString(root[:]))
}

func sign(text string, by ...note.Signer) []byte {
	n, err := note.Sign(&note.Note{Text: text}, by...)
	if err != nil {
		panic(err)
	}
	return n
}

// request asks for a checkpoint of one size, from another.
func (l *logged) request(old, size int64) *cosign.Request {
	r := &cosign.Request{Old: uint64(old), Checkpoint: sign(l.text(size), l.by)}
	if old > 0 && old < size {
		p, err := tlog.ProveTree(size, old, l)
		if err != nil {
			panic(err)
		}
		for _, h := range p {
			r.Proof = append(r.Proof, chain.Hash(h))
		}
	}
	return r
}

func toDisk(path string, data []byte) error { return os.WriteFile(path, data, 0o600) }

func mustOpen(t testing.TB, o Options) *Witness {
	t.Helper()
	if o.Name == "" {
		o.Name = "witness.example/w1"
	}
	if o.Replace == nil {
		o.Replace = toDisk
	}
	w, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// mustCosign adds a checkpoint, and checks the line that comes back by the witness's
// key.
func mustCosign(t testing.TB, w *Witness, r *cosign.Request) {
	t.Helper()
	line, err := w.Add(r)
	if err != nil {
		t.Fatal(err)
	}
	v, err := notes.NewVerifierForCosignatureV1(w.VKey())
	if err != nil {
		t.Fatal(err)
	}
	n, err := note.Open(append(bytes.Clone(r.Checkpoint), line...), note.VerifierList(v))
	if err != nil || len(n.Sigs) != 1 {
		t.Errorf("%q: %v", line, err)
	}
}

// TestStatuses goes through what C2SP tlog-witness says of add-checkpoint, a MUST
// each.
func TestStatuses(t *testing.T) {
	l, other := newLog(t, origin, 12, "a"), newLog(t, origin, 12, "b")
	elsewhere := newLog(t, "log.example/two", 12, "a")
	stranger := func() note.Signer {
		skey, _, err := note.GenerateKey(nil, origin)
		if err != nil {
			t.Fatal(err)
		}
		s, err := note.NewSigner(skey)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}()
	const size = cosign.MediaSize
	flipped := bytes.Clone(l.request(8, 10).Checkpoint)
	flipped[len(flipped)-10] ^= 1
	with := func(r *cosign.Request, change func(*cosign.Request)) *cosign.Request {
		change(r)
		return r
	}
	for _, c := range []struct {
		name   string
		r      *cosign.Request
		status int
		media  string
		body   string
	}{
		{"the next", l.request(8, 10), 200, "text/plain; charset=utf-8", "— witness.example/w1 "},
		{"the same again", l.request(8, 8), 200, "", "— witness.example/w1 "},
		{"signed by others too", with(l.request(8, 10), func(r *cosign.Request) { r.Checkpoint = sign(l.text(10), stranger, l.by) }), 200, "", ""},
		{"extension lines", with(l.request(8, 10), func(r *cosign.Request) { r.Checkpoint = sign(l.text(10)+"more\n", l.by) }), 200, "", ""},
		{"unknown log", elsewhere.request(8, 10), 404, "", ""},
		{"signed by nobody known", with(l.request(8, 10), func(r *cosign.Request) { r.Checkpoint = sign(l.text(10), stranger) }), 403, "", ""},
		{"a signature that isn't valid", with(l.request(8, 10), func(r *cosign.Request) { r.Checkpoint = flipped }), 403, "", ""},
		{"an old size above the checkpoint's", with(l.request(8, 7), func(r *cosign.Request) { r.Proof = nil }), 400, "", ""},
		{"an old size that was not the last", l.request(7, 10), 409, size, "8\n"},
		{"from the beginning", l.request(0, 10), 409, size, "8\n"},
		{"an earlier one", l.request(6, 7), 409, size, "8\n"},
		{"an earlier one, from the last", l.request(8, 6), 400, "", ""},
		{"the same size, another root", other.request(8, 8), 409, "text/plain; charset=utf-8", "ANOTHER HISTORY"},
		{"another history, with its own proof", other.request(8, 10), 422, "", ""},
		{"no proof", with(l.request(8, 10), func(r *cosign.Request) { r.Proof = nil }), 422, "", ""},
		{"a hash too many", with(l.request(8, 10), func(r *cosign.Request) { r.Proof = append(r.Proof, chain.Hash{}) }), 422, "", ""},
		{"a proof between equal sizes", with(l.request(8, 8), func(r *cosign.Request) { r.Proof = []chain.Hash{{}} }), 422, "", ""},
		{"no note", with(l.request(8, 10), func(r *cosign.Request) { r.Checkpoint = []byte("x") }), 400, "", ""},
		{"no root", with(l.request(8, 10), func(r *cosign.Request) { r.Checkpoint = sign(origin+"\n10\n", l.by) }), 400, "", ""},
		{"a short root", with(l.request(8, 10), func(r *cosign.Request) { r.Checkpoint = sign(origin+"\n10\nAAAA\n", l.by) }), 400, "", ""},
		{"a size with a leading zero", with(l.request(8, 10), func(r *cosign.Request) { r.Checkpoint = sign(strings.Replace(l.text(10), "\n10", "\n010", 1), l.by) }), 400, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := mustOpen(t, Options{Path: t.TempDir(), Logs: []string{l.vkey}})
			mustCosign(t, w, l.request(0, 8))
			rec := httptest.NewRecorder()
			w.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodPost, cosign.Path, bytes.NewReader(c.r.Body())))
			if rec.Code != c.status || c.media != "" && rec.Header().Get("Content-Type") != c.media || !strings.Contains(rec.Body.String(), c.body) {
				t.Errorf("%d %s %q", rec.Code, rec.Header().Get("Content-Type"), rec.Body)
			}
			if cosigned := strings.Contains(rec.Body.String(), "—"); cosigned != (c.status == 200) {
				t.Errorf("%d with a cosignature: %v", rec.Code, cosigned)
			}
			want := uint64(8)
			if c.status == 200 && !bytes.Contains(c.r.Checkpoint, []byte("\n8\n")) {
				want = 10
			}
			if got := w.Logs()[0].Size; got != want {
				t.Errorf("afterwards the last size is %d, not %d", got, want)
			}
		})
	}
}

// TestFirst: the first checkpoint of a log is taken from size 0, without a proof; an
// empty tree too, if it is the empty tree.
func TestFirst(t *testing.T) {
	l := newLog(t, origin, 12, "a")
	open := func() *Witness { return mustOpen(t, Options{Path: t.TempDir(), Logs: []string{l.vkey}}) }
	var stale *StaleError
	if _, err := open().Add(l.request(3, 5)); !errors.As(err, &stale) || stale.Size != 0 {
		t.Errorf("a first one from size 3: %v", err)
	}
	r := l.request(0, 5)
	r.Proof = make([]chain.Hash, 1)
	if _, err := open().Add(r); !errors.Is(err, ErrUnproven) {
		t.Errorf("a first one with a proof: %v", err)
	}
	w := open()
	mustCosign(t, w, l.request(0, 0))
	mustCosign(t, w, l.request(0, 0))
	mustCosign(t, w, l.request(0, 5))
	wrong := &cosign.Request{Checkpoint: sign(strings.Replace(l.text(5), "\n5\n", "\n0\n", 1), l.by)}
	if _, err := open().Add(wrong); !errors.Is(err, ErrUnproven) {
		t.Errorf("an empty tree with a root: %v", err)
	}
}

// TestRace: of requests that were all checked against one size, one is cosigned; sizes
// never fall.
func TestRace(t *testing.T) {
	l := newLog(t, origin, 200, "a")
	w := mustOpen(t, Options{Path: t.TempDir(), Logs: []string{l.vkey}})
	mustCosign(t, w, l.request(0, 1))
	last := uint64(1)
	for range 6 {
		var running sync.WaitGroup
		var mu sync.Mutex
		taken := map[uint64]bool{}
		for size := last + 1; size < last+20; size++ {
			r := l.request(int64(last), int64(size))
			running.Go(func() {
				_, err := w.Add(r)
				var stale *StaleError
				switch {
				case err == nil:
					mu.Lock()
					taken[size] = true
					mu.Unlock()
				case !errors.As(err, &stale):
					t.Error(err)
				}
			})
		}
		running.Wait()
		now := w.Logs()[0].Size
		if len(taken) != 1 || !taken[now] {
			t.Errorf("from size %d %v were cosigned, and the last is %d", last, taken, now)
		}
		last = now
	}
}

// TestEvidence: two histories that a log signed are kept and counted, once each, and
// no more than there is room for.
func TestEvidence(t *testing.T) {
	l, other := newLog(t, origin, 200, "a"), newLog(t, origin, 200, "b")
	w := mustOpen(t, Options{Path: t.TempDir(), Logs: []string{l.vkey}})
	mustCosign(t, w, l.request(0, 8))
	for range 2 {
		if _, err := w.Add(other.request(8, 8)); !errors.Is(err, ErrForked) {
			t.Error(err)
		}
	}
	found, err := filepath.Glob(filepath.Join(w.o.Path, logsFolder, "*", evidenceFolder, "*"))
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	b, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{l.text(8), other.text(8)} {
		if !bytes.Contains(b, []byte(text)) {
			t.Errorf("the evidence lacks\n%s\n%s", text, b)
		}
	}
	if n := w.Logs()[0].Evidence; n != 2 {
		t.Errorf("%d were counted", n)
	}
	for size := int64(9); size < 9+2*mostEvidence; size++ {
		if _, err := w.Add(other.request(8, size)); !errors.Is(err, ErrUnproven) {
			t.Fatal(err)
		}
	}
	found, _ = filepath.Glob(filepath.Join(w.o.Path, logsFolder, "*", evidenceFolder, "*"))
	if len(found) != mostEvidence {
		t.Errorf("%d files of evidence, %d is the most", len(found), mostEvidence)
	}
	// Two roots of one size prove themselves, and still find room.
	third := newLog(t, origin, 12, "c")
	if _, err := w.Add(third.request(8, 8)); !errors.Is(err, ErrForked) {
		t.Error(err)
	}
	if again, _ := filepath.Glob(filepath.Join(w.o.Path, logsFolder, "*", evidenceFolder, "*")); len(again) != len(found)+1 {
		t.Error("a fork found no room")
	}
}

// TestDisk: what could not be kept is not cosigned, and nobody guesses what is on disk
// before a restart.
func TestDisk(t *testing.T) {
	l, other := newLog(t, origin, 12, "a"), newLog(t, origin, 12, "b")
	for name, written := range map[string]bool{"lost": false, "written but errored": true} {
		t.Run(name, func(t *testing.T) {
			dir, fails := t.TempDir(), false
			o := Options{Path: dir, Logs: []string{l.vkey}, Replace: func(path string, data []byte) error {
				if fails && !written {
					return errors.New("the disk failed")
				}
				return errors.Join(toDisk(path, data), map[bool]error{true: errors.New("the disk failed")}[fails])
			}}
			w := mustOpen(t, o)
			mustCosign(t, w, l.request(0, 5))
			fails = true
			if line, err := w.Add(l.request(5, 8)); !errors.Is(err, ErrDisk) || line != nil {
				t.Errorf("%q, %v", line, err)
			}
			fails = false
			if _, err := w.Add(l.request(5, 7)); !errors.Is(err, ErrDisk) {
				t.Errorf("tried again in place: %v", err)
			}
			rec := httptest.NewRecorder()
			w.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/healthz", nil))
			if rec.Code != 503 {
				t.Errorf("it says that it is well: %d", rec.Code)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			w = mustOpen(t, o)
			want := map[bool]uint64{false: 5, true: 8}[written]
			if got := w.Logs()[0].Size; got != want {
				t.Errorf("after a restart %d were cosigned, not %d", got, want)
			}
			if _, err := w.Add(other.request(int64(want), 10)); !errors.Is(err, ErrUnproven) {
				t.Errorf("another history: %v", err)
			}
			mustCosign(t, w, l.request(int64(want), 10))
		})
	}
}

// TestFolder: one process has the folder, its key stays, and what was cosigned is
// never taken for nothing.
func TestFolder(t *testing.T) {
	l := newLog(t, origin, 12, "a")
	dir := filepath.Join(t.TempDir(), "w")
	if _, err := Open(Options{Path: dir, Logs: []string{l.vkey}}); err == nil || !strings.Contains(err.Error(), "--name") {
		t.Errorf("without a name: %v", err)
	}
	o := Options{Path: dir, Name: "witness.example/w1", Logs: []string{l.vkey}}
	w := mustOpen(t, o)
	mustCosign(t, w, l.request(0, 5))
	if _, err := Open(o); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("twice: %v", err)
	}
	vkey, err := Public(dir)
	if err != nil || vkey != w.VKey() {
		t.Errorf("%q, %v", vkey, err)
	}
	if info, err := os.Stat(filepath.Join(dir, keyFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's mode is %v, %v", info.Mode(), err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	last, err := filepath.Glob(filepath.Join(dir, logsFolder, "*", lastFile))
	if err != nil || len(last) != 1 {
		t.Fatal(last, err)
	}
	good, err := os.ReadFile(last[0])
	if err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(filepath.Join(dir, keyFile))
	if err != nil {
		t.Fatal(err)
	}
	put := func(path string, b []byte) {
		t.Helper()
		if err := toDisk(path, b); err != nil {
			t.Fatal(err)
		}
	}
	flipped := bytes.Clone(good)
	flipped[len(flipped)-12] ^= 1
	for name, b := range map[string][]byte{"empty": {}, "cut": good[:20], "flipped": flipped, "uncosigned": sign(l.text(5), l.by)} {
		put(last[0], b)
		if _, err := Open(o); err == nil || !strings.Contains(err.Error(), "bring it back") {
			t.Errorf("%s: %v", name, err)
		}
	}
	put(last[0], good)
	for name, change := range map[string]func(){
		"no key":       func() { _ = os.Remove(filepath.Join(dir, keyFile)) },
		"no key's":     func() { put(filepath.Join(dir, keyFile), []byte("PRIVATE+KEY+x+00000000+AAAA\n")) },
		"a log's":      func() { put(filepath.Join(dir, keyFile), bytes.Replace(key, []byte("+B"), []byte("+A"), 1)) },
		"another name": func() { o.Name = "witness.example/w2" },
		"a stranger":   func() { put(filepath.Join(dir, "holiday.jpg"), nil) },
	} {
		change()
		if _, err := Open(o); err == nil {
			t.Errorf("%s: opened", name)
		}
		put(filepath.Join(dir, keyFile), key)
		o.Name = ""
		if err := os.Remove(filepath.Join(dir, "holiday.jpg")); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	w = mustOpen(t, o)
	if got := w.Logs(); got[0].Size != 5 || got[0].Checkpoint != string(good) {
		t.Errorf("%+v", got)
	}
	mustCosign(t, w, l.request(5, 12))
}
