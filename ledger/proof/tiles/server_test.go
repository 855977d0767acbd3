package tiles

import (
	"compress/gzip"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"annals/ledger/proof"
)

// quick are options that don't keep a test waiting.
var quick = Options{Pause: time.Millisecond, Attempts: 3, Limit: 5 * time.Second}

// TestServers audits a sound log from servers that behave in other ways: none makes
// the ledger look wrong.
func TestServers(t *testing.T) {
	l := newLog("servers", 600)
	dir := t.TempDir()
	l.write(t, dir, 600)
	files := http.FileServer(http.Dir(dir))
	elsewhere := httptest.NewServer(files)
	defer elsewhere.Close()
	bundle := func(next http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "/entries/001") {
				next(w, r)
				return
			}
			files.ServeHTTP(w, r)
		}
	}
	status := func(code int) http.HandlerFunc {
		return bundle(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", code) })
	}
	var asked, again atomic.Int32
	cases := []struct {
		name   string
		server http.HandlerFunc
		o      Options
		want   proof.Finding
		says   string
	}{
		{"as it should be", files.ServeHTTP, quick, proof.Clean, ""},
		{"gzip that nobody asked for", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			inner := httptest.NewRecorder()
			files.ServeHTTP(inner, r)
			if inner.Code != http.StatusOK {
				w.WriteHeader(inner.Code)
			}
			_, _ = z.Write(inner.Body.Bytes())
			_ = z.Close()
		}, quick, proof.Clean, ""},
		{"fails now and then", func(w http.ResponseWriter, r *http.Request) {
			if asked.Add(1)%3 == 0 {
				http.Error(w, "busy", http.StatusServiceUnavailable)
				return
			}
			files.ServeHTTP(w, r)
		}, Options{Pause: time.Millisecond, Attempts: 12}, proof.Clean, ""},
		{"breaks off now and then", func(w http.ResponseWriter, r *http.Request) {
			if again.Add(1)%4 == 0 {
				w.Header().Set("Content-Length", "100000")
				_, _ = w.Write([]byte("half"))
				return
			}
			files.ServeHTTP(w, r)
		}, Options{Pause: time.Millisecond, Attempts: 12}, proof.Clean, ""},
		{"within the host elsewhere", func(w http.ResponseWriter, r *http.Request) {
			if path, moved := strings.CutPrefix(r.URL.Path, "/old"); moved {
				http.Redirect(w, r, path, http.StatusFound)
				return
			}
			files.ServeHTTP(w, r)
		}, quick, proof.Clean, ""},
		{"500 for ever", status(500), quick, proof.Inconclusive, "500"},
		{"429 for ever", status(429), quick, proof.Inconclusive, "429"},
		{"403", status(403), quick, proof.Inconclusive, "403"},
		{"401", status(401), quick, proof.Inconclusive, "401"},
		{"404", status(404), quick, proof.MissingEntry, ""},
		{"410", status(410), quick, proof.MissingEntry, ""},
		{"206", status(206), quick, proof.Inconclusive, "206"},
		{"a page instead", bundle(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = w.Write([]byte("<h1>please log in</h1>"))
		}), quick, proof.Inconclusive, "text/html"},
		{"problem details instead", bundle(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/problem+json")
			_, _ = w.Write([]byte("{}"))
		}), quick, proof.Inconclusive, "problem+json"},
		{"slower than the limit", bundle(func(_ http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
		}), Options{Pause: time.Millisecond, Attempts: 2, Limit: 50 * time.Millisecond}, proof.Inconclusive, "no whole answer within 50ms"},
		{"a trickle", bundle(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(200)
			for r.Context().Err() == nil {
				_, _ = w.Write([]byte{0})
				_ = http.NewResponseController(w).Flush()
				time.Sleep(time.Millisecond)
			}
		}), Options{Pause: time.Millisecond, Attempts: 2, Limit: 50 * time.Millisecond}, proof.Inconclusive, "no whole answer within 50ms"},
		{"breaks off always", bundle(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100000")
			_, _ = w.Write([]byte("half"))
		}), quick, proof.Inconclusive, "unexpected EOF"},
		{"hangs up", bundle(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), quick, proof.Inconclusive, "EOF"},
		{"bad gzip", bundle(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write([]byte("no gzip at all"))
		}), quick, proof.Inconclusive, "gzip"},
		{"to another host", bundle(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL+r.URL.Path, http.StatusFound)
		}), quick, proof.Inconclusive, "the server sends its visitors to " + elsewhere.URL},
		{"in a circle", bundle(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.Path+"?", http.StatusFound)
		}), quick, proof.Inconclusive, "the server sends its visitors to"},
		{"more than a bundle can be", bundle(func(w http.ResponseWriter, _ *http.Request) {
			for range 300 {
				_, _ = w.Write(make([]byte, 1<<16))
			}
		}), quick, proof.AlteredEntry, ""}, // zeros: entries of no bytes
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			server := httptest.NewServer(c.server)
			defer server.Close()
			where := server.URL
			if strings.Contains(c.name, "within the host") {
				where += "/old"
			}
			r, err := l.audit(t, mustOpen(t, where, c.o))
			if r.Verdict != c.want || (err != nil) != (c.want == proof.Inconclusive) {
				t.Fatalf("%v, %s", err, r.Sentence)
			}
			if err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("it says %q, not %q", err, c.says)
			}
		})
	}
}

// TestAnySize audits a log that signed for more than anybody has.
func TestAnySize(t *testing.T) {
	l := newLog("any-size", 600)
	dir := t.TempDir()
	l.write(t, dir, 600)
	for _, size := range []uint64{1 << 20, 1 << 50, 1 << 63} {
		c := proof.Checkpoint{Origin: l.stream.Settled.Origin, Size: size}
		if err := os.WriteFile(filepath.Join(dir, CheckpointPath), l.sign(c.Text(), "checkpoint"), 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := l.audit(t, mustOpen(t, dir, Options{}))
		if err != nil || r.Verdict != proof.Truncated {
			t.Errorf("%d entries signed, 512 there: %v, %s", size, err, r.Sentence)
		}
	}
}

// TestNoServer asks where nobody answers, and ends when it is told to.
func TestNoServer(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	p := mustOpen(t, server.URL, quick)
	if _, err := p.Checkpoint(t.Context()); !errors.Is(err, ErrAbsent) {
		t.Errorf("404: %v", err)
	}
	server.Close()
	if _, err := p.Checkpoint(t.Context()); err == nil || errors.Is(err, ErrAbsent) || !strings.Contains(err.Error(), "failed 3 times") {
		t.Errorf("nobody there: %v", err)
	}
	slow := mustOpen(t, server.URL, Options{Attempts: 1000, Pause: time.Hour})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := slow.Checkpoint(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("told to end: %v", err)
	}
}

// TestAsksOnlyWhatIsSigned lists what a server is asked for: the files that the
// checkpoint requires and no others.
func TestAsksOnlyWhatIsSigned(t *testing.T) {
	l := newLog("asked", 700)
	dir := t.TempDir()
	l.write(t, dir, 700)
	l.write(t, dir, 600)
	needed := map[string]bool{"/" + CheckpointPath: true}
	for n := range Needed(600) {
		needed["/"+n.Path()] = true
	}
	files := http.FileServer(http.Dir(dir))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !needed[r.URL.Path] {
			t.Errorf("asked for %s", r.URL.Path)
		}
		files.ServeHTTP(w, r)
	}))
	defer server.Close()
	p := mustOpen(t, server.URL, quick)
	if r, err := l.audit(t, p); err != nil || r.Verdict != proof.Clean {
		t.Errorf("%v, %s", err, r.Sentence)
	}
	if n, err := p.Beyond(t.Context(), 600); n != 0 || err != nil {
		t.Errorf("beyond: %d, %v", n, err)
	}
}

// TestNoPasswordIsShown: a place that is reached with a password is named without it,
// wherever it is named.
func TestNoPasswordIsShown(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	address := strings.TrimPrefix(gone.URL, "http://")
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }))
	defer broken.Close()
	defer gone.Close()
	for _, host := range []string{address, strings.TrimPrefix(broken.URL, "http://"), "127.0.0.1:1"} {
		p, err := Open("http://ann:hunter2@"+host+"/log", quick)
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.fetch(t.Context(), "checkpoint", 100)
		if err == nil || strings.Contains(err.Error(), "hunter2") || strings.Contains(p.String(), "hunter2") || !strings.Contains(err.Error(), host+"/log/checkpoint") {
			t.Errorf("%s: %v", p, err)
		}
	}
}

// TestAToken: a log that asks who it is is not said to be anything else than that.
func TestAToken(t *testing.T) {
	for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		p, err := Open(srv.URL, quick)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.fetch(t.Context(), "checkpoint", 100); err == nil || !strings.Contains(err.Error(), "it asks for a token that may audit") {
			t.Errorf("%d: %v", status, err)
		}
		srv.Close()
	}
}
