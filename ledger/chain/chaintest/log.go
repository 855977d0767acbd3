package chaintest

import (
	"errors"

	"golang.org/x/mod/sumdb/tlog"

	"annals/ledger/chain"
)

// Log is a ledger in memory, enough to fold on.
type Log struct {
	State   chain.State
	Entries []chain.Folded
	Heads   map[chain.Hash]chain.Head

	first map[chain.Hash]uint64 // index of the first record, by dedupe key
	gone  map[uint64]uint64     // what was erased, and by which entry
	nodes nodes
}

// NewLog is the ledger before the first message of its stream.
func NewLog(first chain.Message) (*Log, error) {
	state, _, err := chain.OpenGenesis(&first)
	return &Log{State: state, Heads: map[chain.Hash]chain.Head{}, first: map[chain.Hash]uint64{}, gone: map[uint64]uint64{}}, err
}

// Fold folds messages that follow on one another, in batches that cut returns the
// lengths of. A control message is a batch by itself: its condition may speak of
// the state just before it.
func (l *Log) Fold(msgs []chain.Message, cut func(left int) int) error {
	for len(msgs) > 0 {
		n := min(cut(len(msgs)), len(msgs))
		preparer := l.State.Preparer()
		known := chain.Known{Heads: l.Heads, Roots: map[uint64]chain.Hash{}, Reached: map[uint64]uint64{}}
		var batch []chain.Prepared
		for i := 0; i < n; i++ {
			if msgs[i].Control() && i > 0 {
				n = i
				break
			}
			p := preparer.Prepare(msgs[i])
			for j := range p.Items {
				if key, ok := p.Items[j].Key(); ok {
					if at, known := l.first[key]; known {
						p.Items[j].Know(l.original(at))
					}
				}
			}
			batch = append(batch, p)
			if s, ok := p.Selects(); ok {
				l.tell(&known, &s)
			}
			if size, needed := p.Condition(); needed && size <= l.State.Size {
				known.Roots[size], known.Reached[size] = l.At(size)
			}
			if p.Control() {
				n = i + 1
			}
		}
		r, err := l.State.Fold(batch, known)
		l.take(&r)
		if err != nil {
			return err
		}
		msgs = msgs[n:]
	}
	return nil
}

// tell tells the fold what stands behind a selection.
func (l *Log) tell(known *chain.Known, s *chain.Selecting) {
	known.Selected, known.Holds = map[uint64]chain.Selected{}, map[uint64]chain.Hold{}
	for index := range chain.Indexes(s.Ranges) {
		if index >= uint64(len(l.Entries)) {
			break
		}
		e := &l.Entries[index]
		selected := e.Entry.Selected(e.Leaf)
		leaf := chain.Leaf{Entry: e.Entry, Payload: &e.Payload}
		_, selected.Gone = l.gone[index]
		selected.Type = leaf.Type()
		known.Selected[index] = selected
	}
	for _, h := range l.State.Holds().Of(s.Workspace) {
		known.Holds[h.At], _ = l.Entries[h.At].Entry.Hold()
	}
}

func (l *Log) take(r *chain.Result) {
	for i := range r.Entries {
		l.erase(&r.Entries[i].Entry)
	}
	for _, e := range r.Entries {
		if e.First {
			l.first[e.Key] = e.Entry.Index
		}
		added, err := tlog.StoredHashesForRecordHash(int64(e.Entry.Index), tlog.Hash(e.Leaf), l.nodes)
		if err != nil {
			panic(err)
		}
		l.nodes = append(l.nodes, added...)
	}
	l.Entries = append(l.Entries, r.Entries...)
	for tag, head := range r.Heads {
		l.Heads[tag] = head
	}
	l.State = r.State
}

// erase destroys what an entry erases, as a ledger does.
func (l *Log) erase(by *chain.Entry) {
	erase, ok := by.Erases()
	if !ok {
		return
	}
	for i := range l.Entries {
		e := &l.Entries[i].Entry
		if erase.Covers(e.Index) || e.Kind == chain.KindDuplicate && erase.Covers(e.Ref) {
			l.Entries[i].Payload, l.Entries[i].Original = chain.Payload{Kept: chain.KeptNone}, nil
			if _, already := l.gone[e.Index]; !already {
				l.gone[e.Index] = by.Index
			}
		}
	}
}

// Gone returns the index of the entry by which the payload of the entry at an index
// was erased.
func (l *Log) Gone(index uint64) (by uint64, ok bool) {
	by, ok = l.gone[index]
	return by, ok
}

// At returns the root of the first size entries, and the sequence they reach.
func (l *Log) At(size uint64) (root chain.Hash, sequence uint64) {
	if size > 0 {
		sequence = l.Entries[size-1].Entry.Reaches()
	}
	h, err := tlog.TreeHash(int64(size), l.nodes)
	if err != nil {
		panic(err)
	}
	return chain.Hash(h), sequence
}

// original is what the fold is told of the entry at an index.
func (l *Log) original(index uint64) chain.Original {
	if _, gone := l.Gone(index); gone {
		return chain.OriginalOf(index, nil)
	}
	return chain.OriginalOf(index, &l.Entries[index].Payload)
}

// Record returns the record bytes of the entry at an index, nil when they are erased.
func (l *Log) Record(index uint64) []byte {
	if _, gone := l.Gone(index); gone {
		return nil
	}
	e := &l.Entries[index]
	leaf := chain.Leaf{Entry: e.Entry, Payload: &e.Payload}
	_, record := leaf.Record()
	return record
}

// nodes is a tree's stored hashes, in tlog's order.
type nodes []tlog.Hash

func (n nodes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, at := range indexes {
		out[i] = n[at]
	}
	return out, nil
}

// ErrHole is [Log.Follow] at a hole that no message behind it admits.
var ErrHole = errors.New("a hole that nothing admits")

// Follow folds a stream as a replica reads it: at a hole it hands the fold the
// first later message that admits it, and goes on in another stream where an epoch
// begins.
func (l *Log) Follow(msgs []chain.Message, cut func(left int) int) error {
	for len(msgs) > 0 {
		if l.State.Size > 0 && msgs[0].Sequence > l.State.Sequence+1 && !l.begins(&msgs[0]) {
			if err := l.Fill(msgs); err != nil {
				return err
			}
			continue
		}
		n := 1
		for n < len(msgs) && msgs[n].Sequence == msgs[n-1].Sequence+1 {
			n++
		}
		if err := l.Fold(msgs[:n], cut); err != nil {
			return err
		}
		msgs = msgs[n:]
	}
	return nil
}

func (l *Log) begins(m *chain.Message) bool {
	root, _ := l.At(l.State.Size)
	return l.State.CheckEpoch(m, root) == nil
}

// Fill folds the gap that the ledger stands at, by the first of the messages
// behind it that admits it.
func (l *Log) Fill(later []chain.Message) error {
	root, _ := l.At(l.State.Size)
	for i := range later {
		if l.State.CheckGap(&later[i], root) != nil {
			continue
		}
		r, err := l.State.FoldGap(later[i], chain.Known{Heads: l.Heads, Roots: map[uint64]chain.Hash{l.State.Size: root}})
		l.take(&r)
		return err
	}
	return ErrHole
}
