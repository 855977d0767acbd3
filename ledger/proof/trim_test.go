package proof

import (
	"fmt"
	"testing"

	"annals/ledger/chain"
)

// reached is the sequence that the first size entries reach.
func (b *builder) reached(size uint64) uint64 {
	if size == 0 {
		return 0
	}
	e := b.ledger.rows[size-1].entry()
	return e.Reaches()
}

// trim publishes a trim whose slowest replica stands at the sequence least.
func (b *builder) trim(least, through uint64, replicas map[string]uint64) {
	b.fold()
	size := b.sizes[least-1] // sequences count from 1
	b.Trim(size, rootOf(b.leaves[:size]), through, replicas)
	b.fold()
	b.Control = b.state.Control // a rejected one uses up no number
}

// TestTrimmedLedgers: an auditor needs no message of the stream, so a ledger whose
// stream was trimmed is clean, however far back its replicas stood.
func TestTrimmedLedgers(t *testing.T) {
	b := newBuilder("trimmed")
	for i := range 300 {
		b.Record(fmt.Sprint("w", i%5), fmt.Sprint(i), `{}`)
	}
	b.trim(20, 1, map[string]uint64{"a": 20, "b": 302})
	b.trim(100, 99, map[string]uint64{"a": 100})
	b.mark(nil)
	b.trim(303, 302, map[string]uint64{"a": 303, "b": 304, "c": 305})
	for i := range 20 {
		b.Record("w", fmt.Sprint("more", i), `{}`)
	}
	m := b.done()
	trims := 0
	for i := range m.rows {
		if e := m.rows[i].entry(); e.Kind == chain.KindControl && e.Code == uint16(chain.ControlTrim) {
			trims++
		}
	}
	if trims != 3 || b.state.Trimmed != 302 {
		t.Fatalf("%d trims up to %d, want 3 up to 302", trims, b.state.Trimmed)
	}
	for _, chunk := range []int{2, 4, 64, 1024} {
		mustBeClean(t, m, Options{Chunk: chunk})
		mustBeClean(t, m, Options{Chunk: chunk, EntriesOnly: true})
	}
}

// TestForgedTrims puts trims into a ledger that the fold would not have let in.
func TestForgedTrims(t *testing.T) {
	b := newBuilder("forged trims")
	for i := range 40 {
		b.Record(fmt.Sprint("w", i%3), fmt.Sprint(i), `{}`)
	}
	b.trim(12, 5, map[string]uint64{"a": 12})
	b.trim(42, 20, map[string]uint64{"a": 42, "b": 43})
	b.Record("w", "last", `{}`)
	m := b.done()
	const first, second = 42, 43
	// body changes what the second trim says, and signs it anew.
	body := func(change func(*chain.Trim)) func(*chain.Statement) {
		return func(s *chain.Statement) {
			trim, err := chain.ParseTrim(s.Body)
			if err != nil {
				t.Fatal(err)
			}
			change(&trim)
			s.Body = trim.Append(nil)
		}
	}
	same := func(*chain.Statement) {}
	cases := []struct {
		name string
		bad  *memory
		want Finding
	}{
		{"the same", m.restate(second, same, nil, b.Keeper), Clean},
		{"signed by a key without the role", m.restate(second, same, nil, b.Root), UnauthorisedControl},
		{"signed by nobody", m.restate(second, same, nil), UnauthorisedControl},
		{"with a secret", m.restate(second, same, []byte{1}, b.Keeper), UnauthorisedControl},
		{"signed for another ledger", m.restate(second, func(s *chain.Statement) { s.Ledger[0] ^= 1 }, nil, b.Keeper), WrongLedger},
		{"replayed", m.restate(second, func(s *chain.Statement) { s.Number-- }, nil, b.Keeper), UnauthorisedControl},
		{"without a condition", m.restate(second, func(s *chain.Statement) { s.Size, s.Root = 0, chain.Hash{} }, nil, b.Keeper), UnauthorisedControl},
		{"another root", m.restate(second, func(s *chain.Statement) { s.Root[0] ^= 1 }, nil, b.Keeper), UnauthorisedControl},
		{"of more than there is", m.restate(second, func(s *chain.Statement) { s.Size = 1000 }, nil, b.Keeper), UnauthorisedControl},
		{"nothing more goes", m.restate(second, body(func(x *chain.Trim) { x.Through = 5 }), nil, b.Keeper), UnauthorisedControl},
		{"less goes", m.restate(second, body(func(x *chain.Trim) { x.Through = 4 }), nil, b.Keeper), UnauthorisedControl},
		{"all that the slowest had", m.restate(second, body(func(x *chain.Trim) { x.Through = 42 }), nil, b.Keeper), MalformedEntry},
		{"no replica", m.restate(second, body(func(x *chain.Trim) { x.Replicas = nil }), nil, b.Keeper), MalformedEntry},
		{"another epoch", m.restate(second, body(func(x *chain.Trim) { x.Epoch = 1 }), nil, b.Keeper), UnauthorisedControl},
		{"a replica that was not there yet", m.restate(second, body(func(x *chain.Trim) {
			for i := range x.Replicas {
				if x.Replicas[i].Sequence == 43 {
					x.Replicas[i].Sequence = 44
				}
			}
		}), nil, b.Keeper), UnauthorisedControl},
		{"a slowest that was slower", m.restate(second, body(func(x *chain.Trim) {
			for i := range x.Replicas {
				if x.Replicas[i].Sequence == 42 {
					x.Replicas[i].Sequence = 41
				}
			}
		}), nil, b.Keeper), UnauthorisedControl},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for _, chunk := range []int{2, 8, 64} {
				at := second
				if c.want == Clean {
					at = -1
				}
				verdictAt(t, audit(t, c.bad, Options{Chunk: chunk}), c.want, at)
			}
		})
	}
	// The first one speaks of a size that is read again where chunks are small.
	slower := func(s *chain.Statement) {
		trim, _ := chain.ParseTrim(s.Body)
		trim.Replicas[0].Sequence--
		s.Body = trim.Append(nil)
	}
	for _, chunk := range []int{2, 64} {
		verdictAt(t, audit(t, m.restate(first, slower, nil, b.Keeper), Options{Chunk: chunk}), UnauthorisedControl, first)
	}
}
