package query

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"annals/ledger"
	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
	"annals/projections"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// served is an API over a real ledger and real projections, in memory, behind a
// real HTTP server.
type served struct {
	t      testing.TB
	stream *chaintest.Stream
	api    *API
	url    string
	client *http.Client
	disk   vfs.FS
	stop   func()
	token  string // sent with each request, unless it is ""
}

func serve(t testing.TB, o Options) *served {
	t.Helper()
	return serveOn(t, chaintest.New("query"), o)
}

func serveOn(t testing.TB, stream *chaintest.Stream, o Options) *served {
	t.Helper()
	s := &served{t: t, stream: stream, disk: vfs.NewMem()}
	var err error
	o.Ledger, err = ledger.Create("ledger", s.stream.Messages[0], s.stream.Messages[1], ledger.Options{FS: s.disk, CacheSize: 16 << 20})
	if err != nil {
		t.Fatal(err)
	}
	s.start(o)
	return s
}

// restart stops the server and serves what is on its disk anew.
func (s *served) restart() *served {
	s.t.Helper()
	s.stop()
	n := &served{t: s.t, stream: s.stream, disk: s.disk}
	o := s.api.o
	o.Collectors = nil
	var err error
	o.Ledger, err = ledger.Open("ledger", ledger.Options{FS: s.disk, CacheSize: 16 << 20})
	if err != nil {
		s.t.Fatal(err)
	}
	n.start(o)
	return n
}

func (s *served) start(o Options) {
	t := s.t
	t.Helper()
	var err error
	o.Projections, err = projections.OpenLive("projections", o.Ledger.ID(), projections.Options{FS: s.disk})
	if err != nil {
		t.Fatal(err)
	}
	s.api = New(o)
	srv := httptest.NewServer(s.api)
	s.url, s.client = srv.URL, srv.Client()
	s.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	s.stop = sync.OnceFunc(func() {
		if t.Failed() {
			srv.CloseClientConnections() // nobody may be left to end what is under way
		}
		srv.Close()
		s.api.hub.running.Wait()
		if err := o.Projections.Close(); err != nil {
			t.Error(err)
		}
		stopped := o.Ledger.Err()
		if err := o.Ledger.Close(); err != nil && stopped == nil {
			t.Error(err)
		}
	})
	t.Cleanup(s.stop)
	s.settle()
}

// record appends what the stream holds and waits until it is durable.
func (s *served) record() {
	s.t.Helper()
	l := s.api.o.Ledger
	ctx := context.Background()
	if err := l.Append(ctx, s.stream.Messages[l.Position().Sequence:]); err != nil {
		s.t.Fatal(err)
	}
	if err := l.Flush(ctx); err != nil {
		s.t.Fatal(err)
	}
}

// index folds what is durable.
func (s *served) index() {
	s.t.Helper()
	l, p := s.api.o.Ledger, s.api.o.Projections
	from, _ := p.Cursor()
	if err := p.Fold(l.Leaves(context.Background(), from, l.Head().Size)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *served) settle() {
	s.t.Helper()
	s.record()
	s.index()
}

// publish adds a record to the stream.
func (s *served) publish(workspace, record string) {
	s.stream.Publish("activity."+workspace+"._", record)
}

type answered struct {
	status int
	header http.Header
	body   []byte
}

func (s *served) do(method, path string, header ...string) answered {
	s.t.Helper()
	return s.send(method, path, "", header...)
}

func (s *served) send(method, path, body string, header ...string) answered {
	s.t.Helper()
	r, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if s.token != "" {
		r.Header.Set("Authorization", "Bearer "+s.token)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := s.client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answered{resp.StatusCode, resp.Header, got}
}

// onePage is a page as a client reads it.
type onePage struct {
	Records    []oneItem `json:"records"`
	NextCursor string    `json:"next_cursor"`
	Total      uint64    `json:"total"`
	Truncated  bool      `json:"truncated"`
	AsOf       struct {
		Size uint64     `json:"size"`
		Root chain.Hash `json:"root"`
	} `json:"as_of"`
}

type oneItem struct {
	ULID      string         `json:"ulid"`
	Index     uint64         `json:"index"`
	Kind      string         `json:"kind"`
	Workspace string         `json:"workspace"`
	Type      string         `json:"type"`
	Recorded  string         `json:"recorded_at"`
	Stream    string         `json:"stream_time"`
	EntryHash chain.Hash     `json:"entry_hash"`
	Grade     string         `json:"grade"`
	Sequence  uint64         `json:"sequence"`
	Place     uint64         `json:"place"`
	Ref       *oneRef        `json:"ref"`
	Reason    *oneReason     `json:"reason"`
	Compared  *bool          `json:"compared"`
	Control   string         `json:"control"`
	Sentence  *oneSentence   `json:"sentence"`
	TraceID   string         `json:"trace_id"`
	SpanID    string         `json:"span_id"`
	Door      jsontext.Value `json:"door"`
	Record    jsontext.Value `json:"record"`
	Text      *string        `json:"text"`
	Raw       *string        `json:"raw"`
}

type oneRef struct {
	Index uint64 `json:"index"`
	ULID  string `json:"ulid"`
}

type oneReason struct {
	Code   uint16 `json:"code"`
	Name   string `json:"name"`
	Advice string `json:"advice"`
}

type oneSentence struct {
	Text  string           `json:"text"`
	Parts []jsontext.Value `json:"parts"`
}

// page gets a page, which must be there.
func (s *served) page(path string) onePage {
	s.t.Helper()
	a := s.do("GET", path)
	if a.status != 200 {
		s.t.Fatalf("GET %s: %d %s", path, a.status, a.body)
	}
	var p onePage
	// Unknown members are an epoch and what only some kinds have.
	if err := json.Unmarshal(a.body, &p); err != nil {
		s.t.Fatalf("GET %s: %v\n%s", path, err, a.body)
	}
	return p
}

// oneProblem is a problem as a client reads it.
type oneProblem struct {
	Type, Title, Detail, Instance, Code string
	Status                              int
	RequestID                           string `json:"request_id"`
	Errors                              []struct {
		Pointer                 *string
		Parameter, Code, Detail string
	}
}

// refused sends a request that must be refused with a code.
func (s *served) refused(status int, code, method, path string, header ...string) oneProblem {
	s.t.Helper()
	a := s.do(method, path, header...)
	return a.problem(s.t, status, code)
}

func (a answered) problem(t testing.TB, status int, code string) oneProblem {
	t.Helper()
	var p oneProblem
	if err := json.Unmarshal(a.body, &p, json.MatchCaseInsensitiveNames(true)); err != nil {
		t.Fatalf("%v: %q", err, a.body)
	}
	if a.status != status || p.Status != status || p.Code != code {
		t.Errorf("answered %d %s, want %d %s", a.status, a.body, status, code)
	}
	if got := a.header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("Content-Type %q", got)
	}
	if p.Title == "" || p.Detail == "" || !strings.HasSuffix(p.Type, "#"+code) || p.RequestID == "" || p.RequestID != a.header.Get("X-Request-Id") {
		t.Errorf("the problem lacks something: %s", a.body)
	}
	return p
}

// indexes are the items' places in the ledger, as shown.
func (p onePage) indexes() []uint64 {
	out := []uint64{}
	for _, r := range p.Records {
		out = append(out, r.Index)
	}
	return out
}
