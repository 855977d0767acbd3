package tiles

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
	"annals/ledger/proof"
)

// log is a ledger in memory and the files that it shows.
type log struct {
	stream  *chaintest.Stream
	state   chain.State
	heads   map[chain.Hash]chain.Head
	entries [][]byte
	hashes  []tlog.Hash // in the order that tlog stores them
	folded  int
}

func newLog(name string, size int) *log {
	l := &log{stream: chaintest.NewKeyed(name), heads: map[chain.Hash]chain.Head{}}
	state, _, err := chain.OpenGenesis(&l.stream.Messages[0])
	if err != nil {
		panic(err)
	}
	l.state = state
	l.fold()
	for i := len(l.entries); i < size; i++ {
		l.stream.Record(fmt.Sprint("ws_", i%3), fmt.Sprint(i), `{}`)
	}
	l.fold()
	l.entries = l.entries[:size] // a genesis comes with a seed
	return l
}

func (l *log) fold() {
	for ; l.folded < len(l.stream.Messages); l.folded++ {
		p := l.state.Preparer().Prepare(l.stream.Messages[l.folded])
		r, err := l.state.Fold([]chain.Prepared{p}, chain.Known{Heads: l.heads})
		if err != nil {
			panic(err)
		}
		l.state = r.State
		for tag, head := range r.Heads {
			l.heads[tag] = head
		}
		for _, f := range r.Entries {
			l.entries = append(l.entries, bytes.Clone(f.Raw))
			added, err := tlog.StoredHashesForRecordHash(int64(len(l.entries)-1), tlog.Hash(f.Leaf), tlog.HashReaderFunc(l.readHashes))
			if err != nil {
				panic(err)
			}
			l.hashes = append(l.hashes, added...)
		}
	}
}

func (l *log) readHashes(at []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(at))
	for i := range at {
		out[i] = l.hashes[at[i]]
	}
	return out, nil
}

func (l *log) root(size uint64) chain.Hash {
	h, err := tlog.TreeHash(int64(size), tlog.HashReaderFunc(l.readHashes))
	if err != nil {
		panic(err)
	}
	return chain.Hash(h)
}

// key is the log's verifier key.
func (l *log) key() string {
	return proof.VKey(l.stream.Settled.Origin, 1, chaintest.Signer("checkpoint").Public(0).Public)
}

// checkpoint signs the head at a size.
func (l *log) checkpoint(size uint64) proof.Checkpoint {
	c := proof.Checkpoint{Origin: l.stream.Settled.Origin, Size: size, Root: l.root(size)}
	c.Note = l.sign(c.Text(), "checkpoint")
	return c
}

func (l *log) sign(text, signer string) []byte {
	s := chaintest.Signer(signer)
	vkey := proof.VKey(l.stream.Settled.Origin, 1, s.Public(0).Public)
	var id [4]byte
	_, _ = fmt.Sscanf(vkey[len(l.stream.Settled.Origin)+1:], "%02x%02x%02x%02x", &id[0], &id[1], &id[2], &id[3])
	return fmt.Appendf(nil, "%s\n— %s %s\n", text, l.stream.Settled.Origin, base64.StdEncoding.EncodeToString(append(id[:], s.Sign([]byte(text))...)))
}

// file is what a file of the log holds.
func (l *log) file(n Name) []byte {
	var b []byte
	for i := n.N * Width; i < n.N*Width+uint64(n.Width); i++ {
		if n.Entries {
			b = binary.BigEndian.AppendUint16(b, uint16(len(l.entries[i])))
			b = append(b, l.entries[i]...)
			continue
		}
		h := l.hashes[tlog.StoredHashIndex(n.Level, int64(i))]
		b = append(b, h[:]...)
	}
	return b
}

// write writes the log at a size as static files.
func (l *log) write(t testing.TB, dir string, size uint64) {
	t.Helper()
	put := func(name string, b []byte) {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for n := range Needed(size) {
		put(n.Path(), l.file(n))
	}
	put(CheckpointPath, l.checkpoint(size).Note)
}

func mustOpen(t testing.TB, where string, o Options) *Place {
	t.Helper()
	p, err := Open(where, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// audit audits a place's own checkpoint.
func (l *log) audit(t testing.TB, p *Place) (proof.Report, error) {
	t.Helper()
	ring, err := proof.NewKeyring(l.key())
	if err != nil {
		t.Fatal(err)
	}
	note, err := p.Checkpoint(t.Context())
	if err != nil {
		return proof.Refused(err), err
	}
	c, err := ring.Open(note)
	if err != nil {
		t.Fatal(err)
	}
	return proof.Audit(context.Background(), p.At(c), proof.Options{
		Tiles: true, EntriesOnly: true, Checkpoint: note, Key: l.key(), Chunk: 512,
	})
}
