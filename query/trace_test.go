package query

import (
	"fmt"
	"strings"
	"testing"
)

// TestTraceOfAnItem: an item names the trace that its record belongs to, which the door
// says, or else the message's one valid traceparent; anything less names none.
func TestTraceOfAnItem(t *testing.T) {
	const (
		valid   = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
		another = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
		first   = "0af7651916cd43dd8448eb211c80319c b7ad6b7169203331"
		second  = "4bf92f3577b34da6a3ce929d0e0e4736 00f067aa0ba902b7"
	)
	record := func(i int) string { return fmt.Sprintf(`{"id":"e%d","type":"t","actor":{"id":"u"}}`, i) }
	s := serve(t, Options{})
	var want []string // of each entry, from 2
	plain := func(body, is string, header ...string) {
		s.stream.Publish("activity.ws._", body, header...)
		want = append(want, is)
	}
	next := func() string { return record(len(want)) }
	plain(next(), "")
	plain(next(), first, "traceparent", valid)
	plain(next(), first, "traceparent", " "+valid, "tracestate", "a=b")
	plain(next(), "", "traceparent", valid, "traceparent", valid)
	plain(next(), "", "traceparent", valid+"x")
	plain(next(), "", "traceparent", "01"+valid[2:])
	plain(next(), "", "traceparent", strings.ToUpper(valid))
	plain(next(), "", "traceparent", "00-"+strings.Repeat("0", 32)+valid[35:])
	plain(next(), "", "Traceparent", valid) // names are case-sensitive, and this one isn't kept
	plain(next(), "", "ce-traceparent", valid)
	plain(`no record`, first, "traceparent", valid)
	plain(record(0), second, "traceparent", another) // a duplicate of the first
	plain(record(98)+"\n"+record(99), first, "Content-Type", "application/x-ndjson", "traceparent", valid)
	want = append(want, first)

	door := func(trace, is string, header ...string) {
		s.stream.Publish("vouched.ws._", `{"door":{"grade":"verified","producer":"d"`+trace+`},"record":`+next()+`}`, header...)
		want = append(want, is)
	}
	door("", "")
	door("", first, "traceparent", valid)
	door(`,"trace":{"traceparent":"`+another+`","tracestate":"a=b"}`, second)
	door(`,"trace":{"traceparent":"`+another+`"}`, second, "traceparent", valid)
	door(`,"trace":{"traceparent":"00-00"}`, first, "traceparent", valid)
	door(`,"trace":{"traceparent":"00-00"}`, "")
	door(`,"trace":{"traceparent":["`+valid+`"]}`, "")
	door(`,"trace":"`+valid+`"`, "")
	door(`,"Trace":{"traceparent":"`+valid+`"}`, "")
	door(`,"subject":"\"trace\":{\"traceparent\":\"`+valid+`\"}"`, "")
	s.settle()

	page := s.page("/v1/workspaces/ws/timeline?kind=record,duplicate,conflict,rejection&first=oldest&limit=100")
	if len(page.Records) != len(want) {
		t.Fatalf("%d entries, want %d", len(page.Records), len(want))
	}
	for i, r := range page.Records {
		if got := strings.TrimSpace(r.TraceID + " " + r.SpanID); got != want[i] {
			t.Errorf("entry %d: trace and span %q, want %q", r.Index, got, want[i])
		}
	}
	if a := s.do("GET", "/v1/workspaces/ws/records/"+page.Records[1].ULID); a.status != 200 || !strings.Contains(string(a.body), `"trace_id":"0af7651916cd43dd8448eb211c80319c","span_id":"b7ad6b7169203331"`) {
		t.Errorf("one record: %d %s", a.status, a.body)
	}
	if s := s.page("/v1/workspaces/_system/timeline?kind=control").Records; len(s) == 0 || s[0].TraceID != "" {
		t.Errorf("control entries: %+v", s)
	}
}
