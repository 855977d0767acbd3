package query

import (
	"compress/gzip"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"annals/internal/problem"
)

// Tiles (C2SP tlog-tiles). Nothing is kept for them: a tile is read from the
// ledger's nodes and entries when it is asked for, and so is any narrower one that
// there ever was.
const (
	tileHeight = 8
	tileWidth  = 1 << tileHeight
	maxLevel   = 63
)

// tileName is what a path below /tile/ names: of the tile n the first width.
type tileName struct {
	level int // 0 for entries
	n     uint64
	width uint64 // 1 to 256; of these 256 is a tile without .p
}

// parseTile reads <L>/<N>[.p/<W>], where level is not "entries". A tile has one
// path and no other: what is written differently names nothing.
func parseTile(level, path string) (t tileName, ok bool) {
	if level != "entries" {
		l, ok := decimal(level, 0, maxLevel)
		if !ok {
			return t, false
		}
		t.level = int(l)
	}
	t.width = tileWidth
	if whole, width, partial := strings.Cut(path, ".p/"); partial {
		w, ok := decimal(width, 1, tileWidth-1)
		if !ok {
			return t, false
		}
		path, t.width = whole, w
	}
	if t.n, ok = parseIndex(path); !ok {
		return t, false
	}
	return t, true
}

// decimal reads a number as C2SP writes it: ASCII digits, no leading zero.
func decimal(s string, least, most uint64) (uint64, bool) {
	if s == "" || len(s) > 3 || s[0] == '0' && s != "0" {
		return 0, false
	}
	n, ok := digits(s)
	return n, ok && n >= least && n <= most
}

func digits(s string) (n uint64, ok bool) {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	return n, true
}

// parseIndex reads a tile's number: groups of three digits, of which all but the
// last begin with x, and the first is not 000 unless it is all there is.
func parseIndex(s string) (n uint64, ok bool) {
	for first := true; ; first = false {
		group, rest, more := strings.Cut(s, "/")
		if more {
			if group, ok = strings.CutPrefix(group, "x"); !ok {
				return 0, false
			}
		}
		d, ok := digits(group)
		if !ok || len(group) != 3 || more && first && d == 0 || n > (math.MaxUint64-d)/1000 {
			return 0, false
		}
		n = n*1000 + d
		if !more {
			return n, true
		}
		s = rest
	}
}

// within returns where the tile begins and ends among the nodes of its level, and
// whether a tree of that size has them all.
func (t tileName) within(size uint64) (from, to uint64, ok bool) {
	if t.level*tileHeight >= 64 || t.n > math.MaxUint64/tileWidth-1 {
		return 0, 0, false
	}
	from = t.n * tileWidth
	to = from + t.width
	return from, to, to <= size>>(t.level*tileHeight)
}

// named reads what a request names, and where that is.
func (a *API) named(r *http.Request) (t tileName, from, to uint64, err error) {
	// As it was written: a percent-encoded path is another path.
	level, path, _ := strings.Cut(strings.TrimPrefix(r.URL.EscapedPath(), "/tile/"), "/")
	t, ok := parseTile(level, path)
	if !ok {
		return t, 0, 0, problem.New(problem.NoSuchTile, "no tile has this path; C2SP tlog-tiles writes them as /tile/0/x001/x234/067 or /tile/entries/067.p/12")
	}
	size := a.published()
	if from, to, ok = t.within(size); !ok {
		return t, 0, 0, problem.New(problem.NoSuchTile, "the tree of the last checkpoint, of size %d, has no such tile; ask for those that its size requires", size)
	}
	return t, from, to, nil
}

// forever has an answer kept: it is the same as long as the ledger is.
func (a *API) forever(h http.Header) {
	how := "max-age=31536000, immutable"
	if a.o.Access == nil {
		how = "public, " + how
	}
	h.Set("Cache-Control", a.kept(how))
}

// tile answers with a tile of hashes.
func (a *API) tile(w http.ResponseWriter, r *http.Request, _ *filter) error {
	t, from, to, err := a.named(r)
	if err != nil {
		return err
	}
	buffer := buffers.get()
	defer buffers.put(buffer)
	if *buffer, err = a.o.Ledger.Hashes((*buffer)[:0], t.level*tileHeight, from, to); err != nil {
		return err
	}
	a.forever(w.Header())
	return write(w, octets, *buffer)
}

// bundle answers with a tile of entries.
func (a *API) bundle(w http.ResponseWriter, r *http.Request, _ *filter) error {
	_, from, to, err := a.named(r)
	if err != nil {
		return err
	}
	buffer := buffers.get()
	defer buffers.put(buffer)
	if *buffer, err = a.o.Ledger.Bundle((*buffer)[:0], from, to); err != nil {
		return err
	}
	h := w.Header()
	a.forever(h)
	h.Add("Vary", "Accept-Encoding")
	if !takesGzip(r.Header.Values("Accept-Encoding")) {
		return write(w, octets, *buffer)
	}
	packed := buffers.get()
	defer buffers.put(packed)
	*packed = packers.pack((*packed)[:0], *buffer)
	h.Set("Content-Encoding", "gzip")
	return write(w, octets, *packed)
}

// takesGzip reports whether an Accept-Encoding names gzip, and not with a weight
// of 0 (RFC 9110, 12.5.3).
func takesGzip(accepted []string) bool {
	for coding := range strings.SplitSeq(strings.Join(accepted, ","), ",") {
		name, parameters, _ := strings.Cut(coding, ";")
		if !strings.EqualFold(strings.TrimSpace(name), "gzip") {
			continue
		}
		weight, weighted := strings.CutPrefix(strings.ToLower(strings.TrimSpace(parameters)), "q=")
		if !weighted {
			return true
		}
		q, err := strconv.ParseFloat(strings.TrimSpace(weight), 64)
		return err == nil && q > 0
	}
	return false
}

// packers keeps what compressing needs: most of a megabyte each.
var packers = packerPool{sync.Pool{New: func() any {
	z, err := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed)
	if err != nil {
		panic(err) // a level that the standard library names
	}
	return z
}}}

type packerPool struct{ sync.Pool }

// pack appends the compressed form of b to dst.
func (p *packerPool) pack(dst, b []byte) []byte {
	z := p.Get().(*gzip.Writer)
	defer p.Put(z)
	out := appender{dst}
	z.Reset(&out)
	_, _ = z.Write(b) // appending does not fail
	_ = z.Close()
	z.Reset(io.Discard) // it keeps no buffer from being collected
	return out.b
}

// appender is an [io.Writer] that appends.
type appender struct{ b []byte }

func (a *appender) Write(p []byte) (int, error) {
	a.b = append(a.b, p...)
	return len(p), nil
}
