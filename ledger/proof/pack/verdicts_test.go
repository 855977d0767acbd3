package pack_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"annals/ledger/chain"
	"annals/ledger/proof"
	"annals/ledger/proof/pack"
	"annals/ledger/proof/prooftest"
)

// parts are a pack's files as what they say, to be changed.
type parts struct {
	About      pack.About
	Checkpoint string
	Keys       *proof.KeyHistory
	Head       *proof.HeadAnswer
	Lines      []proof.Line
	Erasures   []proof.Line
	VKey       string
	others     []pack.File
}

func taken(t *testing.T, files []pack.File, vkey string) *parts {
	t.Helper()
	b := &parts{VKey: vkey}
	for _, f := range files {
		var err error
		switch f.Name {
		case pack.Manifest:
			err = json.Unmarshal(f.Data, &b.About)
		case pack.Note:
			b.Checkpoint = string(f.Data)
		case pack.Keys:
			b.Keys, err = proof.ParseKeyHistory(f.Data)
		case pack.Head:
			b.Head, err = proof.ParseHeadAnswer(f.Data)
		case pack.Entries:
			for l, err := range pack.ReadLines(bytes.NewReader(f.Data)) {
				if err != nil {
					t.Fatal(err)
				}
				b.Lines = append(b.Lines, l)
			}
		case pack.Erasures:
			for raw := range bytes.Lines(f.Data) {
				l, err := proof.ParseLine(raw)
				if err != nil {
					t.Fatal(err)
				}
				b.Erasures = append(b.Erasures, l)
			}
		default:
			b.others = append(b.others, f)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// files are the parts, printed again.
func (b *parts) files(t *testing.T) []pack.File {
	t.Helper()
	var lines bytes.Buffer
	for i := range b.Lines {
		if err := pack.WriteLine(&lines, &b.Lines[i]); err != nil {
			t.Fatal(err)
		}
	}
	others := slices.Clone(b.others)
	if len(b.Erasures) > 0 {
		var erasures bytes.Buffer
		for i := range b.Erasures {
			if err := pack.WriteLine(&erasures, &b.Erasures[i]); err != nil {
				t.Fatal(err)
			}
		}
		others = append(others, pack.File{Name: pack.Erasures, Data: erasures.Bytes()})
	}
	return append(others,
		pack.File{Name: pack.Manifest, Data: printed(t, &b.About)}, pack.File{Name: pack.Note, Data: []byte(b.Checkpoint)},
		pack.File{Name: pack.Keys, Data: printed(t, b.Keys)}, pack.File{Name: pack.Head, Data: printed(t, b.Head)},
		pack.File{Name: pack.Entries, Data: lines.Bytes()})
}

// spoil breaks something of the bundle at random, and says what.
func spoil(l *prooftest.Ledger, b *parts, r *rand.Rand) string {
	flip := func(bytes []byte) {
		if len(bytes) > 0 {
			bytes[r.IntN(len(bytes))] ^= 1 << r.IntN(8)
		}
	}
	if len(b.Lines) == 0 {
		return "nothing"
	}
	i := r.IntN(len(b.Lines))
	line := &b.Lines[i]
	resign := func(change func(h *proof.WorkspaceHead)) {
		h := l.Head("ws_1", l.Size())
		change(&h)
		b.Head.Head = string(l.Sign(h.Text(), "heads"))
	}
	ways := []struct {
		name string
		do   func()
	}{
		{"entry", func() { flip(line.Entry) }},
		{"entry's header", func() { flip(line.Entry[:208]) }},
		{"first entry", func() { flip(b.Lines[0].Entry) }},
		{"last entry", func() { flip(b.Lines[len(b.Lines)-1].Entry) }},
		{"entry cut", func() { line.Entry = line.Entry[:r.IntN(len(line.Entry))] }},
		{"entry longer", func() { line.Entry = append(line.Entry, 0) }},
		{"line out", func() { b.Lines = slices.Delete(b.Lines, i, i+1) }},
		{"lines swapped", func() { j := r.IntN(len(b.Lines)); b.Lines[i], b.Lines[j] = b.Lines[j], b.Lines[i] }},
		{"line twice", func() { b.Lines = slices.Insert(b.Lines, r.IntN(len(b.Lines)), *line) }},
		{"line over another", func() { b.Lines[r.IntN(len(b.Lines))] = *line }},
		{"end cut", func() { b.Lines = b.Lines[:i+1] }},
		{"line's index", func() { line.Index += uint64(r.IntN(3)) }},
		{"salt", func() { flip(line.Salt) }},
		{"envelope", func() { flip(line.Envelope) }},
		{"body", func() { flip(line.Body) }},
		{"payload out", func() { line.Salt, line.Envelope, line.Body = nil, nil, nil }},
		{"proof", func() {
			if len(line.Proof) > 0 {
				flip(line.Proof[r.IntN(len(line.Proof))][:])
			}
		}},
		{"proof shorter", func() { line.Proof = line.Proof[:max(0, len(line.Proof)-1)] }},
		{"claimed first", func() { b.About.First = uint64(r.IntN(len(b.Lines))) }},
		{"claimed last", func() { b.About.Last += uint64(r.IntN(5)) }},
		{"claimed payloads", func() { b.About.Payloads += uint64(r.IntN(3)) }},
		{"claimed tag", func() { flip(b.About.Tag[:]) }},
		{"claimed origin", func() { b.About.Origin += "x" }},
		{"claimed workspace", func() { b.About.Workspace = "ws_2" }},
		{"checkpoint", func() {
			c := []byte(b.Checkpoint)
			flip(c)
			b.Checkpoint = strings.ToValidUTF8(string(c), "x")
		}},
		{"checkpoint of the heads key", func() { b.Checkpoint = string(l.Sign(textOf(b.Checkpoint), "heads")) }},
		{"checkpoints differ", func() { b.Keys.Checkpoint = string(l.Checkpoint(l.Size() - 1)) }},
		{"head", func() { b.Head.Head = strings.Replace(b.Head.Head, "\n", "0\n", 2) }},
		{"head's count", func() { resign(func(h *proof.WorkspaceHead) { h.Count += uint64(r.IntN(4)) - 2 }) }},
		{"head's leaf", func() { resign(func(h *proof.WorkspaceHead) { flip(h.Leaf[:]) }) }},
		{"head's index", func() { resign(func(h *proof.WorkspaceHead) { h.Index-- }) }},
		{"head's size", func() { resign(func(h *proof.WorkspaceHead) { h.Size += uint64(r.IntN(2)) }) }},
		{"older head", func() { h := l.Head("ws_1", l.Size()-2); b.Head.Head = string(l.Sign(h.Text(), "heads")) }},
		{"head of another", func() { h := l.Head("ws_2", l.Size()); b.Head.Head = string(l.Sign(h.Text(), "heads")) }},
		{"head by another key", func() { b.Head.Head = string(l.Sign(textOf(b.Head.Head), "checkpoint")) }},
		{"head's checkpoint", func() { b.Head.Checkpoint = string(l.Checkpoint(l.Size() - 1)) }},
		{"mark's row", func() { b.Head.Mark.Count++ }},
		{"mark's map", func() { b.Head.Mark.MapSize++ }},
		{"mark's receipt", func() { b.Head.Mark.Receipt = string(l.Receipt(1, l.Size(), false).Text()) }},
		{"mark's proof", func() { flip(b.Head.Mark.MapProof[0][:]) }},
		{"genesis", func() { flip(b.Keys.Genesis.Entry) }},
		{"genesis's proof", func() { flip(b.Keys.Genesis.Proof[0]) }},
		{"keys", func() { b.Keys.Keys = b.Keys.Keys[1:] }},
		{"another vkey", func() { b.VKey = prooftest.VKeyOf(l.Settled.Origin, "nobody") }},
		{"vkey of another ledger", func() { b.VKey = prooftest.VKeyOf("other.example", "checkpoint") }},
	}
	way := ways[r.IntN(len(ways))]
	way.do()
	return way.name
}

func textOf(note string) string { return note[:strings.LastIndex(note, "\n\n")+1] }

// TestVerdictsAgree breaks packs at random, one to three things at once, and has
// verify.py and the code judge them. They share the pages and no line of code, and
// must find the same, at the same entries.
func TestVerdictsAgree(t *testing.T) {
	var packs []brought
	var did []string
	for seed := range uint64(110) {
		r := rand.New(rand.NewPCG(seed, 4))
		l := prooftest.Random(200+seed%4, 50, 3)
		count := l.Head("ws_1", l.Size()).Count
		clean := written(t, contents(t, l, "ws_1", l.Size(), uint64(r.IntN(3)), count-1-uint64(r.IntN(2)), third))
		b := taken(t, unzipped(t, clean), l.VKey())
		var ways []string
		for range 1 + r.IntN(2)*r.IntN(3) {
			ways = append(ways, spoil(l, b, r))
		}
		packs, did = append(packs, brought{b.files(t), b.VKey}), append(did, strings.Join(ways, ", "))
	}
	agree(t, packs, did)
}

// TestVerdictsOnBytes breaks the bytes of one file, so that it may be no JSON at all.
func TestVerdictsOnBytes(t *testing.T) {
	l := prooftest.Random(4, 40, 3)
	clean := unzipped(t, written(t, contents(t, l, "ws_1", l.Size(), 0, l.Head("ws_1", l.Size()).Count-1, third)))
	judgedFiles := []string{pack.Manifest, pack.Note, pack.Keys, pack.Head, pack.Entries}
	var packs []brought
	var did []string
	for seed := range uint64(90) {
		r := rand.New(rand.NewPCG(seed, 5))
		files := slices.Clone(clean)
		name := judgedFiles[r.IntN(len(judgedFiles))]
		at := slices.IndexFunc(files, func(f pack.File) bool { return f.Name == name })
		data := slices.Clone(files[at].Data)
		i := r.IntN(len(data))
		switch r.IntN(5) {
		case 0:
			data[i] ^= 1 << r.IntN(8)
		case 1:
			data[i] = "\"{}[]:,09AZaz+/=\n\\ "[r.IntN(19)]
		case 2:
			data = slices.Delete(data, i, min(len(data), i+1+r.IntN(60)))
		case 3:
			data = slices.Insert(data, i, data[i:min(len(data), i+1+r.IntN(60))]...)
		default:
			data = data[:i]
		}
		files[at].Data = data
		packs, did = append(packs, brought{files, l.VKey()}), append(did, fmt.Sprintf("%s from %q on", name, data[min(i, len(data)):min(i+40, len(data))]))
	}
	agree(t, packs, did)
}

// agree compares what verify.py and the code find in packs.
func agree(t *testing.T, packs []brought, did []string) {
	t.Helper()
	for i, j := range verifyAll(t, packs) {
		r := verdict(t, zipped(t, packs[i].files), packs[i].vkey)
		code := []string{}
		for _, f := range r.Findings {
			code = append(code, named(f.Finding, f.Index))
		}
		if !slices.Equal(code, j.names()) {
			t.Errorf("pack %d, spoilt: %s\nverify.py finds %q\nthe code finds  %q\n%+v\n%+v", i, did[i], j.names(), code, j.Findings, r.Findings)
		}
	}
}

// third picks every third payload of those that were kept.
func third(l *chain.Leaf) bool { return l.Entry.Position%3 == 0 && l.Payload != nil }
