package anchor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// faulty answers in the stead of a store, while it is told how.
type faulty struct {
	mu    sync.Mutex
	way   func(w http.ResponseWriter, r *http.Request, well http.Handler)
	store http.Handler
}

func (f *faulty) set(way func(w http.ResponseWriter, r *http.Request, well http.Handler)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.way = way
}

func (f *faulty) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	way := f.way
	f.mu.Unlock()
	if way == nil {
		f.store.ServeHTTP(w, r)
		return
	}
	way(w, r, f.store)
}

// TestObjectsFaults: whatever a store answers in the place of a head, it is an error,
// and never an empty bucket, which would make an auditor forget what was remembered;
// nothing is written over, and when the store is well again the next head goes there.
func TestObjectsFaults(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "anchor")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	s := &store{t: t, objects: map[string][]byte{}, until: map[string]time.Time{}}
	f := &faulty{store: s}
	at := httptest.NewServer(f)
	defer at.Close()
	spec := "s3://heads/ledger1?region=eu&retain-days=30&endpoint=" + at.URL
	status := func(code int, body string) func(http.ResponseWriter, *http.Request, http.Handler) {
		return func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Type", "application/xml")
			w.WriteHeader(code)
			_, _ = io.WriteString(w, body)
		}
	}
	// cut answers what the store would, and half of its body: of the listing, or of all.
	cut := func(listing bool) func(http.ResponseWriter, *http.Request, http.Handler) {
		return func(w http.ResponseWriter, r *http.Request, well http.Handler) {
			if r.Method != http.MethodGet || listing != (r.URL.Query().Get("list-type") == "2") {
				well.ServeHTTP(w, r)
				return
			}
			whole := httptest.NewRecorder()
			well.ServeHTTP(whole, r)
			for name, values := range whole.Header() {
				w.Header()[name] = values
			}
			w.Header().Set("Content-Length", fmt.Sprint(whole.Body.Len()))
			_, _ = w.Write(whole.Body.Bytes()[:whole.Body.Len()/2])
			if h, ok := w.(http.Flusher); ok {
				h.Flush()
			}
			panic(http.ErrAbortHandler)
		}
	}
	p := mustPlace(t, spec)
	put := func(ctx context.Context, size int) error {
		h := newHistory(size, "a")
		c, err := h.next(ctx, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, err = New(Options{Ledger: ledgerID, Consistency: h.consistency, Leaf: leafOf(h)}).put(ctx, p, &c)
		return err
	}
	if err := put(t.Context(), 10); err != nil {
		t.Fatal(err)
	}
	size := 10
	for name, way := range map[string]func(http.ResponseWriter, *http.Request, http.Handler){
		"403":            status(http.StatusForbidden, `<Error><Code>AccessDenied</Code></Error>`),
		"404":            status(http.StatusNotFound, `<Error><Code>NoSuchBucket</Code></Error>`),
		"500":            status(http.StatusInternalServerError, `<Error><Code>InternalError</Code></Error>`),
		"a page":         status(http.StatusOK, `<html><body><p>Sign in</p></body></html>`),
		"nothing":        status(http.StatusOK, ``),
		"half an object": cut(false),
		"half a listing": cut(true),
		"another one's words": func(w http.ResponseWriter, r *http.Request, well http.Handler) {
			if r.Method == http.MethodGet && r.URL.Query().Get("list-type") != "2" {
				status(http.StatusOK, `{"ledger":"no"}`)(w, r, well)
				return
			}
			well.ServeHTTP(w, r)
		},
		"no answer": func(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		},
	} {
		t.Run(name, func(t *testing.T) {
			f.set(way)
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			if r, err := Recall(ctx, spec); err == nil {
				t.Errorf("taken for a head: %+v", r)
			}
			before := len(s.objects)
			if err := put(ctx, size+1); err == nil {
				t.Error("a head is said to be kept")
			}
			if len(s.objects) != before {
				t.Errorf("%d heads are there, %d were", len(s.objects), before)
			}
			f.set(nil)
			size += 2
			if err := put(t.Context(), size); err != nil {
				t.Errorf("well again: %v", err)
			}
			if r, err := Recall(t.Context(), spec); err != nil || r.Size != uint64(size) {
				t.Errorf("well again: %+v, %v", r, err)
			}
		})
	}
}

// TestFaults: places are down, hang, forget, keep another history or are restarted, as
// chance has it. The ledger grows without waiting for any of them, what one kept is
// never gone back on, another's head is never written over, and each that is well in the
// end has the newest head.
func TestFaults(t *testing.T) {
	runs := uint64(200)
	if testing.Short() {
		runs = 40
	}
	foreign := 0
	for seed := range runs {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 8))
			h := newHistory(1+r.IntN(20), "a")
			places := []*held{{}, {}, {}}
			other := newHistory(900, "b") // goes another way from its fifth entry on
			c, err := other.next(t.Context(), 0)
			if err != nil {
				t.Fatal(err)
			}
			strange := &held{}
			if _, err := New(Options{Ledger: ledgerID, Consistency: other.consistency, Leaf: leafOf(other)}).put(t.Context(), strange, &c); err != nil {
				t.Fatal(err)
			}
			kept := strange.b
			seen := make([]uint64, len(places))
			lying := make([]bool, len(places))
			start := func() func() {
				_, stop := run(h, ledgerID, new(bytes.Buffer), places[0], places[1], places[2], strange)
				return stop
			}
			stop := start()
			for range 30 {
				begun := time.Now()
				switch i := r.IntN(len(places)); r.IntN(8) {
				case 0, 1, 2:
					h.grow(1+r.IntN(30), "a")
				case 3:
					places[i].set(errors.New("down"), false)
				case 4:
					places[i].set(nil, true)
				case 5:
					places[i].set(nil, false)
				case 6: // it forgets, or shows another history
					places[i].mu.Lock()
					if lying[i] = true; r.IntN(2) == 0 {
						places[i].b = nil
					} else {
						places[i].b = kept
						foreign++
					}
					places[i].mu.Unlock()
				default:
					stop()
					stop = start()
				}
				if took := time.Since(begun); took != 0 {
					t.Errorf("seed %d: the ledger waited %s for a place", seed, took)
				}
				time.Sleep(time.Duration(r.IntN(600)) * time.Second)
				for i, p := range places {
					size := p.size(t)
					if !lying[i] && size < seen[i] {
						t.Errorf("seed %d: place %d went back from %d to %d", seed, i, seen[i], size)
					}
					seen[i] = size
				}
			}
			if !bytes.Equal(strange.b, kept) || strange.puts != 1 {
				t.Errorf("seed %d: another history's head was written over", seed)
			}
			for i, p := range places {
				p.set(nil, false)
				if p.mu.Lock(); bytes.Equal(p.b, kept) && !lying[i] {
					t.Errorf("seed %d: place %d has another history's head", seed, i)
				}
				p.mu.Unlock()
			}
			for range 5 {
				h.grow(1, "a")
				time.Sleep(time.Hour)
			}
			newest := uint64(len(h.leaves))
			for i, p := range places {
				if size := p.size(t); size != newest && !bytes.Equal(p.b, kept) {
					t.Errorf("seed %d: place %d has a head of %d entries in the end, the ledger has %d", seed, i, size, newest)
				}
			}
			stop()
			synctest.Wait()
		})
	}
	if foreign < int(runs)/4 {
		t.Errorf("%d places showed another history: the test shows nothing", foreign)
	}
}

func (h *held) set(fails error, hangs bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fails, h.hangs = fails, hangs
}
