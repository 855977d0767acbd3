// Package interop_test holds the collector of cosignatures and the witness against
// those of github.com/transparency-dev/witness, in both directions.
package interop_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"annals/cmd/annals/internal/cosign"
	ours "annals/cmd/annals/internal/witness"
	"annals/ledger/chain"
	"annals/ledger/proof"

	notes "github.com/transparency-dev/formats/note"
	client "github.com/transparency-dev/witness/client/http"
	"github.com/transparency-dev/witness/persistence/inmemory"
	theirs "github.com/transparency-dev/witness/witness"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const origin = "log.example/interop"

// history is a log of which every leaf says where it stands, and from the fifth on
// which history it is of.
type history struct {
	hashes []tlog.Hash
	key    note.Signer
	vkey   string
}

func newHistory(t *testing.T, size int, name string) *history {
	t.Helper()
	seed := sha256.Sum256([]byte("log"))
	h := &history{vkey: proof.VKey(origin, 1, ed25519.NewKeyFromSeed(seed[:]).Public().(ed25519.PublicKey))}
	var err error
	h.key, err = note.NewSigner("PRIVATE+KEY+" + origin + "+" + strings.Split(h.vkey, "+")[1] + "+" + base64.StdEncoding.EncodeToString(append([]byte{1}, seed[:]...)))
	if err != nil {
		t.Fatal(err)
	}
	for i := range size {
		leaf := fmt.Sprint(i)
		if i >= 4 {
			leaf = name + leaf
		}
		more, err := tlog.StoredHashes(int64(i), []byte(leaf), h)
		if err != nil {
			t.Fatal(err)
		}
		h.hashes = append(h.hashes, more...)
	}
	return h
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

func (h *history) checkpoint(t *testing.T, size uint64) proof.Checkpoint {
	t.Helper()
	root, err := tlog.TreeHash(int64(size), h)
	if err != nil {
		t.Fatal(err)
	}
	c := proof.Checkpoint{Origin: origin, Size: size, Root: chain.Hash(root)}
	if c.Note, err = note.Sign(&note.Note{Text: c.Text()}, h.key); err != nil {
		t.Fatal(err)
	}
	return c
}

func (h *history) consistency(from, to uint64) ([]chain.Hash, error) {
	p, err := tlog.ProveTree(int64(to), int64(from), h)
	out := make([]chain.Hash, len(p))
	for i := range p {
		out[i] = chain.Hash(p[i])
	}
	return out, err
}

// foreign is a witness that others wrote, over HTTP, which follows the log.
func foreign(t *testing.T, name string, h *history) (url, vkey string) {
	t.Helper()
	seed := sha256.Sum256([]byte(name))
	key := ed25519.NewKeyFromSeed(seed[:])
	s, err := notes.NewSignerForCosignatureV1("PRIVATE+KEY+" + name + "+00000000+" + base64.StdEncoding.EncodeToString(append([]byte{4}, seed[:]...)))
	if err != nil {
		t.Fatal(err)
	}
	v, err := note.NewVerifier(h.vkey)
	if err != nil {
		t.Fatal(err)
	}
	w, err := theirs.New(t.Context(), theirs.Opts{
		Persistence: inmemory.New(), Signers: []note.Signer{s},
		VerifierForLog: func(_ context.Context, of string) (note.Verifier, bool, error) { return v, of == origin, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /add-checkpoint", theirs.NewHTTPHandler(w).AddCheckpoint)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL, proof.VKey(name, 4, key.Public().(ed25519.PublicKey))
}

// collect runs a collector over checkpoints that the test hands it.
func collect(t *testing.T, h *history, policy *proof.Policy, dir string) (c *cosign.Collector, hand chan<- proof.Checkpoint, stop func()) {
	t.Helper()
	checkpoints := make(chan proof.Checkpoint)
	c, err := cosign.New(cosign.Options{
		Policy: policy, Path: dir, Consistency: h.consistency,
		Next: func(ctx context.Context, _ uint64) (proof.Checkpoint, error) {
			select {
			case c := <-checkpoints:
				return c, nil
			case <-ctx.Done():
				return proof.Checkpoint{}, ctx.Err()
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		c.Run(ctx)
		close(done)
	}()
	return c, checkpoints, func() {
		cancel()
		<-done
	}
}

// TestTheirWitness: our collector has checkpoints cosigned by their witnesses, finds
// out where they are after a restart, and is refused another history.
func TestTheirWitness(t *testing.T) {
	h := newHistory(t, 40, "a")
	var text bytes.Buffer
	for i := range 3 {
		url, vkey := foreign(t, fmt.Sprintf("witness.example/w%d", i), h)
		fmt.Fprintf(&text, "witness w%d %s %s\n", i, vkey, url)
	}
	policy, err := proof.ParsePolicy(append(text.Bytes(), "group all 3 w0 w1 w2\nquorum all\n"...))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	c, hand, stop := collect(t, h, policy, dir)
	for _, size := range []uint64{1, 2, 7, 8, 20} {
		hand <- h.checkpoint(t, size)
		n, err := c.Await(t.Context(), size)
		if err != nil {
			t.Fatal(err)
		}
		if _, met, err := policy.Judge(n); err != nil || !met {
			t.Errorf("size %d: %v, %v", size, met, err)
		}
	}
	stop()
	// Another process that has nothing from the first is told the size.
	c, hand, stop = collect(t, h, policy, t.TempDir())
	hand <- h.checkpoint(t, 40)
	if _, err := c.Await(t.Context(), 40); err != nil {
		t.Error(err)
	}
	stop()
	other := newHistory(t, 50, "b")
	c, hand, stop = collect(t, other, policy, t.TempDir())
	defer stop()
	hand <- other.checkpoint(t, 50)
	for refused := 0; refused < 3; time.Sleep(time.Millisecond) {
		refused = 0
		for _, w := range c.Status().Witnesses {
			if strings.Contains(w.Error, "ANOTHER HISTORY") {
				refused++
			} else if w.Error != "" || w.Size != 0 {
				t.Fatalf("%+v", w)
			}
		}
	}
	if size, _ := c.Witnessed(); size != 0 {
		t.Errorf("another history of %d entries is witnessed", size)
	}
}

// TestTheirClient: their client is served by our witness, and understands each
// refusal.
func TestTheirClient(t *testing.T) {
	h, other := newHistory(t, 40, "a"), newHistory(t, 40, "b")
	w, err := ours.Open(ours.Options{Path: t.TempDir(), Name: "witness.example/w", Logs: []string{h.vkey}})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	server := httptest.NewServer(w.Handler())
	defer server.Close()
	at, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	v, err := notes.NewVerifierForCosignatureV1(w.VKey())
	if err != nil {
		t.Fatal(err)
	}
	their := client.NewWitness(at, server.Client())
	update := func(of *history, old, size uint64) ([]byte, uint64, error) {
		var hashes [][]byte
		if old > 0 && old < size {
			p, err := of.consistency(old, size)
			if err != nil {
				t.Fatal(err)
			}
			for i := range p {
				hashes = append(hashes, p[i][:])
			}
		}
		return their.Update(t.Context(), old, of.checkpoint(t, size).Note, hashes)
	}
	for _, step := range [][2]uint64{{0, 5}, {5, 6}, {6, 6}, {6, 33}} {
		line, _, err := update(h, step[0], step[1])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := note.Open(append(h.checkpoint(t, step[1]).Note, line...), note.VerifierList(v)); err != nil {
			t.Errorf("%d to %d: %v", step[0], step[1], err)
		}
	}
	if _, size, err := update(h, 5, 40); !errors.Is(err, theirs.ErrCheckpointStale) || size != 33 {
		t.Errorf("a stale size: %d, %v", size, err)
	}
	if _, _, err := update(other, 33, 33); !errors.Is(err, theirs.ErrRootMismatch) {
		t.Errorf("another root: %v", err)
	}
	if _, _, err := update(other, 33, 40); !errors.Is(err, theirs.ErrInvalidProof) {
		t.Errorf("another history: %v", err)
	}
	if _, _, err := update(h, 33, 20); !errors.Is(err, theirs.ErrOldSizeInvalid) {
		t.Errorf("backwards: %v", err)
	}
	unsigned := h.checkpoint(t, 40)
	unsigned.Note = bytes.Replace(unsigned.Note, []byte("— "+origin+" "), []byte("— "+origin+" AAAA"), 1)
	if _, _, err := their.Update(t.Context(), 33, unsigned.Note, nil); !errors.Is(err, theirs.ErrNoValidSignature) {
		t.Errorf("unsigned: %v", err)
	}
	if _, _, err := their.Update(t.Context(), 0, bytes.Replace(unsigned.Note, []byte(origin+"\n"), []byte("x.example\n"), 1), nil); !errors.Is(err, theirs.ErrUnknownLog) {
		t.Errorf("another log: %v", err)
	}
}
