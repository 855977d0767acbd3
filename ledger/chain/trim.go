package chain

import (
	"bytes"
	"fmt"
	"math"
	"slices"
)

// Trim is a control statement that lets the beginning of the stream go: every
// message up to and including Through. It is written before anything is removed,
// so that what is gone was said to go, and names the replicas that had folded
// more than that, each with how far it was.
//
// Its condition is where the slowest of them stood: the size of its ledger, and
// the root there. A replica of another history rejects it.
type Trim struct {
	Epoch   uint32 // which stream
	Through uint64 // the last sequence that goes
	// Replicas are the named ones, ascending by name, no name twice.
	Replicas []ReplicaPosition
}

// ReplicaPosition says up to which sequence a replica had durably folded.
type ReplicaPosition struct {
	Name     Hash // what [ReplicaName] gives
	Sequence uint64
}

// maxTrimReplicas is how many rows their count, of one byte, allows.
const maxTrimReplicas = math.MaxUint8

// ReplicaName is what stands for a replica's name in a trim: entries are shown
// to third parties, names of machines need not be.
func ReplicaName(ledger Hash, name string) Hash {
	return sum("annals/replica/v1\x00", ledger[:], []byte(name))
}

// Least returns the sequence that the slowest replica had folded; 0 when none is
// named.
func (t *Trim) Least() uint64 {
	if len(t.Replicas) == 0 {
		return 0
	}
	least := uint64(math.MaxUint64)
	for _, r := range t.Replicas {
		least = min(least, r.Sequence)
	}
	return least
}

// most returns the sequence that the fastest replica had folded.
func (t *Trim) most() uint64 {
	most := uint64(0)
	for _, r := range t.Replicas {
		most = max(most, r.Sequence)
	}
	return most
}

// Append appends the trim's body to dst.
func (t *Trim) Append(dst []byte) []byte {
	dst = be32(dst, t.Epoch)
	dst = be64(dst, t.Through)
	dst = append(dst, byte(len(t.Replicas)))
	for _, r := range t.Replicas {
		dst = append(dst, r.Name[:]...)
		dst = be64(dst, r.Sequence)
	}
	return dst
}

// ParseTrim parses exactly what [Trim.Append] prints of a trim that keeps its own
// rules: replicas are named, in order, and each keeps the message that it folded
// last, by which it knows its stream again.
func ParseTrim(body []byte) (Trim, error) {
	c := cursor{b: body}
	t := Trim{Epoch: c.u32(), Through: c.u64()}
	for range c.u8() {
		t.Replicas = append(t.Replicas, ReplicaPosition{Name: c.hash(), Sequence: c.u64()})
	}
	if !c.done() {
		return t, malformed("trim of %d bytes", len(body))
	}
	for i := range t.Replicas {
		if i > 0 && bytes.Compare(t.Replicas[i-1].Name[:], t.Replicas[i].Name[:]) >= 0 {
			return t, malformed("trim: replica %s is out of order", t.Replicas[i].Name)
		}
	}
	switch {
	case len(t.Replicas) == 0:
		return t, malformed("trim: no replica is named")
	case t.Through >= t.Least():
		return t, malformed("trim: up to message %d, but a replica had folded no more than %d", t.Through, t.Least())
	}
	return t, nil
}

// SealTrim frames and signs a trim as the body of a control message. size and
// root are where the slowest replica stood. The replicas may come in any order; it
// panics on more than 255.
func SealTrim(ledger Hash, control, size uint64, root Hash, t Trim, signers ...Signer) []byte {
	if len(t.Replicas) > maxTrimReplicas {
		panic("chain: a trim names at most 255 replicas")
	}
	t.Replicas = slices.SortedFunc(slices.Values(t.Replicas), func(a, b ReplicaPosition) int {
		return bytes.Compare(a.Name[:], b.Name[:])
	})
	return SealControl(Statement{
		Ledger: ledger, Number: control, Type: ControlTrim,
		Size: size, Root: root, Body: t.Append(nil),
	}, nil, signers...)
}

// Reaches returns the stream sequence up to which every message has all its
// entries once e stands: its own where e is the last of its message, else the one
// before. A gap reaches as far as it admits.
func (e *Entry) Reaches() uint64 {
	if e.Kind == KindGap {
		if g, err := e.Gap(); err == nil {
			return g.Last
		}
	}
	if e.Place+1 < e.Count {
		return e.Sequence - 1
	}
	return e.Sequence
}

// trim lets messages go.
func (s *State) trim(st *Statement) error {
	t, err := ParseTrim(st.Body)
	switch {
	case err != nil:
		return err
	case t.Epoch != s.Epoch:
		return fmt.Errorf("it trims epoch %d in epoch %d", t.Epoch, s.Epoch)
	case t.Through <= s.Trimmed:
		return fmt.Errorf("it lets messages go up to %d, but they went up to %d", t.Through, s.Trimmed)
	case t.most() > s.Sequence:
		return fmt.Errorf("it says that a replica has folded message %d, but %d is the last", t.most(), s.Sequence)
	}
	s.Trimmed = t.Through
	return nil
}
