package query

import (
	"bytes"
	"context"
	"crypto/sha256"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"annals/ledger/proof"

	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/fsck"
	"golang.org/x/mod/sumdb/note"
)

// million is off where a test run is to be short: it takes a minute.
var million = flag.Bool("million", false, "let Tessera's fsck audit a ledger of a million entries too")

// publishAt signs an earlier size.
func (s *signing) publishAt(t *served, size uint64) {
	s.t.Helper()
	root, err := t.api.o.Ledger.RootAt(size)
	if err != nil {
		s.t.Fatal(err)
	}
	c := proof.Checkpoint{Origin: s.origin, Size: size, Root: root}
	signed, err := note.Sign(&note.Note{Text: c.Text()}, s.signer)
	if err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.size, s.last = size, signed
}

// grow records entries, a thousand to a message, until there are n; nothing is
// indexed.
func (s *served) grow(n uint64) {
	s.t.Helper()
	ctx := context.Background()
	l := s.api.o.Ledger
	s.record()
	for size := l.Head().Size; size < n; {
		var lines strings.Builder
		more := min(1000, n-size)
		for i := range more {
			fmt.Fprintf(&lines, `{"type":"t","actor":{"id":"u%d"}}`+"\n", i)
		}
		s.stream.Publish("activity.ws._", lines.String(), "Content-Type", "application/x-ndjson")
		if size += more; len(s.stream.Messages) >= 100 {
			s.flushInto(ctx)
		}
	}
	s.flushInto(ctx)
	if got := l.Head().Size; got != n {
		s.t.Fatalf("%d entries, want %d", got, n)
	}
}

// flushInto appends what the stream holds, and forgets it.
func (s *served) flushInto(ctx context.Context) {
	s.t.Helper()
	l := s.api.o.Ledger
	fresh := s.stream.Messages
	for len(fresh) > 0 && fresh[0].Sequence <= l.Position().Sequence {
		fresh = fresh[1:]
	}
	if err := l.Append(ctx, fresh); err != nil {
		s.t.Fatal(err)
	}
	if err := l.Flush(ctx); err != nil {
		s.t.Fatal(err)
	}
	s.stream.Messages = nil
}

// bundleHashes is what fsck asks of a log: how its entries hash.
func bundleHashes(bundle []byte) (hashes [][]byte, err error) {
	var b api.EntryBundle
	if err := b.UnmarshalText(bundle); err != nil {
		return nil, err
	}
	for _, e := range b.Entries {
		hashes = append(hashes, rfc6962.DefaultHasher.HashLeaf(e))
	}
	return hashes, nil
}

// through is a transport that may change what comes back.
type through struct {
	next   http.RoundTripper
	change func(path string, body []byte) []byte
}

func (f through) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := f.next.RoundTrip(r)
	if err != nil || f.change == nil {
		return res, err
	}
	b, err := io.ReadAll(res.Body)
	res.Body.Close()
	res.Body = io.NopCloser(bytes.NewReader(f.change(r.URL.Path, b)))
	return res, err
}

// fsck lets Tessera's fsck audit what is served.
func (s *served) fsck(signs *signing, change func(path string, body []byte) []byte) error {
	s.t.Helper()
	at, err := url.Parse(s.url + "/")
	if err != nil {
		s.t.Fatal(err)
	}
	fetcher, err := client.NewHTTPFetcher(at, &http.Client{Transport: through{s.client.Transport, change}, Timeout: time.Minute})
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), 5*time.Minute)
	defer cancel()
	// A worker ends at what it finds wrong, and fsck waits for ever once all have: so
	// more of them than there are tiles on the way from an entry to the root.
	return fsck.New(signs.origin, signs.verifier(), fetcher, bundleHashes, fsck.Opts{N: 8}).Check(ctx)
}

func (s *signing) verifier() note.Verifier {
	s.t.Helper()
	v, err := note.NewVerifier(s.vkey("checkpoint key"))
	if err != nil {
		s.t.Fatal(err)
	}
	return v
}

// TestFsck: software that knows nothing of ours audits the ledger clean, at the
// sizes where tiles begin and end. There is no checkpoint of size 0: the genesis is
// entry 0, so that a ledger without entries is none.
func TestFsck(t *testing.T) {
	signs := newSigning(t)
	s := serve(t, signs.options())
	sizes := []uint64{1, 2, 255, 256, 257, 511, 513, 65535, 65536, 65537, 66000}
	if testing.Short() {
		sizes = sizes[:7] // up to the first tiles' end
	}
	s.grow(sizes[len(sizes)-1])
	for _, size := range sizes {
		signs.publishAt(s, size)
		if err := s.fsck(signs, nil); err != nil {
			t.Errorf("size %d: %v", size, err)
		}
	}
	s.clients(signs, sizes)
}

// TestFsckMillion is [TestFsck] at a million.
func TestFsckMillion(t *testing.T) {
	if !*million {
		t.Skip("NOT RUN without -million: it takes a minute and a half")
	}
	signs := newSigning(t)
	s := serve(t, signs.options())
	s.grow(1_000_000)
	signs.publish(s.api.o.Ledger)
	begun := time.Now()
	if err := s.fsck(signs, nil); err != nil {
		t.Error(err)
	}
	t.Logf("audited in %s", time.Since(begun))
}

// clients lets Tessera's client follow the ledger from size to size, and prove
// entries in each.
func (s *served) clients(signs *signing, sizes []uint64) {
	t := s.t
	t.Helper()
	ctx := t.Context()
	at, err := url.Parse(s.url + "/")
	if err != nil {
		t.Fatal(err)
	}
	fetcher, err := client.NewHTTPFetcher(at, s.client)
	if err != nil {
		t.Fatal(err)
	}
	signs.publishAt(s, sizes[0])
	tracker, err := client.NewLogStateTracker(ctx, fetcher.ReadTile, nil, signs.verifier(), signs.origin, client.UnilateralConsensus(fetcher.ReadCheckpoint))
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range sizes {
		signs.publishAt(s, size)
		if _, _, _, err := tracker.Update(ctx); err != nil { // checks consistency
			t.Errorf("following to size %d: %v", size, err)
		}
		builder, err := client.NewProofBuilder(ctx, size, fetcher.ReadTile)
		if err != nil {
			t.Fatal(err)
		}
		for _, index := range []uint64{0, size / 2, size - 1} {
			hashes, err := builder.InclusionProof(ctx, index)
			if err != nil {
				t.Errorf("entry %d in %d: %v", index, size, err)
				continue
			}
			ours, err := s.api.o.Ledger.Inclusion(index, size)
			if err != nil || len(ours) != len(hashes) {
				t.Fatalf("entry %d in %d: %d hashes and %d, %v", index, size, len(hashes), len(ours), err)
			}
			for i := range hashes {
				if !bytes.Equal(hashes[i], ours[i][:]) {
					t.Errorf("entry %d in %d: hash %d differs", index, size, i)
				}
			}
		}
	}
}

// TestFsckRefuses: it also finds what isn't so, wherever a byte is another.
func TestFsckRefuses(t *testing.T) {
	signs := newSigning(t)
	s := serve(t, signs.options())
	s.grow(1300)
	signs.publish(s.api.o.Ledger)
	flip := func(path string, at int) func(string, []byte) []byte {
		return func(asked string, body []byte) []byte {
			if asked == path {
				body[at%len(body)] ^= 1
			}
			return body
		}
	}
	if err := s.fsck(signs, flip("/tile/0/nothing", 0)); err != nil {
		t.Fatal(err)
	}
	for path, at := range map[string]int{
		"/tile/entries/000":      2 + 60,
		"/tile/entries/003":      5000,
		"/tile/entries/005.p/20": 2,
		"/tile/0/000":            0,
		"/tile/0/004":            8191,
		"/tile/0/005.p/20":       100,
		"/tile/1/000.p/5":        sha256.Size - 1,
		"/checkpoint":            len(signs.origin) + 10,
	} {
		if err := s.fsck(signs, flip(path, at)); err == nil {
			t.Errorf("byte %d of %s is another, and nobody finds it", at, path)
		}
	}
}
