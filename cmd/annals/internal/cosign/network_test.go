package cosign_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"annals/cmd/annals/internal/cosign"
	"annals/cmd/annals/internal/witness"
	"annals/ledger/proof"

	"golang.org/x/mod/sumdb/note"
)

// The ways in which a witness, or the network before it, misbehaves.
const (
	well     = iota
	down     // nobody listens
	stalled  // takes the request and answers never
	slow     // answers after some seconds
	lost     // cosigns, and the answer is lost
	failing  // 500
	flipped  // the signature is not valid
	stranger // another key's signature under the witness's name
	other    // the cosignature of another checkpoint
	stale    // an old cosignature of this very checkpoint, by a clock that is wrong
	wrong    // 409 with a size that is not so
	flood    // an endless body
	moved    // a redirect
	empty    // 200 and nothing
	garbled  // 200 and no signature lines
	ways
)

// node is a witness behind a network. The handler is a real one's.
type node struct {
	t    testing.TB
	name string
	dir  string
	logs string // the folder of the log in it
	log  string // the key that it follows
	w    *witness.Witness
	vkey string
	keep func(path string, data []byte) error

	mu   sync.Mutex
	way  int
	took []proof.Checkpoint // what it cosigned, in order
}

func newNode(t testing.TB, name, dir, log string, keep func(string, []byte) error) *node {
	t.Helper()
	n := &node{t: t, name: name, dir: filepath.Join(dir, name), log: log, keep: keep}
	// A folder as a witness makes one, without waiting for the disk at each step.
	sum := sha256.Sum256([]byte(origin))
	n.logs = filepath.Join(n.dir, "logs", hex.EncodeToString(sum[:]))
	seed := sha256.Sum256([]byte(dir + name))
	key := "PRIVATE+KEY+" + name + ".example/w+00000000+" + base64.StdEncoding.EncodeToString(append([]byte{4}, seed[:]...))
	if err := errors.Join(os.MkdirAll(filepath.Join(n.logs, "evidence"), 0o700), toDisk(filepath.Join(n.dir, "key"), []byte(key+"\n"))); err != nil {
		t.Fatal(err)
	}
	n.open()
	n.vkey = n.w.VKey()
	return n
}

func (n *node) open() {
	n.t.Helper()
	var err error
	n.w, err = witness.Open(witness.Options{Path: n.dir, Name: n.name + ".example/w", Logs: []string{n.log}, Replace: n.keep})
	if err != nil {
		n.t.Fatal(err)
	}
}

// restart ends the process and starts another, which may have lost what was
// cosigned.
func (n *node) restart(lost bool) {
	n.t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.w.Close(); err != nil {
		n.t.Fatal(err)
	}
	if lost {
		if err := os.Remove(filepath.Join(n.logs, "checkpoint")); err != nil && !errors.Is(err, fs.ErrNotExist) {
			n.t.Fatal(err)
		}
	}
	n.open()
}

func (n *node) set(way int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.way = way
}

// network is witnesses by host.
type network struct {
	mu    sync.Mutex
	r     *rand.Rand
	nodes map[string]*node
}

func (n *network) roll(most int) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.r.IntN(most)
}

// RoundTrip implements [http.RoundTripper].
func (n *network) RoundTrip(req *http.Request) (*http.Response, error) {
	node := n.nodes[req.URL.Host]
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	node.mu.Lock()
	way := node.way
	node.mu.Unlock()
	var wait time.Duration
	switch way {
	case down:
		return nil, errors.New("connection refused")
	case stalled:
		<-req.Context().Done()
		return nil, req.Context().Err()
	case slow:
		wait = time.Duration(1+n.roll(12)) * time.Second
	default:
		wait = time.Duration(n.roll(300)) * time.Millisecond
	}
	select {
	case <-time.After(wait):
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
	rec := httptest.NewRecorder()
	node.serve(rec, body, way, n)
	if way == lost {
		return nil, errors.New("connection reset by peer")
	}
	return rec.Result(), nil
}

// serve answers as the witness does, or as it misbehaves.
func (n *node) serve(rec *httptest.ResponseRecorder, body []byte, way int, net *network) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch way {
	case failing:
		rec.WriteHeader(http.StatusInternalServerError)
		return
	case wrong:
		rec.Header().Set("Content-Type", cosign.MediaSize)
		rec.WriteHeader(http.StatusConflict)
		_, _ = rec.WriteString(strconv.Itoa(net.roll(50)) + "\n")
		return
	case flood:
		_, _ = rec.Write(bytes.Repeat([]byte("— w AAAAAAA=\n"), 20_000))
		return
	case moved:
		rec.Header().Set("Location", "https://elsewhere.example/")
		rec.WriteHeader(http.StatusTemporaryRedirect)
		return
	case empty:
		return
	case garbled:
		_, _ = rec.WriteString("\n\n— " + n.name + "\n")
		return
	}
	real := httptest.NewRecorder()
	n.w.Handler().ServeHTTP(real, httptest.NewRequest(http.MethodPost, cosign.Path, bytes.NewReader(body)))
	answer := real.Body.Bytes()
	if real.Code == http.StatusOK {
		request, err := cosign.ParseRequest(body)
		if err != nil {
			n.t.Error(err)
			return
		}
		c, err := proof.ParseCheckpoint(request.Checkpoint)
		if err != nil {
			n.t.Error(err)
			return
		}
		n.took = append(n.took, c)
		answer = n.lie(answer, &c, way)
	}
	rec.Header().Set("Content-Type", real.Header().Get("Content-Type"))
	rec.WriteHeader(real.Code)
	_, _ = rec.Write(answer)
}

// lie turns a cosignature into another one.
func (n *node) lie(line []byte, c *proof.Checkpoint, way int) []byte {
	switch way {
	case flipped:
		at := bytes.LastIndexByte(line, ' ') + 40
		out := bytes.Clone(line)
		out[at] ^= 1 // stays within the alphabet of base64 mostly; where it doesn't, it is no note
		return out
	case stranger:
		other := cosigner(n.t, n.name+".example/w", "a stranger", time.Now)
		return lineOf(n.t, other, c.Text())
	case other:
		another := *c
		another.Root[0] ^= 1
		return lineOf(n.t, n.signer(time.Now), another.Text())
	case stale:
		return lineOf(n.t, n.signer(func() time.Time { return time.Now().Add(-25 * time.Hour) }), c.Text())
	}
	return line
}

// signer is the witness's own key, with another clock.
func (n *node) signer(now func() time.Time) note.Signer {
	b, err := os.ReadFile(filepath.Join(n.dir, "key"))
	if err != nil {
		n.t.Fatal(err)
	}
	return signerOf(n.t, strings.TrimSpace(string(b)), now)
}
