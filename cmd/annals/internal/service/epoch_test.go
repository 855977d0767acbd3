package service

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"annals/ingest"
	"annals/ledger/chain"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

var agreed = EpochOptions{Agree: func(EpochPlan) bool { return true }, Reason: "the disk died"}

// lostStream is a folder with some records whose stream then comes to harm.
func lostStream(t *testing.T, harm func(t *testing.T, o Options)) (Options, chain.State) {
	t.Helper()
	o := options(filepath.Join(t.TempDir(), "data"))
	s := mustStart(t, o)
	for i := range 5 {
		if status, body := post(t, s, fmt.Sprintf("r%d", i)); status != 200 {
			t.Fatal(status, body)
		}
	}
	mustClose(t, s)
	state := s.ledger.Head().State
	harm(t, o)
	return o, state
}

func jetstreamOf(o Options) string { return filepath.Join(o.Data, "jetstream") }

// removed: the folder is gone.
func removed(t *testing.T, o Options) {
	if err := os.RemoveAll(jetstreamOf(o)); err != nil {
		t.Fatal(err)
	}
}

// emptied: the folder is there, and nothing in it.
func emptied(t *testing.T, o Options) {
	removed(t, o)
	if err := os.Mkdir(jetstreamOf(o), 0o700); err != nil {
		t.Fatal(err)
	}
}

// deletedStream: somebody deleted the stream.
func deletedStream(t *testing.T, o Options) {
	onStream(t, o, func(nc *nats.Conn) { deleteStream(t, nc) })
}

func deleteStream(t *testing.T, nc *nats.Conn) {
	t.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteStream(t.Context(), ingest.Stream); err != nil {
		t.Fatal(err)
	}
}

// recreated: it was made anew, and producers found it.
func recreated(records int) func(*testing.T, Options) {
	return func(t *testing.T, o Options) {
		onStream(t, o, func(nc *nats.Conn) {
			deleteStream(t, nc)
			eventually(t, "the stream is made anew", func() bool { return ingest.EnsureStream(t.Context(), nc, ingest.StreamOptions{}) == nil })
			for i := range records {
				if _, err := nc.Request("activity.ws_7.app.renamed", []byte(recordNamed(fmt.Sprint("new", i))), 5*time.Second); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// TestEpoch: a ledger whose stream came to harm goes on with a new one, keeps the
// old one's folder, and is clean.
func TestEpoch(t *testing.T) {
	for _, c := range []struct {
		name  string
		harm  func(*testing.T, Options)
		why   []string // any of them
		aside bool
		last  uint64
	}{
		{"the folder is gone", removed, []string{"is not there"}, false, 0},
		{"the folder is empty", emptied, []string{"is empty"}, false, 0},
		// What the broker leaves of a deleted stream's folder is a matter of time.
		{"the stream was deleted", deletedStream, []string{"no stream", "is empty"}, false, 0},
		{"made anew and empty", recreated(0), []string{"created anew"}, false, 0},
		{"made anew and used", recreated(20), []string{"created anew"}, true, 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o, before := lostStream(t, c.harm)
			var plan EpochPlan
			declined := EpochOptions{Agree: func(p EpochPlan) bool { plan = p; return false }}
			if err := BeginEpoch(t.Context(), o, declined); !errors.Is(err, errDeclined) {
				t.Fatalf("declined: %v", err)
			}
			says := func(why string) bool { return strings.Contains(plan.Why.Error(), why) }
			if plan.Epoch != 1 || plan.Folded != before.Sequence || plan.Size != before.Size || plan.Last != c.last ||
				(plan.Aside != "") != c.aside || !slices.ContainsFunc(c.why, says) {
				t.Fatalf("the plan was %+v", plan)
			}
			if _, err := os.Lstat(jetstreamOf(o) + ".epoch-0"); err == nil {
				t.Fatal("declined, and the stream was moved")
			}
			if err := BeginEpoch(t.Context(), o, agreed); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(filepath.Join(jetstreamOf(o)+".epoch-0", "ANNALS")); (err == nil) != c.aside {
				t.Errorf("the old stream's folder: %v", err)
			}
			if err := BeginEpoch(t.Context(), o, agreed); !errors.Is(err, ErrStreamFine) {
				t.Errorf("a second time: %v", err)
			}
			goesOn(t, o, 1)
		})
	}
}

// goesOn starts a service on a folder, records, and finds the ledger clean in the
// epoch, and the stream whole for whoever reads it with the epoch before.
func goesOn(t *testing.T, o Options, epoch uint32) {
	t.Helper()
	s := mustStart(t, o)
	if err := s.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Until the epoch is folded, a message's sequence may be one of the old stream's, and
	// who waits for its record is told to try again.
	for at := s.ledger.Head(); at.State.Epoch < epoch; {
		var err error
		if at, err = s.ledger.Wait(t.Context(), at.Size); err != nil {
			t.Fatal(err)
		}
	}
	if status, body := post(t, s, "after"); status != 200 {
		t.Fatal(status, body)
	}
	if status, body := post(t, s, "r3"); status != 200 || !strings.Contains(body, "duplicate") {
		t.Errorf("a record of the old stream, published again: %d %s", status, body)
	}
	head := s.ledger.Head()
	if head.State.Epoch != epoch || head.State.Start.Last == 0 {
		t.Errorf("the ledger is in epoch %d, which began as %+v", head.State.Epoch, head.State.Start)
	}
	m, err := messageAt(s.ledger, head.State.EpochIndex)
	if e, ok := m.Epoch(); err != nil || !ok || e != head.State.Start {
		t.Errorf("entry %d holds %+v, %v", head.State.EpochIndex, e, err)
	}
	clean(t, s)
	mustClose(t, s)
	s = mustStart(t, o) // and once more
	if err := s.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	mustClose(t, s)
}

// TestEpochRefused: where nothing is to be mended, nothing is done.
func TestEpochRefused(t *testing.T) {
	o, _ := lostStream(t, func(*testing.T, Options) {})
	if err := BeginEpoch(t.Context(), o, agreed); !errors.Is(err, ErrStreamFine) {
		t.Errorf("a stream that is fine: %v", err)
	}
	onStream(t, o, func(nc *nats.Conn) { deleteMessages(t, nc, 3, 4) })
	if err := BeginEpoch(t.Context(), o, agreed); !errors.Is(err, ErrStreamFine) {
		t.Errorf("a stream with a hole in what was folded: %v", err)
	}
	s := mustStart(t, o)
	if err := BeginEpoch(t.Context(), o, agreed); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("beside a running server: %v", err)
	}
	mustClose(t, s)
	if err := BeginEpoch(t.Context(), options(t.TempDir()), agreed); err == nil || !strings.Contains(err.Error(), "holds no ledger") {
		t.Errorf("an empty folder: %v", err)
	}
	if err := os.Rename(filepath.Join(o.Data, "keys", "operator"), filepath.Join(o.Data, "operator")); err != nil {
		t.Fatal(err)
	}
	removed(t, o)
	if err := BeginEpoch(t.Context(), o, agreed); err == nil || !strings.Contains(err.Error(), "operator") {
		t.Errorf("without the operator's key: %v", err)
	}
	goneWrong := agreed
	stranger, err := chain.NewSigner(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	goneWrong.Signers = []chain.Signer{stranger}
	if err := BeginEpoch(t.Context(), o, goneWrong); err == nil || !strings.Contains(err.Error(), "nothing was done") {
		t.Errorf("signed by a stranger's key: %v", err)
	}
	if _, err := os.Stat(jetstreamOf(o)); err == nil {
		t.Error("a stream was made, though nothing could be signed")
	}
}

// TestEpochSurvivesDying kills the command after each of its steps; another run
// ends it, or serve goes on with it by itself.
func TestEpochSurvivesDying(t *testing.T) {
	for _, step := range []string{"aside", "stream", "published", "folded"} {
		t.Run(step, func(t *testing.T) {
			// One after the other: a process that is being started holds, for a moment, the
			// locks that others here have just let go of.
			o, _ := lostStream(t, recreated(3))
			cmd := exec.Command(os.Args[0], "-test.run=^$")
			cmd.Env = append(os.Environ(), dieAt+"="+step, dieDir+"="+o.Data, dieDoing+"=epoch")
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != dead {
				t.Fatalf("it did not die where it should: %v\n%s", err, out)
			}
			if _, err := os.Stat(filepath.Join(jetstreamOf(o)+".epoch-0", "ANNALS")); err != nil {
				t.Errorf("the old stream's folder: %v", err)
			}
			again := BeginEpoch
			if step == "published" { // all that is left to do is what serve does
				again = func(context.Context, Options, EpochOptions) error { return nil }
			}
			if err := again(t.Context(), o, agreed); err != nil && (step != "folded" || !errors.Is(err, ErrStreamFine)) {
				t.Fatal(err)
			}
			goesOn(t, o, 1)
		})
	}
}

// TestEpochOnCluster: an external stream is never touched, and a new one begins
// before producers are let in.
func TestEpochOnCluster(t *testing.T) {
	o, nc := onCluster(t)
	s := mustStart(t, o)
	mustClose(t, s)
	behind := copied(t, o)
	s = mustStart(t, o)
	for i := range 5 {
		if status, body := post(t, s, fmt.Sprintf("r%d", i)); status != 200 {
			t.Fatal(status, body)
		}
	}
	mustClose(t, s)
	level := copied(t, o)
	deleteStream(t, nc)
	eventually(t, "the stream is made anew", func() bool { return ingest.EnsureStream(t.Context(), nc, ingest.StreamOptions{}) == nil })
	if _, err := nc.Request("activity.ws_7.app.renamed", []byte(recordNamed("new")), 5*time.Second); err != nil {
		t.Fatal(err)
	}
	if err := BeginEpoch(t.Context(), o, agreed); err == nil || !strings.Contains(err.Error(), "nats stream rm ANNALS") {
		t.Fatalf("a cluster's stream with messages in it: %v", err)
	}
	deleteStream(t, nc)
	stop := make(chan struct{})
	pushed := make(chan struct{})
	go func() { // a producer that never stops trying
		defer close(pushed)
		for {
			select {
			case <-stop:
				return
			default:
				_, _ = nc.Request("activity.ws_7.app.renamed", []byte(recordNamed("pushed")), 5*time.Millisecond)
			}
		}
	}()
	if err := BeginEpoch(t.Context(), o, agreed); err != nil {
		t.Error(err)
	}
	close(stop)
	<-pushed
	first, _, _, err := ingest.First(t.Context(), nc)
	if _, ok := first.Epoch(); err != nil || !ok || first.Sequence != 1 {
		t.Errorf("the stream begins with %s at %d, %v", first.Subject, first.Sequence, err)
	}
	goesOn(t, o, 1)

	// Another replica that stood at the very same message goes on by itself, and
	// comes to the same root; one that was behind can't, and records nothing.
	s = mustStart(t, level)
	eventually(t, "the other replica has it all", func() bool { return s.Ready(t.Context()) == nil && s.ledger.Head().State.Epoch == 1 })
	clean(t, s)
	root, size := s.ledger.Head().Root, s.ledger.Head().Size
	mustClose(t, s)
	s = mustStart(t, o)
	eventually(t, "the first has it all", func() bool { return s.ledger.Head().Size > size })
	if got, err := s.ledger.RootAt(size); err != nil || got != root {
		t.Errorf("replicas have the roots %s and %s at %d, %v", got, root, size, err)
	}
	mustClose(t, s)
	s = mustStart(t, behind)
	before := s.ledger.Head().Size
	if err := s.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "begin this replica again from one that went on") {
		t.Errorf("a replica that was behind: %v", err)
	}
	if status, body := post(t, s, "no"); status != 503 || s.ledger.Head().Size != before {
		t.Errorf("recording on a replica that was behind: %d %s", status, body)
	}
}

// copied is a replica: a service on a copy of another's folder.
func copied(t *testing.T, o Options) Options {
	t.Helper()
	from := o.Data
	o.Data = filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(o.Data, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return o
}
