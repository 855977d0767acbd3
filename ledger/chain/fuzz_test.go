package chain_test

import (
	"bytes"
	"testing"

	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
)

// FuzzParseEntry: the parser accepts exactly what the printer prints.
func FuzzParseEntry(f *testing.F) {
	for _, e := range foldGolden(f, allAtOnce).Entries {
		f.Add(e.Raw)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := chain.ParseEntry(b)
		if err == nil && !bytes.Equal(e.Append(nil), b) {
			t.Fatalf("parsed %x, prints %x", b, e.Append(nil))
		}
		_, _ = e.Gap()
	})
}

func FuzzParsePayload(f *testing.F) {
	for _, e := range foldGolden(f, allAtOnce).Entries {
		f.Add(e.Payload.Append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := chain.ParsePayload(b)
		if err == nil && !bytes.Equal(p.Append(nil), b) {
			t.Fatalf("parsed %x, prints %x", b, p.Append(nil))
		}
		leaf := chain.Leaf{Entry: chain.Entry{Kind: chain.KindRecord}, Payload: &p}
		_, _ = leaf.Record()
		_ = p.Headers()
	})
}

// FuzzControl covers the statement, the genesis and the mark: one input, each
// parser, the same rule.
func FuzzControl(f *testing.F) {
	s := chaintest.Golden()
	f.Add(s.Settled.Append(nil))
	mark := chain.Mark{Wall: 1, CosignedSize: 2}
	f.Add(mark.Append(nil))
	for _, e := range foldGolden(f, allAtOnce).Entries {
		if b, ok := e.Entry.TLV(chain.TagStatement); ok {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := chain.ParseStatement(b); err == nil && !bytes.Equal(s.Append(nil), b) {
			t.Fatalf("statement %x prints %x", b, s.Append(nil))
		}
		if g, err := chain.ParseGenesis(b); err == nil && !bytes.Equal(g.Append(nil), b) {
			t.Fatalf("genesis %x prints %x", b, g.Append(nil))
		}
		if m, err := chain.ParseMark(b); err == nil && !bytes.Equal(m.Append(nil), b) {
			t.Fatalf("mark %x prints %x", b, m.Append(nil))
		}
	})
}

// FuzzFold: the fold is total. Whatever a message holds, it becomes entries that
// parse, and the next good record follows.
func FuzzFold(f *testing.F) {
	for _, m := range chaintest.Golden().Messages {
		f.Add(m.Subject, "Content-Type", first(m.Header["Content-Type"]), m.Body)
	}
	f.Fuzz(func(t *testing.T, subject, name, value string, body []byte) {
		if len(subject) > 4096 { // NATS's own bound on a control line
			return
		}
		s := chaintest.New("fuzz")
		s.Publish(subject, string(body), name, value)
		s.Record("ws_1", "next", "1")
		l := newLog(t, s.Messages[0])
		if err := l.Fold(s.Messages, allAtOnce); err != nil {
			t.Fatalf("the fold stopped: %v", err)
		}
		last := l.Entries[len(l.Entries)-1].Entry
		if len(l.Entries) < 4 || last.Kind != chain.KindRecord || last.Sequence != 4 {
			t.Fatalf("%d entries, the last %s of message %d", len(l.Entries), last.Kind, last.Sequence)
		}
		for i := range l.Entries {
			if _, err := chain.ParseEntry(l.Entries[i].Raw); err != nil {
				t.Fatalf("entry %d: %v", i, err)
			}
		}
	})
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}
