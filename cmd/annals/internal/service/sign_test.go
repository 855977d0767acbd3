package service

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"annals/cmd/annals/internal/datadir"
	"annals/cmd/annals/internal/keys"
	"annals/cmd/annals/internal/signer"
	"annals/ledger"
	"annals/ledger/chain"
	"annals/ledger/proof"

	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/fsck"
	"golang.org/x/mod/sumdb/note"
)

// fetch asks the service for a path.
func fetch(t *testing.T, s *Service, path string) (int, []byte) {
	t.Helper()
	res, err := http.Get(s.URL() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, body
}

// verifier is the key that a data folder's checkpoints are verified by.
func (s *Service) verifier(t *testing.T) string {
	t.Helper()
	for _, p := range s.keys.List() {
		if p.Role == chain.RoleCheckpoint && p.Algorithm == chain.AlgorithmEd25519 {
			return p.VKey(s.ledger.Genesis().Origin)
		}
	}
	t.Fatal("no checkpoint key")
	return ""
}

// served is the checkpoint that the service serves, opened.
func (s *Service) served(t *testing.T) proof.Checkpoint {
	t.Helper()
	status, body := fetch(t, s, "/checkpoint")
	if status != 200 {
		t.Fatalf("/checkpoint: %d %s", status, body)
	}
	ring, err := proof.NewKeyring(s.verifier(t))
	if err != nil {
		t.Fatal(err)
	}
	c, err := ring.Open(body)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// covered waits until a checkpoint speaks of what is recorded now.
func (s *Service) covered(t *testing.T) proof.Checkpoint {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := s.signer.Await(ctx, s.ledger.Head().Size); err != nil {
		t.Fatal(err)
	}
	return s.served(t)
}

// TestSigned: there is a checkpoint as soon as there is a server, it follows the
// ledger, and no restart takes it back.
func TestSigned(t *testing.T) {
	o := options(filepath.Join(t.TempDir(), "data"))
	o.Checkpoint = time.Hour // only on demand
	s := mustStart(t, o)
	first := s.served(t)
	if first.Size == 0 || first.Size > s.ledger.Head().Size {
		t.Errorf("size %d of %d", first.Size, s.ledger.Head().Size)
	}
	mustPost(t, s, "a", 3)
	c := s.covered(t)
	if root, err := s.ledger.RootAt(c.Size); err != nil || root != c.Root || c.Size < first.Size+3 {
		t.Errorf("size %d, %v", c.Size, err)
	}
	if status, body := fetch(t, s, "/readyz"); status != 200 {
		t.Errorf("/readyz: %d %s", status, body)
	}
	mustClose(t, s)
	s = mustStart(t, o)
	if again := s.served(t); again.Size < c.Size {
		t.Errorf("size %d is served after %d", again.Size, c.Size)
	}
	if status, body := fetch(t, s, "/metrics"); status != 200 || !bytes.Contains(body, []byte("\nannals_checkpoint_size ")) || !bytes.Contains(body, []byte("\nannals_checkpoint_signing 1\n")) {
		t.Errorf("/metrics: %d", status)
	}
}

// TestSignedToTheEnd: what was recorded before a server stops its last checkpoint covers,
// so that the end of the folder is proven.
func TestSignedToTheEnd(t *testing.T) {
	o := options(filepath.Join(t.TempDir(), "data"))
	o.Checkpoint = time.Hour // none but the first and the last
	s := mustStart(t, o)
	ring, err := proof.NewKeyring(s.verifier(t))
	if err != nil {
		t.Fatal(err)
	}
	first := s.served(t)
	mustPost(t, s, "a", 3)
	mustClose(t, s)
	b, err := os.ReadFile(filepath.Join(o.Data, datadir.Checkpoint))
	if err != nil {
		t.Fatal(err)
	}
	last, err := ring.Open(b)
	if err != nil {
		t.Fatal(err)
	}
	l, err := ledger.Open(filepath.Join(o.Data, datadir.Ledger), ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if head := l.Head(); last.Size != head.Size || last.Root != head.Root || head.Size < first.Size+3 {
		t.Errorf("signed is %d with root %s, and stored %d with %s", last.Size, last.Root, head.Size, head.Root)
	}
}

// TestRestored starts a server on an older copy of its ledger, beside the newer
// checkpoint: it signs nothing until the ledger has come to the same entries again,
// and never again if it comes to others. What was recorded is served all the same.
func TestRestored(t *testing.T) {
	dir := t.TempDir()
	o := options(filepath.Join(dir, "data"))
	s := mustStart(t, o)
	mustPost(t, s, "a", 5)
	mustClose(t, s)
	old := filepath.Join(dir, "old")
	copyFolder(t, old, o.Data)
	s = mustStart(t, o)
	mustPost(t, s, "b", 30)
	signed := s.covered(t)
	mustClose(t, s)

	t.Run("same history", func(t *testing.T) {
		// The stream still has what the ledger has lost.
		again := o
		again.Data = filepath.Join(dir, "same")
		copyFolder(t, again.Data, o.Data)
		for _, part := range []string{datadir.Ledger, datadir.Projections} {
			if err := os.RemoveAll(filepath.Join(again.Data, part)); err != nil {
				t.Fatal(err)
			}
			copyFolder(t, filepath.Join(again.Data, part), filepath.Join(old, part))
		}
		s := mustStart(t, again)
		mustPost(t, s, "c", 1)
		if c := s.covered(t); c.Size <= signed.Size {
			t.Errorf("size %d", c.Size)
		}
	})
	t.Run("another history", func(t *testing.T) {
		again := o
		again.Data = filepath.Join(dir, "other")
		copyFolder(t, again.Data, old)
		b, err := os.ReadFile(filepath.Join(o.Data, datadir.Checkpoint))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(again.Data, datadir.Checkpoint), b, 0o600); err != nil {
			t.Fatal(err)
		}
		s := mustStart(t, again)
		var behind *signer.BehindError
		if err := s.signer.Err(); !errors.As(err, &behind) || behind.Signed != signed.Size {
			t.Errorf("an older copy signs: %v", err)
		}
		for n := 0; s.ledger.Head().Size < signed.Size; n++ {
			mustPost(t, s, fmt.Sprint("other", n), 20)
		}
		if _, err := s.signer.Await(t.Context(), 1); err == nil {
			t.Error("another history is signed")
		}
		for path, want := range map[string]int{"/checkpoint": 503, "/keys": 503, "/readyz": 503, "/v1/workspaces/ws_7/timeline": 200, "/v1/ledger": 200} {
			if status, body := fetch(t, s, path); status != want {
				t.Errorf("%s: %d %s", path, status, body)
			}
		}
		if _, body := fetch(t, s, "/readyz"); !bytes.Contains(body, []byte("CONTRADICTS")) {
			t.Errorf("/readyz doesn't say why: %s", body)
		}
		if kept, err := os.ReadFile(filepath.Join(again.Data, datadir.Checkpoint)); err != nil || !bytes.Equal(kept, b) {
			t.Error("the evidence was written over")
		}
	})
}

func copyFolder(t *testing.T, to, from string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// TestSecrets: no private key is in the log, in an answer, or in a file outside of
// keys, in any of the forms in which one prints bytes.
func TestSecrets(t *testing.T) {
	var log lockedBuffer
	o := options(filepath.Join(t.TempDir(), "data"))
	o.MLDSA = true
	o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s := mustStart(t, o)
	mustPost(t, s, "a", 20)
	if _, err := keys.Add(s.keys.Dir(), chain.RoleCheckpoint, chain.AlgorithmEd25519); err != nil {
		t.Fatal(err)
	}
	s.covered(t)
	var seen bytes.Buffer
	for _, path := range []string{
		"/checkpoint", "/keys", "/tile/0/000.p/3", "/tile/entries/000.p/3", "/v1/ledger", "/metrics", "/readyz", "/openapi.json",
		"/v1/workspaces/ws_7/timeline", "/v1/workspaces/_system/timeline?kind=control", "/v1/workspaces/ws_7/head", "/v1/workspaces/ws_7/entries?from=0&limit=50&with=payloads",
	} {
		_, body := fetch(t, s, path)
		seen.Write(body)
	}
	fmt.Fprintf(&seen, "%v %+v", s.keys.List(), s.keys.Public())
	seeds := map[string][]byte{}
	all, err := keys.Load(s.keys.Dir())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all.List() {
		b, err := os.ReadFile(filepath.Join(s.keys.Dir(), p.File))
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(filepath.Join(s.keys.Dir(), p.File))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", p.File, info.Mode(), err)
		}
		seeds[p.File] = b
	}
	mustClose(t, s)
	found := func(where string, b []byte) {
		for file, seed := range seeds {
			for form, secret := range map[string]string{
				"as bytes": string(seed), "in hexadecimal": hex.EncodeToString(seed), "in capitals": strings.ToUpper(hex.EncodeToString(seed)),
				"in base64": base64.RawStdEncoding.EncodeToString(seed)[:40], "in base64url": base64.RawURLEncoding.EncodeToString(seed)[:40],
				"as numbers": strings.Trim(fmt.Sprint(seed), "[]"), "as typed bytes": base64.StdEncoding.EncodeToString(append([]byte{1}, seed...))[4:40],
			} {
				if bytes.Contains(b, []byte(secret)) {
					t.Errorf("the private key %s is in %s, %s", file, where, form)
				}
			}
		}
	}
	found("an answer", seen.Bytes())
	found("the log", log.Bytes())
	files := 0
	err = fs.WalkDir(os.DirFS(o.Data), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(path, datadir.Keys+"/") {
			return err
		}
		b, err := os.ReadFile(filepath.Join(o.Data, path))
		if err != nil {
			return err
		}
		found(path, b)
		files++
		return nil
	})
	if err != nil || files < 10 || len(log.Bytes()) == 0 {
		t.Errorf("%d files, %d bytes of log: %v", files, len(log.Bytes()), err)
	}
	// The search finds what is there.
	reached := false
	for _, seed := range seeds {
		reached = reached || bytes.Contains(append([]byte("x"), seed...), seed)
	}
	if len(seeds) != 7 || !reached {
		t.Errorf("%d keys", len(seeds))
	}
}

// lockedBuffer is a buffer that many write to.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) Bytes() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Bytes()
}

// TestTilesWhileItGrows: each checkpoint that is served is verified by the tiles
// that are served then, by software that knows nothing of ours, while records come
// in and others read the same.
func TestTilesWhileItGrows(t *testing.T) {
	o := options(filepath.Join(t.TempDir(), "data"))
	o.Checkpoint = 10 * time.Millisecond
	s := mustStart(t, o)
	v, err := note.NewVerifier(s.verifier(t))
	if err != nil {
		t.Fatal(err)
	}
	at, err := url.Parse(s.URL() + "/")
	if err != nil {
		t.Fatal(err)
	}
	const enough = 400 // entries: more than a tile
	grown, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan error)
	for range 2 {
		go func() {
			var err error
			for last := false; !last && err == nil; {
				last = grown.Err() != nil
				fetcher, e := client.NewHTTPFetcher(at, http.DefaultClient)
				err = errors.Join(e, fsck.New(s.ledger.Genesis().Origin, v, fetcher, leafHashes, fsck.Opts{N: 8}).Check(t.Context()))
			}
			done <- err
		}()
	}
	for before := s.served(t); before.Size < enough; {
		var batch []string
		for i := range 20 {
			batch = append(batch, recordNamed(fmt.Sprint(before.Size, "-", i, "-", s.ledger.Head().Size)))
		}
		res, err := http.Post(s.URL()+"/v1/workspaces/ws_7/records", "application/json", strings.NewReader("["+strings.Join(batch, ",")+"]"))
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		now := s.served(t)
		if now.Size < before.Size {
			t.Errorf("size %d is served after %d", now.Size, before.Size)
		}
		before = now
	}
	stop()
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func leafHashes(bundle []byte) (hashes [][]byte, err error) {
	var b api.EntryBundle
	if err := b.UnmarshalText(bundle); err != nil {
		return nil, err
	}
	for _, e := range b.Entries {
		hashes = append(hashes, rfc6962.DefaultHasher.HashLeaf(e))
	}
	return hashes, nil
}
