package witness

import (
	"bytes"
	"context"
	"fmt"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"

	notes "github.com/transparency-dev/formats/note"
)

// TestTessera: a log that Tessera runs, which knows nothing of Annals, has its
// checkpoints cosigned here, by the client that it brings. It publishes none that
// isn't.
func TestTessera(t *testing.T) {
	l := newLog(t, "log.example/tessera", 0, "")
	w := mustOpen(t, Options{Path: t.TempDir(), Logs: []string{l.vkey}})
	server := httptest.NewServer(w.Handler())
	defer server.Close()
	group, err := tessera.NewWitnessGroupFromPolicy(fmt.Appendf(nil, "log %s\nwitness w1 %s %s\nquorum w1\n", l.vkey, w.VKey(), server.URL))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	driver, err := posix.New(ctx, posix.Config{Path: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	appender, shutdown, reader, err := tessera.NewAppender(ctx, driver, tessera.NewAppendOptions().
		WithCheckpointSigner(l.by).WithCheckpointInterval(100*time.Millisecond).WithBatching(4, 10*time.Millisecond).
		WithWitnesses(group, &tessera.WitnessOptions{Timeout: time.Minute}))
	if err != nil {
		t.Fatal(err)
	}
	awaiter := tessera.NewPublicationAwaiter(ctx, reader.ReadCheckpoint, 10*time.Millisecond)
	own, err := notes.NewVerifierForCosignatureV1(w.VKey())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		_, checkpoint, err := awaiter.Await(ctx, appender.Add(ctx, tessera.NewEntry(fmt.Append(nil, "entry ", i))))
		if err != nil {
			t.Fatal(err)
		}
		if n, err := note.Open(checkpoint, note.VerifierList(own)); err != nil || len(n.Sigs) != 1 {
			t.Errorf("%v\n%s", err, checkpoint)
		}
	}
	if err := shutdown(ctx); err != nil {
		t.Error(err)
	}
	if got := w.Logs()[0]; got.Size < 3 || got.Evidence != 0 || !bytes.Contains([]byte(got.Checkpoint), []byte("log.example/tessera\n")) {
		t.Errorf("%+v", got)
	}
}
