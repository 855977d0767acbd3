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

// drained is how long after a stop begins what has not arrived is cut.
const drained = 750 * time.Millisecond

// errLate is that of a connection that was cut when the server had drained.
var errLate = errors.New("cut after the drain")

// stops has try stop one server after the other until it was in time: on a busy machine
// what is to happen while a server drains may come too late.
func stops(t *testing.T, try func(t *testing.T, s *server, dir string) (inTime bool)) {
	t.Helper()
	const tries = 5
	for range tries {
		dir := filepath.Join(t.TempDir(), "data")
		if try(t, mustServe(t, dir), dir) || t.Failed() {
			return
		}
	}
	t.Errorf("with none of %d servers it was done while it drained", tries)
}

// halfRequest sends a request to record, but for the second half of its body. finish
// sends that too, and returns the answer, or an error where the connection was cut.
func halfRequest(t *testing.T, s *server) (conn net.Conn, finish func() (string, error)) {
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
	return conn, func() (string, error) {
		if _, err := io.WriteString(conn, oneRecord[half:]); err != nil {
			return "", err
		}
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			return "", err
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		return fmt.Sprintf("%d %s", res.StatusCode, body), err
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
	stops(t, answersInFlight)
}

func answersInFlight(t *testing.T, s *server, dir string) (inTime bool) {
	_, finish := halfRequest(t, s)
	ready(t, s)
	began := time.Now()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	refuses(t, s)
	got, err := finish()
	late := (err != nil || strings.HasPrefix(got, "408 ")) && time.Since(began) >= drained
	if !late && (err != nil || !strings.HasPrefix(got, "200 ") || !strings.Contains(got, `"status":"recorded"`)) {
		t.Errorf("the request in flight was answered with %q, %v", got, err)
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
	return !late
}

// TestStopCutsWhoStalls: a client that sends half a request and no more makes the
// stop neither fail nor wait for it.
func TestStopCutsWhoStalls(t *testing.T) {
	stops(t, cutsWhoStalls)
}

func cutsWhoStalls(t *testing.T, s *server, dir string) (inTime bool) {
	conn, _ := halfRequest(t, s)
	ready(t, s)
	began := time.Now()
	told := make(chan error, 1)
	go func() {
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		late := time.Since(began) >= drained
		switch {
		case err != nil && late:
			err = errLate
		case err == nil && res.StatusCode != http.StatusRequestTimeout:
			err = errors.New(res.Status)
		}
		told <- err
	}()
	if err := s.terminate(); err != nil {
		t.Error(err)
	}
	if out, errs, status := annals(t, "verify", "--data", dir); status != 0 {
		t.Errorf("verify after the stop: status %d\n%s%s", status, out, errs)
	}
	err := <-told
	if err != nil && !errors.Is(err, errLate) {
		t.Errorf("whoever stalls is told %v", err)
	}
	return err == nil
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
	stops(t, endsByTheSecond)
}

// endsByTheSecond reports whether a server ended by a second signal, or before.
func endsByTheSecond(t *testing.T, s *server, dir string) bool {
	t.Helper()
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
