package broker_test

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"annals/ingest"
	"annals/ingest/broker"
)

// staged is a server that stages in a folder, with a stream.
type staged struct {
	*broker.Broker
	nc     *nats.Conn
	memory string
	stream string // the stream's folder
}

func stage(t *testing.T, store, memory string) *staged {
	t.Helper()
	b, err := broker.Start(broker.Options{StoreDir: store, Staging: memory})
	if err != nil {
		t.Fatal(err)
	}
	nc, err := b.Connect()
	if err != nil {
		t.Fatal(err)
	}
	if err := ingest.EnsureStream(t.Context(), nc, ingest.StreamOptions{}); err != nil {
		t.Fatal(err)
	}
	b.Stage()
	return &staged{b, nc, memory, filepath.Join(store, broker.AccountLedger, "streams", ingest.Stream)}
}

func (s *staged) close(t *testing.T) {
	t.Helper()
	s.nc.Close()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// part publishes the n-th message of a batch.
func (s *staged) part(t *testing.T, batch string, n int, commit bool) string {
	t.Helper()
	m := nats.NewMsg("activity.ws.t")
	m.Header.Set("Nats-Batch-Id", batch)
	m.Header.Set("Nats-Batch-Sequence", strconv.Itoa(n))
	if commit {
		m.Header.Set("Nats-Batch-Commit", "1")
	}
	m.Data = []byte(batch + strconv.Itoa(n))
	answer, err := s.nc.RequestMsg(m, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer.Data)
}

// batches are the folders of the batches that are staged in memory.
func (s *staged) batches(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(s.memory, "annals-batches-*", ingest.Stream, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestStaging: a batch is staged in memory while it is open, nothing of it is left
// there once it is in the stream, and nothing at all once the server is closed.
func TestStaging(t *testing.T) {
	memory := t.TempDir()
	s := stage(t, filepath.Join(t.TempDir(), "jetstream"), memory)
	if answer := s.part(t, "one", 1, false); answer != "" {
		t.Fatalf("the first of a batch: %q", answer)
	}
	if got := s.batches(t); len(got) != 1 {
		t.Fatalf("staged in memory: %v", got)
	}
	if answer := s.part(t, "one", 2, true); !strings.Contains(answer, `"count":2`) {
		t.Fatalf("the last of a batch: %q", answer)
	}
	if got := s.batches(t); len(got) != 0 {
		t.Errorf("still staged: %v", got)
	}
	s.close(t)
	if left, err := os.ReadDir(memory); err != nil || len(left) != 0 {
		t.Errorf("left in memory: %v, %v", left, err)
	}
	if _, err := os.Lstat(filepath.Join(s.stream, "batches")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the link is left: %v", err)
	}
}

// TestStagingNeeded: what was acknowledged is in the stream's own files, whatever
// becomes of the memory.
func TestStagingNeeded(t *testing.T) {
	store := filepath.Join(t.TempDir(), "jetstream")
	s := stage(t, store, t.TempDir())
	s.part(t, "one", 1, false)
	s.part(t, "one", 2, true)
	s.part(t, "open", 1, false) // is staged, and never acknowledged
	after := filepath.Join(t.TempDir(), "jetstream")
	copyWithoutLinks(t, store, after)
	s.close(t)
	s = stage(t, after, t.TempDir())
	defer s.close(t)
	if got := s.last(t); got != 2 {
		t.Errorf("the stream ends at %d, want 2", got)
	}
}

func (s *staged) last(t *testing.T) uint64 {
	t.Helper()
	js, err := jetstream.New(s.nc)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), ingest.Stream)
	if err != nil {
		t.Fatal(err)
	}
	return stream.CachedInfo().State.LastSeq
}

// copyWithoutLinks copies a running server's store as a power cut leaves it: what
// the links lead to is lost.
func copyWithoutLinks(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		switch target := filepath.Join(to, rel); {
		case d.IsDir():
			return os.MkdirAll(target, 0o700)
		case d.Type().IsRegular():
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			return os.WriteFile(target, data, 0o600)
		}
		return os.Symlink(filepath.Join(t.TempDir(), "annals-batches-gone", ingest.Stream), filepath.Join(to, rel))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestStagingPartial: a power cut while the server wrote a batch leaves the
// beginning of it in the stream and takes the staged copy. The stream goes on.
func TestStagingPartial(t *testing.T) {
	store := filepath.Join(t.TempDir(), "jetstream")
	s := stage(t, store, t.TempDir())
	s.part(t, "one", 1, false)
	s.part(t, "one", 2, false)
	s.part(t, "one", 3, true)
	js, err := jetstream.New(s.nc)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), ingest.Stream)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.DeleteMsg(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	s.close(t)
	if err := os.Symlink(filepath.Join(t.TempDir(), "annals-batches-gone", ingest.Stream), filepath.Join(s.stream, "batches")); err != nil {
		t.Fatal(err)
	}
	s = stage(t, store, t.TempDir())
	defer s.close(t)
	s.part(t, "two", 1, false)
	if answer := s.part(t, "two", 2, true); !strings.Contains(answer, `"count":2`) {
		t.Errorf("a batch after the cut: %q", answer)
	}
}

// TestStagingAfterKill: a process that is killed leaves its staging, which the next
// one may need to recover; then it is removed.
func TestStagingAfterKill(t *testing.T) {
	store, memory := filepath.Join(t.TempDir(), "jetstream"), t.TempDir()
	s := stage(t, store, memory)
	s.close(t)
	other := stage(t, filepath.Join(t.TempDir(), "jetstream"), memory)
	defer other.close(t)
	others, err := filepath.Glob(filepath.Join(memory, "*"))
	if err != nil || len(others) != 1 {
		t.Fatal(others, err)
	}
	dead := filepath.Join(memory, "annals-batches-dead")     // of a store that was removed
	wanted := filepath.Join(memory, "annals-batches-wanted") // of one that isn't started again yet
	old := filepath.Join(memory, "annals-batches-old")
	foreign := filepath.Join(memory, "foreign")
	for _, dir := range []string{filepath.Join(old, ingest.Stream, "abc"), filepath.Join(dead, ingest.Stream), filepath.Join(wanted, ingest.Stream, "abc"), foreign} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(old, ingest.Stream), filepath.Join(s.stream, "batches")); err != nil {
		t.Fatal(err)
	}
	s = stage(t, store, memory)
	defer s.close(t)
	for _, dir := range []string{old, dead} {
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left: %v", dir, err)
		}
	}
	for _, dir := range []string{filepath.Join(others[0], ingest.Stream), filepath.Join(wanted, ingest.Stream, "abc"), foreign} {
		if _, err := os.Stat(dir); err != nil {
			t.Errorf("what is somebody else's: %v", err)
		}
	}
	s.part(t, "one", 1, false)
	if got := s.batches(t); len(got) != 2 { // the wanted one is still there
		t.Errorf("staged in memory: %v", got)
	}
}

// TestStagingComesBack: a system may tidy away what is in memory, and a stream may
// be made anew; batches go on, in memory again.
func TestStagingComesBack(t *testing.T) {
	memory := t.TempDir()
	s := stage(t, filepath.Join(t.TempDir(), "jetstream"), memory)
	defer s.close(t)
	for _, c := range []struct {
		name string
		lose func() error
	}{
		{"the folder", func() error {
			dirs, err := filepath.Glob(filepath.Join(memory, "annals-batches-*"))
			for _, dir := range dirs {
				err = errors.Join(err, os.RemoveAll(dir))
			}
			return err
		}},
		{"the link", func() error { return os.Remove(filepath.Join(s.stream, "batches")) }},
		{"the stream", func() error {
			js, err := jetstream.New(s.nc)
			if err == nil {
				err = js.DeleteStream(t.Context(), ingest.Stream)
			}
			return errors.Join(err, ingest.EnsureStream(t.Context(), s.nc, ingest.StreamOptions{}))
		}},
	} {
		if err := c.lose(); err != nil {
			t.Fatal(err)
		}
		inMemory := false
		for n, late := 0, time.Now().Add(time.Minute); !inMemory; n++ {
			if time.Now().After(late) {
				t.Fatalf("after the loss of %s batches are not staged in memory again", c.name)
			}
			s.part(t, c.name+strconv.Itoa(n), 1, false)
			inMemory = len(s.batches(t)) > 0
			s.part(t, c.name+strconv.Itoa(n), 2, true)
		}
	}
}
