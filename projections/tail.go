package projections

import (
	"encoding/binary"
	"maps"
	"slices"
	"strings"
	"sync"

	"annals/ledger/chain"
)

// tail holds the rows of the newest entries until they are written: all of one
// block. One goroutine adds; any number read.
type tail struct {
	base uint64 // index of its first entry

	mu       sync.RWMutex
	size     uint64     // the ledger's size up to here
	last     chain.Hash // leaf of entry size-1
	at       map[string]int32
	lists    []list
	posts    []post
	groups   map[uint64]int32 // the newest list of each workspace and field
	zones    map[uint32]zone
	occurred []int64 // of each entry, from base on; never moves
	held     int     // bytes of names and offsets

	quarters   []quarterRow
	workspaces []numbered

	names slab
}

// list is one posting list's newest piece: a chain of posts, and beyond denseFrom
// of them a bitmap.
type list struct {
	name        string
	next        int32 // another list of the same workspace and field, or none
	first, last int32 // posts
	n           int32
	newest      uint16
	bits        *bitmap
}

// post is an offset and the place of its list's next one. They are in one slice,
// for most lists have one post and none may cost an allocation.
type post struct {
	offset uint16
	next   int32
}

const (
	none      = -1
	denseFrom = 128 // posts: walking a chain of them costs as much as copying a bitmap
)

func newTail(size uint64, last chain.Hash, lists, posts int) *tail {
	return &tail{
		base: size, size: size, last: last,
		at: make(map[string]int32, lists), lists: make([]list, 0, lists), posts: make([]post, 0, posts),
		groups: map[uint64]int32{}, zones: map[uint32]zone{},
		occurred: make([]int64, 0, blockSize-offsetOf(size)),
	}
}

// add adds the terms of the entries up to size, whose last leaf is last.
func (t *tail) add(terms *terms, size uint64, last chain.Hash) {
	t.mu.Lock()
	defer t.mu.Unlock()
	start := 0
	for i, end := range terms.ends {
		t.post(terms.names[start:end], terms.offsets[i])
		start = end
	}
	for _, e := range terms.entries {
		t.occurred = append(t.occurred, e.occurred)
		z, ok := t.zones[e.workspace]
		if !ok {
			z = noZone
		}
		if z.add(e.occurred); !ok || z != t.zones[e.workspace] {
			t.zones[e.workspace] = z
		}
	}
	t.quarters = append(t.quarters, terms.quarters...)
	t.workspaces = append(t.workspaces, terms.workspaces...)
	t.size, t.last = size, last
}

// post adds an offset to a list, once: an entry may name one user twice.
func (t *tail) post(name []byte, offset uint16) {
	n, known := t.at[string(name)]
	if !known {
		n = int32(len(t.lists))
		kept := t.names.copy(name)
		group := groupOf(kept)
		next, ok := t.groups[group]
		if !ok {
			next = none
		}
		t.groups[group] = n
		t.at[kept] = n
		p := int32(len(t.posts))
		t.posts = append(t.posts, post{offset, none})
		t.lists = append(t.lists, list{name: kept, next: next, first: p, last: p, n: 1, newest: offset})
		t.held += len(name) + 2
		return
	}
	l := &t.lists[n]
	if l.newest == offset {
		return
	}
	l.newest = offset
	l.n++
	t.held += 2
	switch {
	case l.bits != nil:
		l.bits.add(offset)
	case l.n > denseFrom:
		l.bits = new(bitmap)
		for p := l.first; p != none; p = t.posts[p].next {
			l.bits.add(t.posts[p].offset)
		}
		l.bits.add(offset)
	default:
		p := int32(len(t.posts))
		t.posts = append(t.posts, post{offset, none})
		t.posts[l.last].next = p
		l.last = p
	}
}

// groupOf is the workspace and the field that a list's name begins with.
func groupOf(name string) uint64 {
	return uint64(name[0])<<32 | uint64(name[1])<<24 | uint64(name[2])<<16 | uint64(name[3])<<8 | uint64(name[4])
}

// end returns the size up to which t holds entries, and the last leaf.
func (t *tail) end() (size uint64, last chain.Hash) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.size, t.last
}

// addTo adds a list's offsets to s. There may be more of them than the caller's
// view knows.
func (t *tail) addTo(name []byte, s *set) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if n, known := t.at[string(name)]; known {
		t.addList(&t.lists[n], s)
	}
}

// has reports whether there is anything in a list.
func (t *tail) has(name []byte) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	_, known := t.at[string(name)]
	return known
}

func (t *tail) addList(l *list, s *set) {
	if l.bits != nil {
		s.addBits(l.bits)
		return
	}
	var room [denseFrom]uint16
	offsets := room[:0]
	for p := l.first; p != none; p = t.posts[p].next {
		offsets = append(offsets, t.posts[p].offset)
	}
	s.addSorted(offsets)
}

// between visits the lists whose names are in [lo, hi), which share the first's
// workspace and field, in no order.
func (t *tail) between(lo, hi []byte, visit func(name string, l *list)) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	n, ok := t.groups[groupOf(string(lo[:listPrefix]))]
	if !ok {
		return
	}
	for ; n != none; n = t.lists[n].next {
		l := &t.lists[n]
		if l.name >= string(lo) && l.name < string(hi) {
			visit(l.name, l)
		}
	}
}

// zone returns a workspace's zone, and the times of the entries from base on.
func (t *tail) zone(workspace uint32) (z zone, ok bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	z, ok = t.zones[workspace]
	return z, ok
}

func (t *tail) times() []int64 {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.occurred
}

// quarter returns the first index recorded in a quarter of an hour or later.
func (t *tail) quarter(q uint64) (index uint64, ok bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, r := range t.quarters {
		if r.quarter >= q {
			return r.index, true
		}
	}
	return 0, false
}

// sorted returns the lists in the order of their names. t must be complete. Lists
// of one workspace and field are few, so they are put in order among themselves.
func (t *tail) sorted() []*list {
	out := make([]*list, 0, len(t.lists))
	for _, g := range slices.Sorted(maps.Keys(t.groups)) {
		from := len(out)
		for n := t.groups[g]; n != none; n = t.lists[n].next {
			out = append(out, &t.lists[n])
		}
		slices.SortFunc(out[from:], func(a, b *list) int { return strings.Compare(a.name[listPrefix:], b.name[listPrefix:]) })
	}
	return out
}

// storedSize returns how many bytes a complete tail's list takes.
func (l *list) storedSize() int {
	if l.n >= sparseMost {
		return bitmapBytes
	}
	return 2 * int(l.n)
}

// store writes a complete tail's list into dst, which has storedSize bytes.
func (t *tail) store(l *list, dst []byte) {
	if l.bits != nil {
		if l.n >= sparseMost {
			for i, w := range l.bits {
				binary.LittleEndian.PutUint64(dst[8*i:], w)
			}
			return
		}
		var s set
		s.addBits(l.bits)
		s.stored(dst[:0])
		return
	}
	for p := l.first; p != none; p = t.posts[p].next {
		binary.BigEndian.PutUint16(dst, t.posts[p].offset)
		dst = dst[2:]
	}
}
