package query

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"testing"

	"annals/internal/access"
	"annals/ledger/chain"

	"github.com/transparency-dev/tessera/api/layout"
	"golang.org/x/mod/sumdb/tlog"
)

// TestParseTile: a tile has one path and no other.
func TestParseTile(t *testing.T) {
	for path, want := range map[string]tileName{
		"0/000":                               {0, 0, 256},
		"0/001.p/1":                           {0, 1, 1},
		"63/999.p/255":                        {63, 999, 255},
		"0/x001/000":                          {0, 1000, 256},
		"1/x001/x234/067":                     {1, 1234067, 256},
		"1/x001/x234/067.p/9":                 {1, 1234067, 9},
		"entries/x001/x234/067.p/112":         {0, 1234067, 112},
		"7/x018/x446/x744/x073/x709/x551/615": {7, math.MaxUint64, 256},
	} {
		level, rest, _ := strings.Cut(path, "/")
		if got, ok := parseTile(level, rest); !ok || got != want {
			t.Errorf("%s: %v, %v", path, got, ok)
		}
	}
	for _, path := range []string{
		"", "0", "0/", "0/0", "0/00", "0/0000", "0/01", "00/000", "64/000", "-1/000", "+1/000", "1e1/000", "0/x000", "0/x000/001", "0/x001/0",
		"0/x1/000", "0/001/000", "0/x001/x000", "0/X001/000", "0/ 01", "0/-01", "0/+01", "0/00a", "0/000.p", "0/000.p/", "0/000.p/0", "0/000.p/00",
		"0/000.p/01", "0/000.p/256", "0/000.p/1000", "0/000.p/-1", "0/000.p/1/", "0/000.p/1.p/1", "0/.p/1", "0/000.P/1", "0/000/p/1", "0/x000.p/1",
		"entry/000", "entries", "data/000", "0/x018/x446/x744/x073/x709/x551/616", "0/x999/x999/x999/x999/x999/x999/999", "0/x001/x000/x000/x000/x000/x000/x000/x000/000",
		"256/000", "000/000", "0/٠٠٠",
	} {
		level, rest, _ := strings.Cut(path, "/")
		if got, ok := parseTile(level, rest); ok {
			t.Errorf("%q passes for %v", path, got)
		}
	}
}

// FuzzParseTile holds the parser to what another implementation prints.
func FuzzParseTile(f *testing.F) {
	for _, seed := range [][2]string{{"0", "000"}, {"entries", "x001/x234/067.p/112"}, {"63", "999.p/255"}, {"0", "x000/000"}, {"1", "x018/x446/x744/x073/x709/x551/615"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, level, rest string) {
		got, ok := parseTile(level, rest)
		if !ok {
			return
		}
		want := layout.TilePath(uint64(got.level), got.n, uint8(got.width))
		if level == "entries" {
			want = layout.EntriesPath(got.n, uint8(got.width))
		}
		if path := "tile/" + level + "/" + rest; path != want {
			t.Errorf("%q passes for %q", path, want)
		}
	})
}

// leaves are the hashes of a ledger's tree, worked out from its entries alone.
func (s *served) tree() (entries [][]byte, hashes tlog.HashReaderFunc) {
	s.t.Helper()
	var stored []tlog.Hash
	read := tlog.HashReaderFunc(func(at []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(at))
		for i, n := range at {
			out[i] = stored[n]
		}
		return out, nil
	})
	for leaf, err := range s.api.o.Ledger.Leaves(s.t.Context(), 0, math.MaxUint64) {
		if err != nil {
			s.t.Fatal(err)
		}
		raw := bytes.Clone(leaf.Raw)
		more, err := tlog.StoredHashes(int64(len(entries)), raw, read)
		if err != nil {
			s.t.Fatal(err)
		}
		stored = append(stored, more...)
		entries = append(entries, raw)
	}
	return entries, read
}

// TestTiles compares every tile there is, of every width that there ever was, with
// what the entries hash to; and asks for those that there are not.
func TestTiles(t *testing.T) {
	signs := newSigning(t)
	s := serve(t, signs.options())
	s.fill("ws", 300)
	s.fill("other", 230)
	s.publish("ws", `no record`) // a rejection
	s.settle()
	if got := s.do("GET", "/tile/0/000"); got.status != 404 {
		t.Errorf("a tile before there is a checkpoint: %d", got.status)
	}
	signs.publish(s.api.o.Ledger)
	size, _ := signs.latest()
	s.fill("ws", 300) // durable, and not signed yet
	s.settle()
	for _, l := range []string{"in the ring", "from disk"} {
		entries, hashes := s.tree()
		s.tiles(entries[:size], hashes)
		if t.Failed() {
			t.Fatal(l)
		}
		s = s.restart()
	}
	for _, path := range []string{"0/003", "0/002.p/200", "1/000", "1/000.p/3", "1/001.p/1", "2/000.p/1", "8/000.p/1", "63/000.p/1", "0/x001/000", "0/x018/x446/x744/x073/x709/x551/615", "0/%30%30%30", "0/000?x=1"} {
		want := 404
		if strings.Contains(path, "?") {
			want = 400 // no parameter means anything here
		}
		if got := s.do("GET", "/tile/"+path); got.status != want {
			t.Errorf("/tile/%s: %d", path, got.status)
		}
	}
	if got := s.do("POST", "/tile/0/000"); got.status != 405 {
		t.Errorf("POST: %d", got.status)
	}
}

// tiles asks for every tile of a tree.
func (s *served) tiles(entries [][]byte, hashes tlog.HashReader) {
	s.t.Helper()
	size := uint64(len(entries))
	asked := 0
	for level := uint64(0); size>>(8*level) > 0; level++ {
		nodes := size >> (8 * level)
		for n := uint64(0); n*256 < nodes; n++ {
			for width := uint64(1); width <= min(256, nodes-n*256); width++ {
				indexes := []int64{}
				for i := range width {
					indexes = append(indexes, tlog.StoredHashIndex(int(8*level), int64(n*256+i)))
				}
				nodes, err := hashes.ReadHashes(indexes)
				if err != nil {
					s.t.Fatal(err)
				}
				want := []byte{}
				for _, h := range nodes {
					want = append(want, h[:]...)
				}
				s.same("/"+layout.TilePath(level, n, uint8(width)), want)
				if asked++; level > 0 {
					continue
				}
				want = want[:0]
				for _, raw := range entries[n*256 : n*256+width] {
					want = append(binary.BigEndian.AppendUint16(want, uint16(len(raw))), raw...)
				}
				s.same("/"+layout.EntriesPath(n, uint8(width)), want)
			}
		}
	}
	if asked < int(size) {
		s.t.Errorf("%d tiles of a tree of %d: the test asks for too few", asked, size)
	}
}

// same asks for a tile and compares it; a HEAD is answered alike.
func (s *served) same(path string, want []byte) {
	s.t.Helper()
	got := s.do("GET", path, "Accept-Encoding", "identity")
	if got.status != 200 || !bytes.Equal(got.body, want) {
		s.t.Fatalf("%s: %d, %d bytes, want %d", path, got.status, len(got.body), len(want))
	}
	if got.header.Get("Content-Type") != "application/octet-stream" || got.header.Get("Cache-Control") != "public, max-age=31536000, immutable" {
		s.t.Fatalf("%s: %v", path, got.header)
	}
	if !strings.HasSuffix(path, "000.p/7") {
		return
	}
	head := s.do("HEAD", path, "Accept-Encoding", "identity")
	if head.status != 200 || len(head.body) != 0 || head.header.Get("Content-Length") != fmt.Sprint(len(want)) || head.header.Get("Cache-Control") != got.header.Get("Cache-Control") {
		s.t.Errorf("HEAD %s: %d %v", path, head.status, head.header)
	}
}

// TestBundleEncoding: entries are compressed for whoever takes that, hashes for
// nobody: they are as random as hashes are.
func TestBundleEncoding(t *testing.T) {
	s, book := behind(t, Options{})
	s.token = book.mint(t, access.Audit, access.Everywhere)
	s.fill("ws", 300)
	s.settle()
	plain := s.do("GET", "/tile/entries/000", "Accept-Encoding", "identity")
	if plain.status != 200 {
		t.Fatal(plain.status)
	}
	for accept, packed := range map[string]bool{
		"gzip": true, "br, gzip": true, "GZIP;q=0.5": true, "gzip; q=1": true, "deflate,gzip;q=0.001": true,
		"": false, "identity": false, "gzip;q=0": false, "gzip;q=0.0": false, "gzip;q=x": false, "x-gzip": false, "br": false, "*": false,
	} {
		got := s.do("GET", "/tile/entries/000", "Accept-Encoding", accept)
		body := got.body
		if packed {
			z, err := gzip.NewReader(bytes.NewReader(body))
			if err != nil {
				t.Fatalf("%q: %v", accept, err)
			}
			if body, err = io.ReadAll(z); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(body, plain.body) || (got.header.Get("Content-Encoding") == "gzip") != packed || got.header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%q: %d bytes, %v", accept, len(got.body), got.header)
		}
		if got.header.Get("Cache-Control") != "private, max-age=31536000, immutable" {
			t.Errorf("behind access: %s", got.header.Get("Cache-Control"))
		}
		if got := s.do("GET", "/tile/0/000", "Accept-Encoding", accept); got.header.Get("Content-Encoding") != "" {
			t.Errorf("%q: hashes are compressed", accept)
		}
	}
}

// TestCheckpointServed: what was signed, as it was signed.
func TestCheckpointServed(t *testing.T) {
	signs := newSigning(t)
	s := serve(t, signs.options())
	s.refused(503, "no_checkpoint", "GET", "/checkpoint")
	s.refused(503, "no_checkpoint", "GET", "/keys")
	signs.publish(s.api.o.Ledger)
	_, note := signs.latest()
	got := s.do("GET", "/checkpoint")
	if got.status != 200 || !bytes.Equal(got.body, note) || got.header.Get("Content-Type") != "text/plain; charset=utf-8" || got.header.Get("Cache-Control") != "no-cache" {
		t.Errorf("%d %v\n%s", got.status, got.header, got.body)
	}
	if head := s.do("HEAD", "/checkpoint"); head.status != 200 || len(head.body) != 0 || head.header.Get("Content-Length") != fmt.Sprint(len(note)) {
		t.Errorf("HEAD: %d %v", head.status, head.header)
	}
	s.refused(400, "unknown_parameter", "GET", "/checkpoint?size=1")
	bare := serve(t, Options{})
	bare.refused(503, "no_checkpoint", "GET", "/checkpoint")
	if got := bare.do("GET", "/tile/0/000.p/2"); got.status != http.StatusOK || len(got.body) != 2*len(chain.Hash{}) {
		t.Errorf("without a signer tiles go as far as the ledger: %d", got.status)
	}
}
