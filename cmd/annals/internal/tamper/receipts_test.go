package tamper_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	"annals/cmd/annals/internal/reconcile"
	"annals/ingest"
	"annals/ledger"
	"annals/ledger/chain"
	"annals/ledger/proof"

	"golang.org/x/mod/sumdb/tlog"
)

// receipting is one way to tamper with a receipt that a producer kept, or to give it
// one that is a lie.
type receipting struct {
	name string
	// do changes what the receipt says, text how it is written.
	do   func(g *given)
	text func(b []byte) []byte
	// alone is what `annals receipt` finds with the key history at hand, and held what
	// `annals reconcile` makes of its claim.
	alone proof.Finding
	held  reconcile.Verdict
	// unseen says why the receipt alone doesn't show it.
	unseen string
}

// given is a receipt with what it is of.
type given struct {
	*proof.Receipt
	honest *book
	leaf   int
}

// receiptOf is the receipt of an entry in a book's whole tree, signed by the key in
// force.
func receiptOf(b *book, index int, payload bool) *proof.Receipt {
	leaf := chain.Leaf{Entry: b.rows[index].entry(), Raw: b.rows[index].raw, Payload: b.rows[index].payload}
	r := proof.NewReceipt(b.id, &leaf, payload)
	path, err := tlog.ProveRecord(int64(len(b.rows)), int64(index), b.stored())
	if err != nil {
		panic(err)
	}
	for _, h := range path {
		r.Hashes = append(r.Hashes, chain.Hash(h))
	}
	r.Checkpoint = b.checkpoint()
	return r
}

// checkpointed puts another checkpoint under the receipt.
func checkpointed(of func(g *given) []byte) func(g *given) {
	return func(g *given) { g.Checkpoint = of(g) }
}

// lineOf changes the lines of a receipt's text.
func lineOf(do func(l []string) []string) func(b []byte) []byte {
	return func(b []byte) []byte { return []byte(strings.Join(do(strings.Split(string(b), "\n")), "\n")) }
}

func receiptings() []receipting {
	const keyHolder = "whoever holds the ledger's key signs what they like; it shows against the ledger"
	flipped := func(h *chain.Hash) { h[3] ^= 1 }
	return []receipting{
		{name: "as it was given", alone: proof.Clean, held: reconcile.Satisfied},
		{name: "without its payload", do: func(g *given) { g.Receipt = g.WithoutPayload() }, alone: proof.Clean, held: reconcile.Satisfied},
		{name: "its index changed", do: func(g *given) { g.Index++ }, alone: proof.Inconclusive, held: reconcile.Satisfied},
		{name: "its entry's bytes changed", do: func(g *given) { g.Raw = bytes.Clone(g.Raw); g.Raw[120] ^= 1 }, alone: proof.RootMismatch, held: reconcile.Satisfied},
		{name: "another entry in its entry's place", do: func(g *given) { g.Raw = g.honest.rows[g.leaf-1].raw }, alone: proof.Inconclusive, held: reconcile.Satisfied},
		{name: "its entry's kind changed", do: func(g *given) { g.Raw = bytes.Clone(g.Raw); g.Raw[4] = 99 }, alone: proof.Unsupported, held: reconcile.Satisfied},
		{name: "a hash of its proof changed", do: func(g *given) { flipped(&g.Hashes[1]) }, alone: proof.RootMismatch, held: reconcile.Satisfied},
		{name: "a hash of its proof taken out", do: func(g *given) { g.Hashes = g.Hashes[1:] }, alone: proof.RootMismatch, held: reconcile.Satisfied},
		{name: "a hash more in its proof", do: func(g *given) { g.Hashes = append(g.Hashes, chain.Hash{1}) }, alone: proof.RootMismatch, held: reconcile.Satisfied},
		{name: "two hashes of its proof swapped", do: func(g *given) { g.Hashes[0], g.Hashes[1] = g.Hashes[1], g.Hashes[0] }, alone: proof.RootMismatch, held: reconcile.Satisfied},
		{name: "its salt changed", do: func(g *given) { flipped(g.Salt); g.Payload.Salt = *g.Salt }, alone: proof.AlteredPayload, held: reconcile.Satisfied},
		{
			name: "its salt changed, without its payload", do: func(g *given) { g.Receipt = g.WithoutPayload(); flipped(g.Salt) },
			alone: proof.Clean, held: reconcile.Satisfied, unseen: "a salt is compared with nothing until the payload is put in, which then fails",
		},
		{name: "its body changed", do: func(g *given) { g.Payload.Body[0] ^= 1 }, alone: proof.AlteredPayload, held: reconcile.Satisfied},
		{name: "its envelope changed", do: func(g *given) { g.Payload.Envelope[9] ^= 1 }, alone: proof.AlteredPayload, held: reconcile.Satisfied},
		{name: "another ledger's id", do: func(g *given) { flipped(&g.Ledger) }, alone: proof.WrongLedger, held: reconcile.Contradicted},
		{name: "its checkpoint's signature flipped", do: checkpointed(func(g *given) []byte {
			note := bytes.Clone(g.Checkpoint)
			flip(note, len(note)-20)
			return note
		}), alone: proof.BadSignature, held: reconcile.Satisfied},
		{name: "its checkpoint's size changed", do: checkpointed(func(g *given) []byte {
			return bytes.Replace(g.Checkpoint, []byte("\n3"), []byte("\n2"), 1)
		}), alone: proof.BadSignature, held: reconcile.Satisfied},
		{name: "a later checkpoint of another root", do: checkpointed(func(g *given) []byte {
			return g.honest.signed(proof.Head{Size: uint64(len(g.honest.rows)), Root: chain.Hash{1}})
		}), alone: proof.RootMismatch, held: reconcile.Satisfied},
		{name: "a checkpoint from before its entry", do: checkpointed(func(g *given) []byte {
			size := g.leaf - 1
			return g.honest.signed(proof.Head{Size: uint64(size), Root: rootOf(g.honest.nodes[0][:size])})
		}), alone: proof.RootMismatch, held: reconcile.Satisfied},
		{name: "a checkpoint by a key that was rotated away", do: checkpointed(func(g *given) []byte {
			return sign(g.honest.origin, checkpointText(g.honest.origin, g.honest.head), checkpointKey)
		}), alone: proof.UnknownKey, held: reconcile.Satisfied},
		{name: "a checkpoint by a stranger's key", do: checkpointed(func(g *given) []byte {
			return sign(g.honest.origin, checkpointText(g.honest.origin, g.honest.head), strangerKey)
		}), alone: proof.UnknownKey, held: reconcile.Satisfied},
		{name: "a checkpoint of another origin", do: checkpointed(func(*given) []byte {
			return sign("annals.example/elsewhere", "annals.example/elsewhere\n9\n"+b64(make([]byte, 32))+"\n", checkpointKey)
		}), alone: proof.WrongLedger, held: reconcile.Contradicted},
		{name: "a web page in its checkpoint's place", do: checkpointed(func(*given) []byte { return []byte("<html>\n\n<p>Sign in\n") }), alone: proof.Inconclusive, held: reconcile.Satisfied},
		{name: "a line more before its index", text: lineOf(func(l []string) []string { return slices.Insert(l, 2, l[1]) }), alone: proof.Inconclusive, held: reconcile.Satisfied},
		{name: "a line more in its proof", text: lineOf(func(l []string) []string { return slices.Insert(l, 4, "x") }), alone: proof.Inconclusive, held: reconcile.Satisfied},
		{name: "its index with a leading zero", text: lineOf(func(l []string) []string {
			l[2] = strings.Replace(l[2], "index ", "index 0", 1)
			return l
		}), alone: proof.Inconclusive, held: reconcile.Satisfied},
		{name: "bytes behind it", text: func(b []byte) []byte { return append(b, "x\n"...) }, alone: proof.Inconclusive, held: reconcile.Satisfied},
		{name: "cut in half", text: func(b []byte) []byte { return b[:len(b)/2] }, alone: proof.Inconclusive, held: reconcile.Satisfied},
		{name: "another record's", do: func(g *given) { g.Receipt = receiptOf(g.honest, g.leaf-1, true) }, alone: proof.Clean, held: reconcile.Contradicted, unseen: "a receipt doesn't say whose it was to be; it shows against the claim"},
		{name: "another ledger's, of the same name and key", do: func(g *given) { g.Receipt = receiptOf(g.honest.other, g.leaf, true) }, alone: proof.WrongLedger, held: reconcile.Contradicted},
		{name: "of a history that was written anew with the real key", do: func(g *given) {
			b := g.honest.clone()
			e := b.rows[2].entry()
			e.Commitment[0] ^= 1
			b.rows[2].raw = e.Append(nil)
			b.relink(3, false)
			b.seal()
			g.Receipt = receiptOf(b, g.leaf, true)
		}, alone: proof.Clean, held: reconcile.Contradicted, unseen: keyHolder},
		{name: "of more entries than there are now", do: func(g *given) {
			g.Receipt = receiptOf(g.honest, g.leaf, true)
			b := g.honest.clone()
			b.rows = append(b.rows, b.rows[2])
			b.seal()
			g.Receipt = receiptOf(b, g.leaf, true)
		}, alone: proof.Clean, held: reconcile.Contradicted, unseen: keyHolder},
	}
}

// TestReceipts tampers with a receipt in each way, verifies it alone, and holds it
// against the honest ledger.
func TestReceipts(t *testing.T) {
	honest := base(t)
	ring := ringOf(t, honest)
	l := reconciler(t, honest, ring)
	for _, c := range receiptings() {
		index := middle(honest)
		for honest.rows[index].entry().Kind != chain.KindRecord || len(honest.rows[index-1].raw) != len(honest.rows[index].raw) || honest.rows[index-1].entry().Kind != chain.KindRecord {
			index++
		}
		g := &given{receiptOf(honest, index, true), honest, index}
		sum := sha256.Sum256(g.Payload.Body)
		claim := ingest.Claim{
			Stream: ingest.Stream, Sequence: g.Entry.Sequence, Place: g.Entry.Place,
			Workspace: strings.Split(g.Payload.Subject(), ".")[1], SHA256: hex.EncodeToString(sum[:]),
		}
		g.Payload = g.Payload.Clone()
		if c.do != nil {
			c.do(g)
		}
		text := g.Text()
		if c.text != nil {
			text = c.text(text)
		}
		if found, err := alone(text, ring); found != c.alone {
			t.Errorf("%s: alone %s (%v), want %s", c.name, found, err, c.alone)
		}
		item, err := l.Judge(t.Context(), &ingest.KeptClaim{Claim: claim, Receipt: text})
		if err != nil || item.Verdict != c.held {
			t.Errorf("%s: held against the ledger %s (%s), %v; want %s", c.name, item.Verdict, item.Detail, err, c.held)
		}
	}
}

// alone is what `annals receipt` finds.
func alone(text []byte, ring *proof.Keyring) (proof.Finding, error) {
	r, err := proof.ParseReceipt(text)
	if err == nil {
		_, err = r.Verify(ring)
	}
	return proof.FindingOf(err), err
}

// ringOf is the ring of every key that the book names, as its key history gives it.
func ringOf(t testing.TB, b *book) *proof.Keyring {
	t.Helper()
	d := (&tampering{insider: true}).tamper(b)
	h, err := proof.ParseKeyHistory(d.keys())
	if err != nil {
		t.Fatal(err)
	}
	ring, err := h.Verify(b.vkey())
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// reconciler is the ledger that `annals reconcile --data` reads.
func reconciler(t testing.TB, b *book, ring *proof.Keyring) *reconcile.Ledger {
	t.Helper()
	src, err := ledger.OpenForAudit("ledger", ledger.Options{FS: folder(t, b, nil), CacheSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = src.Close() })
	l := &reconcile.Ledger{Source: src, Ring: ring}
	if l.Checkpoint, err = ring.Open(b.checkpoint()); err != nil {
		t.Fatal(err)
	}
	l.Payload = l.Beside
	return l
}

// TestReceiptBeyondAHead: a receipt of an entry that a later signed head leaves out is
// one of two lies, and the two together prove it.
func TestReceiptBeyondAHead(t *testing.T) {
	honest := base(t)
	ring := ringOf(t, honest)
	d := (&tampering{insider: true}).tamper(honest)
	for behind, lies := range map[int]bool{0: false, 1: true, 2: true} {
		e := d.packOf(middle(honest))
		e.fewer = behind
		head, err := ring.OpenHead(e.head())
		if err != nil {
			t.Fatal(err)
		}
		last := -1
		for i := range honest.rows {
			if honest.rows[i].filed == e.tag {
				last = i
			}
		}
		r := receiptOf(honest, last, true)
		if _, err := r.Verify(ring); err != nil {
			t.Fatal(err)
		}
		if err := proof.Contradicts(r, &head); (err != nil) != lies {
			t.Errorf("a head that keeps %d entries quiet: %v", behind, err)
		}
	}
}

// printedReceipts is the receipts' table in Markdown.
func printedReceipts() string {
	var b strings.Builder
	var notes []string
	table := receiptings()
	fmt.Fprintf(&b, "| %d receipts | alone | against the ledger |\n|---|---|---|\n", len(table))
	for _, c := range table {
		mark := ""
		if c.unseen != "" {
			at := slices.Index(notes, c.unseen)
			if at < 0 {
				at, notes = len(notes), append(notes, c.unseen)
			}
			mark = fmt.Sprintf(" <sup>%c</sup>", 'a'+at)
		}
		fmt.Fprintf(&b, "| %s | %s%s | %s |\n", c.name, c.alone, mark, strings.ReplaceAll(string(c.held), "_", " "))
	}
	b.WriteString("\n")
	for i, why := range notes {
		fmt.Fprintf(&b, "- %c: %s.\n", 'a'+i, why)
	}
	b.WriteString("\n")
	return b.String()
}

// printedZips is the archives' table in Markdown.
func printedZips() string {
	var b strings.Builder
	table := zippings()
	fmt.Fprintf(&b, "| %d archives of a pack | verdict |\n|---|---|\n", len(table))
	for _, c := range table {
		fmt.Fprintf(&b, "| %s | %s |\n", c.name, c.want)
	}
	b.WriteString("\n")
	return b.String()
}
