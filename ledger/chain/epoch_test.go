package chain_test

import (
	"bytes"
	"errors"
	"testing"

	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
)

// TestEpochs is docs/format/control.md's section on epochs, a line each. Each is
// tried as the first message of a stream that counts anew, and of one that goes on
// counting: there it can't be told from a message of the old stream, and is a
// rejection where it doesn't hold.
func TestEpochs(t *testing.T) {
	type trial struct {
		l       *chaintest.Log
		start   chain.EpochStart
		number  uint64
		size    uint64
		root    chain.Hash
		ledger  chain.Hash
		private []byte
		body    []byte // instead of the start's
		signer  chain.Signer
	}
	for _, c := range []struct {
		name   string
		change func(*trial)
		want   string // "" is accepted
	}{
		{"as it should be", func(*trial) {}, ""},
		{"why, in words", func(c *trial) { c.private = []byte("a disk died") }, ""},
		{"a stream of another name", func(c *trial) { c.start.Stream = "X" }, ""},
		{"why, in words", func(c *trial) { c.private = []byte("the disk is gone") }, ""},

		{"the same epoch", func(c *trial) { c.start.Epoch = 0 }, "control_body"},
		{"an epoch too far", func(c *trial) { c.start.Epoch = 2 }, "control_body"},
		{"a message that was not folded", func(c *trial) { c.start.Last++ }, "control_body"},
		{"a message was folded that it doesn't know", func(c *trial) { c.start.Last-- }, "control_body"},
		{"another place than its own", func(c *trial) { c.start.First++ }, "control_body"},
		{"no stream", func(c *trial) { c.start.Stream = "" }, "control_body"},
		{"made before 1970", func(c *trial) { c.start.Created = -1 }, "control_body"},
		{"a byte too many", func(c *trial) { c.body = append(c.start.Append(nil), 0) }, "control_body"},
		{"a byte too few", func(c *trial) { b := c.start.Append(nil); c.body = b[:len(b)-1] }, "control_body"},
		{"no body", func(c *trial) { c.body = []byte{} }, "control_body"},

		{"no condition", func(c *trial) { c.size, c.root = 0, chain.Hash{} }, "control_condition"},
		{"another history", func(c *trial) { c.root[0] ^= 1 }, "control_condition"},
		{"an earlier state", func(c *trial) { c.size--; c.root, _ = c.l.At(c.size) }, "control_condition"},
		{"a state to come", func(c *trial) { c.size++ }, "control_condition"},

		{"signed by the root", func(c *trial) { c.signer = chaintest.Signer("root") }, "control_signature"},
		{"signed by the ledger", func(c *trial) { c.signer = chaintest.Signer("keeper") }, "control_signature"},
		{"signed by a stranger", func(c *trial) { c.signer = chaintest.Signer("stranger") }, "control_signature"},
		{"another ledger", func(c *trial) { c.ledger[0] ^= 1 }, "control_ledger"},
		{"replayed", func(c *trial) { c.number-- }, "control_number"},
		{"overtaken", func(c *trial) { c.number++ }, "control_number"},
	} {
		for _, first := range []uint64{1, 4, 100} {
			s, l := keyed(t, "epochs")
			root, _ := l.At(3)
			trial := &trial{
				l: l, number: s.Control, size: 3, root: root, ledger: s.ID, signer: s.Operator,
				start: chain.EpochStart{Epoch: 1, Last: 3, First: first, Stream: "ANNALS_1", Created: chaintest.Start},
			}
			c.change(trial)
			if trial.body == nil {
				trial.body = trial.start.Append(nil)
			}
			s.Next = first
			s.Publish("annals.control.epoch", string(chain.SealControl(chain.Statement{
				Ledger: trial.ledger, Number: trial.number, Type: chain.ControlEpoch, Size: trial.size, Root: trial.root, Body: trial.body,
			}, trial.private, trial.signer)))
			m := s.Messages[3]
			checked := l.State.CheckEpoch(&m, root)
			var refused *chain.ControlError
			if (checked == nil) != (c.want == "") || checked != nil && !errors.As(checked, &refused) {
				t.Errorf("%s, at %d: the check says %v", c.name, first, checked)
			}
			if err := chain.CheckControl(&l.State, m.Body); err != nil && c.want == "" || err == nil && c.want == "control_body" && c.name != "another place than its own" {
				t.Errorf("%s: the check of the body says %v", c.name, err)
			}
			err := l.Fold(s.Messages[3:], oneByOne)
			got := outcome(&l.Entries[len(l.Entries)-1].Entry)
			var sequence *chain.SequenceError
			switch {
			case c.want == "":
				if err != nil || got != "control 0/1 epoch" || l.State.Epoch != 1 || l.State.Sequence != first {
					t.Errorf("%s, at %d: %s, epoch %d, sequence %d, %v", c.name, first, got, l.State.Epoch, l.State.Sequence, err)
				}
			case first == 4:
				if err != nil || got != "rejection 0/1 "+c.want {
					t.Errorf("%s: %s, want a rejection, %s (%v)", c.name, got, c.want, err)
				}
			case !errors.As(err, &sequence) || !errors.As(err, &refused) || len(l.Entries) != 3:
				t.Errorf("%s, at %d: %d entries, %v", c.name, first, len(l.Entries), err)
			default:
				if name, _ := chain.Reason(uint16(refused.Code)); name != c.want {
					t.Errorf("%s, at %d: %s, want %s", c.name, first, name, c.want)
				}
			}
		}
	}
}

// TestEpochBeginsByItsMessageAlone: of a new stream nothing else is folded first,
// and nothing of the old stream after it.
func TestEpochBeginsByItsMessageAlone(t *testing.T) {
	s, l := keyed(t, "begins")
	root, _ := l.At(3)
	var wrong *chain.SequenceError
	for _, subject := range []string{"activity.ws_7.app.renamed", "annals.control.seed", "annals.control.epoch"} {
		m := chain.Message{Subject: subject, Sequence: 1, Time: s.Now, Body: []byte("x")}
		if err := l.Fold([]chain.Message{m}, oneByOne); !errors.As(err, &wrong) || len(l.Entries) != 3 {
			t.Errorf("%s of another stream: %v", subject, err)
		}
	}
	// A control message that is good in all else is no exception.
	seed := chain.SealSeed(s.ID, s.Control, s.Seeds, chaintest.Secret("x"), s.Keeper)
	for _, sequence := range []uint64{3, 5} {
		m := chain.Message{Subject: "annals.control.seed", Sequence: sequence, Time: s.Now, Body: seed}
		if err := l.Fold([]chain.Message{m}, oneByOne); !errors.As(err, &wrong) || len(l.Entries) != 3 {
			t.Errorf("a seed at message %d: %v", sequence, err)
		}
	}
	// What was prepared before the epoch is prepared anew: its salt is another.
	late := l.State.Preparer().Prepare(chain.Message{Subject: "activity.ws_7.app.renamed", Sequence: 8, Time: s.Now, Body: []byte("{}")})
	s.Begin(3, root, 7)
	if got := next(t, l, s); got != "control 0/1 epoch" {
		t.Fatal(got)
	}
	if r, err := l.State.Fold([]chain.Prepared{late}, chain.Known{Heads: l.Heads}); !errors.Is(err, chain.ErrStale) || len(r.Entries) > 0 {
		t.Errorf("prepared in the old epoch: %v", err)
	}
	for _, sequence := range []uint64{4, 7, 9} {
		m := chain.Message{Subject: "activity.ws_7.app.renamed", Sequence: sequence, Time: s.Now, Body: []byte("{}")}
		if err := l.Fold([]chain.Message{m}, oneByOne); !errors.As(err, &wrong) {
			t.Errorf("message %d after 7: %v", sequence, err)
		}
	}
	s.Record("ws_7", "after", "1")
	if got := next(t, l, s); got != "record 0/1 asserted" {
		t.Errorf("the next record: %s", got)
	}
	e := &l.Entries[len(l.Entries)-1]
	if e.Entry.Epoch != 1 || e.Payload.Salt != chain.Salt(l.State.Secret, s.ID, 1, 8, 0) {
		t.Errorf("it is of epoch %d, its salt %s", e.Entry.Epoch, e.Payload.Salt)
	}
	begun := &l.Entries[3]
	if begun.Entry.Epoch != 1 || begun.Payload.Salt != chain.Salt(l.State.Secret, s.ID, 1, 7, 0) {
		t.Errorf("the epoch's entry is of epoch %d, its salt %s", begun.Entry.Epoch, begun.Payload.Salt)
	}
	at, last := l.State.Position(), s.Messages[len(s.Messages)-1]
	if at != (chain.Position{Epoch: 1, Sequence: 8, Digest: last.Digest()}) {
		t.Errorf("position %+v", at)
	}
	if l.State.SeedSequence != 7 || l.State.Trimmed != 0 || l.State.ControlSequence != 7 {
		t.Errorf("seed since %d, trimmed to %d, last control message %d", l.State.SeedSequence, l.State.Trimmed, l.State.ControlSequence)
	}
}

// TestEpochNeedsToKnow: without the root the fold stops rather than guess.
func TestEpochNeedsToKnow(t *testing.T) {
	s, l := keyed(t, "unknown")
	root, _ := l.At(3)
	s.Begin(3, root, 1)
	p := l.State.Preparer().Prepare(s.Messages[3])
	if r, err := l.State.Fold([]chain.Prepared{p}, chain.Known{Heads: l.Heads}); !errors.Is(err, chain.ErrUnknown) || len(r.Entries) > 0 {
		t.Errorf("%d entries, %v", len(r.Entries), err)
	}
	if size, needed := p.Condition(); size != 3 || !needed {
		t.Errorf("it needs the root at %d: %v", size, needed)
	}
}

// TestTrimsOfAnEpoch: a new stream is trimmed by what was folded of it alone.
func TestTrimsOfAnEpoch(t *testing.T) {
	s, l := keyed(t, "trims")
	for range 6 {
		s.Record("ws_7", "", "1")
		next(t, l, s)
	}
	root, _ := l.At(9)
	s.Trim(9, root, 8, map[string]uint64{"a": 9})
	if got := next(t, l, s); got != "control 0/1 trim" {
		t.Fatal(got)
	}
	old, _ := l.At(9)
	root, _ = l.At(10)
	s.Begin(10, root, 5)
	next(t, l, s)
	for range 5 {
		s.Record("ws_7", "", "1")
		next(t, l, s)
	}
	s.Trim(9, old, 4, map[string]uint64{"a": 9}) // entry 8 reaches message 9, of the old stream
	if got := next(t, l, s); got != "rejection 0/1 control_condition" {
		t.Errorf("a state before the epoch: %s", got)
	}
	before, _ := l.At(10)
	s.Trim(10, before, 4, map[string]uint64{"a": 10}) // the epoch's own message is entry 10
	if got := next(t, l, s); got != "rejection 0/1 control_condition" {
		t.Errorf("the state before the epoch's message: %s", got)
	}
	now, _ := l.At(16)
	s.Epoch = 0
	s.Trim(16, now, 8, map[string]uint64{"a": 10})
	if got := next(t, l, s); got != "rejection 0/1 control_body" {
		t.Errorf("the old stream: %s", got)
	}
	s.Epoch = 1
	s.Trim(16, now, 6, map[string]uint64{"a": 10})
	if got := next(t, l, s); got != "control 0/1 trim" || l.State.Trimmed != 6 {
		t.Errorf("less than went of the old stream: %s, up to %d", got, l.State.Trimmed)
	}
}

func FuzzParseEpochStart(f *testing.F) {
	e := chain.EpochStart{Epoch: 1, Last: 2, First: 3, Stream: "S", Created: 4}
	f.Add(e.Append(nil))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := chain.ParseEpochStart(b)
		if err == nil && !bytes.Equal(got.Append(nil), b) {
			t.Errorf("%x parses and prints as %x", b, got.Append(nil))
		}
		if err != nil && !errors.Is(err, chain.ErrMalformed) {
			t.Errorf("%x: %v", b, err)
		}
	})
}
