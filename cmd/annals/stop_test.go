package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const oneRecord = `{"id":"inflight","type":"app.renamed","actor":{"type":"user","id":"usr_dana"}}`

// halfRequest sends a request to record, but for the second half of its body.
func halfRequest(t *testing.T, s *server) (conn net.Conn, finish func() string) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	half := len(oneRecord) / 2
	_, err = fmt.Fprintf(conn, "POST /v1/workspaces/ws_7/records?wait=recorded HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		len(oneRecord), oneRecord[:half])
	if err != nil {
		t.Fatal(err)
	}
	return conn, func() string {
		if _, err := io.WriteString(conn, oneRecord[half:]); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("the request in flight was not answered: %v", err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%d %s", res.StatusCode, body)
	}
}

// refuses waits until the server takes no more connections.
func refuses(t *testing.T, s *server) {
	t.Helper()
	for late := time.Now().Add(startTimeout); time.Now().Before(late); time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			return
		}
		conn.Close()
	}
	t.Fatal("the server goes on taking connections after SIGTERM")
}

// TestStopAnswersInFlight: a request that has begun before SIGTERM is recorded
// and answered, though no new one is taken; then the server ends with 0 and the
// ledger is whole.
func TestStopAnswersInFlight(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s := mustServe(t, dir)
	_, finish := halfRequest(t, s)
	ready(t, s)
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	refuses(t, s)
	if got := finish(); !strings.HasPrefix(got, "200 ") || !strings.Contains(got, `"status":"recorded"`) {
		t.Errorf("the request in flight was answered with %s", got)
	}
	select {
	case <-s.ended:
	case <-time.After(startTimeout):
		t.Fatal("the server does not stop")
	}
	if s.err != nil {
		t.Errorf("the server ended with %v\n%s", s.err, s.stderr)
	}
	if out, errs, status := annals(t, "verify", "--data", dir); status != 0 {
		t.Errorf("verify after the stop: status %d\n%s%s", status, out, errs)
	}
}

// TestStopCutsWhoStalls: a client that sends half a request and no more makes the
// stop neither fail nor wait for it.
func TestStopCutsWhoStalls(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s := mustServe(t, dir)
	conn, _ := halfRequest(t, s)
	ready(t, s)
	if err := s.terminate(); err != nil {
		t.Error(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("whoever stalls isn't told: %v", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusRequestTimeout {
		t.Errorf("whoever stalls is told %s", res.Status)
	}
}

// ready asks until the server has surely read what was sent to it before.
func ready(t *testing.T, s *server) {
	t.Helper()
	if _, errs, status := annals(t, "healthcheck", "--url", s.url); status != 0 {
		t.Fatal(errs)
	}
}

// TestSecondSignalEndsAtOnce: who signals twice doesn't want to wait.
func TestSecondSignalEndsAtOnce(t *testing.T) {
	// On a busy machine the second signal may come when the drain, 750 ms, is over.
	const tries = 5
	for range tries {
		if endsByTheSecond(t) {
			return
		}
	}
	t.Errorf("of %d servers none ended by the second signal", tries)
}

// endsByTheSecond reports whether a server ended by a second signal, or before.
func endsByTheSecond(t *testing.T) bool {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	s := mustServe(t, dir)
	halfRequest(t, s) // and never its second half: the drain would wait for it
	ready(t, s)
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	refuses(t, s)
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
	<-s.ended
	if out, errs, status := annals(t, "verify", "--data", dir); status != 0 {
		t.Errorf("verify after it: status %d\n%s%s", status, out, errs)
	}
	ws, ok := s.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && ws.Signaled()
}
