package projections

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"iter"
	"syscall"
	"testing"
	"time"

	"annals/activity"
	"annals/ledger/chain"
)

// leaves is a ledger made by hand: well linked entries, whatever they hold.
type leaves struct {
	ledger chain.Hash
	leaves []chain.Leaf
	last   chain.Hash
}

// spec is what a test says of a leaf.
type spec struct {
	kind          chain.Kind
	grade         chain.Grade
	keys          bool   // the leaf comes with its keys
	workspace     string // "" is the system
	subject       string
	body          []byte // nil: the payload is erased
	ref           uint64 // duplicates and conflicts
	amends        *uint64
	original      []byte // duplicates: the record bytes of the original
	before, after []byte // duplicates
}

func newLeaves() *leaves { return newLeavesOf("a ledger") }

func newLeavesOf(name string) *leaves {
	id := chain.Hash(sha256.Sum256([]byte(name)))
	return &leaves{ledger: id, last: chain.FirstPrevious(id)}
}

// tagOf stands in for the HMAC that a ledger makes.
func tagOf(workspace string) chain.Hash {
	if workspace == "" {
		return chain.Hash{}
	}
	return sha256.Sum256([]byte("tag of " + workspace))
}

func (l *leaves) size() uint64 { return uint64(len(l.leaves)) }

// millis is when the entry of an index was recorded: 128 in a quarter of an hour,
// and after each thousand a night without any.
func millis(index uint64) int64 {
	return 1_700_000_000_000 + int64(index)*7031 + int64(index/1000)*7200_000
}

func (l *leaves) add(s spec) uint64 {
	index := l.size()
	e := chain.Entry{
		Kind: s.kind, Grade: s.grade, Index: index, Count: 1, Ref: chain.NoRef,
		ULID: chain.MakeULID(millis(index), 0, index), Sequence: index + 1,
		Previous: l.last, Workspace: tagOf(s.workspace),
	}
	if s.kind == chain.KindDuplicate || s.kind == chain.KindConflict {
		e.Ref = s.ref
	}
	if s.amends != nil {
		e.Ref = *s.amends
	}
	leaf := chain.Leaf{Entry: e, Raw: e.Append(nil), Original: s.original}
	if s.body != nil || s.original != nil {
		p := &chain.Payload{Envelope: envelopeOf(s.subject), Body: s.body, Before: s.before, After: s.after}
		if s.kind == chain.KindDuplicate {
			p.Kept, p.Body = chain.KeptAround, nil
		}
		leaf.Payload = p
	}
	if s.keys {
		leaf.Keys = new(activity.Keys)
		leaf.Hash = chain.LeafHash(leaf.Raw)
	}
	l.leaves = append(l.leaves, leaf)
	l.last = chain.LeafHash(leaf.Raw)
	return index
}

// envelopeOf prints an envelope without headers (docs/format/payload.md).
func envelopeOf(subject string) []byte {
	b := []byte{1}
	b = binary.BigEndian.AppendUint16(b, uint16(len(subject)))
	b = append(b, subject...)
	return append(b, 0, 0)
}

func (l *leaves) all() iter.Seq2[chain.Leaf, error] { return l.from(0, l.size()) }

// from yields the leaves [from, to), in buffers that it spoils at the next step,
// as the ledger's iterator may.
func (l *leaves) from(from, to uint64) iter.Seq2[chain.Leaf, error] {
	return func(yield func(chain.Leaf, error) bool) {
		for i := from; i < to; i++ {
			leaf := l.leaves[i]
			leaf.Raw = bytes.Clone(leaf.Raw)
			spoil := [][]byte{leaf.Raw}
			if leaf.Payload != nil {
				p := *leaf.Payload
				leaf.Payload = &p
				for _, b := range []*[]byte{&p.Envelope, &p.Body, &p.Before, &p.After, &leaf.Original} {
					*b = bytes.Clone(*b)
					spoil = append(spoil, *b)
				}
			}
			if leaf.Keys != nil {
				_, record := leaf.Record()
				leaf.Keys = new(activity.Keys)
				activity.Scan(record, leaf.Keys)
			}
			if !yield(leaf, nil) {
				return
			}
			for _, b := range spoil {
				for i := range b {
					b[i] = 0xaa
				}
			}
		}
	}
}

// cpuTime is the CPU time that this process has used.
func cpuTime(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
