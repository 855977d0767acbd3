package door_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"annals/activity"
	"annals/ingest/door"
	"annals/ledger/chain"

	"github.com/klauspost/compress/zstd"
)

func gzipped(t *testing.T, body io.Reader) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.Copy(z, body); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func zstdOf(t *testing.T, body io.Reader, o ...zstd.EOption) string {
	t.Helper()
	var b bytes.Buffer
	z, err := zstd.NewWriter(&b, append(o, zstd.WithEncoderConcurrency(1))...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(z, body); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// zeros is an endless body: a bomb, once it is compressed.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// TestEncodings: every status and code of a body's encoding.
func TestEncodings(t *testing.T) {
	const record = `{"id":"1","type":"t","actor":{"id":"u"}}`
	bomb := io.LimitReader(zeros{}, door.MaxBody+1)
	for _, c := range []struct {
		name, encoding, body string
		status               int
		code                 string
	}{
		{"none", "", record, 202, ""},
		{"identity", "Identity", record, 202, ""},
		{"gzip", "gzip", gzipped(t, strings.NewReader(record)), 202, ""},
		{"x-gzip", " X-GZIP ", gzipped(t, strings.NewReader(record)), 202, ""},
		{"zstd", "zstd", zstdOf(t, strings.NewReader(record)), 202, ""},
		{"a gzip bomb", "gzip", gzipped(t, bomb), 413, "body_too_large"},
		{"a zstd bomb", "zstd", zstdOf(t, io.LimitReader(zeros{}, door.MaxBody+1)), 413, "body_too_large"},
		{"no gzip", "gzip", record, 400, "invalid_encoding"},
		{"no zstd", "zstd", record, 400, "invalid_encoding"},
		{"gzip that breaks off", "gzip", gzipped(t, strings.NewReader(record))[:30], 400, "invalid_encoding"},
		{"an empty body", "gzip", "", 400, "invalid_encoding"},
		{"br", "br", record, 415, "unsupported_encoding"},
		{"two", "gzip, zstd", record, 415, "unsupported_encoding"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &stream{}
			a := openOn(t, s).post("/v1/workspaces/ws/records", c.body, "Content-Encoding", c.encoding)
			if a.status != c.status || a.Code != c.code {
				t.Fatalf("%d %s: %s", a.status, a.Code, a.raw)
			}
			if c.status == 415 && a.header.Get("Accept-Encoding") != door.Encodings {
				t.Errorf("Accept-Encoding: %q", a.header.Get("Accept-Encoding"))
			}
			if c.status == 202 && !strings.HasSuffix(string(s.frames[0]), `"record":`+record+`}`) {
				t.Errorf("published: %s", s.frames[0])
			}
		})
	}
}

func openReading(t *testing.T, s *stream, version uint16) *opened {
	return open(t, door.Options{Publish: s.publish, Await: s.await, FoldVersion: func() uint16 { return version }})
}

// TestEvents: what each mode of CloudEvents publishes, and how it is refused.
func TestEvents(t *testing.T) {
	const (
		head = `"specversion":"1.0","id":"e1","source":"/crm","type":"t"`
		good = `{` + head + `,"authid":"u","data":{"a": 1}}`
	)
	binary := func(more ...string) []string {
		return append([]string{"Ce-Specversion", "1.0", "ce-id", "e1", "CE-Source", "/crm", "ce-type", "t"}, more...)
	}
	mode := []string{"Content-Type", "application/cloudevents+json; charset=UTF-8"}
	batch := []string{"Content-Type", "application/cloudevents-batch+json"}
	for _, c := range []struct {
		name, body string
		header     []string
		status     int
		code       string
		want       string // published, of the first record
	}{
		{"structured", good, mode, 202, "", good},
		{"binary", ` {"a": 1} `, binary("ce-authid", "u"), 202, "", `{"specversion":"1.0","id":"e1","source":"/crm","type":"t","authid":"u","datacontenttype":"application/json","data":{"a": 1}}`},
		{"binary text", "a", binary("ce-authid", "u", "Content-Type", "text/plain"), 202, "", `{"specversion":"1.0","id":"e1","source":"/crm","type":"t","authid":"u","datacontenttype":"text/plain","data":"a"}`},
		{"binary lines", "a\nb", binary("ce-authid", "u", "Content-Type", "application/x-ndjson"), 202, "", `{"specversion":"1.0","id":"e1","source":"/crm","type":"t","authid":"u","datacontenttype":"application/x-ndjson","data_base64":"YQpi"}`},
		{"batch", `[` + good + `,{}]`, batch, 202, "", good},
		{"a batch of none", `[]`, batch, 422, "no_records", ""},
		{"a batch that is one", good, batch, 400, "malformed_json", ""},
		{"a list that is no batch", `[` + good + `]`, mode, 422, "not_an_object", ""},
		{"all refused", `[{},{}]`, batch, 422, "all_refused", ""},
		{"an attribute is missing", `{"specversion":"1.0","id":"1","type":"t"}`, mode, 422, "invalid_event", ""},
		{"an old version", `{"specversion":"0.3","id":"1","source":"s","type":"t"}`, mode, 422, "unsupported_event", ""},
		{"nobody acted", `{` + head + `}`, mode, 422, "missing_actor_id", ""},
		{"a contradiction", `{"id":"2","actor":{"id":"u"}}`, binary(), 422, "event_mismatch", ""},
		{"binary without a type", `{}`, []string{"ce-specversion", "1.0", "ce-id", "1", "ce-source", "s"}, 422, "invalid_event", ""},
		{"another format", good, []string{"Content-Type", "application/cloudevents+xml"}, 415, "unsupported_media_type", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &stream{}
			a := openReading(t, s, chain.FoldEvents).post("/v1/workspaces/ws/records", c.body, c.header...)
			if a.status != c.status || a.Code != c.code {
				t.Fatalf("%d %s: %s", a.status, a.Code, a.raw)
			}
			if c.want == "" {
				if len(s.frames) > 0 {
					t.Errorf("published: %s", s.frames)
				}
				return
			}
			v, bad := activity.SplitVouched(bytes.TrimPrefix(s.frames[0], []byte("ws ")))
			if bad != nil || string(v.Record) != c.want || v.Door.Format != activity.FormatEvent || v.Door.ID != "" {
				t.Errorf("%v, door %+v, published %s", bad, v.Door, v.Record)
			}
			if a.Items[0].ID != "e1" {
				t.Errorf("%s", a.raw)
			}
		})
	}
	s := &stream{}
	if a := openReading(t, s, chain.FoldRecords).post("/v1/workspaces/ws/records", good, mode...); a.status != 415 || a.Code != "events_not_read" || len(s.frames) > 0 {
		t.Errorf("a ledger that reads no events: %d %s", a.status, a.raw)
	}
}

// TestIdempotencyKey: one answer, however often a request is sent.
func TestIdempotencyKey(t *testing.T) {
	const path, record, other = "/v1/workspaces/ws/records", `[{"type":"t","actor":{"id":"u"}},{"type":"t","actor":{"id":"u"}}]`, `{"type":"u","actor":{"id":"u"}}`
	ids := func(s *stream) (out []string) {
		for _, frame := range s.frames {
			_, frame, _ = bytes.Cut(frame, []byte(" "))
			v, bad := activity.SplitVouched(frame)
			if bad != nil {
				t.Fatal(bad)
			}
			out = append(out, v.Door.ID)
		}
		return out
	}
	s := &stream{}
	d := openOn(t, s)
	first := d.post(path, record, door.HeaderKey, `"k 1"`)
	if first.status != 400 || first.Errors[0].Parameter != door.HeaderKey {
		t.Errorf("a key with a blank: %d %s", first.status, first.raw)
	}
	first = d.post(path, record, door.HeaderKey, `"k1"`)
	again := d.post(path, record, door.HeaderKey, `k1`)
	if first.status != 202 || again.status != 202 || again.raw != first.raw || len(s.frames) != 2 {
		t.Fatalf("first %d %s, again %d %s, %d published", first.status, first.raw, again.status, again.raw, len(s.frames))
	}
	if first.header.Get("Idempotency-Replayed") != "" || again.header.Get("Idempotency-Replayed") != "true" {
		t.Error("which answer is the first's isn't said")
	}
	if a := d.post(path, other, door.HeaderKey, "k1"); a.status != 422 || a.Code != "idempotency_key_reused" {
		t.Errorf("another body: %d %s", a.status, a.raw)
	}
	if a := d.post(path+"?wait=recorded", record, door.HeaderKey, "k1"); a.status != 422 {
		t.Errorf("another query: %d %s", a.status, a.raw)
	}
	if a := d.post("/v1/workspaces/other/records", other, door.HeaderKey, "k1"); a.status != 202 {
		t.Errorf("another workspace: %d %s", a.status, a.raw)
	}
	// Forgotten, as after a restart, the request is carried out again; the ids tell the
	// ledger that it knows the records.
	later := &stream{}
	if a := openOn(t, later).post(path, record, door.HeaderKey, "k1"); a.status != 202 {
		t.Fatalf("%d %s", a.status, a.raw)
	}
	if was, is := ids(s)[:2], ids(later); was[0] != is[0] || was[1] != is[1] || was[0] == was[1] {
		t.Errorf("ids %v, and later %v", was, is)
	}
	// Refused, it isn't remembered.
	if a := d.post(path, `{}`, door.HeaderKey, "k2"); a.status != 422 {
		t.Errorf("%d %s", a.status, a.raw)
	}
	if a := d.post(path, record, door.HeaderKey, "k2"); a.status != 202 {
		t.Errorf("after a refusal: %d %s", a.status, a.raw)
	}
}

// TestIdempotencyKeyInFlight: while a request is under way a second one with its key is
// told so, and is not carried out.
func TestIdempotencyKeyInFlight(t *testing.T) {
	published, proceed := make(chan struct{}), make(chan struct{})
	s := &stream{ack: func(context.Context, int) error {
		close(published)
		<-proceed
		return nil
	}}
	d := open(t, door.Options{Publish: s.publish, Await: s.await})
	const path, record = "/v1/workspaces/ws/records", `{"type":"t","actor":{"id":"u"}}`
	var first answer
	var running sync.WaitGroup
	running.Go(func() { first = d.post(path, record, door.HeaderKey, "k") })
	<-published
	if a := d.post(path, record, door.HeaderKey, "k"); a.status != http.StatusConflict || a.Code != "idempotency_in_flight" {
		t.Errorf("%d %s", a.status, a.raw)
	}
	close(proceed)
	running.Wait()
	if a := d.post(path, record, door.HeaderKey, "k"); a.raw != first.raw || len(s.frames) != 1 {
		t.Errorf("%s, then %s; %d published", first.raw, a.raw, len(s.frames))
	}
}
