package query

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"annals/internal/problem"
	"annals/ledger"
	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
	"annals/ledger/proof"

	"github.com/go-json-experiment/json"
	"golang.org/x/mod/sumdb/note"
)

// signing stands in for the signer: it publishes a checkpoint when it is told to.
type signing struct {
	t      testing.TB
	origin string
	signer note.Signer
	keys   *proof.Keyring

	mu   sync.Mutex
	size uint64
	last []byte
	old  [][]byte      // by keys that sign no more
	news chan struct{} // closed at the next
}

func newSigning(t testing.TB) *signing {
	const origin = "annals.example/query"
	seed := chaintest.Secret("checkpoint key")
	public := ed25519.NewKeyFromSeed(seed[:]).Public().(ed25519.PublicKey)
	vkey := proof.VKey(origin, 1, public)
	id := strings.Split(vkey, "+")[1]
	signer, err := note.NewSigner("PRIVATE+KEY+" + origin + "+" + id + "+" + base64.StdEncoding.EncodeToString(append([]byte{1}, seed[:]...)))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := proof.NewKeyring(vkey)
	if err != nil {
		t.Fatal(err)
	}
	return &signing{t: t, origin: origin, signer: signer, keys: keys, news: make(chan struct{})}
}

// publish signs the ledger's head.
func (s *signing) publish(l *ledger.Ledger) {
	s.t.Helper()
	head := l.Head()
	c := proof.Checkpoint{Origin: s.origin, Size: head.Size, Root: head.Root}
	signed, err := note.Sign(&note.Note{Text: c.Text()}, s.signer)
	if err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.size, s.last = head.Size, signed
	close(s.news)
	s.news = make(chan struct{})
}

func (s *signing) latest() (uint64, []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.size, s.last
}

func (s *signing) await(ctx context.Context, size uint64) ([]byte, error) {
	for {
		s.mu.Lock()
		have, signed, news := s.size, s.last, s.news
		s.mu.Unlock()
		if have >= size {
			return signed, nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (s *signing) options() Options {
	return Options{Checkpoint: s.latest, AwaitCheckpoint: s.await, ProofTimeout: 50 * time.Millisecond}
}

func (s *signing) verify(text []byte) (*proof.Receipt, proof.Proven) {
	s.t.Helper()
	r, err := proof.ParseReceipt(text)
	if err != nil {
		s.t.Fatalf("%v\n%s", err, text)
	}
	proven, err := r.Verify(s.keys)
	if err != nil {
		s.t.Fatal(err)
	}
	return r, proven
}

// TestProof asks for the receipt of every entry of every kind.
func TestProof(t *testing.T) {
	signs := newSigning(t)
	s := serve(t, signs.options())
	golden := chaintest.Golden()
	for _, m := range golden.Messages[2:] {
		if strings.HasPrefix(m.Subject, "annals.control.") && len(m.Body) > 20 {
			continue
		}
		s.stream.Messages = append(s.stream.Messages, chain.Message{
			Subject: m.Subject, Header: m.Header, Body: m.Body, Time: m.Time,
			Sequence: uint64(len(s.stream.Messages)) + 1,
		})
	}
	s.settle()
	signs.publish(s.api.o.Ledger)
	names := map[chain.Hash]string{}
	for _, w := range []string{"ws_7", "ws_8", "ws_9", chain.SystemWorkspace} {
		names[s.api.o.Ledger.Tag(w)] = w
	}
	kinds := map[chain.Kind]int{}
	for index := range s.api.o.Ledger.Head().Size {
		leaf, _, err := s.api.o.Ledger.Get(index)
		if err != nil {
			t.Fatal(err)
		}
		path := "/v1/workspaces/" + names[leaf.Entry.Workspace] + "/records/" + leaf.Entry.ULID.String() + "/proof"
		a := s.do("GET", path)
		if a.status != 200 || a.header.Get("Content-Type") != plainText {
			t.Fatalf("%s: %d %s", path, a.status, a.body)
		}
		r, proven := signs.verify(a.body)
		if !bytes.Equal(r.Raw, leaf.Raw) || proven.Checkpoint.Size != s.api.o.Ledger.Head().Size {
			t.Errorf("entry %d: another one came, or an earlier tree's", index)
		}
		kinds[leaf.Entry.Kind]++
		switch secret := leaf.Entry.Kind == chain.KindControl || strings.HasPrefix(leaf.Payload.Subject(), "annals.control."); {
		case secret && (r.Salt != nil || bytes.Contains(a.body, leaf.Payload.Body)):
			t.Errorf("the receipt of control entry %d shows its message", index)
		case !secret && !proven.Payload:
			t.Errorf("the receipt of %s entry %d shows no payload", leaf.Entry.Kind, index)
		}
		if leaf.Entry.Kind == chain.KindDuplicate {
			_, record := leaf.Record()
			own := r.Leaf()
			if _, got := own.Record(); !bytes.Equal(got, record) {
				t.Errorf("duplicate %d: its record is %s, not %s", index, got, record)
			}
		}
		bare := s.do("GET", path+"?payload=false")
		if r, proven := signs.verify(bare.body); r.Payload != nil || proven.Payload || bare.header.Get("ETag") == a.header.Get("ETag") {
			t.Errorf("entry %d: without a payload it has one, or the same validator", index)
		}
		if again := s.do("GET", path, "If-None-Match", a.header.Get("ETag")); again.status != 304 {
			t.Errorf("entry %d, known: %d", index, again.status)
		}
	}
	for _, k := range []chain.Kind{chain.KindRecord, chain.KindDuplicate, chain.KindConflict, chain.KindRejection, chain.KindControl} {
		if kinds[k] == 0 {
			t.Errorf("no %s was asked for", k)
		}
	}
}

// TestProofRefused: of another workspace, of none, or with no checkpoint that
// covers the entry.
func TestProofRefused(t *testing.T) {
	signs := newSigning(t)
	s := serve(t, signs.options())
	s.publish("ws", `{"type":"t","actor":{"id":"u1"}}`)
	s.settle()
	signs.publish(s.api.o.Ledger)
	s.publish("ws", `{"type":"t","actor":{"id":"u2"}}`)
	s.settle()
	items := s.page("/v1/workspaces/ws/timeline").Records
	late, early := items[0].ULID, items[1].ULID
	for path, want := range map[string]string{
		"/v1/workspaces/other/records/" + early + "/proof":            "404 no_such_record",
		"/v1/workspaces/ws/records/01K9Z0W3QH0000000000000Z05/proof":  "404 no_such_record",
		"/v1/workspaces/ws/records/" + early + "/proof?payload=maybe": "400 invalid_parameter",
		"/v1/workspaces/ws/records/" + early + "/proof?with=sentence": "400 unknown_parameter",
		"/v1/workspaces/ws/records/" + late + "/proof":                "503 no_checkpoint",
		"/v1/consistency?from=1&to=99":                                "400 invalid_parameter",
		"/v1/consistency?from=3&to=2":                                 "400 invalid_parameter",
		"/v1/consistency?from=-1":                                     "400 invalid_parameter",
		"/v1/consistency?from=1&to=18446744073709551615":              "400 invalid_parameter",
		fmt.Sprint("/v1/consistency?to=", s.api.o.Ledger.Head().Size): "400 invalid_parameter", // not published yet
	} {
		a := s.do("GET", path)
		var p problem.Problem
		if err := json.Unmarshal(a.body, &p); err != nil || fmt.Sprint(a.status, " ", p.Code) != want {
			t.Errorf("%s: %d %s, want %s", path, a.status, a.body, want)
		}
		if a.status == 503 && a.header.Get("Retry-After") == "" {
			t.Error("503 without Retry-After")
		}
	}
	// It waits for the next one.
	s.api.o.ProofTimeout = time.Minute
	go func() {
		time.Sleep(20 * time.Millisecond)
		signs.publish(s.api.o.Ledger)
	}()
	if _, proven := signs.verify(s.do("GET", "/v1/workspaces/ws/records/"+late+"/proof").body); !proven.Payload {
		t.Error("it waited for another one")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, _, err := s.api.Receipts(ctx, []uint64{0, 99}, true, proof.Recorded); err == nil {
		t.Error("a receipt of an entry that isn't there")
	}
}

// TestReceiptsTogether: many at once stand under one checkpoint.
func TestReceiptsTogether(t *testing.T) {
	signs := newSigning(t)
	s := serve(t, signs.options())
	s.fill("ws", 200)
	s.settle()
	signs.publish(s.api.o.Ledger)
	indexes := []uint64{}
	for i := range s.api.o.Ledger.Head().Size {
		indexes = append(indexes, i, i/2)
	}
	receipts, _, err := s.api.Receipts(t.Context(), indexes, false, proof.Recorded)
	if err != nil || len(receipts) != len(indexes) {
		t.Fatal(len(receipts), err)
	}
	for i, r := range receipts {
		if r.Index != indexes[i] {
			t.Fatalf("receipt %d is of %d, not %d", i, r.Index, indexes[i])
		}
		signs.verify(r.Text())
	}
	if none, _, err := s.api.Receipts(t.Context(), nil, true, proof.Recorded); len(none) != 0 || err != nil {
		t.Error(none, err)
	}
}

// TestConsistency compares proofs between all sizes with the ledger's roots.
func TestConsistency(t *testing.T) {
	signs := newSigning(t)
	s := serve(t, signs.options())
	for i := range 19 {
		s.publish("ws", fmt.Sprintf(`{"type":"t","actor":{"id":"u%d"}}`, i))
	}
	s.settle()
	signs.publish(s.api.o.Ledger)
	l := s.api.o.Ledger
	size := l.Head().Size
	root := func(size uint64) chain.Hash {
		h, err := l.RootAt(size)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	for to := range size + 1 {
		for from := range to + 1 {
			a := s.do("GET", fmt.Sprintf("/v1/consistency?from=%d&to=%d", from, to))
			var c Consistency
			if err := json.Unmarshal(a.body, &c); a.status != 200 || err != nil || c.From != from || c.To != to {
				t.Fatalf("%d to %d: %d %s", from, to, a.status, a.body)
			}
			hashes := make([]chain.Hash, len(c.Hashes))
			for i, h := range c.Hashes {
				hashes[i] = chain.Hash(h)
			}
			if err := proof.CheckConsistency(from, root(from), to, root(to), hashes); err != nil {
				t.Errorf("%d to %d: %v", from, to, err)
			}
			if !strings.Contains(a.header.Get("Cache-Control"), "immutable") {
				t.Errorf("Cache-Control %q", a.header.Get("Cache-Control"))
			}
		}
	}
	a := s.do("GET", "/v1/consistency?from=1")
	var c Consistency
	if err := json.Unmarshal(a.body, &c); err != nil || c.To != size || strings.Contains(a.header.Get("Cache-Control"), "immutable") {
		t.Errorf("to the last one: %s, Cache-Control %q", a.body, a.header.Get("Cache-Control"))
	}
	if _, err := l.Consistency(1, size+1); !errors.Is(err, ledger.ErrNotFound) {
		t.Error(err)
	}
	if _, err := l.Inclusion(size, size); !errors.Is(err, ledger.ErrNotFound) {
		t.Error(err)
	}
}
