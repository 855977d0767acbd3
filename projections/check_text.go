package projections

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// mostNamed is how many entries of a row a mismatch names.
const mostNamed = 5

// offsetsOf reads a list's row; ok is false for one that no fold writes.
func offsetsOf(b []byte) (offsets []uint16, ok bool) {
	p := postings(b)
	if p.check() != nil {
		return nil, false
	}
	if p.dense() {
		var s set
		s.addStored(p)
		return s.appendTo(nil), true
	}
	offsets = p.decode(nil)
	for i, o := range offsets {
		if int(o) >= blockSize || i > 0 && offsets[i-1] >= o {
			return nil, false
		}
	}
	return offsets, true
}

func sameList(a, b []byte) bool {
	x, ok := offsetsOf(a)
	y, fine := offsetsOf(b)
	return ok && fine && slices.Equal(x, y)
}

func sameColumn(a, b []byte) bool {
	x, y := column(a), column(b)
	if x.check() != nil || y.check() != nil || x.start() != y.start() || x.len() != y.len() {
		return false
	}
	for i := x.start(); x.within(i); i++ {
		if x.at(i) != y.at(i) {
			return false
		}
	}
	return true
}

// explainList names the entries that a list has or lacks.
func (c *checking) explainList(m *Mismatch, r *row) {
	first := c.first(r.key)
	says, ok := offsetsOf(r.says)
	should, _ := offsetsOf(r.should)
	text := func(all, other []uint16) string {
		var only []uint64
		for _, o := range all {
			if _, both := slices.BinarySearch(other, o); !both {
				only = append(only, first+uint64(o))
			}
		}
		if len(only) > 0 && (m.Index == nil || only[0] < *m.Index) {
			m.Index = new(only[0])
		}
		switch {
		case len(only) == 0:
			return manyEntries(len(all))
		case len(other) == 0:
			return manyEntries(len(all)) + ": " + named(only)
		}
		return manyEntries(len(all)) + ", among them " + named(only)
	}
	if !r.extra {
		m.Should = text(should, says)
	}
	switch {
	case r.missing:
	case !ok:
		m.Says = fmt.Sprintf("%d bytes that are no list", len(r.says))
		if m.Index == nil {
			m.Index = new(first)
		}
	default:
		m.Says = text(says, should)
	}
}

func manyEntries(n int) string {
	if n == 1 {
		return "1 entry"
	}
	return fmt.Sprintf("%d entries", n)
}

func named(indexes []uint64) string {
	var b strings.Builder
	for i, n := range indexes[:min(len(indexes), mostNamed)] {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprint(&b, n)
	}
	if more := len(indexes) - mostNamed; more > 0 {
		fmt.Fprintf(&b, " and %d more", more)
	}
	return b.String()
}

// explainColumn names the first entry whose time is not its own.
func (c *checking) explainColumn(m *Mismatch, r *row) {
	era, _ := eraIn(r.key)
	block := c.layout.at(era, r.key[eraPrefix])
	first := indexAt(block, 0) + uint64(r.key[eraPrefix+1])*chunkSize
	says, should := column(r.says), column(r.should)
	whole := func(c column) string {
		if c.check() != nil {
			return fmt.Sprintf("%d bytes that are no column", len(c))
		}
		from := first + uint64(c.start())
		return fmt.Sprintf("when the entries %d to %d occurred", from, from+uint64(c.len())-1)
	}
	m.Index = new(first)
	switch {
	case r.missing:
		m.Should = whole(should)
	case r.extra:
		m.Says = whole(says)
	case says.check() != nil || says.start() != should.start():
		m.Says, m.Should = whole(says), whole(should)
	default:
		for i := should.start(); should.within(i) || says.within(i); i++ {
			if should.within(i) && says.within(i) && should.at(i) == says.at(i) {
				continue
			}
			m.Index = new(first + uint64(i))
			m.Says, m.Should = occurredText(says, i, *m.Index), occurredText(should, i, *m.Index)
			return
		}
	}
}

func occurredText(c column, i int, index uint64) string {
	if !c.within(i) {
		return fmt.Sprintf("nothing of entry %d", index)
	}
	return fmt.Sprintf("that entry %d occurred at %s", index, instant(c.at(i)))
}

func zoneText(b []byte) string {
	z, err := parseZone(b)
	if err != nil {
		return fmt.Sprintf("%d bytes that are no zone", len(b))
	}
	return fmt.Sprintf("that its entries occurred from %s to %s", instant(z.earliest), instant(z.latest))
}

func headText(b []byte) string {
	h, err := parseHead(b)
	if err != nil {
		return fmt.Sprintf("%d bytes that are no head", len(b))
	}
	return fmt.Sprintf("that %d entries are folded, the last with leaf %s", h.size, h.last)
}

func number(b []byte) string {
	switch len(b) {
	case 4:
		return fmt.Sprint(binary.BigEndian.Uint32(b))
	case 8:
		return fmt.Sprint(binary.BigEndian.Uint64(b))
	}
	return fmt.Sprintf("%x", b)
}

// instant prints ns since 1970; the ends of what they can say stand for all beyond.
func instant(ns int64) string {
	switch ns {
	case math.MinInt64:
		return "before 1678"
	case math.MaxInt64:
		return "after 2262"
	}
	return time.Unix(0, ns).UTC().Format(time.RFC3339Nano)
}
