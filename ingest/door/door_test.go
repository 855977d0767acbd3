package door_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"annals/activity"
	"annals/ingest"
	"annals/ingest/door"
	"annals/internal/problem"
	"annals/ledger/chain"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/go-json-experiment/json"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// The NATS server's own: one timer loop that it starts once per process.
		goleak.IgnoreTopFunction("github.com/nats-io/nats-server/v2/server.init.0.func1"),
	)
}

// stream stands in for the stream and the ledger: it takes frames until it is
// told to fail, and gives them sequences.
type stream struct {
	mu     sync.Mutex
	frames [][]byte

	take func(n int) error // Publish's answer to the nth frame, nil: takes all
	ack  func(ctx context.Context, n int) error
	tell func(ctx context.Context, sequence uint64) (chain.Receipt, error)
}

func (s *stream) publish(_ context.Context, workspace string, frame []byte) (func(context.Context) (ingest.Ack, error), error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.frames)
	if s.take != nil {
		if err := s.take(n); err != nil {
			return nil, err
		}
	}
	s.frames = append(s.frames, []byte(workspace+" "+string(frame)))
	return func(ctx context.Context) (ingest.Ack, error) {
		if s.ack != nil {
			if err := s.ack(ctx, n); err != nil {
				return ingest.Ack{}, err
			}
		}
		return ingest.Ack{Sequence: uint64(n) + 10, Place: uint16(n), Count: 99}, nil
	}, nil
}

func (s *stream) await(ctx context.Context, sequence uint64, place uint16) (chain.Receipt, error) {
	if s.tell != nil {
		return s.tell(ctx, sequence)
	}
	e := chain.Entry{Kind: chain.KindRecord, Index: sequence * 2, ULID: chain.MakeULID(1, 0, sequence*2), Sequence: sequence, Place: place, Ref: chain.NoRef}
	return chain.Receipt{Entry: e, EntryHash: chain.Hash{byte(sequence)}}, nil
}

// opened is a door on a server.
type opened struct {
	t   *testing.T
	url string
	*http.Client
}

func open(t *testing.T, o door.Options) *opened {
	t.Helper()
	mux := http.NewServeMux()
	api := humago.New(mux, huma.Config{OpenAPI: &huma.OpenAPI{Info: &huma.Info{Title: "t", Version: "1"}}, Formats: map[string]huma.Format{"application/json": huma.DefaultJSONFormat}})
	door.Register(api, o)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mux.ServeHTTP(w, r.WithContext(problem.WithRequestID(r.Context(), "req-1")))
	}))
	t.Cleanup(srv.Close)
	return &opened{t, srv.URL, srv.Client()}
}

func openOn(t *testing.T, s *stream) *opened {
	return open(t, door.Options{Publish: s.publish, Await: s.await, AckTimeout: 100 * time.Millisecond, WaitTimeout: 100 * time.Millisecond})
}

// answer is what came back, be it an answer or a problem.
type answer struct {
	status int
	header http.Header
	raw    string

	Items  []door.Fate `json:"items"`
	Code   string      `json:"code"`
	Detail string      `json:"detail"`
	Errors []struct {
		Pointer   *string `json:"pointer"`
		Parameter string  `json:"parameter"`
		Code      string  `json:"code"`
	} `json:"errors"`
}

func (d *opened) post(path, body string, header ...string) answer {
	d.t.Helper()
	r, err := http.NewRequest(http.MethodPost, d.url+path, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := d.Do(r)
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	a := answer{status: resp.StatusCode, header: resp.Header, raw: string(b)}
	if err := json.Unmarshal(b, &a); err != nil {
		d.t.Fatalf("%v: %s", err, b)
	}
	return a
}

const (
	records = "/v1/workspaces/ws/records"
	good    = `{"id":"e1","type":"t","actor":{"id":"u"}}`
)

// places are the parts' pointers and codes.
func (a answer) places() string {
	var out []string
	for _, e := range a.Errors {
		at := e.Parameter
		if e.Pointer != nil {
			at = *e.Pointer
		}
		out = append(out, at+" "+e.Code)
	}
	return strings.Join(out, "; ")
}

func TestAccepted(t *testing.T) {
	s := &stream{}
	d := openOn(t, s)
	body := " {\"id\" : \"e1\",\n\"type\":\"t\", \"actor\":{\"id\":\"u\"}, \"n\": 1.50}\n"
	a := d.post(records, body, "X-Forwarded-For", "203.0.113.9")
	if a.status != 202 || len(a.Items) != 1 || a.Items[0].Status != "accepted" || a.Items[0].ID != "e1" || *a.Items[0].Sequence != 10 || *a.Items[0].Place != 0 || a.Items[0].ULID != "" {
		t.Fatalf("%d %s", a.status, a.raw)
	}
	workspace, frame, _ := bytes.Cut(s.frames[0], []byte(" "))
	v, bad := activity.SplitVouched(frame)
	if bad != nil {
		t.Fatal(bad)
	}
	if string(workspace) != "ws" || string(v.Record) != strings.TrimSpace(body) || !bytes.Contains(frame, []byte(body)) {
		t.Errorf("published %s %s: the record's bytes were touched", workspace, frame)
	}
	if v.Door.Grade != "asserted" || v.Door.Producer != "" || v.Door.ID != "" || v.Door.ForwardedFor != "203.0.113.9" || v.Door.RequestID != "req-1" || !strings.HasPrefix(v.Door.RemoteAddr, "127.0.0.1:") {
		t.Errorf("door %+v", v.Door)
	}
	a = d.post(records, `{"type":"t","actor":{"type":"anonymous"}}`, "X-Forwarded-For", strings.Repeat("é\xff", 20_000))
	_, frame, _ = bytes.Cut(s.frames[1], []byte(" "))
	v, bad = activity.SplitVouched(frame)
	if bad != nil || v.Door.Grade != "anonymous" || len(v.Door.ID) != 26 || v.Door.ID != a.Items[0].ID {
		t.Errorf("door %+v, %v, answered %s", v.Door, bad, a.raw)
	}
}

func TestBatches(t *testing.T) {
	s := &stream{}
	d := openOn(t, s)
	array := "[" + good + ",\n {\"id\":\"e2\",\n\"type\":\"t\",\"actor\":{\"id\":\"u\"}} , {\"type\":\"t\"}, 7, {\"a\":1,\"a\":2}, {\"id\":\"\xff\"}]\n"
	a := d.post(records, array)
	want := []string{"accepted e1", "accepted e2", "missing_actor_id /actor/id", "not_an_object ", "duplicate_name /a", "invalid_utf8 "}
	if a.status != 202 || len(a.Items) != len(want) {
		t.Fatalf("%d %s", a.status, a.raw)
	}
	for i, item := range a.Items {
		got := item.Status + " " + item.ID
		if item.Status == "rejected" {
			got = string(item.Code) + " " + *item.Pointer
			if item.Detail == "" || item.Sequence != nil {
				t.Errorf("item %d: %+v", i, item)
			}
		}
		if got != want[i] {
			t.Errorf("item %d: %q, want %q", i, got, want[i])
		}
	}
	if len(s.frames) != 2 || !strings.Contains(string(s.frames[1]), "{\"id\":\"e2\",\n\"type\"") {
		t.Errorf("published %q", s.frames)
	}

	a = d.post(records, good+"\r\n\n"+`{"type":"t"}`+"\n"+good+"\n", "Content-Type", "application/x-ndjson; charset=UTF-8")
	if a.status != 202 || len(a.Items) != 4 || a.Items[0].Status != "accepted" || a.Items[1].Code != "empty" || a.Items[2].Code != "missing_actor_id" || a.Items[3].Status != "accepted" {
		t.Errorf("%d %s", a.status, a.raw)
	}
	if !strings.HasSuffix(string(s.frames[2]), "\"record\":"+good+"\r}") {
		t.Errorf("published %q: the line's bytes were touched", s.frames[2])
	}
	many := strings.Repeat(good+"\n", door.MaxRecords)
	if a := d.post(records, many, "Content-Type", "application/x-ndjson"); a.status != 202 || len(a.Items) != door.MaxRecords {
		t.Errorf("%d, %d items", a.status, len(a.Items))
	}
}

func TestRefused(t *testing.T) {
	s := &stream{}
	d := openOn(t, s)
	ndjson := []string{"Content-Type", "application/x-ndjson"}
	large := `{"type":"t","actor":{"id":"u"},"data":"` + strings.Repeat("x", activity.MaxRecord) + `"}`
	for _, c := range []struct {
		name, path, body string
		header           []string
		status           int
		code, places     string
	}{
		{"no actor", records, `{"type":"t"}`, nil, 422, "missing_actor_id", "/actor/id missing_actor_id"},
		{"escaped pointer", records, `{"a/b~":{"x":1,"x":2}}`, nil, 400, "duplicate_name", "/a~1b~0/x duplicate_name"},
		{"wrong type", records, `{"type":"t","actor":{"id":7}}`, nil, 422, "wrong_type", "/actor/id wrong_type"},
		{"no type", records, `{"actor":{"id":"u"}}`, nil, 422, "missing_type", "/type missing_type"},
		{"another workspace", records, `{"type":"t","workspace":"ws2","actor":{"id":"u"}}`, nil, 422, "workspace_mismatch", "/workspace workspace_mismatch"},
		{"not JSON", records, `{"type":`, nil, 400, "malformed_json", "/type malformed_json"},
		{"a string", records, `"record"`, nil, 422, "not_an_object", " not_an_object"},
		{"nothing", records, ``, nil, 400, "empty", " empty"},
		{"two values", records, good + good, nil, 400, "trailing_bytes", " trailing_bytes"},
		{"deep", records, strings.Repeat(`{"a":`, 65) + "1" + strings.Repeat("}", 65), nil, 400, "too_deep", ""},
		{"large record", records, large, nil, 413, "record_too_large", " record_too_large"},
		{"empty array", records, ` [ ] `, nil, 422, "no_records", ""},
		{"broken array", records, `[` + good + `,{]`, nil, 400, "malformed_json", "/1 malformed_json"},
		{"open array", records, `[` + good, nil, 400, "malformed_json", ""},
		{"after the array", records, `[` + good + `] x`, nil, 400, "trailing_bytes", " trailing_bytes"},
		{"all bad", records, `[{"type":"t"},{"actor":{"id":"u"}}]`, nil, 422, "all_refused", "/0/actor/id missing_actor_id; /1/type missing_type"},
		{"one bad of one", records, `[{"type":"t"}]`, nil, 422, "all_refused", "/0/actor/id missing_actor_id"},
		{"bad lines", records, "x\n\n", ndjson, 422, "all_refused", "/0 malformed_json; /1 empty"},
		{"no lines", records, "\n", ndjson, 422, "no_records", ""},
		{"empty lines", records, "", ndjson, 422, "no_records", ""},
		{"too many lines", records, strings.Repeat("\n", door.MaxRecords+1), ndjson, 413, "too_many_records", ""},
		{"too many elements", records, "[" + strings.Repeat("1,", door.MaxRecords) + "1]", nil, 413, "too_many_records", ""},
		{"too large", records, strings.Repeat(" ", door.MaxBody+1), nil, 413, "body_too_large", ""},
		{"form", records, good, []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, "unsupported_media_type", ""},
		{"no media type", records, good, []string{"Content-Type", ""}, 415, "unsupported_media_type", ""},
		{"latin", records, good, []string{"Content-Type", "application/json; charset=latin1"}, 415, "unsupported_media_type", ""},
		{"brotli", records, good, []string{"Content-Encoding", "br"}, 415, "unsupported_encoding", ""},
		{"reserved", "/v1/workspaces/_system/records", good, nil, 400, "invalid_parameter", "ws reserved_workspace"},
		{"odd workspace", "/v1/workspaces/a.b/records", good, nil, 400, "invalid_parameter", "ws invalid_workspace"},
		{"unknown wait", records + "?wait=forever", good, nil, 400, "invalid_parameter", "wait unknown_wait"},
		{"empty wait", records + "?wait=", good, nil, 400, "invalid_parameter", "wait unknown_wait"},
		{"unknown parameter", records + "?wiat=recorded", good, nil, 400, "unknown_parameter", "wiat unknown_parameter"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d.t = t
			a := d.post(c.path, c.body, c.header...)
			if a.status != c.status || a.Code != c.code || c.places != "" && a.places() != c.places || a.Detail == "" || a.header.Get("Content-Type") != problem.MediaType {
				t.Errorf("%d %.400s\nwant %d %s %q", a.status, a.raw, c.status, c.code, c.places)
			}
		})
	}
	if len(s.frames) > 0 {
		t.Errorf("published %q", s.frames)
	}
}

func TestRecorded(t *testing.T) {
	s := &stream{}
	d := openOn(t, s)
	s.tell = func(_ context.Context, sequence uint64) (chain.Receipt, error) {
		e := chain.Entry{Kind: chain.Kind(sequence - 9), Index: sequence + 100, ULID: chain.MakeULID(5, 0, sequence+100), Ref: chain.NoRef}
		switch e.Kind {
		case chain.KindDuplicate, chain.KindConflict:
			e.Ref = 7
		case chain.KindRejection:
			e.Code = uint16(activity.CodeInvalidDoor)
		}
		return chain.Receipt{Entry: e, EntryHash: chain.Hash{byte(sequence)}}, nil
	}
	a := d.post(records+"?wait=recorded", "["+strings.Repeat(good+",", 4)+"5]")
	want := []string{"recorded record", "duplicate duplicate", "conflict conflict", "rejected rejection"}
	if a.status != 200 || len(a.Items) != 5 || a.Items[4].Status != "rejected" {
		t.Fatalf("%d %s", a.status, a.raw)
	}
	for i, w := range want {
		item := a.Items[i]
		if item.Status+" "+item.Kind != w || *item.Index != uint64(110+i) || item.ULID != chain.MakeULID(5, 0, uint64(110+i)).String() ||
			!strings.HasPrefix(item.EntryHash, hex.EncodeToString([]byte{byte(10 + i)})) || (item.Ref != nil) != (i == 1 || i == 2) {
			t.Errorf("item %d: %+v, want %s", i, item, w)
		}
	}
	if a.Items[3].Code != "invalid_door" || a.Items[3].Detail == "" {
		t.Errorf("rejection %+v", a.Items[3])
	}
}

// TestFailures takes away the stream and the ledger at every step; the answer says
// what is known of each record.
func TestFailures(t *testing.T) {
	never := func(ctx context.Context, _ int) error {
		<-ctx.Done()
		return fmt.Errorf("%w: %w", ingest.ErrPending, ctx.Err())
	}
	second := func(err error) func(context.Context, int) error {
		return func(_ context.Context, n int) error {
			if n == 1 {
				return err
			}
			return nil
		}
	}
	for _, c := range []struct {
		name     string
		stream   *stream
		wait     string
		status   int
		code     string
		retry    bool
		statuses string
	}{
		{"not taken", &stream{take: func(int) error { return ingest.ErrNoServer }}, "", 503, "unavailable", true, "unknown unknown rejected"},
		{"stopped", &stream{take: func(int) error { return fmt.Errorf("%w: secret", door.ErrStopped) }}, "", 503, "not_recording", true, ""},
		{"stopped half way", &stream{take: func(n int) error { return map[int]error{1: door.ErrStopped}[n] }}, "", 503, "unavailable", true, "accepted unknown rejected"},
		{"second not taken", &stream{take: func(n int) error { return map[int]error{1: ingest.ErrClosed}[n] }}, "", 503, "unavailable", true, "accepted unknown rejected"},
		{"no ack", &stream{ack: never}, "", 503, "unavailable", true, "unknown unknown rejected"},
		{"full", &stream{ack: second(fmt.Errorf("%w: %w", ingest.ErrPending, ingest.ErrStreamFull))}, "", 503, "stream_full", true, "accepted unknown rejected"},
		{"refused", &stream{ack: second(ingest.ErrRefused)}, "", 500, "publish_refused", false, "accepted unknown rejected"},
		{"never recorded", &stream{tell: func(ctx context.Context, n uint64) (chain.Receipt, error) {
			if n == 10 {
				return chain.Receipt{Entry: chain.Entry{Kind: chain.KindRecord}}, nil
			}
			<-ctx.Done()
			return chain.Receipt{}, ctx.Err()
		}}, "?wait=recorded", 504, "not_yet_recorded", false, "recorded accepted rejected"},
		{"ledger stopped", &stream{tell: func(context.Context, uint64) (chain.Receipt, error) {
			return chain.Receipt{}, errors.New("a secret cause")
		}}, "?wait=recorded", 503, "recording_stopped", true, "accepted accepted rejected"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := openOn(t, c.stream)
			a := d.post(records+c.wait, "["+good+","+good+",1]")
			var statuses []string
			for _, i := range a.Items {
				statuses = append(statuses, i.Status)
			}
			if a.status != c.status || a.Code != c.code || strings.Join(statuses, " ") != c.statuses || (a.header.Get("Retry-After") != "") != c.retry {
				t.Errorf("%d %s, Retry-After %q\nwant %d %s %s", a.status, a.raw, a.header.Get("Retry-After"), c.status, c.code, c.statuses)
			}
			if strings.Contains(a.raw, "secret") {
				t.Errorf("the cause is told: %s", a.raw)
			}
		})
	}
}

// TestOrderOnFailure: once a record isn't taken, those after it aren't sent, or
// they would overtake it when it is sent again.
func TestOrderOnFailure(t *testing.T) {
	failed := false
	s := &stream{take: func(n int) error {
		if n == 1 && !failed {
			failed = true
			return ingest.ErrNoServer
		}
		return nil
	}}
	a := openOn(t, s).post(records, "["+good+","+good+","+good+"]")
	if a.status != 503 || len(s.frames) != 1 || a.Items[2].Status != "unknown" {
		t.Errorf("%d %s after %d frames", a.status, a.raw, len(s.frames))
	}
}

// TestEveryRefusalHasARow: a code of a record that has no row of the table would
// be answered as an internal error.
func TestEveryRefusalHasARow(t *testing.T) {
	for c := activity.CodeEmpty; c <= activity.CodeEventMismatch; c++ {
		row, ok := problem.Lookup(problem.Code(c.String()))
		if !ok || row.Advice == "" {
			t.Errorf("%s has no row", c)
		}
	}
	if name := (activity.CodeEventMismatch + 1).String(); !strings.HasPrefix(name, "code_") {
		t.Errorf("there is a code %s beyond the ones looked at here", name)
	}
}
