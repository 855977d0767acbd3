package projections

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
)

// A column holds the occurred times of a chunk of entries, of all workspaces, in
// the order of their indexes:
//
//	start (2) || entries (2) || unit (1) || width (1) || earliest (8) || latest (8) || entries × width
//
// start is the first entry's place in its chunk; each time is the earliest and so
// many units, of width bytes: milliseconds within a few hours take three. What is
// in the head saves most readers the rest.
const (
	chunkBits   = 11
	chunkSize   = 1 << chunkBits // entries
	columnHead  = 2 + 2 + 1 + 1 + 8 + 8
	chunksBlock = blockSize / chunkSize
)

// units are the steps that times may be multiples of, in ns.
var units = [...]int64{1e9, 1e6, 1e3, 1}

// column is a row of occurred times.
type column []byte

func (c column) start() int        { return int(binary.BigEndian.Uint16(c)) }
func (c column) len() int          { return int(binary.BigEndian.Uint16(c[2:])) }
func (c column) width() int        { return int(c[5]) }
func (c column) earliest() int64   { return int64(binary.BigEndian.Uint64(c[6:])) }
func (c column) latest() int64     { return int64(binary.BigEndian.Uint64(c[14:])) }
func (c column) within(i int) bool { return i >= c.start() && i < c.start()+c.len() }

// at returns the time of the entry whose place in the chunk is i.
func (c column) at(i int) int64 {
	width := c.width()
	d, b := uint64(0), c[columnHead+(i-c.start())*width:]
	if len(b) >= 8 {
		d = binary.BigEndian.Uint64(b) >> (64 - 8*width)
	} else {
		for _, x := range b[:width] {
			d = d<<8 | uint64(x)
		}
	}
	return int64(uint64(c.earliest()) + d*uint64(units[c[4]]))
}

// check holds a stored column to its form.
func (c column) check() error {
	if len(c) < columnHead || int(c[4]) >= len(units) || c.width() > 8 || c.len() == 0 || c.start()+c.len() > chunkSize ||
		len(c) != columnHead+c.len()*c.width() || c.earliest() > c.latest() {
		return fmt.Errorf("a column of %d bytes that no fold writes", len(c))
	}
	return nil
}

// appendColumn appends the row of times whose first has the place start.
func appendColumn(dst []byte, start int, times []int64) []byte {
	earliest, latest := slices.Min(times), slices.Max(times)
	unit := 0
	for _, t := range times {
		for d := uint64(t) - uint64(earliest); d%uint64(units[unit]) != 0; {
			unit++
		}
	}
	width := 0
	for d := (uint64(latest) - uint64(earliest)) / uint64(units[unit]); d > 0; d >>= 8 {
		width++
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(start))
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(times)))
	dst = append(dst, byte(unit), byte(width))
	dst = binary.BigEndian.AppendUint64(dst, uint64(earliest))
	dst = binary.BigEndian.AppendUint64(dst, uint64(latest))
	for _, t := range times {
		d := (uint64(t) - uint64(earliest)) / uint64(units[unit])
		for shift := 8 * (width - 1); shift >= 0; shift -= 8 {
			dst = append(dst, byte(d>>shift))
		}
	}
	return dst
}

func mergeColumns(pieces [][]byte) ([]byte, error) {
	for _, p := range pieces {
		if err := column(p).check(); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(pieces, func(a, b []byte) int { return column(a).start() - column(b).start() })
	start := column(pieces[0]).start()
	var times []int64
	for _, p := range pieces { // a piece may be there twice, as all merging allows
		c := column(p)
		if c.start() > start+len(times) {
			return nil, fmt.Errorf("a column's piece begins at %d where %d must follow", c.start(), start+len(times))
		}
		for i := start + len(times); c.within(i); i++ {
			times = append(times, c.at(i))
		}
	}
	return appendColumn(nil, start, times), nil
}

// zone says between which times the entries of a workspace occurred that stand in
// a block: latest is among them.
type zone struct{ earliest, latest int64 }

// noZone holds nothing.
var noZone = zone{math.MaxInt64, math.MinInt64}

func (z *zone) add(t int64) { z.earliest, z.latest = min(z.earliest, t), max(z.latest, t) }

func (z *zone) join(o zone) {
	z.earliest, z.latest = min(z.earliest, o.earliest), max(z.latest, o.latest)
}

func (z zone) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(z.earliest))
	return binary.BigEndian.AppendUint64(dst, uint64(z.latest))
}

func parseZone(b []byte) (zone, error) {
	if len(b) != 16 {
		return zone{}, fmt.Errorf("a zone of %d bytes", len(b))
	}
	z := zone{int64(binary.BigEndian.Uint64(b)), int64(binary.BigEndian.Uint64(b[8:]))}
	if z.earliest > z.latest {
		return zone{}, fmt.Errorf("a zone that ends before it begins")
	}
	return z, nil
}

func mergeZones(pieces [][]byte) ([]byte, error) {
	all := noZone
	for _, p := range pieces {
		z, err := parseZone(p)
		if err != nil {
			return nil, err
		}
		all.join(z)
	}
	return all.append(nil), nil
}
