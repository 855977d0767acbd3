package proof

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	tlogproof "github.com/transparency-dev/formats/proof"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
)

// issuer is a ledger in memory that signs and gives receipts, as a server does.
type issuer struct {
	*memory
	origin string
	signer note.Signer
	vkey   string
}

const issuedOrigin = "annals.example/receipts"

func issue(t testing.TB, m *memory) *issuer {
	t.Helper()
	seed := chaintest.Secret("checkpoint key")
	private := ed25519.NewKeyFromSeed(seed[:])
	vkey := VKey(issuedOrigin, noteEd25519, private.Public().(ed25519.PublicKey))
	id := strings.Split(vkey, "+")[1]
	signer, err := note.NewSigner("PRIVATE+KEY+" + issuedOrigin + "+" + id + "+" +
		base64.StdEncoding.EncodeToString(append([]byte{noteEd25519}, seed[:]...)))
	if err != nil {
		t.Fatal(err)
	}
	return &issuer{memory: m, origin: issuedOrigin, signer: signer, vkey: vkey}
}

func (s *issuer) checkpoint(t testing.TB, size uint64) []byte {
	t.Helper()
	leaves := make([]chain.Hash, size)
	for i := range leaves {
		leaves[i] = chain.LeafHash(s.rows[i].raw)
	}
	c := Checkpoint{Origin: s.origin, Size: size, Root: rootOf(leaves)}
	n, err := note.Sign(&note.Note{Text: c.Text()}, s.signer)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// receipt is of an entry, at a size.
func (s *issuer) receipt(t testing.TB, index, size uint64, payload bool) *Receipt {
	t.Helper()
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(at []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(at))
		for i := range at {
			out[i] = stored[at[i]]
		}
		return out, nil
	})
	for i := range size {
		h, err := tlog.StoredHashesForRecordHash(int64(i), tlog.Hash(chain.LeafHash(s.rows[i].raw)), reader)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, h...)
	}
	p, err := tlog.ProveRecord(int64(size), int64(index), reader)
	if err != nil {
		t.Fatal(err)
	}
	leaf := chain.Leaf{Raw: s.rows[index].raw, Entry: s.rows[index].entry(), Payload: s.rows[index].payload}
	if leaf.Entry.Kind == chain.KindDuplicate {
		original := chain.Leaf{Entry: s.rows[leaf.Entry.Ref].entry(), Payload: s.rows[leaf.Entry.Ref].payload}
		_, leaf.Original = original.Record()
	}
	r := NewReceipt(s.id(), &leaf, payload)
	for _, h := range p {
		r.Hashes = append(r.Hashes, chain.Hash(h))
	}
	r.Checkpoint = s.checkpoint(t, size)
	return r
}

func (s *issuer) ring(t testing.TB) *Keyring {
	t.Helper()
	ring, err := NewKeyring(s.vkey)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// TestReceipts gives a receipt of every entry of every kind, and reads it back.
func TestReceipts(t *testing.T) {
	s := issue(t, sample())
	ring := s.ring(t)
	seen := map[string]int{}
	for index := range s.head.Size {
		for _, payload := range []bool{true, false} {
			given := s.receipt(t, index, s.head.Size, payload)
			text := given.Text()
			r, err := ParseReceipt(text)
			if err != nil {
				t.Fatalf("entry %d: %v\n%s", index, err, text)
			}
			proven, err := r.Verify(ring)
			if err != nil {
				t.Fatalf("entry %d: %v", index, err)
			}
			e := &r.Entry
			if proven.Grade != Recorded || proven.Checkpoint.Size != s.head.Size || proven.Checkpoint.Root != s.head.Root || proven.Payload != (r.Payload != nil) {
				t.Errorf("entry %d: %+v", index, proven)
			}
			if !bytes.Equal(r.Raw, s.rows[index].raw) || e.Index != index {
				t.Errorf("entry %d: another entry came back", index)
			}
			kept := s.rows[index].payload
			system := e.Kind == chain.KindControl || kept != nil && strings.HasPrefix(kept.Subject(), "annals.control.")
			switch whole := payload && kept != nil && kept.Kept != chain.KeptNone && !system; {
			case whole != (r.Payload != nil):
				t.Errorf("%s entry %d: payload %v", e.Kind, index, r.Payload != nil)
			case system && (r.Salt != nil || r.Payload != nil):
				t.Errorf("%s entry %d shows a secret", e.Kind, index)
			case !system && kept != nil && r.Salt == nil:
				t.Errorf("%s entry %d has no salt", e.Kind, index)
			}
			seen[fmt.Sprint(e.Kind, r.Payload != nil)]++

			// Another implementation reads the same.
			var other tlogproof.TLogProof
			if len(text) < 48<<10 { // its scanner takes no longer lines
				if err := other.Unmarshal(text); err != nil || other.Index != index || !bytes.Equal(other.Checkpoint, r.Checkpoint) {
					t.Errorf("entry %d: formats/proof: %v", index, err)
				}
			}
		}
	}
	for _, want := range []string{"record true", "duplicate true", "conflict true", "rejection true", "rejection false", "control false", "record false"} {
		if seen[want] == 0 {
			t.Errorf("no receipt of %s: %v", want, seen)
		}
	}
}

// TestReceiptAltered changes every byte of receipts, in several ways. What still
// verifies proves nothing else than before.
func TestReceiptAltered(t *testing.T) {
	s := issue(t, sample())
	ring := s.ring(t)
	for _, kind := range []chain.Kind{chain.KindRecord, chain.KindDuplicate, chain.KindRejection} {
		index := uint64(s.first(kind, 4))
		for _, payload := range []bool{true, false} {
			given := s.receipt(t, index, s.head.Size, payload)
			text := given.Text()
			parsed, verified := 0, 0
			for at := range text {
				for _, change := range []byte{text[at] ^ 1, text[at] ^ 0x20, '\n', 'A', '=', 0} {
					if change == text[at] {
						continue
					}
					b := slices.Clone(text)
					b[at] = change
					r, err := ParseReceipt(b)
					if err != nil {
						continue
					}
					parsed++
					proven, err := r.Verify(ring)
					if err != nil {
						continue
					}
					verified++
					same := bytes.Equal(r.Raw, given.Raw) && r.Index == given.Index && proven.Checkpoint.Size == s.head.Size && proven.Checkpoint.Root == s.head.Root
					if same && proven.Payload {
						same = r.Ledger == given.Ledger && *r.Salt == *given.Salt && bytes.Equal(r.Payload.Envelope, given.Payload.Envelope) && bytes.Equal(r.Payload.Body, given.Payload.Body)
					}
					if !same || proven.Payload != (given.Payload != nil) {
						t.Fatalf("%s, byte %d: %q became %q, and verifies as something else:\n%s", kind, at, text[at], change, b)
					}
				}
			}
			if parsed == 0 {
				t.Error("no altered receipt parsed: nothing was tried")
			}
			t.Logf("%s, payload %v: %d parsed, %d verified", kind, payload, parsed, verified)
		}
	}
}

// TestReceiptMixed puts parts of one receipt into another.
func TestReceiptMixed(t *testing.T) {
	s := issue(t, sample())
	ring := s.ring(t)
	a := uint64(s.first(chain.KindRecord, 4))
	b := uint64(s.first(chain.KindRecord, int(a)+1))
	size := s.head.Size
	conflict := uint64(s.first(chain.KindConflict, 0))
	stranger := issue(t, newStranger())
	for name, c := range map[string]struct {
		change func(r *Receipt)
		want   error
	}{
		"another entry":           {func(r *Receipt) { o := s.receipt(t, b, size, true); r.Raw, r.Entry, r.Index = o.Raw, o.Entry, o.Index }, ErrProof},
		"another's proof":         {func(r *Receipt) { r.Hashes = s.receipt(t, b, size, true).Hashes }, ErrProof},
		"another size's tree":     {func(r *Receipt) { r.Checkpoint = s.checkpoint(t, size-3) }, ErrProof},
		"a tree before the entry": {func(r *Receipt) { r.Checkpoint = s.checkpoint(t, a) }, ErrProof},
		"an index of its own":     {func(r *Receipt) { r.Index++ }, ErrProof},
		"another ledger's tree":   {func(r *Receipt) { r.Checkpoint = stranger.checkpoint(t, size) }, ErrProof},
		"another's payload":       {func(r *Receipt) { o := s.receipt(t, b, size, true); r.Payload, r.Salt = o.Payload, o.Salt }, ErrCommitment},
		"another salt":            {func(r *Receipt) { r.Salt = &chain.Hash{1} }, ErrCommitment},
		"another ledger's id":     {func(r *Receipt) { r.Ledger[0] ^= 1 }, ErrCommitment},
		"a conflict's body":       {func(r *Receipt) { r.Payload.Body = s.rows[conflict].payload.Body }, ErrCommitment},
		"unsigned": {func(r *Receipt) {
			text, _, _ := bytes.Cut(r.Checkpoint, []byte("\n\n"))
			r.Checkpoint = append(slices.Clone(text), "\n\n"...)
		}, ErrNote},
	} {
		r := s.receipt(t, a, size, true)
		c.change(r)
		if proven, err := r.Verify(ring); !errors.Is(err, c.want) {
			t.Errorf("%s: %+v, %v, want %v", name, proven, err, c.want)
		}
	}
	other, err := NewKeyring(VKey(issuedOrigin, noteEd25519, publicOf("another")))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.receipt(t, a, size, true).Verify(other); !errors.Is(err, chain.ErrUnknownKey) {
		t.Errorf("by another key: %v", err)
	}
}

func publicOf(name string) ed25519.PublicKey {
	seed := chaintest.Secret(name)
	return ed25519.NewKeyFromSeed(seed[:]).Public().(ed25519.PublicKey)
}

// newStranger is another ledger, longer than the sample.
func newStranger() *memory {
	b := newBuilder("stranger")
	for i := range 80 {
		b.Record("ws_1", fmt.Sprint("x", i), "{}")
	}
	return b.done()
}

// TestReceiptPayload takes a payload out and puts it in again.
func TestReceiptPayload(t *testing.T) {
	s := issue(t, sample())
	index := uint64(s.first(chain.KindRecord, 4))
	kept := s.rows[index].payload
	bare := s.receipt(t, index, s.head.Size, true).WithoutPayload()
	if r, err := ParseReceipt(bare.Text()); err != nil || r.Payload != nil || *r.Salt != kept.Salt {
		t.Fatalf("%+v, %v", r, err)
	}
	whole, err := bare.WithPayload(chain.Envelope(kept.Subject(), nil), kept.Body)
	if err != nil {
		t.Fatal(err)
	}
	if proven, err := whole.Verify(s.ring(t)); err != nil || !proven.Payload {
		t.Errorf("%+v, %v", proven, err)
	}
	if _, err := bare.WithPayload(kept.Envelope, append(slices.Clone(kept.Body), ' ')); !errors.Is(err, ErrCommitment) {
		t.Errorf("other bytes: %v", err)
	}
	if _, err := bare.WithPayload(chain.Envelope("activity.ws_99.app.renamed", nil), kept.Body); !errors.Is(err, ErrCommitment) {
		t.Errorf("another subject: %v", err)
	}
	bare.Salt = nil
	if _, err := bare.WithPayload(kept.Envelope, kept.Body); err == nil {
		t.Error("compared without a salt")
	}
}
