package query

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// TestServeDrains ends the context while a request is under way: it is answered.
func TestServeDrains(t *testing.T) {
	s := serve(t, Options{})
	begun, release := make(chan struct{}), make(chan struct{})
	s.api.mux.HandleFunc("GET /slow", func(w http.ResponseWriter, _ *http.Request) {
		close(begun)
		<-release
		_, _ = io.WriteString(w, "answered")
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.api.Serve(ctx, l) }()
	answers := make(chan string, 1)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	go func() {
		resp, err := client.Get("http://" + l.Addr().String() + "/slow")
		if err != nil {
			answers <- err.Error()
			return
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		answers <- string(b)
	}()
	select {
	case <-begun:
	case got := <-answers:
		t.Fatalf("the request was not begun: %s", got)
	}
	cancel()
	select {
	case err := <-served:
		t.Fatalf("Serve returned %v before the request was answered", err)
	case <-time.After(20 * time.Millisecond):
	}
	close(release)
	if got := <-answers; got != "answered" {
		t.Errorf("the request under way was answered %q", got)
	}
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

// TestCut closes what has not arrived, and nothing else, whatever deadline there is.
func TestCut(t *testing.T) {
	d := drain{conns: map[net.Conn]bool{}}
	open := func(c net.Conn) bool {
		_ = c.SetReadDeadline(time.Now())
		_, err := c.Read(make([]byte, 1))
		return errors.Is(err, os.ErrDeadlineExceeded)
	}
	stalled, far := net.Pipe()
	whole, farther := net.Pipe()
	defer far.Close()
	defer farther.Close()
	defer whole.Close()
	d.mark(stalled, false)
	d.arrived(whole)
	d.stop(time.Now())
	if !open(stalled) || !open(whole) {
		t.Error("closed by the stop already")
	}
	d.cut()
	if open(stalled) || !open(whole) {
		t.Errorf("after the cut the stalled one is open: %v, the other one: %v", open(stalled), open(whole))
	}
}

// TestServeCutsWhoStalls stops while clients send nothing more: in the middle of
// a body, of a header, before either, and between two requests. None of them holds
// the stop up, or makes it fail; whoever was reading a body can still say so, and
// a body that comes after the stop, but soon, is read.
func TestServeCutsWhoStalls(t *testing.T) {
	// On a busy machine a body, or an answer, may come when its time is over.
	const tries = 5
	for range tries {
		if cutsWhoStalls(t) || t.Failed() {
			return
		}
	}
	t.Errorf("with none of %d servers the bodies and answers were in time", tries)
}

// cutsWhoStalls reports whether all came in time. What did not was cut, or answered
// with 408, no sooner than a stop may do so.
func cutsWhoStalls(t *testing.T) (inTime bool) {
	s := serve(t, Options{})
	reading := make(chan struct{}, 2)
	s.api.mux.HandleFunc("POST /slow", func(w http.ResponseWriter, r *http.Request) {
		reading <- struct{}{}
		b, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusRequestTimeout)
			return
		}
		time.Sleep(2 * arriveTimeout) // longer than a body may take to arrive
		if r.Context().Err() != nil {
			b = []byte("the request was ended")
		}
		_, _ = w.Write(b)
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.api.Serve(ctx, l) }()
	dial := func(text string) net.Conn {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		if _, err := io.WriteString(conn, text); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	answer := func(conn net.Conn) string {
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			return "cut: " + err.Error()
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			return "cut: " + err.Error()
		}
		return fmt.Sprint(res.StatusCode, " ", string(b))
	}
	const head = "POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"
	dial("")
	dial("GET /healthz HTT")
	idle := dial("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
	if got := answer(idle); !strings.HasPrefix(got, "200") {
		t.Fatal(got)
	}
	stalled, late := dial(head+"x"), dial(head+"x")
	<-reading
	<-reading
	began := time.Now()
	cancel()
	type heard struct {
		text string
		late bool // it was cut, or told that its time was over, and it was
	}
	hear := func(conn net.Conn) <-chan heard {
		told := make(chan heard, 1)
		go func() {
			text := answer(conn)
			ended := text == "408 " || strings.HasPrefix(text, "cut: ")
			told <- heard{text, ended && time.Since(began) >= arriveTimeout}
		}()
		return told
	}
	ofStalled, ofLate := hear(stalled), hear(late)
	for { // until nothing is let in any more
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			break
		}
		conn.Close()
	}
	rest := strings.Repeat("y", 99)
	_, _ = io.WriteString(late, rest) // it may have been cut
	inTime = true
	if got := <-ofStalled; got.text != "408 " {
		if inTime = false; !got.late {
			t.Errorf("the stalled request was answered %q", got.text)
		}
	}
	if got := <-ofLate; got.text != "200 x"+rest {
		if inTime = false; !got.late {
			t.Errorf("the request that came late was answered %q", got.text)
		}
	}
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
	return inTime
}
