package cosign_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"annals/cmd/annals/internal/cosign"
	"annals/ledger/proof"

	notes "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
)

// one is a collector of one witness, which answers as a test says.
type one struct {
	l      *ledger
	c      *cosign.Collector
	logged journal
	stop   func()
}

// journal is written by goroutines and read by a test.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(b)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.String()
}

func newOne(t *testing.T, policy *proof.Policy, dir string, keep func(string, []byte) error, answer http.HandlerFunc) *one {
	t.Helper()
	o := &one{l: newLedger()}
	options := cosign.Options{
		Policy: policy, Next: o.l.next, Consistency: o.l.consistency, Path: dir,
		Client: &http.Client{Transport: inMemory{answer}}, Logger: slog.New(slog.NewTextHandler(&o.logged, nil)),
	}
	options.Hooks(keep, nil, nil)
	var err error
	if o.c, err = cosign.New(options); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		o.c.Run(ctx)
		close(done)
	}()
	o.stop = func() {
		cancel()
		<-done
	}
	return o
}

// inMemory answers requests without a network.
type inMemory struct{ handler http.Handler }

func (m inMemory) RoundTrip(r *http.Request) (*http.Response, error) {
	rec := httptest.NewRecorder()
	m.handler.ServeHTTP(rec, r)
	return rec.Result(), nil
}

// TestAnswers: each way to answer is told apart, none but a cosignature of this very
// checkpoint, of now, by the policy's key, counts, and all are asked again.
func TestAnswers(t *testing.T) {
	now := cosigner(t, "w0.example/w", "w0", time.Now)
	at := func(d time.Duration) *clocked {
		return cosigner(t, "w0.example/w", "w0", func() time.Time { return time.Now().Add(d) })
	}
	says := func(status int, media, body string) func(*testing.T, string) (int, string, string) {
		return func(*testing.T, string) (int, string, string) { return status, media, body }
	}
	cosigned := func(by func() *clocked) func(*testing.T, string) (int, string, string) {
		return func(t *testing.T, text string) (int, string, string) {
			return 200, "text/plain", string(lineOf(t, by(), text))
		}
	}
	cases := []struct {
		name   string
		answer func(t *testing.T, text string) (status int, media, body string)
		want   string
		said   string
	}{
		{"cosigned", cosigned(func() *clocked { return now }), cosign.Cosigned, ""},
		{"and by strangers", func(t *testing.T, text string) (int, string, string) {
			stranger := cosigner(t, "x.example/w", "x", time.Now)
			return 200, "", string(lineOf(t, stranger, text)) + string(lineOf(t, now, text)) + string(lineOf(t, stranger, "x\n1\ny\n"))
		}, cosign.Cosigned, ""},
		{"9 minutes ago", cosigned(func() *clocked { return at(-9 * time.Minute) }), cosign.Cosigned, ""},
		{"11 minutes ago", cosigned(func() *clocked { return at(-11 * time.Minute) }), cosign.Invalid, "clock"},
		{"in 11 minutes", cosigned(func() *clocked { return at(11 * time.Minute) }), cosign.Invalid, "clock"},
		{"never", cosigned(func() *clocked {
			return cosigner(t, "w0.example/w", "w0", func() time.Time { return time.Unix(0, 0) })
		}), cosign.Invalid, "clock"},
		{"after the end of time", cosigned(func() *clocked {
			return cosigner(t, "w0.example/w", "w0", func() time.Time { return time.Unix(-1, 0) })
		}), cosign.Invalid, "clock"},
		{"another key", cosigned(func() *clocked { return cosigner(t, "w0.example/w", "x", time.Now) }), cosign.Invalid, "by the key that the policy gives"},
		{"another text", func(t *testing.T, text string) (int, string, string) {
			return 200, "", string(lineOf(t, now, text+"more\n"))
		}, cosign.Invalid, "no cosignature of this checkpoint"},
		{"one that holds beside one that doesn't", func(t *testing.T, text string) (int, string, string) {
			return 200, "", string(lineOf(t, now, "x\n1\ny\n")) + string(lineOf(t, now, text))
		}, cosign.Invalid, "no cosignature of this checkpoint"},
		{"a plain signature", func(t *testing.T, text string) (int, string, string) {
			_, vkey := logKey("w0")
			line := string(lineOf(t, now, text))
			return 200, "", strings.Replace(line, "— w0", "— "+strings.Split(vkey, "+")[0], 1)
		}, cosign.Invalid, ""},
		{"an empty line", func(t *testing.T, text string) (int, string, string) {
			return 200, "", "x\n\n" + string(lineOf(t, now, text))
		}, cosign.Invalid, ""},
		{"nothing", says(200, "", ""), cosign.Invalid, ""},
		{"no end", says(200, "", strings.Repeat("— w AAAAAAA=\n", 10_000)), cosign.Unreachable, "more than"},
		{"unknown log", says(404, "", ""), cosign.UnknownLog, "annals"},
		{"unknown key", says(403, "", ""), cosign.UnknownKey, "keys public"},
		{"no consistency", says(422, "", ""), cosign.Contradicted, "ANOTHER HISTORY"},
		{"another root", says(409, "text/plain", ""), cosign.Contradicted, "ANOTHER HISTORY"},
		{"another root, with a size", says(409, cosign.MediaSize, "0\n"), cosign.Contradicted, "ANOTHER HISTORY"},
		{"more than there is", says(409, cosign.MediaSize, "1000\n"), cosign.Ahead, "1000 entries"},
		{"no size", says(409, cosign.MediaSize, "many\n"), cosign.Refused, ""},
		{"a redirect", says(302, "", ""), cosign.Refused, "302"},
		{"busy", says(429, "", ""), cosign.Refused, "429"},
		{"broken", says(500, "", ""), cosign.Refused, "500"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var asked atomic.Int64
				o := newOne(t, mustPolicy(t, 1, now.vkey), t.TempDir(), toDisk, func(w http.ResponseWriter, r *http.Request) {
					asked.Add(1)
					body, err := io.ReadAll(r.Body)
					request, parsed := cosign.ParseRequest(body)
					checkpoint, noted := proof.ParseCheckpoint(request.Checkpoint)
					if err := errors.Join(err, parsed, noted); err != nil {
						t.Error(err)
					}
					status, media, body2 := c.answer(t, checkpoint.Text())
					w.Header().Set("Content-Type", media)
					w.WriteHeader(status)
					_, _ = io.WriteString(w, body2)
				})
				defer o.stop()
				o.l.grow(5, 0)
				o.l.sign()
				synctest.Wait()
				got := o.c.Outcomes()
				if got[c.want] != 1 || len(got) != 1 {
					t.Errorf("outcomes %v, want %s", got, c.want)
				}
				size, _ := o.c.Witnessed()
				if (size == 5) != (c.want == cosign.Cosigned) {
					t.Errorf("size %d is witnessed", size)
				}
				status := o.c.Status().Witnesses[0]
				if (status.Error == "") != (c.want == cosign.Cosigned) || !strings.Contains(status.Error, c.said) {
					t.Errorf("it says %q", status.Error)
				}
				if (o.logged.String() == "") != (c.want == cosign.Cosigned) {
					t.Errorf("logged %q", o.logged.String())
				}
				before := asked.Load()
				time.Sleep(10 * time.Minute)
				synctest.Wait()
				if again := asked.Load() - before; (again == 0) != (c.want == cosign.Cosigned) || again > 60*4 {
					t.Errorf("in ten minutes it was asked %d times more", again)
				}
				if n := strings.Count(o.logged.String(), "did not cosign"); n > 1 {
					t.Errorf("the same was logged %d times", n)
				}
			})
		})
	}
}

// TestSizes: the size that the witness names is where the next proof begins, and one
// that lies about it is not asked for ever.
func TestSizes(t *testing.T) {
	now := cosigner(t, "w0.example/w", "w0", time.Now)
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var olds []uint64
		has := uint64(3)
		o := newOne(t, mustPolicy(t, 1, now.vkey), t.TempDir(), toDisk, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			request, err := cosign.ParseRequest(body)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			olds = append(olds, request.Old)
			if request.Old != has {
				w.Header().Set("Content-Type", cosign.MediaSize)
				w.WriteHeader(http.StatusConflict)
				fmt.Fprintf(w, "%d\n", has)
				return
			}
			c, _ := proof.ParseCheckpoint(request.Checkpoint)
			has = c.Size
			_, _ = w.Write(lineOf(t, now, c.Text()))
		})
		defer o.stop()
		for range 3 {
			o.l.grow(4, 0)
			o.l.sign()
			synctest.Wait()
		}
		if got := fmt.Sprint(olds); got != "[0 3 4 8]" {
			t.Errorf("it was asked from %s", got)
		}
		mu.Lock()
		has = 0 // it has lost what it cosigned
		mu.Unlock()
		o.l.grow(4, 0)
		o.l.sign()
		synctest.Wait()
		if size, _ := o.c.Witnessed(); size != 16 {
			t.Errorf("%d is witnessed, after %v", size, olds)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		o := newOne(t, mustPolicy(t, 1, now.vkey), t.TempDir(), toDisk, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", cosign.MediaSize)
			w.WriteHeader(http.StatusConflict)
			fmt.Fprintf(w, "%d\n", asked.Add(1)%4)
		})
		defer o.stop()
		o.l.grow(9, 0)
		o.l.sign()
		synctest.Wait()
		if asked.Load() != 4 || o.c.Outcomes()[cosign.Refused] != 1 {
			t.Errorf("asked %d times at once: %v", asked.Load(), o.c.Outcomes())
		}
	})
}

// TestMLDSA: cosignatures by ML-DSA-44 count, of a witness that has a key of each
// kind too.
func TestMLDSA(t *testing.T) {
	skey, vkey, err := notes.GenerateMLDSAKey("w0.example/w")
	if err != nil {
		t.Fatal(err)
	}
	second, err := notes.NewMLDSASigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	first := cosigner(t, "w0.example/w", "w0", time.Now)
	policy, err := proof.ParsePolicy(fmt.Appendf(nil, "witness a %s https://w0.example\nwitness b %s https://w0.example/\ngroup both all a b\nquorum both\n", first.vkey, vkey))
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		o := newOne(t, policy, t.TempDir(), toDisk, func(w http.ResponseWriter, r *http.Request) {
			asked.Add(1)
			body, _ := io.ReadAll(r.Body)
			request, _ := cosign.ParseRequest(body)
			c, _ := proof.ParseCheckpoint(request.Checkpoint)
			for _, s := range []note.Signer{first, second} {
				_, _ = w.Write(lineOf(t, s, c.Text()))
			}
		})
		defer o.stop()
		o.l.grow(5, 0)
		o.l.sign()
		synctest.Wait()
		if size, _ := o.c.Witnessed(); size != 5 || asked.Load() != 1 {
			t.Errorf("size %d is witnessed, asked %d times: %+v", size, asked.Load(), o.c.Status())
		}
	})
}

// TestKept: cosignatures are on disk before they are shown, and where they can't be
// kept they are not; damaged files are collected anew.
func TestKept(t *testing.T) {
	now := cosigner(t, "w0.example/w", "w0", time.Now)
	policy := mustPolicy(t, 1, now.vkey)
	cosigns := func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		request, _ := cosign.ParseRequest(body)
		c, _ := proof.ParseCheckpoint(request.Checkpoint)
		_, _ = w.Write(lineOf(t, now, c.Text()))
	}
	synctest.Test(t, func(t *testing.T) {
		dir, fails := t.TempDir(), new(atomic.Bool)
		fails.Store(true)
		o := newOne(t, policy, dir, func(path string, data []byte) error {
			if fails.Load() {
				return errors.New("the disk failed")
			}
			return toDisk(path, data)
		}, cosigns)
		o.l.grow(5, 0)
		o.l.sign()
		synctest.Wait()
		if size, _ := o.c.Witnessed(); size != 0 || o.c.Outcomes()[cosign.Unkept] != 1 {
			t.Errorf("%d is shown, which is not on disk: %v", size, o.c.Outcomes())
		}
		if n := o.c.Dress(5, o.l.last.Note); !bytes.Equal(n, o.l.last.Note) {
			t.Error("a cosignature is shown that is not on disk")
		}
		fails.Store(false)
		time.Sleep(time.Minute)
		if size, n := o.c.Witnessed(); size != 5 {
			t.Errorf("%d is witnessed once the disk works", size)
		} else if on, err := os.ReadFile(filepath.Join(dir, "witnessed")); err != nil || !bytes.Equal(on, n) {
			t.Errorf("the disk has\n%s", on)
		}
		o.stop()
		for name, b := range map[string][]byte{"witnessed": []byte("x"), "cosigned": {}} {
			if err := toDisk(filepath.Join(dir, name), b); err != nil {
				t.Fatal(err)
			}
		}
		o = newOne(t, policy, dir, toDisk, cosigns)
		defer o.stop()
		o.l.grow(5, 0)
		o.l.sign()
		if n, err := o.c.Await(t.Context(), 5); err != nil || !bytes.Contains(n, []byte("— w0.example/w ")) {
			t.Errorf("%v\n%s", err, n)
		}
	})
}

// TestAwait: who waits in vain hears what for.
func TestAwait(t *testing.T) {
	now := cosigner(t, "w0.example/w", "w0", time.Now)
	synctest.Test(t, func(t *testing.T) {
		o := newOne(t, mustPolicy(t, 1, now.vkey), t.TempDir(), toDisk, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) })
		o.l.grow(5, 0)
		o.l.sign()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := o.c.Await(ctx, 1); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "1 of 1") {
			t.Error(err)
		}
		o.stop()
		if _, err := o.c.Await(t.Context(), 1); !errors.Is(err, cosign.ErrStopped) {
			t.Error(err)
		}
	})
}

// TestNew: whom a policy has asked over what.
func TestNew(t *testing.T) {
	vkey := cosigner(t, "w0.example/w", "w0", time.Now).vkey
	for url, want := range map[string]string{
		"":                        "nobody to ask",
		" https://w.example":      "",
		" https://w.example/a/":   "",
		" http://127.0.0.1:8090":  "",
		" http://localhost:1/x":   "",
		" http://[::1]:8090":      "",
		" http://w.example":       "--insecure-witness-http",
		" http://127.0.0.1.x.com": "--insecure-witness-http",
		" ftp://w.example":        "--insecure-witness-http",
		" w.example":              "is not https",
		" https://w.example?a":    "is not https",
		" https://u:p@w.example":  "is not https",
		" https://%zz":            "the URL of witness",
	} {
		p, err := proof.ParsePolicy([]byte("witness w " + vkey + url + "\nquorum w\n"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = cosign.New(cosign.Options{Policy: p})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", url, err, want)
		}
		if strings.HasPrefix(url, " http://w") {
			if _, err := cosign.New(cosign.Options{Policy: p, Insecure: true}); err != nil {
				t.Error(err)
			}
		}
	}
	for failures := 1; failures < 100; failures++ {
		base := min(time.Second<<min(failures-1, 10), time.Minute)
		if d := cosign.Pause(failures); d < base/2 || d > base*3/2 {
			t.Errorf("after %d failures it pauses for %s", failures, d)
		}
	}
}
