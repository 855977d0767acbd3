package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// server is `annals serve` in a process of its own, on free ports.
type server struct {
	cmd       *exec.Cmd
	url, nats string
	notReady  string // why it said that it isn't
	stderr    *lockedBuffer
	out       chan string // the lines after ready, until the process closes its output
	ended     chan struct{}
	err       error // of Wait, once ended is closed
}

// lockedBuffer is written by a process's pipe and read by a test that fails.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// startTimeout is for a busy machine: a test that waits for it has failed.
const startTimeout = 60 * time.Second

// startServer starts a server and waits until it says that it is ready.
func startServer(dir string, flags ...string) (*server, error) {
	return startProcess(append([]string{"serve", "--data", dir, "--listen", "127.0.0.1:0", "--nats-listen", "127.0.0.1:0", "--log-level", "warn"}, flags...)...)
}

// startProcess starts a command that serves, and waits until it says that it is ready.
func startProcess(args ...string) (*server, error) {
	s := &server{cmd: exec.Command("annals", args...), stderr: new(lockedBuffer), out: make(chan string, 64), ended: make(chan struct{})}
	s.cmd.Stderr = s.stderr
	s.cmd.Env = withoutOurs(os.Environ())
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			s.out <- lines.Text()
		}
		close(s.out)
		s.err = s.cmd.Wait()
		close(s.ended)
	}()
	return s, s.awaitReady()
}

// withoutOurs drops the variables that a developer's shell may have set.
func withoutOurs(environ []string) (out []string) {
	for _, v := range environ {
		if !strings.HasPrefix(v, prefix) {
			out = append(out, v)
		}
	}
	return out
}

func (s *server) awaitReady() error {
	late := time.After(startTimeout)
	for {
		select {
		case text, ok := <-s.out:
			if !ok {
				<-s.ended
				return fmt.Errorf("the server ended before it was ready: %w\n%s", s.err, s.stderr)
			}
			switch f := strings.Fields(text); {
			case text == "ready":
				return nil
			case strings.HasPrefix(text, "NOT READY: "):
				s.notReady = text
				return nil
			case len(f) == 2 && f[0] == "HTTP":
				s.url = f[1]
			case len(f) == 2 && f[0] == "NATS":
				s.nats = f[1]
			}
		case <-late:
			s.kill()
			return fmt.Errorf("the server was not ready within %s\n%s", startTimeout, s.stderr)
		}
	}
}

// kill ends the process as a power cut would, as far as a process can see.
func (s *server) kill() {
	_ = s.cmd.Process.Kill()
	<-s.ended
}

// terminate asks the process to stop, and returns an error unless it does so
// with status 0.
func (s *server) terminate() error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-s.ended:
	case <-time.After(startTimeout):
		s.kill()
		return errors.New("the server did not stop when it was asked to")
	}
	if s.err != nil {
		return fmt.Errorf("the server did not stop cleanly: %w\n%s", s.err, s.stderr)
	}
	return nil
}

// mustServe starts a server that is killed at the test's end, if it still runs.
func mustServe(t *testing.T, dir string, flags ...string) *server {
	t.Helper()
	s, err := startServer(dir, flags...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.kill)
	if s.notReady != "" {
		t.Fatalf("%s\n%s", s.notReady, s.stderr)
	}
	return s
}

// annals runs a command to its end and returns what it printed and its status.
func annals(t *testing.T, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	cmd := exec.Command("annals", args...)
	cmd.Env = withoutOurs(os.Environ())
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		status = exit.ExitCode()
	case err != nil:
		t.Fatal(err)
	}
	return out.String(), errs.String(), status
}
