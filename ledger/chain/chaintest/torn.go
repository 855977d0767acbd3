package chaintest

import (
	"fmt"

	"annals/ledger/chain"
)

// Torn is a stream with everything that keys, epochs and gaps bring: changes of
// keys between records, lost messages, a notice that is rejected where it stands
// and another in its stead, and two streams that were made anew. A reader needs
// [Log.Follow], or what does the same.
func Torn() *Stream {
	s := NewKeyed("torn")
	t := &tearing{Stream: s}
	t.records(3)
	fresh := Signer("fresh")
	s.ChangeKeys(chain.KeyChange{
		Removed: []chain.Hash{s.Keeper.Public(0).ID()}, Added: []chain.Key{fresh.Public(chain.RoleLedger), MLDSA("torn")},
	}, "the old one was on a lost machine", s.Root, s.Keeper)
	s.Keeper = fresh
	t.records(2)
	s.Seed()
	t.records(2)
	size, root := t.stands()
	s.Next += 2 // two messages are lost
	t.records(2)
	s.Gap(size, root, s.Next-4, s.Next-3)
	t.records(1)
	size, root = t.stands()
	s.Begin(size, root, 5)
	t.records(3)
	size, root = t.stands()
	s.Next++
	second := Signer("second operator")
	s.ChangeKeys(chain.KeyChange{
		Reason: chain.Revocation, Removed: []chain.Hash{s.Operator.Public(0).ID()}, Added: []chain.Key{second.Public(chain.RoleOperator)},
	}, "", s.Root)
	s.Gap(size, root, s.Next-2, s.Next-2) // by a key that is gone where the notice stands
	s.Control--
	s.Operator = second
	s.Gap(size, root, s.Next-3, s.Next-3) // so it is admitted again
	s.Trim(size, root, 6, map[string]uint64{"a": 8})
	size, root = t.stands()
	s.Begin(size, root, s.Next) // the new stream goes on counting
	s.Seed()
	t.records(4)
	return s
}

// tearing is a torn stream in the making, folded as far as it goes.
type tearing struct {
	*Stream
	log  *Log
	done int // messages folded
}

func (t *tearing) records(n int) {
	for range n {
		t.Record(fmt.Sprint("ws_", len(t.Messages)%3), fmt.Sprint(len(t.Messages)), "1")
	}
}

// stands is where the ledger is that the messages so far make.
func (t *tearing) stands() (size uint64, root chain.Hash) {
	l := t.folded()
	root, _ = l.At(l.State.Size)
	return l.State.Size, root
}

// folded is the ledger that the messages so far make. It grows with the stream.
func (t *tearing) folded() *Log {
	if t.log == nil {
		t.log, _ = NewLog(t.Messages[0]) // whose genesis is our own
	}
	if err := t.log.Follow(t.Messages[t.done:], func(left int) int { return left }); err != nil {
		panic(err)
	}
	t.done = len(t.Messages)
	return t.log
}

// MLDSA is an ML-DSA-44 public key in form, 1,312 bytes that a name stands for.
// Nobody can sign with it.
func MLDSA(name string) chain.Key {
	var public []byte
	for i := 0; len(public) < 1312; i++ {
		part := Secret(fmt.Sprint(name, i))
		public = append(public, part[:]...)
	}
	return chain.Key{Algorithm: chain.AlgorithmMLDSA44, Public: public, Roles: chain.RoleCheckpoint}
}
