package projections

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"annals/ledger/chain"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// spoiler writes rows that no fold gave.
type spoiler struct {
	*testing.T
	*pebble.DB
	layout layout
}

// tamper opens the generation that serves as somebody does who writes lies.
func tamper(t *testing.T, fs vfs.FS, o Options, do func(*spoiler)) {
	t.Helper()
	o = o.withDefaults()
	f, err := openFolder(fs, "projections/1")
	check(t, err)
	db, err := pebble.Open(f.path, settings(f, &o))
	check(t, err)
	do(&spoiler{t, db, layout{o.eraBits}})
	check(t, db.Flush())
	check(t, db.Close())
	check(t, f.close())
}

func (s *spoiler) get(key []byte) []byte {
	value, closer, err := s.Get(key)
	if err != nil {
		s.Fatalf("row %x: %v", key, err)
	}
	defer closer.Close()
	return bytes.Clone(value)
}

func (s *spoiler) set(key, value []byte) { check(s, s.Set(key, value, pebble.NoSync)) }
func (s *spoiler) delete(key []byte)     { check(s, s.Delete(key, pebble.NoSync)) }

func (s *spoiler) head(change func(*head)) {
	h, _, err := readHead(s.DB)
	check(s, err)
	change(&h)
	s.set(headKey, h.append(nil))
}

// number is a workspace's.
func (s *spoiler) number(workspace string) uint32 {
	tag := tagOf(workspace)
	return binary.BigEndian.Uint32(s.get(workspaceKey(&tag)))
}

// list is the key of a list's row.
func (s *spoiler) list(index uint64, workspace string, f Field, value string) []byte {
	key := appendEra(nil, s.layout.eraOf(blockOf(index)), inEraPostings)
	key = f.appendName(appendList(key, s.number(workspace), f), value, "")
	return append(key, s.layout.within(blockOf(index)))
}

// post puts an entry into a list, or takes it out.
func (s *spoiler) post(index uint64, workspace string, f Field, value string, in bool) {
	key, o := s.list(index, workspace, f, value), uint16(offsetOf(index))
	offsets, ok := offsetsOf(s.get(key))
	if !ok {
		s.Fatalf("row %x is no list", key)
	}
	at, there := slices.BinarySearch(offsets, o)
	if there == in {
		s.Fatalf("entry %d is in the list already, or isn't", index)
	}
	if in {
		offsets = slices.Insert(offsets, at, o)
	} else {
		offsets = slices.Delete(offsets, at, at+1)
	}
	if len(offsets) == 0 {
		s.delete(key)
		return
	}
	s.set(key, asStored(offsets))
}

// TestCheckLies tells one lie each, and wants it named: which row, what it says and
// what it should say. Entry i of this ledger is of workspace i mod 3, its user is
// i² mod 7 and its type i mod 5.
func TestCheckLies(t *testing.T) {
	type lie struct {
		tell  func(*spoiler)
		row   RowKind
		fault Fault
		index uint64 // noIndex: none
		rows  uint64
		text  string
		found int // mismatches in all; 0: 1
	}
	const noIndex = ^uint64(0)
	rowsOf := func(what byte) []byte { return appendEra(nil, 0, what) }
	ws1, other := tagOf("ws1"), chain.Hash{1, 2, 3}
	for name, c := range map[string]lie{
		"a posting is removed": {
			tell: func(s *spoiler) { s.post(7, "ws1", FieldUser, "u0", false) },
			row:  RowList, fault: Altered, index: 7, rows: 1, text: "of user, value sha256:",
		},
		"a posting is added": {
			tell: func(s *spoiler) { s.post(8, "ws2", FieldType, "t1", true) },
			row:  RowList, fault: Altered, index: 8, rows: 1, text: "among them 8, and should say",
		},
		"a list is gone": {
			tell: func(s *spoiler) { s.delete(s.list(0, "ws1", FieldUser, "u2")) },
			row:  RowList, fault: Missing, index: 4, rows: 1, text: "is missing: it should say",
		},
		"a list is made up": {
			tell: func(s *spoiler) { s.set(s.list(0, "ws1", FieldUser, "nobody"), []byte{0, 9}) },
			row:  RowList, fault: Extra, index: 9, rows: 1, text: "should not be: it says 1 entry: 9",
		},
		"a list moves to another workspace": {
			tell: func(s *spoiler) {
				s.set(s.list(0, "ws2", FieldUser, "u1"), s.get(s.list(0, "ws1", FieldUser, "u1")))
				s.delete(s.list(0, "ws1", FieldUser, "u1"))
			},
			row: RowList, fault: Missing, index: 1, rows: 1, text: "workspace " + ws1.String(), found: 2,
		},
		"a list is no list": {
			tell: func(s *spoiler) { s.set(s.list(0, "ws0", FieldKind, "record"), []byte{1, 2, 3}) },
			row:  RowList, fault: Altered, index: 0, rows: 1, text: "3 bytes that are no list",
		},
		"a list is out of order": {
			tell: func(s *spoiler) {
				key := s.list(0, "ws1", FieldUser, "u1")
				offsets, _ := offsetsOf(s.get(key))
				slices.Reverse(offsets)
				var b []byte
				for _, o := range offsets {
					b = binary.BigEndian.AppendUint16(b, o)
				}
				s.set(key, b)
			},
			row: RowList, fault: Altered, index: 1, rows: 1, text: "that are no list",
		},
		"a time is another": {
			tell: func(s *spoiler) {
				key := append(rowsOf(inEraColumn), 0, 0)
				c := column(s.get(key))
				var times []int64
				for i := range c.len() {
					times = append(times, c.at(i))
				}
				times[17] += 1e9
				s.set(key, appendColumn(nil, 0, times))
			},
			row: RowColumn, fault: Altered, index: 17, rows: 1, text: "says that entry 17 occurred at 2023-",
		},
		"a column ends early": {
			tell: func(s *spoiler) {
				key := append(rowsOf(inEraColumn), 0, 0)
				c := column(s.get(key))
				s.set(key, appendColumn(nil, 0, []int64{c.at(0), c.at(1)}))
			},
			row: RowColumn, fault: Altered, index: 2, rows: 1, text: "says nothing of entry 2",
		},
		"a zone is narrower": {
			tell: func(s *spoiler) {
				key := s.layout.appendZoneKey(nil, 0, s.number("ws1"))
				z, err := parseZone(s.get(key))
				check(s, err)
				z.latest -= 1e9
				s.set(key, z.append(nil))
			},
			row: RowZone, fault: Altered, index: 0, rows: 1, text: "workspace " + ws1.String(),
		},
		"zones are gone": {
			tell: func(s *spoiler) {
				check(s, s.DeleteRange(rowsOf(inEraZone), rowsOf(inEraZone+1), pebble.NoSync))
			},
			row: RowZone, fault: Missing, index: 0, rows: 3, text: "the first of 3 such rows",
		},
		"a quarter begins later": {
			tell: func(s *spoiler) {
				it, err := s.NewIter(&pebble.IterOptions{LowerBound: []byte{rowQuarter}, UpperBound: []byte{rowQuarter + 1}})
				check(s, err)
				it.First()
				it.Next()
				key := bytes.Clone(it.Key())
				check(s, it.Close())
				s.set(key, binary.BigEndian.AppendUint64(nil, binary.BigEndian.Uint64(s.get(key))+1))
			},
			row: RowQuarter, fault: Altered, index: 15, rows: 1, text: "is 16, and should say",
		},
		"two workspaces are exchanged": {
			tell: func(s *spoiler) {
				one, two := tagOf("ws1"), tagOf("ws2")
				a, b := s.get(workspaceKey(&one)), s.get(workspaceKey(&two))
				s.set(workspaceKey(&one), b)
				s.set(workspaceKey(&two), a)
			},
			row: RowWorkspace, fault: Altered, index: noIndex, rows: 2, text: "number",
		},
		"a workspace is made up": {
			tell: func(s *spoiler) { s.set(workspaceKey(&other), []byte{0, 0, 0, 3}) },
			row:  RowWorkspace, fault: Extra, index: noIndex, rows: 1, text: "workspace " + other.String() + " should not be: it says number 3",
		},
		"the cursor moves past the ledger": {
			tell: func(s *spoiler) { s.head(func(h *head) { h.size += 5 }) },
			row:  RowHead, fault: Altered, index: noIndex, rows: 1, text: "says that 405 entries are folded",
		},
		"the cursor moves back": {
			tell: func(s *spoiler) {
				s.head(func(h *head) { h.size-- })
			},
			// The rows of the last entry are more than the cursor says.
			row: RowHead, fault: Altered, index: noIndex, rows: 1, text: "399 entries", found: -1,
		},
		"the last leaf is another": {
			tell: func(s *spoiler) { s.head(func(h *head) { h.last[0]++ }) },
			row:  RowHead, fault: Altered, index: noIndex, rows: 1, text: "the last with leaf",
		},
		"a row of no kind": {
			tell: func(s *spoiler) { s.set([]byte{0x77, 1}, []byte("hidden")) },
			row:  RowForeign, fault: Extra, index: noIndex, rows: 1, text: "6 bytes under the key 7701",
		},
	} {
		t.Run(name, func(t *testing.T) {
			g, fs := newGrowing(400), vfs.NewMem()
			l := openLive(t, g, small(fs))
			g.follow(t, l)
			check(t, l.Close())
			tamper(t, fs, small(fs), c.tell)
			found, _ := checked(t, g.leaves, small(fs))
			want := max(c.found, 1)
			if len(found) == 0 || c.found >= 0 && len(found) != want {
				t.Fatalf("found %v", found)
			}
			m := &found[0]
			index := uint64(noIndex)
			if m.Index != nil {
				index = *m.Index
			}
			if m.Row != c.row || m.Fault != c.fault || index != c.index || m.Rows != c.rows || !strings.Contains(m.String(), c.text) {
				t.Errorf("row %s, %s, %d rows, index %d: %s", m.Row, m.Fault, m.Rows, index, m)
			}
			if strings.Contains(m.String(), "u1") || strings.Contains(m.String(), "nobody") {
				t.Errorf("it shows a record's value: %s", m)
			}
		})
	}
}

// TestCheckCursorOn moves the cursor on to where the ledger is, past entries that
// were never folded: their rows are missing.
func TestCheckCursorOn(t *testing.T) {
	m, fs := newModel(), vfs.NewMem()
	m.grow(rand.New(rand.NewPCG(5, 32)), 500, &short)
	l, err := OpenLive("projections", m.ledger, small(fs))
	check(t, err)
	check(t, l.Fold(m.from(0, 300)))
	check(t, l.Close())
	if found, size := checked(t, m.leaves, small(fs)); len(found) != 0 || size != 300 {
		t.Fatalf("behind: %v, %d", found, size)
	}
	tamper(t, fs, small(fs), func(s *spoiler) { s.head(func(h *head) { h.size, h.last = 500, m.last }) })
	found, size := checked(t, m.leaves, small(fs))
	least := uint64(500)
	for _, f := range found {
		if f.Row == RowColumn {
			least = *f.Index
		}
	}
	if size != 500 || least != 300 {
		t.Errorf("%d entries, the first without a time is %d: %v", size, least, found)
	}
}

// TestCheckForms takes another form of a row that answers alike for no lie.
func TestCheckForms(t *testing.T) {
	wide := column(appendColumn(nil, 3, []int64{5e9, 6e9, 7e9}))
	again := slices.Clone(wide)
	again[4], again[5] = 3, 8 // ns, in eight bytes each
	again = again[:columnHead]
	for _, ns := range []uint64{0, 1e9, 2e9} {
		again = binary.BigEndian.AppendUint64(again, ns)
	}
	if !sameColumn(wide, again) || sameColumn(wide, column(appendColumn(nil, 3, []int64{5e9, 6e9, 8e9}))) {
		t.Error("columns are compared by their bytes")
	}
	bits := make([]byte, bitmapBytes)
	bits[1] = 1 << 2 // offset 10
	if !sameList(bits, []byte{0, 10}) || sameList(bits, []byte{0, 11}) || sameList(bits, bits[:7]) {
		t.Error("lists are compared by their bytes")
	}
}
