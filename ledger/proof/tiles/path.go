package tiles

import (
	"encoding/binary"
	"fmt"
	"iter"
	"strconv"
)

// Width is how many hashes or entries a full tile or bundle has.
const Width = 256

// Levels is how many levels of the tree a tile spans: of the nodes (level, n) only
// those of every eighth level are in tiles.
const Levels = 8

// The names of what a log serves besides its tiles.
const (
	CheckpointPath = "checkpoint"
	WitnessedPath  = "witnessed"
	KeysPath       = "keys"
	// KeysFile is what an export calls the same file, whose kind a web server tells
	// by its name.
	KeysFile = "keys.json"
)

// Path is where tile n of a tile level stands, below the log's prefix (C2SP
// tlog-tiles): its width is 256, or less for a partial one. Hashes of tile level l
// are nodes of level 8·l of the tree.
func Path(level int, n uint64, width int) string {
	return "tile/" + strconv.Itoa(level) + "/" + number(n) + partial(width)
}

// EntriesPath is where bundle n of the entries stands.
func EntriesPath(n uint64, width int) string {
	return "tile/entries/" + number(n) + partial(width)
}

// Name names a file of a log: a bundle of entries, or a tile of a tree level.
type Name struct {
	Entries bool
	Level   int // of the tree, a multiple of 8; 0 for entries
	N       uint64
	Width   int
}

// Path is where the file stands below the log's prefix.
func (n Name) Path() string {
	if n.Entries {
		return EntriesPath(n.N, n.Width)
	}
	return Path(n.Level/Levels, n.N, n.Width)
}

// Needed lists the files that a checkpoint of a size requires.
func Needed(size uint64) iter.Seq[Name] {
	return func(yield func(Name) bool) {
		for level := 0; level < 64 && size>>level > 0; level += Levels {
			for n := uint64(0); ; n++ {
				width := Wide(size, level, n)
				if width == 0 {
					break
				}
				if level == 0 && !yield(Name{Entries: true, N: n, Width: width}) {
					return
				}
				if !yield(Name{Level: level, N: n, Width: width}) {
					return
				}
			}
		}
	}
}

// Count is how many files those are.
func Count(size uint64) uint64 {
	var count uint64
	for level := 0; level < 64 && size>>level > 0; level += Levels {
		tiles := (size>>level-1)/Width + 1
		if count += tiles; level == 0 {
			count += tiles
		}
	}
	return count
}

// Fits reports whether bytes have the form of the file, so many hashes or entries
// and nothing more. What they say is for an audit to judge.
func (n Name) Fits(b []byte) bool {
	if !n.Entries {
		return len(b) == n.Width*32
	}
	for range n.Width {
		if len(b) < 2 || len(b) < 2+int(binary.BigEndian.Uint16(b)) {
			return false
		}
		b = b[2+int(binary.BigEndian.Uint16(b)):]
	}
	return len(b) == 0
}

// cut returns the partial file that a full one begins with. What doesn't parse is
// returned as it is.
func (n Name) cut(full []byte) []byte {
	if !n.Entries {
		return full[:min(len(full), n.Width*32)]
	}
	at := 0
	for range n.Width {
		if len(full)-at < 2 || len(full)-at < 2+int(binary.BigEndian.Uint16(full[at:])) {
			return full
		}
		at += 2 + int(binary.BigEndian.Uint16(full[at:]))
	}
	return full[:at]
}

// most is how many bytes the file can have.
func (n Name) most() int64 {
	if n.Entries {
		return maxBundle
	}
	return maxTile
}

// number writes a tile's number in groups of three digits, all but the last
// behind an x.
func number(n uint64) string {
	s := fmt.Sprintf("%03d", n%1000)
	for n /= 1000; n > 0; n /= 1000 {
		s = fmt.Sprintf("x%03d/%s", n%1000, s)
	}
	return s
}

func partial(width int) string {
	if width == Width {
		return ""
	}
	return ".p/" + strconv.Itoa(width)
}

// Wide is how wide tile n of a tree level's nodes is in a tree of size entries:
// 256, less at the right edge, and 0 where there is no tile. Level 0's are the
// entries' own.
func Wide(size uint64, level int, n uint64) int {
	if level > 63 {
		return 0
	}
	nodes := size >> level
	if nodes <= n*Width {
		return 0
	}
	return int(min(Width, nodes-n*Width))
}
