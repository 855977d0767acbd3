package upload

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"annals/activity"
	"annals/cmd/annals/internal/client"

	"github.com/go-json-experiment/json"
)

func TestLines(t *testing.T) {
	long := strings.Repeat("x", 3*activity.MaxRecord)
	in := "a\n\r\n" + long + "\nb\r\nc"
	for _, r := range []io.Reader{strings.NewReader(in), iotest.HalfReader(strings.NewReader(in))} {
		l := newLines(r)
		var got []string
		total := 0
		for {
			line, err := l.next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			total += line.size
			got = append(got, string(line.bytes))
			if cap(line.bytes) > 2*activity.MaxRecord+4096 {
				t.Errorf("line %d keeps %d bytes", line.number, cap(line.bytes))
			}
		}
		if want := []string{"a", "", "", "b", "c"}; !slices.Equal(got, want) {
			t.Errorf("lines %q, want %q", got, want)
		}
		if total != len(in) {
			t.Errorf("the lines have %d bytes, the input %d", total, len(in))
		}
	}
}

// fake answers like a door that records everything; broken, while it is above
// zero, counts down requests that are answered with a 503.
func fake(t *testing.T, broken *atomic.Int32) *client.Client {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if broken.Add(-1) >= 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, `{"code":"unavailable","detail":"no answer"}`)
			return
		}
		var a struct {
			Items []client.Outcome `json:"items"`
		}
		for range strings.Count(string(body), "\n") {
			a.Items = append(a.Items, client.Outcome{Status: "recorded"})
		}
		b, err := json.Marshal(a)
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write(b)
	}))
	t.Cleanup(srv.Close)
	c, err := client.New(srv.URL, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const (
	withID    = `{"id":"1","type":"a","workspace":"ws_7","actor":{"type":"system"}}` + "\n"
	withoutID = `{"type":"a","workspace":"ws_7","actor":{"type":"system"}}` + "\n"
)

func TestEveryLineIsAccountedFor(t *testing.T) {
	in := strings.Repeat(withID, 2500) + "\n" + "{\n" + strings.Repeat("x", activity.MaxRecord+10) + "\n" + strings.Repeat(withoutID, 10)
	var dealt int
	r, err := Run(t.Context(), strings.NewReader(in), Options{Client: fake(t, new(atomic.Int32)), Progress: func(n int) { dealt += n }})
	if err != nil {
		t.Fatal(err)
	}
	if r.Lines != 2513 || r.Blank != 1 || r.Recorded != 2510 || r.Rejected() != 2 {
		t.Errorf("%+v", r)
	}
	if dealt != len(in) {
		t.Errorf("%d of %d bytes are dealt with", dealt, len(in))
	}
	if r.Whole() {
		t.Error("whole, with two lines rejected")
	}
	var b strings.Builder
	if err := r.Print(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"malformed_json: line 2502", "record_too_large: line 2503"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, &b)
		}
	}
}

// TestTriesAgainOnlyWithIDs: a passing trouble is waited out where that can't
// make two records of one.
func TestTriesAgainOnlyWithIDs(t *testing.T) {
	var broken atomic.Int32
	c := fake(t, &broken)
	broken.Store(2)
	r, err := Run(t.Context(), strings.NewReader(withID), Options{Client: c})
	if err != nil || r.Recorded != 1 {
		t.Errorf("with an id: %v, %+v", err, r)
	}
	broken.Store(1)
	r, err = Run(t.Context(), strings.NewReader(withoutID+withID), Options{Client: c})
	if err == nil || !slices.Equal(r.Unknown, []int{1, 2}) {
		t.Errorf("without: %v, %+v", err, r)
	}
}

func TestStopsWithWhatIsNotSent(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, err := Run(ctx, strings.NewReader(withID+strings.ReplaceAll(withID, "ws_7", "ws_8")), Options{Client: fake(t, new(atomic.Int32))})
	if err == nil || len(r.Unknown)+len(r.Unsent) != 2 {
		t.Errorf("%v, %+v", err, r)
	}
}

// TestMark: a byte order mark at the beginning is no part of the first line, and
// one elsewhere is; every byte of the file is dealt with.
func TestMark(t *testing.T) {
	in := "\uFEFF" + withID + "\uFEFF" + withID
	dealt := 0
	r, err := Run(t.Context(), strings.NewReader(in), Options{Client: fake(t, new(atomic.Int32)), Progress: func(n int) { dealt += n }})
	if err != nil || r.Recorded != 1 || r.Rejected() != 1 || dealt != len(in) {
		t.Errorf("%v, %+v, %d of %d bytes", err, r, dealt, len(in))
	}
	for _, in := range []string{"\uFEFF", "\uFEFF\n", "\xef\xbb"} {
		if r, err := Run(t.Context(), strings.NewReader(in), Options{Client: fake(t, new(atomic.Int32))}); err != nil || r.Recorded != 0 {
			t.Errorf("%q: %v, %+v", in, err, r)
		}
	}
}

// TestNotSent: where nobody listens nothing was sent; where somebody listened at
// first nobody knows.
func TestNotSent(t *testing.T) {
	gone, err := client.New("http://127.0.0.1:1", client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := Run(t.Context(), strings.NewReader(withoutID), Options{Client: gone})
	if err == nil || !slices.Equal(r.Unsent, []int{1}) || r.Unknown != nil {
		t.Errorf("%v, %+v", err, r)
	}
	var srv *httptest.Server
	srv = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		srv.Listener.Close() // whoever tries again is refused
		panic(http.ErrAbortHandler)
	}))
	defer srv.Close()
	once, err := client.New(srv.URL, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r, err = Run(t.Context(), strings.NewReader(withID), Options{Client: once})
	if err == nil || !slices.Equal(r.Unknown, []int{1}) || r.Unsent != nil {
		t.Errorf("%v, %+v", err, r)
	}
}

// TestRejectedWhere: what the door refused is told from what the ledger has as a
// rejection.
func TestRejectedWhere(t *testing.T) {
	index := uint64(7)
	for want, indexes := range map[string][]*uint64{
		"what was rejected is not in the ledger":     {nil, nil},
		"1 of those rejected are not in the ledger,": {nil, &index},
		"": {&index},
	} {
		r := &Report{}
		for i, at := range indexes {
			r.add(i+1, client.Outcome{Status: "rejected", Code: "wrong_type", Index: at})
		}
		var b strings.Builder
		if err := r.Print(&b); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(b.String(), want) || (want == "") == strings.Contains(b.String(), "not in the ledger") {
			t.Errorf("%q, want %q", &b, want)
		}
	}
}

func TestNumbers(t *testing.T) {
	for want, in := range map[string][]int{
		"line 3":              {3},
		"lines 1-3":           {3, 1, 2},
		"lines 1, 3-4, 9, 11": {1, 3, 4, 9, 11},
	} {
		if got := numbers(in); got != want {
			t.Errorf("%v: %q, want %q", in, got, want)
		}
	}
}
