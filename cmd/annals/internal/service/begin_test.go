package service

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"annals/cmd/annals/internal/audit"
	"annals/cmd/annals/internal/datadir"
	"annals/ledger/chain"
	"annals/ledger/proof"
)

// The variables that make this test binary a server which dies at a step.
const (
	dieAt  = "TEST_DIE_AT"
	dieDir = "TEST_DIE_DIR"
	// dieDoing is what to do instead of starting: "epoch", "erase".
	dieDoing = "TEST_DIE_DOING"
)

func TestMain(m *testing.M) {
	if step := os.Getenv(dieAt); step != "" {
		die(step)
	}
	os.Exit(m.Run())
}

// dead is the status of a server that died where it was told to.
const dead = 99

func die(at string) {
	o := options(os.Getenv(dieDir))
	o.step = func(step string) {
		if step == at {
			os.Exit(dead) // nothing is closed, synced or deferred
		}
	}
	var err error
	switch os.Getenv(dieDoing) {
	case "epoch":
		err = BeginEpoch(context.Background(), o, EpochOptions{Agree: func(EpochPlan) bool { return true }})
	case "erase": // which goes on behind a start
		o.scrubEvery = 10 * time.Millisecond
		if _, err = Start(context.Background(), o); err == nil {
			time.Sleep(time.Minute)
		}
	default:
		_, err = Start(context.Background(), o)
	}
	fmt.Fprintln(os.Stderr, "still alive after the last step:", err)
	os.Exit(1)
}

func options(dir string) Options {
	return Options{Data: dir, Listen: "127.0.0.1:0", NATSListen: "127.0.0.1:0"}
}

// steps are those of a first start, in order. A new one belongs here.
var steps = []string{"locked", "noted", "keys", "stream", "genesis", "ledger", "projections", "finished"}

// TestFirstStartSurvivesDying kills a first start after each of its steps, and
// twice in a row; starting again always ends in a sound ledger, the one that was
// begun.
func TestFirstStartSurvivesDying(t *testing.T) {
	for _, step := range steps {
		t.Run(step, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			for range 2 {
				dieIn(t, dir, step)
				if step == "finished" {
					break // the second start is no first one any more
				}
			}
			sound(t, dir)
		})
	}
	// One after the other, in one folder: each goes a step further.
	t.Run("each", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "data")
		for _, step := range steps {
			dieIn(t, dir, step)
		}
		sound(t, dir)
	})
}

func dieIn(t *testing.T, dir, step string) {
	t.Helper()
	dieDoingIn(t, dir, step, "")
}

func dieDoingIn(t *testing.T, dir, step, doing string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), dieAt+"="+step, dieDir+"="+dir, dieDoing+"="+doing)
	out, _ := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); code != dead {
		t.Fatalf("status %d, not %d: it did not die at %q\n%s", code, dead, step, out)
	}
}

// sound starts a service on a folder, sees it record, and audits what is there.
func sound(t *testing.T, dir string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s, err := Start(ctx, options(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(ctx); err != nil {
			t.Error(err)
		}
	}()
	if err := s.Ready(ctx); err != nil {
		t.Error(err)
	}
	if s.dir.State != datadir.Whole {
		t.Errorf("the folder is in state %d", s.dir.State)
	}
	src := s.Ledger().Source()
	defer src.Close()
	report, err := audit.Run(ctx, src, audit.Options{})
	if err != nil || report.Verdict != proof.Clean {
		t.Errorf("audit: %v, %s", err, report.Sentence)
	}
	// One genesis, one seed, and the mark of this start; nothing was rejected. A
	// start waits for its mark to be accepted, and a while for it to be recorded.
	if _, err := s.Ledger().Wait(ctx, 2); err != nil {
		t.Fatal(err)
	}
	var got []string
	for leaf, err := range s.Ledger().Leaves(ctx, 0, s.Ledger().Head().Size) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%s %s", leaf.Entry.Kind, chain.ControlType(leaf.Entry.Code)))
	}
	if fmt.Sprint(got) != "[control genesis control seed control mark]" {
		t.Errorf("the ledger holds %v", got)
	}
}
