package chain_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
)

// trimmable is a stream of ten messages, folded: a genesis, a seed, eight
// records. Its size, root and sequence are what a trim may speak of.
func trimmable(t testing.TB) (*chaintest.Stream, *chaintest.Log) {
	t.Helper()
	s := chaintest.New("trim")
	for i := range 7 {
		s.Record("ws_7", fmt.Sprint(i), "1")
	}
	s.Publish("activity.ws_7._", `{"type":"app.renamed","actor":{"id":"a"}}`+"\n"+`{"type":"app.renamed","actor":{"id":"b"}}`,
		"Content-Type", chain.NDJSON)
	l := newLog(t, s.Messages[0])
	if err := l.Fold(s.Messages, allAtOnce); err != nil {
		t.Fatal(err)
	}
	return s, l
}

// TestTrims is docs/format/control.md's table, a line each.
func TestTrims(t *testing.T) {
	stranger := signerOf(t, "stranger")
	type trial struct {
		s       *chaintest.Stream
		l       *chaintest.Log
		size    uint64
		root    chain.Hash
		trim    chain.Trim
		body    []byte // instead of the trim's
		private []byte
		signer  chain.Signer
	}
	row := func(c *trial, name string, sequence uint64) chain.ReplicaPosition {
		return chain.ReplicaPosition{Name: chain.ReplicaName(c.s.ID, name), Sequence: sequence}
	}
	at := func(c *trial, size uint64) { c.size = size; c.root, _ = c.l.At(size) }
	for _, c := range []struct {
		name   string
		change func(*trial)
		want   string // "" is accepted
	}{
		{"as the replica stood", func(*trial) {}, ""},
		{"at an earlier size", func(c *trial) { at(c, 7); c.trim.Replicas[0].Sequence = 7 }, ""},
		{"all but the last message of the slowest", func(c *trial) { c.trim.Through = 9 }, ""},
		{"a faster replica beside", func(c *trial) {
			at(c, 7)
			c.trim.Replicas = []chain.ReplicaPosition{row(c, "a", 7), row(c, "b", 10)}
		}, ""},
		{"in the middle of a message", func(c *trial) { at(c, 10); c.trim.Replicas[0].Sequence = 9 }, ""},

		{"nothing", func(c *trial) { c.trim.Through = 0 }, "control_body"},
		{"the slowest's last message too", func(c *trial) { c.trim.Through = 10 }, "control_body"},
		{"beyond the slowest", func(c *trial) {
			at(c, 5)
			c.trim.Replicas = []chain.ReplicaPosition{row(c, "a", 5), row(c, "b", 10)}
			c.trim.Through = 6
		}, "control_body"},
		{"no replica", func(c *trial) { c.trim.Replicas = nil }, "control_body"},
		{"a replica twice", func(c *trial) {
			c.trim.Replicas = []chain.ReplicaPosition{row(c, "a", 10), row(c, "a", 10)}
		}, "control_body"},
		{"another epoch", func(c *trial) { c.trim.Epoch = 1 }, "control_body"},
		{"a replica ahead of the trim", func(c *trial) {
			c.trim.Replicas = []chain.ReplicaPosition{row(c, "a", 10), row(c, "b", 11)}
		}, "control_body"},
		{"a private part", func(c *trial) { c.private = []byte("x") }, "control_body"},
		{"a byte too many", func(c *trial) { c.body = append(c.trim.Append(nil), 0) }, "control_body"},
		{"a byte too few", func(c *trial) { c.body = c.trim.Append(nil)[:50] }, "control_body"},
		{"an empty body", func(c *trial) { c.body = []byte{} }, "control_body"},
		{"replicas out of order", func(c *trial) {
			c.trim.Replicas = []chain.ReplicaPosition{{Name: chain.Hash{2}, Sequence: 10}, {Name: chain.Hash{1}, Sequence: 10}}
			c.body = c.trim.Append(nil)
		}, "control_body"},

		{"no condition", func(c *trial) { c.size, c.root = 0, chain.Hash{} }, "control_condition"},
		{"another history", func(c *trial) { c.root[0] ^= 1 }, "control_condition"},
		{"a size to come", func(c *trial) { c.size++ }, "control_condition"},
		{"another size's root", func(c *trial) { at(c, 7); c.size = 10 }, "control_condition"},
		{"a size that reaches less", func(c *trial) { at(c, 9) }, "control_condition"},
		{"a size that reaches half a message", func(c *trial) { at(c, 10) }, "control_condition"},
		{"a size that reaches more", func(c *trial) { c.trim.Replicas[0].Sequence = 8 }, "control_condition"},
		{"the empty ledger", func(c *trial) { c.size, c.root = 0, chain.Hash{1} }, "control_condition"},

		{"the root's key", func(c *trial) { c.signer = c.s.Root }, "control_signature"},
		{"a stranger's key", func(c *trial) { c.signer = stranger }, "control_signature"},
	} {
		s, l := trimmable(t)
		trial := &trial{s: s, l: l, signer: s.Keeper}
		at(trial, l.State.Size)
		trial.trim = chain.Trim{Through: 5, Replicas: []chain.ReplicaPosition{row(trial, "a", 10)}}
		c.change(trial)
		body := chain.SealTrim(s.ID, s.Control, trial.size, trial.root, trial.trim, trial.signer)
		if trial.body != nil || trial.private != nil {
			if trial.body == nil {
				trial.body = trial.trim.Append(nil)
			}
			body = chain.SealControl(chain.Statement{
				Ledger: s.ID, Number: s.Control, Type: chain.ControlTrim, Size: trial.size, Root: trial.root, Body: trial.body,
			}, trial.private, trial.signer)
		}
		s.Publish("annals.control.trim", string(body))
		if err := l.Fold(s.Messages[10:], oneByOne); err != nil {
			t.Errorf("%s: the fold stops: %v", c.name, err)
			continue
		}
		got, trimmed := outcome(&l.Entries[len(l.Entries)-1].Entry), uint64(0)
		want := "rejection 0/1 " + c.want
		if c.want == "" {
			want, trimmed = "control 0/1 trim", trial.trim.Through
		}
		if got != want || l.State.Trimmed != trimmed {
			t.Errorf("%s: %s, trimmed up to %d; want %s, up to %d", c.name, got, l.State.Trimmed, want, trimmed)
		}
	}
}

func signerOf(t testing.TB, name string) chain.Signer {
	t.Helper()
	seed := chaintest.Secret(name)
	signer, err := chain.NewSigner(seed[:])
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// TestTrimsRise: a trim to where the last one went, or before it, is rejected; it
// uses up no number, and a stored state remembers.
func TestTrimsRise(t *testing.T) {
	s, l := trimmable(t)
	size := l.State.Size
	root, _ := l.At(size)
	for _, c := range []struct {
		through uint64
		want    string
	}{
		{5, "control 0/1 trim"}, {5, "rejection 0/1 control_body"}, {4, "rejection 0/1 control_body"}, {6, "control 0/1 trim"}, {9, "control 0/1 trim"},
	} {
		s.Trim(size, root, c.through, map[string]uint64{"a": 10})
		if err := l.Fold(s.Messages[len(s.Messages)-1:], oneByOne); err != nil {
			t.Fatal(err)
		}
		if got := outcome(&l.Entries[len(l.Entries)-1].Entry); got != c.want {
			t.Errorf("up to %d: %s, want %s", c.through, got, c.want)
		}
		s.Control = l.State.Control // a rejected one uses up no number
		first, _, err := chain.OpenGenesis(&s.Messages[0])
		if err != nil {
			t.Fatal(err)
		}
		again, err := first.Resume(l.State.Append(nil), func(uint32) ([32]byte, error) { return l.State.Secret, nil })
		if err != nil || again.Trimmed != l.State.Trimmed {
			t.Errorf("a stored state is trimmed up to %d (%v), want %d", again.Trimmed, err, l.State.Trimmed)
		}
	}
	if l.State.Trimmed != 9 {
		t.Errorf("trimmed up to %d, want 9", l.State.Trimmed)
	}
}

// TestTrimNeedsToKnow: a fold that was not told what the trim's size reaches stops,
// rather than give an entry that another replica doesn't.
func TestTrimNeedsToKnow(t *testing.T) {
	s, l := trimmable(t)
	size := l.State.Size
	root, _ := l.At(size)
	s.Trim(size, root, 5, map[string]uint64{"a": 10})
	p := l.State.Preparer().Prepare(s.Messages[10])
	for _, known := range []chain.Known{{Heads: l.Heads}, {Heads: l.Heads, Roots: map[uint64]chain.Hash{size: root}}} {
		if r, err := l.State.Fold([]chain.Prepared{p}, known); !errors.Is(err, chain.ErrUnknown) || len(r.Entries) > 0 {
			t.Errorf("%d entries, %v", len(r.Entries), err)
		}
	}
}

// TestHaltingTypes: of the types that have a number, those that are built are
// folded and every other one stops the fold.
func TestHaltingTypes(t *testing.T) {
	built := map[chain.ControlType]bool{
		chain.ControlGenesis: true, chain.ControlSeed: true, chain.ControlMark: true, chain.ControlTrim: true,
		chain.ControlKey: true, chain.ControlEpoch: true, chain.ControlGap: true, chain.ControlErase: true,
		chain.ControlExpire: true, chain.ControlRetention: true, chain.ControlHold: true, chain.ControlRelease: true, chain.ControlCatalogue: true, chain.ControlFold: true, chain.ControlTimestamp: true,
	}
	for typ := range chain.ControlType(20) {
		s := chaintest.New("halt")
		s.Publish("annals.control.x", string(chain.SealControl(chain.Statement{Ledger: s.ID, Number: s.Control, Type: typ}, nil, s.Keeper, s.Root)))
		l := newLog(t, s.Messages[0])
		err := l.Fold(s.Messages, oneByOne)
		var halt *chain.HaltError
		if halts := errors.As(err, &halt); halts == built[typ] || !halts && err != nil {
			t.Errorf("type %d: %v", typ, err)
		}
	}
}

// TestTrimVectors is the worked example of docs/format/control.md: a trim that two
// replicas bear, what is rejected after it, and a record that follows.
func TestTrimVectors(t *testing.T) {
	s := chaintest.New("trim vectors")
	for i := range 6 {
		s.Record("ws_7", fmt.Sprint(i), "1")
	}
	l := newLog(t, s.Messages[0])
	if err := l.Fold(s.Messages, oneByOne); err != nil {
		t.Fatal(err)
	}
	root, _ := l.At(7)
	replicas := map[string]uint64{"a": 8, "b": 7}
	s.Trim(7, root, 5, replicas)
	s.Trim(7, root, 5, replicas) // again: nothing more goes
	s.Control--
	s.Trim(7, root, 7, replicas) // b's last message
	s.Control--
	s.Trim(8, root, 6, replicas) // another size's root
	s.Control--
	s.Record("ws_7", "6", "1")
	if err := l.Fold(s.Messages[8:], oneByOne); err != nil {
		t.Fatal(err)
	}
	published(t, "trim.json", vectorsOf(t, s, l, "ws_7"))

	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "format", "control.md"))
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := l.Entries[8].Entry.Control()
	if err != nil {
		t.Fatal(err)
	}
	example := strings.Join(strings.Fields(string(page)), "") // it stands there in lines
	for name, b := range map[string][]byte{
		"body": parsed.Statement.Body, "ledger id": s.ID[:], "root": root[:], "statement": parsed.Statement.Append(nil),
	} {
		if !strings.Contains(example, hex.EncodeToString(b)) {
			t.Errorf("docs/format/control.md lacks the example's %s: %x", name, b)
		}
	}
}

func FuzzParseTrim(f *testing.F) {
	s := chaintest.New("fuzz")
	trim := chain.Trim{Epoch: 1, Through: 2, Replicas: []chain.ReplicaPosition{{Name: chain.ReplicaName(s.ID, "a"), Sequence: 3}}}
	f.Add(trim.Append(nil))
	trim.Replicas = append(trim.Replicas, chain.ReplicaPosition{Name: chain.Hash{0xff}, Sequence: 1 << 63})
	f.Add(trim.Append(nil))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := chain.ParseTrim(b)
		if err == nil && string(got.Append(nil)) != string(b) {
			t.Errorf("%x parses and prints as %x", b, got.Append(nil))
		}
		if err == nil && got.Through >= got.Least() {
			t.Errorf("%x lets go of what a replica folded last", b)
		}
	})
}
