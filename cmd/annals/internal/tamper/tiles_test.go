package tamper_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/fsck"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"annals/ledger/chain"
)

// tileWidth is how many hashes or entries a full tile has (C2SP tlog-tiles).
const tileWidth = 256

// tileIndex writes a tile's number as tlog-tiles does.
func tileIndex(n uint64) string {
	s := fmt.Sprintf("%03d", n%1000)
	for n /= 1000; n > 0; n /= 1000 {
		s = fmt.Sprintf("x%03d/%s", n%1000, s)
	}
	return s
}

// tilePath is where the tile n of a level stands in a log whose level has size
// nodes.
func tilePath(level string, n, size uint64) string {
	path := "tile/" + level + "/" + tileIndex(n)
	if w := size - n*tileWidth; w < tileWidth {
		path += fmt.Sprintf(".p/%d", w)
	}
	return path
}

// layTiles lays a book out as the tiles of a log of size entries: the checkpoint,
// the tree's nodes and the entries, as they stand in the book, whether they fit
// together or not.
func layTiles(b *book, size uint64, checkpoint []byte) files {
	f := files{"checkpoint": checkpoint}
	for level, height := 0, 0; size>>height > 0; level, height = level+1, height+8 {
		size := size >> height
		for n := uint64(0); n*tileWidth < size; n++ {
			var tile []byte
			for i := n * tileWidth; i < min((n+1)*tileWidth, size) && i < uint64(len(b.nodes[height])); i++ {
				tile = append(tile, b.nodes[height][i][:]...)
			}
			f[tilePath(fmt.Sprint(level), n, size)] = tile
		}
	}
	for n := uint64(0); n*tileWidth < size; n++ {
		f[tilePath("entries", n, size)] = bundle(b.rows, n*tileWidth, min((n+1)*tileWidth, size))
	}
	return f
}

// bundle is the entries from ≤ i < to, each behind its length.
func bundle(rows []row, from, to uint64) (out []byte) {
	for i := from; i < min(to, uint64(len(rows))); i++ {
		out = binary.BigEndian.AppendUint16(out, uint16(len(rows[i].raw)))
		out = append(out, rows[i].raw...)
	}
	return out
}

// write puts files into a folder.
func (f files) write(t testing.TB, dir string) {
	t.Helper()
	for name, b := range f {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// serve serves files over HTTP, and nothing else.
func (f files) serve(t testing.TB) string {
	f = maps.Clone(f)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, ok := f[r.URL.EscapedPath()[1:]]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		_, _ = w.Write(b)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// stranger reads files as somebody else's log client does.
type stranger struct{ files files }

func (s stranger) read(path string) ([]byte, error) {
	if b, ok := s.files[path]; ok {
		return b, nil
	}
	return nil, fs.ErrNotExist
}

func (s stranger) ReadCheckpoint(context.Context) ([]byte, error) { return s.read("checkpoint") }

func (s stranger) ReadTile(_ context.Context, level, n uint64, p uint8) ([]byte, error) {
	return s.read(partial(fmt.Sprintf("tile/%d/%s", level, tileIndex(n)), p))
}

func (s stranger) ReadEntryBundle(_ context.Context, n uint64, p uint8) ([]byte, error) {
	return s.read(partial("tile/entries/"+tileIndex(n), p))
}

func partial(path string, width uint8) string {
	if width == 0 {
		return path
	}
	return fmt.Sprintf("%s.p/%d", path, width)
}

// leafHashes is what fsck needs to know of our entries: nothing.
func leafHashes(b []byte) (out [][]byte, err error) {
	var bundle api.EntryBundle
	if err := bundle.UnmarshalText(b); err != nil {
		return nil, err
	}
	for _, e := range bundle.Entries {
		leaf := chain.LeafHash(e)
		out = append(out, leaf[:])
	}
	return out, nil
}

var errOlder = errors.New("the log is older than the checkpoint that was kept")

// auditAsLog audits files with a log client that knows nothing of Annals: every
// hash, and a checkpoint that was kept if there is one. It follows no change of keys:
// somebody told it the last one.
func auditAsLog(t testing.TB, f files, honest *book, k knowledge) (err error) {
	t.Helper()
	defer func() {
		if r := recover(); r != nil { // over a bundle of too few entries it does
			err = fmt.Errorf("the log client fell over: %v", r)
		}
	}()
	v, err := note.NewVerifier(honest.vkey())
	if err != nil {
		t.Fatal(err)
	}
	origin := honest.origin
	s := stranger{f}
	if err := fsck.New(origin, v, s, leafHashes, fsck.Opts{N: 2}).Check(t.Context()); err != nil {
		return err
	}
	if k.remembered == nil {
		return nil
	}
	kept := sign(origin, checkpointText(origin, *k.remembered), keyAt(honest.reigns, math.MaxUint64))
	// A monitor's three questions: is it older, is it another one of the same size,
	// does it begin as what was kept.
	old, _, _, err := client.FetchCheckpoint(t.Context(), func(context.Context) ([]byte, error) { return kept, nil }, v, origin)
	if err != nil {
		return err
	}
	now, _, _, err := client.FetchCheckpoint(t.Context(), s.ReadCheckpoint, v, origin)
	switch {
	case err != nil:
		return err
	case now.Size < old.Size:
		return errOlder
	}
	builder, err := client.NewProofBuilder(t.Context(), now.Size, s.ReadTile)
	if err != nil {
		return err
	}
	steps, err := builder.ConsistencyProof(t.Context(), old.Size, now.Size)
	if err != nil {
		return err
	}
	var p tlog.TreeProof
	for _, s := range steps {
		p = append(p, tlog.Hash(s))
	}
	return tlog.CheckTree(p, int64(now.Size), tlog.Hash(now.Hash), int64(old.Size), tlog.Hash(old.Hash))
}

func TestLogClientOnBase(t *testing.T) {
	b := base(t)
	f := layTiles(b, b.head.Size, b.checkpoint())
	if err := auditAsLog(t, f, b, knowledge{remembered: &b.head}); err != nil {
		t.Fatal(err)
	}
}
