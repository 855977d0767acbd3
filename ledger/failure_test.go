package ledger_test

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"annals/ledger"
)

// failAt, in the environment, makes the test binary a process that feeds a ledger
// until its n-th write fails, and every one after it.
const failAt = "ANNALS_TEST_FAIL_AT"

var every = flag.Bool("every", false, "fail each write of the run in turn, not a sample of them")

func TestMain(m *testing.M) {
	if n := os.Getenv(failAt); n != "" {
		os.Exit(feedUntilFailure(n, os.Args[len(os.Args)-1]))
	}
	os.Exit(m.Run())
}

// feedUntilFailure prints each acknowledged sequence, and at last how many writes
// there were.
func feedUntilFailure(n, dir string) int {
	fail, err := strconv.ParseInt(n, 10, 64)
	if err != nil {
		panic(err)
	}
	var op atomic.Int64
	fs := errorfs.Wrap(vfs.Default, errorfs.InjectorFunc(func(o errorfs.Op) error {
		if o.Kind.ReadOrWrite() == errorfs.OpIsWrite && op.Add(1) >= fail {
			return errorfs.ErrInjected
		}
		return nil
	}))
	err = feed(fs, dir, crashStream(), 1, func(sequence uint64) { fmt.Println("acknowledged", sequence) })
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 3
	}
	fmt.Println("writes", op.Load())
	return 0
}

// runFailing runs such a process to its end, however it comes to it.
func runFailing(t testing.TB, fail int64, dir string) (acked uint64, writes int64, err error) {
	t.Helper()
	cmd := exec.Command(os.Args[0], dir)
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", failAt, fail))
	var out bytes.Buffer
	cmd.Stdout = &out
	err = cmd.Run()
	for lines := bufio.NewScanner(&out); lines.Scan(); {
		_, _ = fmt.Sscanf(lines.Text(), "acknowledged %d", &acked)
		_, _ = fmt.Sscanf(lines.Text(), "writes %d", &writes)
	}
	return acked, writes, err
}

// TestFailAnyWrite fails writes, syncs, creations and renames all along a run,
// one process each: the process stops by itself, and what it acknowledged is
// whole on the disk.
func TestFailAnyWrite(t *testing.T) {
	s := crashStream()
	want := reference(t, s)
	_, total, err := runFailing(t, 1<<40, t.TempDir()+"/ledger")
	if err != nil || total < 100 {
		t.Fatalf("a run that nothing disturbs made %d writes: %v", total, err)
	}
	step := max(1, total/24)
	switch {
	case *every:
		step = 1
	case testing.Short():
		step = total / 6
	}
	unborn := 0
	for fail := int64(1); fail <= total; fail += step {
		dir := t.TempDir() + "/ledger"
		acked, _, err := runFailing(t, fail, dir)
		// After the last acknowledgement there is only tidying up.
		if last := s.Messages[len(s.Messages)-1].Sequence; err == nil && acked < last {
			t.Fatalf("write %d of %d failed, and the process went on as if nothing were", fail, total)
		}
		err = crash{vfs.Default, dir, acked}.survives(t, s, want)
		if errors.Is(err, ledger.ErrNoLedger) && acked == 0 {
			unborn++
			continue
		}
		if err != nil {
			t.Fatalf("write %d of %d failed, message %d was acknowledged: %v", fail, total, acked, err)
		}
	}
	t.Logf("%d writes in a run, every %d. failed in turn; %d times there was no ledger yet", total, step, unborn)
}
