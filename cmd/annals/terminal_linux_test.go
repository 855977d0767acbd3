package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/term"
)

// pseudoTerminal opens a terminal (pty(7)): what is written to one end is read at the other.
func pseudoTerminal(t *testing.T) (near, far *os.File) {
	t.Helper()
	near, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("SKIPPED, NOT PASSED: there are no terminals here: %v", err)
	}
	t.Cleanup(func() { near.Close() })
	var n, locked uint32
	for request, at := range map[uintptr]*uint32{syscall.TIOCSPTLCK: &locked, syscall.TIOCGPTN: &n} {
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, near.Fd(), request, uintptr(unsafe.Pointer(at))); errno != 0 {
			t.Fatal(errno)
		}
	}
	if far, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	return near, far
}

// TestImportShowsProgress: on a terminal it is seen how far an import is, and elsewhere
// nothing of it.
func TestImportShowsProgress(t *testing.T) {
	s := mustServe(t, filepath.Join(t.TempDir(), "data"))
	many := filepath.Join(t.TempDir(), "many.jsonl") // more than is read at once
	line := `{"type":"app.viewed","actor":{"type":"system"},"data":"` + strings.Repeat("x", 2000) + "\"}\n"
	if err := os.WriteFile(many, []byte(strings.Repeat(line, 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(stderr *os.File) {
		t.Helper()
		cmd := exec.Command("annals", "import", "--url", s.url, "--format", "jsonl", "--workspace", "ws_7", "--report", filepath.Join(t.TempDir(), "report.jsonl"), many)
		cmd.Env = append(os.Environ(), "TERM=xterm")
		cmd.Stderr = stderr
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		stderr.Close()
	}
	near, far := pseudoTerminal(t)
	seen := make(chan string)
	go func() {
		var b strings.Builder
		for p := make([]byte, 4096); ; {
			n, err := near.Read(p)
			b.Write(p[:n])
			if err != nil { // EIO: nobody has the other end open any more
				break
			}
		}
		seen <- b.String()
	}()
	run(far)
	if got := <-seen; !strings.Contains(got, "importing") || !strings.Contains(got, "%") {
		t.Errorf("on a terminal: %q", got)
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	run(file)
	if got, err := os.ReadFile(file.Name()); err != nil || len(got) > 0 {
		t.Errorf("in a file: %v %q", err, got)
	}
}

// TestInterruptedAtThePassphrase: whoever is asked for a passphrase and would rather not
// gets out by Ctrl-C, and sees again what they type.
func TestInterruptedAtThePassphrase(t *testing.T) {
	_, far := pseudoTerminal(t)
	t.Cleanup(func() { far.Close() })
	before, err := term.GetState(int(far.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	errs := new(lockedBuffer)
	file := filepath.Join(t.TempDir(), "dana.key")
	args := []string{"keys", "new", file}
	a := &app{in: far, out: io.Discard, err: errs, args: args}
	root := a.root()
	root.SetArgs(args)
	status := make(chan int)
	go func() { status <- a.exit(root.ExecuteContextC(ctx)) }()
	state := func() term.State {
		s, err := term.GetState(int(far.Fd()))
		if err != nil {
			t.Fatal(err)
		}
		return *s
	}
	for state() == *before { // until nothing that is typed is shown
		runtime.Gosched()
	}
	interrupt()
	if got := <-status; got != exitFailure || !strings.Contains(errs.String(), "passphrase: ") || !strings.Contains(errs.String(), "interrupted") {
		t.Errorf("status %d: %s", got, errs.String())
	}
	if state() != *before {
		t.Error("the terminal goes on hiding what is typed")
	}
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a key was made: %v", err)
	}
}
