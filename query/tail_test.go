package query

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// heard is an event as a client of the standard hears it (WHATWG HTML, 9.2.6).
type heard struct{ id, event, data string }

// ear is a client of one tail. It interprets the stream as the standard says, and
// knows nothing of how it is made.
type ear struct {
	t        testing.TB
	header   http.Header
	lines    *bufio.Reader
	close    func()
	last     string // the last event id
	retry    string
	comments int
}

// open opens a tail, which must be there.
func (s *served) open(path string, header ...string) *ear {
	s.t.Helper()
	// What never comes ends the test, and not all of them.
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	r, err := http.NewRequestWithContext(ctx, "GET", s.url+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := s.client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	e := &ear{t: s.t, header: resp.Header, lines: bufio.NewReader(resp.Body), last: r.Header.Get(lastEventID)}
	e.close = func() {
		cancel()
		_ = resp.Body.Close()
	}
	s.t.Cleanup(e.close)
	if resp.StatusCode != 200 {
		b, _ := io.ReadAll(resp.Body)
		s.t.Fatalf("GET %s: %d %s", path, resp.StatusCode, b)
	}
	return e
}

// hear returns the next event, or only the next sign of life: an event without
// data has an id at most.
func (e *ear) hear() (h heard, err error) {
	var data []string
	for {
		line, err := e.lines.ReadString('\n')
		if err != nil {
			return heard{}, err // what is not ended by an empty line is no event
		}
		line = strings.TrimSuffix(line, "\n")
		if strings.Contains(line, "\r") {
			return heard{}, fmt.Errorf("a carriage return in %q ends a line", line)
		}
		if line == "" {
			e.last = h.id
			h.data = strings.Join(data, "\n")
			return h, nil
		}
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "":
			e.comments++
		case "id":
			h.id = value
		case "event":
			h.event = value
		case "data":
			data = append(data, value)
		case "retry":
			e.retry = value
		default:
			return heard{}, fmt.Errorf("a field %q", line)
		}
		if h.id == "" {
			h.id = e.last
		}
	}
}

// event returns the next event with data.
func (e *ear) event() heard {
	e.t.Helper()
	for {
		h, err := e.hear()
		if err != nil {
			e.t.Fatalf("the tail ends: %v", err)
		}
		if h.data != "" {
			return h
		}
	}
}

// until returns the records that come until the client's last id is the given one.
func (e *ear) until(id string) (items []string) {
	e.t.Helper()
	for e.last < id {
		h, err := e.hear()
		if err != nil {
			e.t.Fatalf("the tail ends after %s: %v", e.last, err)
		}
		if h.event == "record" {
			items = append(items, h.data)
		} else if h.data != "" {
			e.t.Fatalf("the tail says %s: %s", h.event, h.data)
		}
	}
	return items
}

// shown is what the timeline shows of a filter, oldest first, item by item as on
// the page.
func (s *served) shown(timeline string) (items []string) {
	s.t.Helper()
	join := "?"
	if strings.Contains(timeline, "?") {
		join = "&"
	}
	for cursor := ""; ; {
		a := s.do("GET", timeline+join+"limit=1000"+cursor)
		if a.status != 200 {
			s.t.Fatalf("GET %s: %d %s", timeline, a.status, a.body)
		}
		items = append(items, itemsOf(s.t, a.body)...)
		var p onePage
		if err := json.Unmarshal(a.body, &p); err != nil {
			s.t.Fatal(err)
		}
		if p.NextCursor == "" {
			slices.Reverse(items)
			return items
		}
		cursor = "&cursor=" + p.NextCursor
	}
}

// more publishes n records that differ from all before.
func (s *served) more(workspace string, n int) {
	for range n {
		i := len(s.stream.Messages)
		s.publish(workspace, fmt.Sprintf(`{"id":"m%d","type":"%s","actor":{"id":"u%d"},"object":{"type":"app","id":"a%d"}}`, i, []string{"app.renamed", "app.created", "x"}[i%3], i%5, i%2))
	}
}

// newest is the ULID of the last entry of a workspace, of ws where none is named.
func (s *served) newest(workspace ...string) string {
	s.t.Helper()
	tag := s.api.o.Ledger.Tag(append(workspace, "ws")[0])
	_, end, err := s.api.o.Ledger.WorkspaceHead(s.t.Context(), tag)
	if err != nil {
		s.t.Fatal(err)
	}
	id, err := s.api.hub.idIn(end)
	if err != nil {
		s.t.Fatal(err)
	}
	return id
}

// beating are options under which idle tails say often how far they are.
func beating() Options { return Options{Tail: TailOptions{Heartbeat: 5 * time.Millisecond}} }

func TestTail(t *testing.T) {
	s := serve(t, beating())
	s.more("ws", 3)
	s.settle()
	e := s.open("/v1/workspaces/ws/tail")
	for name, want := range map[string]string{
		"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no", "X-Content-Type-Options": "nosniff",
	} {
		if got := e.header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	before := s.newest()
	s.more("ws", 2)
	s.publish("other", `{"type":"t","actor":{"id":"u0"}}`)
	s.more("ws", 1)
	s.settle()
	got := e.until(s.newest())
	if want := s.shown("/v1/workspaces/ws/timeline")[3:]; !slices.Equal(got, want) {
		t.Errorf("the tail\n%s\nthe page\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if e.retry == "" {
		t.Error("the tail does not say when to come again")
	}
	for path, timeline := range map[string]string{
		"/v1/workspaces/ws/users/u0/tail?after=" + before:    "/v1/workspaces/ws/users/u0/timeline",
		"/v1/workspaces/ws/objects/app/a0/tail?last=1000":    "/v1/workspaces/ws/objects/app/a0/history",
		"/v1/workspaces/ws/tail?last=1000&with=sentence":     "/v1/workspaces/ws/timeline?with=sentence",
		"/v1/workspaces/ws/tail?last=2":                      "/v1/workspaces/ws/timeline",
		"/v1/workspaces/nobody/tail?last=1":                  "/v1/workspaces/nobody/timeline",
		"/v1/workspaces/_system/tail?last=1000&kind=control": "/v1/workspaces/_system/timeline?kind=control",
	} {
		want := s.shown(timeline)
		switch {
		case strings.Contains(path, "after="):
			want = since(want, before)
		case strings.Contains(path, "last=2"):
			want = want[len(want)-2:]
		}
		if got := s.open(path).until(s.newest(strings.Split(path, "/")[3])); !slices.Equal(got, want) {
			t.Errorf("%s\n%q\nwant\n%q", path, got, want)
		}
	}
}

// since are the items after an id.
func since(items []string, id string) []string {
	return slices.DeleteFunc(slices.Clone(items), func(item string) bool { return item[len(`{"ulid":"`):][:26] <= id })
}

// TestTailResumes leaves a tail after each of its events, and without one, and
// comes again with the last id: in the header, in the URL, on a new server over
// the same folders. Nothing is missing, and nothing comes twice.
func TestTailResumes(t *testing.T) {
	s := serve(t, beating())
	s.settle()
	start := s.open("/v1/workspaces/ws/tail")
	if h, err := start.hear(); err != nil || h.data != "" { // retry
		t.Fatal(h, err)
	}
	if h, err := start.hear(); err != nil || h.data != "" || h.id != s.newest() {
		t.Fatalf("%+v, %v: a tail begins with an id, so that nothing is lost when it ends at once", h, err)
	}
	begin := start.last
	start.close()
	for range 3 {
		s.more("ws", 5)
		s.publish("other", `{"type":"t","actor":{"id":"u0"}}`)
	}
	s.settle()
	want := s.shown("/v1/workspaces/ws/timeline")
	ids := []string{begin}
	e := s.open("/v1/workspaces/ws/tail", lastEventID, begin)
	for range want {
		ids = append(ids, e.event().id)
	}
	e.close()
	for range 2 {
		for n, id := range ids {
			for _, e := range []*ear{s.open("/v1/workspaces/ws/tail", lastEventID, id), s.open("/v1/workspaces/ws/tail?after=" + id), s.open("/v1/workspaces/ws/tail?last=3&kind=record", lastEventID, id)} {
				if got := e.until(s.newest()); !slices.Equal(got, want[n:]) {
					t.Fatalf("after %d: %d records, want %d", n, len(got), len(want)-n)
				}
				e.close()
			}
		}
		s = s.restart()
	}
	// Of the ids between there are some that the filter doesn't find.
	for _, id := range entryIDs(t, s, "ws") {
		got := s.open("/v1/workspaces/ws/tail?user=u1", lastEventID, id).until(s.newest())
		if want := since(s.shown("/v1/workspaces/ws/timeline?user=u1"), id); !slices.Equal(got, want) {
			t.Fatalf("after %s: %q, want %q", id, got, want)
		}
	}
}

// entryIDs are the ULIDs of a workspace's entries; of all, where none is named.
func entryIDs(t *testing.T, s *served, workspace ...string) (ids []string) {
	t.Helper()
	l := s.api.o.Ledger
	for leaf, err := range l.Leaves(t.Context(), 0, l.Head().Size) {
		if err != nil {
			t.Fatal(err)
		}
		if len(workspace) == 0 || leaf.Entry.Workspace == l.Tag(workspace[0]) {
			ids = append(ids, leaf.Entry.ULID.String())
		}
	}
	return ids
}

func TestTailRefuses(t *testing.T) {
	s := serve(t, Options{Tail: TailOptions{Listeners: 2}})
	s.more("ws", 3)
	s.settle()
	const path = "/v1/workspaces/ws/tail"
	foreign := entryIDs(t, serve(t, Options{}))[0]
	for _, id := range []string{"x", "é", "01KA2B3C4D000000000000000", "01KA2B3C4D0000000000000005", "ZZZZZZZZZZZZZZZZZZZZZZZZZZ", "7ZZZZZZZZZZZZZZZZZZZZZZZZZ", foreign[:25] + "9"} {
		s.refused(400, "invalid_parameter", "GET", path, lastEventID, id)
		s.refused(400, "invalid_parameter", "GET", path+"?after="+id)
	}
	for query, code := range map[string]string{
		"last=0": "invalid_parameter", "last=-1": "invalid_parameter", "last=1001": "invalid_parameter", "last=x": "invalid_parameter",
		"last=1&after=" + s.newest(): "invalid_parameter", "limit=1": "unknown_parameter", "cursor=x": "unknown_parameter",
		"until=2026-01-01T00:00:00Z": "unknown_parameter", "as_of=1": "unknown_parameter", "kind=x": "invalid_parameter",
	} {
		s.refused(400, code, "GET", path+"?"+query)
	}
	for _, accept := range []string{"application/json", "text/html", "text/event-stream;q=0", "*/*;q=0.0", "text/event-stream;q=0, */*"} {
		s.refused(406, "not_acceptable", "GET", path, "Accept", accept)
	}
	s.refused(405, "method_not_allowed", "POST", path)
	for _, accept := range []string{"text/event-stream", "*/*", "text/*", "text/html, text/event-stream;q=0.1"} {
		if a := s.do("HEAD", path, "Accept", accept); a.status != 200 || a.header.Get("Content-Type") != eventStream || len(a.body) != 0 {
			t.Errorf("HEAD %s: %d %v %q", accept, a.status, a.header, a.body)
		}
	}
	first := s.open(path)
	s.open(path + "?user=u1")
	if a := s.do("GET", path); a.header.Get("Retry-After") == "" {
		t.Errorf("no Retry-After: %v", a.header)
	}
	s.refused(503, "too_many_listeners", "GET", path)
	first.close()
	eventually(t, "room again", func() bool { return s.do("HEAD", path).status == 200 && s.listeners() < 2 })
	s.open(path)
}

// listeners is how many streams are open.
func (s *served) listeners() int {
	h := s.api.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.listeners)
}

// attached is how many of them are handed what comes.
func (s *served) attached() int {
	h := s.api.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.attached
}

// eventually waits for what another goroutine brings about.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for late := time.Now().Add(time.Minute); time.Now().Before(late); time.Sleep(time.Millisecond) {
		if is() {
			return
		}
	}
	t.Fatalf("never: %s", what)
}

// TestTailFraming publishes what could break a line, and reads it as the standard
// says: what comes is what a page shows. A carriage return alone can't be kept.
func TestTailFraming(t *testing.T) {
	s := serve(t, beating())
	s.settle()
	live, caught := s.open("/v1/workspaces/ws/tail?kind=record,rejection"), s.newest()
	for i, record := range []string{
		"{\"type\":\"t\",\n\"actor\":{\n\n\"id\":\"u\"}}",
		"{\"type\":\"t\",\r\n\"actor\":\r{\"id\":\"u\"}}",
		"{\"type\":\"t\",\"actor\":{\"id\":\"u\"},\"data\":\"\\n\\r\\u2028\u2028\u0085\"}",
		"data: x\n\nevent: forged\ndata: y\n\n", // rejections: text …
		"\r\r\n\n",
		"\xff\n\nid: 1\n\n", // … and raw
		"{\"type\":\n\n\"t\"}",
		"\n{\"type\":\"t\",\"actor\":{\"id\":\"u\"}}\n",
	} {
		s.publish("ws", record)
		s.stream.Publish("vouched.ws._", fmt.Sprintf("{\"door\":\n{\"grade\":\"verified\",\r\n\"producer\":\"d%d\"},\"record\":{\"type\":\"t\",\n\"actor\":{\"id\":\"u\"}}}", i))
	}
	s.settle()
	want := s.shown("/v1/workspaces/ws/timeline?kind=record,rejection")
	for i := range want {
		want[i] = strings.ReplaceAll(want[i], "\r", " ")
	}
	if len(want) != 16 {
		t.Fatalf("%d items", len(want))
	}
	for name, e := range map[string]*ear{"live": live, "caught up": s.open("/v1/workspaces/ws/tail?kind=record,rejection&after=" + caught)} {
		if got := e.until(s.newest()); !slices.Equal(got, want) {
			t.Errorf("%s:\n%q\nwant\n%q", name, got, want)
		}
	}
}

// TestTailOfNobody: while nobody listens, the hub reads nothing, and what a
// workspace without listeners gets is not printed.
func TestTailOfNobody(t *testing.T) {
	s := serve(t, beating())
	e := s.open("/v1/workspaces/ws/tail")
	s.more("ws", 1)
	s.settle()
	e.until(s.newest())
	e.close()
	eventually(t, "nobody listens", func() bool { return s.listeners() == 0 })
	h := s.api.hub
	h.mu.Lock()
	at, groups, running := h.at, len(h.groups), h.cancel != nil
	h.mu.Unlock()
	if running || groups != 0 {
		t.Errorf("running %v with %d groups, and nobody listens", running, groups)
	}
	s.more("ws", 5)
	s.settle()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.at != at {
		t.Errorf("read up to %d, and nobody listens", h.at)
	}
}

// TestTailFails: what can't be read ends the streams, with a word about it.
func TestTailFails(t *testing.T) {
	s := serve(t, beating())
	s.more("ws", 1)
	s.settle()
	e := s.open("/v1/workspaces/ws/tail?last=1")
	e.event()
	eventually(t, "attached", func() bool { return s.attached() == 1 })
	s.api.hub.fail(t.Context(), errors.New("a disk that is gone"))
	end := e.event()
	if end.event != "dropped" || !strings.Contains(end.data, `"reason":"failed"`) || !strings.Contains(end.data, `"after":"`+s.newest()) || strings.Contains(end.data, "disk") {
		t.Errorf("%+v", end)
	}
	if _, err := e.hear(); !errors.Is(err, io.EOF) {
		t.Errorf("after its end: %v", err)
	}
	if got := s.open("/v1/workspaces/ws/tail?last=1").event(); got.event != "record" {
		t.Errorf("listening anew: %+v", got)
	}
}

// itemsOf are a page's items, byte by byte.
func itemsOf(t testing.TB, page []byte) (items []string) {
	t.Helper()
	var p struct {
		Records []jsontext.Value `json:"records"`
	}
	if err := json.Unmarshal(page, &p); err != nil {
		t.Fatal(err)
	}
	for _, r := range p.Records {
		items = append(items, string(r))
	}
	return items
}

func (e *heardEnd) parse(t testing.TB, data string) {
	t.Helper()
	if err := json.Unmarshal([]byte(data), e, json.MatchCaseInsensitiveNames(true)); err != nil {
		t.Fatal(err)
	}
}
