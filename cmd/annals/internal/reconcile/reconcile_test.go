package reconcile

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"

	"annals/ingest"
	"annals/ledger"
	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
	"annals/ledger/proof"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/mod/sumdb/note"
)

const origin = "annals.example/reconcile"

// book is a ledger that signs, and what a producer kept of it.
type book struct {
	t      *testing.T
	stream *chaintest.Stream
	ledger *ledger.Ledger
	signer note.Signer
	ring   *proof.Keyring
}

func newBook(t *testing.T, name, key string) *book {
	t.Helper()
	return newBookOf(t, chaintest.New(name), key)
}

// newBookOf is a book of a stream's first two messages.
func newBookOf(t *testing.T, stream *chaintest.Stream, key string) *book {
	t.Helper()
	b := &book{t: t, stream: stream}
	seed := chaintest.Secret(key)
	vkey := proof.VKey(origin, 1, ed25519.NewKeyFromSeed(seed[:]).Public().(ed25519.PublicKey))
	var err error
	b.signer, err = note.NewSigner("PRIVATE+KEY+" + origin + "+" + strings.Split(vkey, "+")[1] + "+" + base64.StdEncoding.EncodeToString(append([]byte{1}, seed[:]...)))
	if err != nil {
		t.Fatal(err)
	}
	if b.ring, err = proof.NewKeyring(vkey); err != nil {
		t.Fatal(err)
	}
	b.ledger, err = ledger.Create("ledger", b.stream.Messages[0], b.stream.Messages[1], ledger.Options{FS: vfs.NewMem(), CacheSize: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.ledger.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func (b *book) record() {
	b.t.Helper()
	if err := b.ledger.Append(b.t.Context(), b.stream.Messages[b.ledger.Position().Sequence:]); err != nil {
		b.t.Fatal(err)
	}
	if err := b.ledger.Flush(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
}

func (b *book) checkpoint(size uint64) proof.Checkpoint {
	b.t.Helper()
	root, err := b.ledger.RootAt(size)
	if err != nil {
		b.t.Fatal(err)
	}
	c := proof.Checkpoint{Origin: origin, Size: size, Root: root}
	if c.Note, err = note.Sign(&note.Note{Text: c.Text()}, b.signer); err != nil {
		b.t.Fatal(err)
	}
	return c
}

// kept is the claim of a message's record, with its receipt at a size; 0: none.
func (b *book) kept(index, size uint64, payload bool) ingest.KeptClaim {
	b.t.Helper()
	leaf, _, err := b.ledger.Get(index)
	if err != nil {
		b.t.Fatal(err)
	}
	whole := proof.NewReceipt(b.ledger.ID(), &leaf, true)
	body := []byte(nil)
	if whole.Payload != nil {
		body = whole.Payload.Body
	}
	k := ingest.KeptClaim{Claim: ingest.Claim{
		Stream: ingest.Stream, Sequence: leaf.Entry.Sequence, Place: leaf.Entry.Place, Workspace: "ws_7", SHA256: digest(body),
	}}
	if size == 0 {
		return k
	}
	r := proof.NewReceipt(b.ledger.ID(), &leaf, payload)
	if r.Hashes, err = b.ledger.Inclusion(index, size); err != nil {
		b.t.Fatal(err)
	}
	r.Checkpoint = b.checkpoint(size).Note
	k.Receipt = r.Text()
	return k
}

func digest(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

// now is the ledger as it shows itself at a size, with what a liar changes.
func (b *book) now(size uint64, change func(*chain.Leaf)) *Ledger {
	b.t.Helper()
	src := b.ledger.Source()
	b.t.Cleanup(func() { src.Close() })
	c := b.checkpoint(size)
	l := &Ledger{Source: changed{src, change}, Checkpoint: c, Ring: b.ring}
	l.Payload = l.Beside
	return l
}

// changed is a source that shows something else.
type changed struct {
	proof.Source
	change func(*chain.Leaf)
}

func (c changed) Leaves(ctx context.Context, from, to uint64) iter.Seq2[chain.Leaf, error] {
	return func(yield func(chain.Leaf, error) bool) {
		for leaf, err := range c.Source.Leaves(ctx, from, to) {
			if err == nil && c.change != nil {
				e, _ := chain.ParseEntry(leaf.Raw)
				leaf.Entry = e
				c.change(&leaf)
			}
			if !yield(leaf, err) {
				return
			}
		}
	}
}

// TestVerdicts puts each verdict before the judge in every way that leads to it.
func TestVerdicts(t *testing.T) {
	b := newBook(t, "reconcile", "key")
	fork := newBook(t, "fork", "key") // of the same key: a ledger that was begun anew
	stranger := newBook(t, "reconcile", "another key")
	for _, l := range []*book{b, fork, stranger} {
		l.stream.Record("ws_7", "r1", `{"n":1}`)                                                                                                       // 2
		l.stream.Record("ws_7", "r1", `{"n":1}`)                                                                                                       // 3: a duplicate
		l.stream.Record("ws_7", "r1", `{"n":2}`)                                                                                                       // 4: a conflict
		l.stream.Publish("activity.ws_7._", "no\nlines\n", "Content-Type", chain.NDJSON)                                                               // 5, 6: rejections
		l.stream.Publish("activity.ws_7.app.renamed", strings.Repeat("x", chain.MaxBody+1))                                                            // 7: one that isn't kept
		l.stream.Publish("vouched.ws_7._", `{"door":{"grade":"anonymous","producer":""},"record":{"id":"v","type":"t","actor":{"type":"anonymous"}}}`) // 8
		for i := range 9 {
			l.stream.Record("ws_7", fmt.Sprint("more", i), "{}")
		}
		l.record()
	}
	size := b.ledger.Head().Size
	erase := func(index uint64) func(*chain.Leaf) {
		return func(leaf *chain.Leaf) {
			if leaf.Entry.Index == index {
				leaf.Payload = nil
			}
		}
	}
	with := func(k ingest.KeptClaim, change func(*ingest.KeptClaim)) ingest.KeptClaim {
		change(&k)
		return k
	}
	framed := with(b.kept(8, 0, false), func(k *ingest.KeptClaim) {
		k.SHA256 = digest([]byte(`{"id":"v","type":"t","actor":{"type":"anonymous"}}`))
	})
	other := digest([]byte("other bytes"))
	for _, c := range []struct {
		name   string
		kept   ingest.KeptClaim
		size   uint64
		change func(*chain.Leaf)
		want   Verdict
		kind   string
	}{
		{"a record, with a receipt", b.kept(2, 5, false), size, nil, Satisfied, "record"},
		{"a record, receipt and payload", b.kept(2, size, true), size, nil, Satisfied, "record"},
		{"a record, without", b.kept(2, 0, false), size, nil, Satisfied, "record"},
		{"a duplicate", b.kept(3, 7, true), size, nil, Satisfied, "duplicate"},
		{"a duplicate, without", b.kept(3, 0, true), size, nil, Satisfied, "duplicate"},
		{"a conflict", b.kept(4, 0, false), size, nil, Satisfied, "conflict"},
		{"a rejection", b.kept(5, 0, false), size, nil, Satisfied, "rejection"},
		{"the second line", b.kept(6, 9, false), size, nil, Satisfied, "rejection"},
		{"a rejection that wasn't kept", with(b.kept(7, 9, false), func(k *ingest.KeptClaim) { k.SHA256 = other }), size, nil, Satisfied, "rejection"},
		{"what a door framed", framed, size, nil, Satisfied, "record"},
		{"the last one", b.kept(size-1, 0, false), size, nil, Satisfied, "record"},

		{"withheld, with a receipt", b.kept(2, 5, true), size, erase(2), PayloadMissing, "record"},
		{"withheld, without", b.kept(2, 0, false), size, erase(2), PayloadMissing, "record"},
		{"a duplicate whose original is withheld", b.kept(3, 7, false), size, erase(2), PayloadMissing, "duplicate"},
		{"damaged receipt", with(b.kept(2, 5, true), func(k *ingest.KeptClaim) { k.Receipt = []byte("x") }), size, nil, Satisfied, "record"},

		{"beyond the checkpoint", b.kept(size-1, 0, false), size - 2, nil, Pending, ""},
		{"beyond the stream", with(b.kept(2, 0, false), func(k *ingest.KeptClaim) { k.Sequence = 999 }), size, nil, Pending, ""},
		{"half a message", b.kept(6, 0, false), 6, nil, Pending, ""},

		{"no such place", with(b.kept(2, 0, false), func(k *ingest.KeptClaim) { k.Place = 7 }), size, nil, NotRecorded, ""},
		{"before the first", with(b.kept(2, 0, false), func(k *ingest.KeptClaim) { k.Place, k.Sequence = 3, 1 }), size, nil, NotRecorded, ""},

		{"of other bytes", with(b.kept(2, 0, false), func(k *ingest.KeptClaim) { k.SHA256 = other }), size, nil, Contradicted, "record"},
		{"of other bytes, erased, by the receipt", with(b.kept(2, 5, true), func(k *ingest.KeptClaim) { k.SHA256 = other }), size, erase(2), Contradicted, "record"},
		{"another's receipt", with(b.kept(2, 5, false), func(k *ingest.KeptClaim) { k.Receipt = b.kept(4, 5, false).Receipt }), size, nil, Contradicted, "conflict"},
		{"another key's receipt", with(b.kept(2, 0, false), func(k *ingest.KeptClaim) { k.Receipt = stranger.kept(2, 5, false).Receipt }), size, nil, Satisfied, "record"},
		{"a fork's receipt", with(b.kept(2, 0, false), func(k *ingest.KeptClaim) { k.Receipt = fork.kept(2, 5, false).Receipt }), size, nil, Contradicted, "record"},
		{"a fork's receipt, of the same size", with(b.kept(2, 0, false), func(k *ingest.KeptClaim) { k.Receipt = fork.kept(2, size, false).Receipt }), size, nil, Contradicted, "record"},
		{"a shorter ledger", b.kept(2, size, false), size - 3, nil, Contradicted, "record"},
		{"an altered receipt", with(b.kept(2, 5, true), func(k *ingest.KeptClaim) {
			r, err := proof.ParseReceipt(k.Receipt)
			if err != nil {
				t.Fatal(err)
			}
			r.Payload.Body[0] ^= 1
			k.Receipt = r.Text()
		}), size, nil, Satisfied, "record"},
		{"an altered payload", b.kept(2, 5, false), size, func(leaf *chain.Leaf) {
			if leaf.Entry.Index == 2 {
				leaf.Payload = leaf.Payload.Clone()
				leaf.Payload.Body[0] ^= 1
			}
		}, Contradicted, "record"},
		{"another salt", b.kept(2, 5, false), size, func(leaf *chain.Leaf) {
			if leaf.Entry.Index == 2 {
				leaf.Payload = leaf.Payload.Clone()
				leaf.Payload.Salt[0] ^= 1
			}
		}, Contradicted, "record"},
		{"another entry in its place", b.kept(2, 0, false), size, func(leaf *chain.Leaf) {
			if leaf.Entry.Index == 2 {
				leaf.Entry.Grade = chain.GradeVerified
				leaf.Raw = leaf.Entry.Append(nil)
			}
		}, Contradicted, "record"},
	} {
		item, err := b.now(c.size, c.change).Judge(t.Context(), &c.kept)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if item.Verdict != c.want || item.Kind != c.kind {
			t.Errorf("%s: %s of a %q (%s), want %s of a %q", c.name, item.Verdict, item.Kind, item.Detail, c.want, c.kind)
		}
		if item.Verdict != Satisfied && item.Verdict != Erased && item.Detail == "" {
			t.Errorf("%s: %s, and nothing says why", c.name, item.Verdict)
		}
	}
}

// only is a ledger that erased one entry.
func only(index uint64) func(context.Context, string, *chain.Entry) (Erasure, error) {
	return func(_ context.Context, _ string, e *chain.Entry) (Erasure, error) {
		return Erasure{Found: e.Index == index, Index: 9}, nil
	}
}

// TestErasedPayloads: a payload that isn't shown was erased when an entry says so, and is
// missing otherwise, whoever says what.
func TestErasedPayloads(t *testing.T) {
	b := newBook(t, "erased", "key")
	for i := range 4 {
		b.stream.Record("ws_7", fmt.Sprint("r", i), "{}")
	}
	b.record()
	size := b.ledger.Head().Size
	failed := errors.New("no such tile")
	for _, c := range []struct {
		name   string
		erased func(context.Context, string, *chain.Entry) (Erasure, error)
		want   Verdict
		err    error
	}{
		{"by nobody", nil, PayloadMissing, nil},
		{"another one", only(3), PayloadMissing, nil},
		{"this one", only(2), Erased, nil},
		{"nobody knows", func(context.Context, string, *chain.Entry) (Erasure, error) { return Erasure{Found: true}, failed }, "", failed},
	} {
		for _, kept := range []ingest.KeptClaim{b.kept(2, 0, false), b.kept(2, size, false), b.kept(2, size, true)} {
			l := b.now(size, func(leaf *chain.Leaf) { leaf.Payload = nil })
			l.Erased = c.erased
			if item, err := l.Judge(t.Context(), &kept); item.Verdict != c.want || !errors.Is(err, c.err) {
				t.Errorf("%s: %s, %v (%s)", c.name, item.Verdict, err, item.Detail)
			}
		}
	}
}

// TestEpochs: the ledger goes on in a new stream, whose sequences begin anew. No
// claim of the old one makes a liar of it, and none of either is satisfied by the
// other's record.
func TestEpochs(t *testing.T) {
	b := newBookOf(t, chaintest.NewKeyed("epochs"), "key")
	for i := range 8 { // messages 3 to 10: entries 2 to 9
		b.stream.Record("ws_7", fmt.Sprint("old", i), "{}")
	}
	b.record()
	old := b.ledger.Head().Size
	var before []ingest.KeptClaim // without a receipt, with one, with the payload
	for index := uint64(2); index < old; index++ {
		before = append(before, b.kept(index, 0, false), b.kept(index, old, false), b.kept(index, old, true))
	}
	lost := before[6].Claim // acknowledged, and lost with the old stream
	at := func(sequence uint64, record string) ingest.KeptClaim {
		c := lost
		c.Sequence, c.SHA256 = sequence, digest([]byte(record))
		return ingest.KeptClaim{Claim: c}
	}
	root, err := b.ledger.RootAt(old)
	if err != nil {
		t.Fatal(err)
	}
	n := len(b.stream.Messages)
	b.stream.Begin(old, root, 1)
	for i := range 5 { // messages 2 to 6 of the new one: entries 11 to 15
		b.stream.Record("ws_7", fmt.Sprint("new", i), "{}")
	}
	if err := b.ledger.Append(t.Context(), b.stream.Messages[n:]); err != nil {
		t.Fatal(err)
	}
	if err := b.ledger.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	size := b.ledger.Head().Size
	judge := func(name string, kept ingest.KeptClaim, size uint64, change func(*chain.Leaf), want Verdict) {
		t.Helper()
		item, err := b.now(size, change).Judge(t.Context(), &kept)
		if err != nil || item.Verdict != want || (want != Satisfied && item.Detail == "") {
			t.Errorf("%s: %s (%s), %v; want %s", name, item.Verdict, item.Detail, err, want)
		}
	}
	for i, kept := range before {
		judge(fmt.Sprint("of the old stream, ", i), kept, size, nil, Satisfied)
	}
	for index := old + 1; index < size; index++ {
		judge("of the new one", b.kept(index, 0, false), size, nil, Satisfied)
		judge("of the new one, with a receipt", b.kept(index, size, true), size, nil, Satisfied)
	}
	// What the old stream had acknowledged and nobody read of it: the new one has
	// another record there, or none yet.
	judge("lost, and passed", at(4, "lost"), size, nil, NotRecorded)
	judge("lost, and not passed", at(9, "lost"), size, nil, Inconclusive)
	judge("beyond both", at(40, "lost"), size, nil, Inconclusive)
	judge("with the new stream's receipt", func() ingest.KeptClaim {
		k := at(4, "lost")
		k.Receipt = b.kept(old+3, size, false).Receipt // of message 4
		return k
	}(), size, nil, NotRecorded)
	judge("of the old stream, with the new stream's receipt", func() ingest.KeptClaim {
		k := before[3] // of message 4
		k.Receipt = b.kept(old+3, size, true).Receipt
		return k
	}(), size, nil, Satisfied)
	withhold := func(index uint64) func(*chain.Leaf) {
		return func(leaf *chain.Leaf) {
			if leaf.Entry.Index == index {
				leaf.Payload = nil
			}
		}
	}
	judge("withheld", before[3], size, withhold(3), PayloadMissing)
	judge("withheld, with a receipt", before[4], size, withhold(3), PayloadMissing)
	judge("altered", before[3], size, func(leaf *chain.Leaf) {
		if leaf.Entry.Index == 3 {
			leaf.Payload = leaf.Payload.Clone()
			leaf.Payload.Body[0] ^= 1
		}
	}, Contradicted)
	judge("of the old tree", before[3], old-1, nil, Satisfied)
	judge("signed, and shorter now", before[5], old-1, nil, Contradicted)
	l := b.now(size, withhold(3))
	l.Erased = only(3)
	for i, want := range []Verdict{Inconclusive, Erased, Erased} {
		if item, err := l.Judge(t.Context(), &before[3+i]); err != nil || item.Verdict != want {
			t.Errorf("erased, %d: %s (%s), %v", i, item.Verdict, item.Detail, err)
		}
	}
}

// TestStands: a signed gap stands for the messages that it covers.
func TestStands(t *testing.T) {
	gap := chain.Entry{Kind: chain.KindGap, Sequence: 5, Count: 1, Ref: chain.NoRef}
	if stands(&gap, 4, 0) != 1 || stands(&gap, 5, 3) != 0 || stands(&gap, 6, 0) != -1 {
		t.Error("a gap that covers one message stands elsewhere")
	}
	e := chain.Entry{Kind: chain.KindRecord, Sequence: 5, Place: 2, Count: 9, Ref: chain.NoRef}
	for _, c := range []struct {
		sequence uint64
		place    uint16
		want     int
	}{{5, 2, 0}, {5, 1, 1}, {5, 3, -1}, {4, 9, 1}, {6, 0, -1}} {
		if got := stands(&e, c.sequence, c.place); got != c.want {
			t.Errorf("place %d of message %d: %d, want %d", c.place, c.sequence, got, c.want)
		}
	}
}
