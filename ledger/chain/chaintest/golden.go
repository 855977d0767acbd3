package chaintest

import (
	"fmt"
	"strings"
)

// Golden is the stream that tests and the published vectors share: at least one
// message for each rule of docs/format. It ends without a mark: those need a
// ledger's head.
func Golden() *Stream {
	s := New("golden")
	record := func(id, more string) string {
		return fmt.Sprintf(`{"id":%q,"producer":"billing","actor":{"type":"user","id":"usr_dana","name":"Dana Reyes"},`+
			`"object":{"type":"app","id":"app_42","name":"Line 4 QA"}%s}`, id, more)
	}
	// A record, the same again, another under its id, and the first once more.
	s.Publish("activity.ws_7.app.renamed", record("r1", `,"data":{"previous_name":"A","new_name":"B"}`))
	s.Publish("activity.ws_7.app.renamed", record("r1", `,"data":{"previous_name":"A","new_name":"B"}`))
	s.Publish("activity.ws_7.app.renamed", record("r1", `,"data":{"previous_name":"A","new_name":"C"}`))
	s.Publish("activity.ws_7.app.renamed", record("r1", `,"data":{"previous_name":"A","new_name":"C"}`))
	// The same id in another workspace is another record.
	s.Publish("activity.ws_8.app.renamed", record("r1", ""))
	// Gathered lines: good, empty, CR LF, broken, and one that names no type.
	s.Publish("activity.ws_7._", strings.Join([]string{
		record("n1", `,"type":"app.created"`), "", record("n2", `,"type":"app.archived"`) + "\r", `{"id":`, record("n3", ""),
	}, "\n")+"\n", "Content-Type", "application/x-ndjson")
	// Retained headers, in and out of order.
	s.Publish("activity.ws_7.app.moved", record("h1", ""),
		"ce-type", "b", "tracestate", "k=v", "traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"X-Not-Kept", "x", "ce-id", "  1", "ce-id", "2")
	// A door's frame, its repeat by another request, and a frame with two ids.
	vouched := func(request, id, record string) string {
		return fmt.Sprintf(`{"door":{"grade":"verified","producer":"crm"%s,"request_id":%q},"record":%s}`, id, request, record)
	}
	own := `{"actor":{"id":"usr_li"},"type":"user.created"}`
	s.Publish("vouched.ws_7._", vouched("q1", `,"id":"d1"`, own))
	s.Publish("vouched.ws_7._", vouched("q2", `,"id":"d1"`, own))
	s.Publish("vouched.ws_7._", vouched("q3", `,"id":"d2"`, record("d2", `,"type":"app.copied"`)))
	s.Publish("vouched._system.access.added", vouched("q4", "", `{"actor":{"type":"system"}}`))
	// Rejections: odd subjects, reserved names, an empty message, no lines.
	s.Publish("activity.ws_7", record("o1", ""))
	s.Publish("activity.ws_7.a.>", record("o2", ""))
	s.Publish("activity._system.app.renamed", record("o3", ""))
	s.Publish("activity.ws_7.app.renamed", "")
	s.Publish("activity.ws_7._", "", "Content-Type", "application/x-ndjson")
	s.Publish("activity.ws_7.app.renamed", `{"actor":{"id":"a"},"type":"app.moved"}`)
	s.Publish("annals.control.seed", "garbage")
	// An anonymous actor, no id; then a seed, and what it salts.
	s.Publish("activity.ws_9.button.clicked", `{"actor":{"type":"anonymous"},"context":{"session_id":"s"}}`)
	s.Seed()
	s.Publish("activity.ws_7.app.renamed", record("r2", `,"amends":"01KDYG0000000000000000000A"`))
	// A time far ahead is clamped; one that runs back keeps its place.
	now := s.Now
	s.Now += 400 * 24 * 3600 * 1_000_000_000
	s.Publish("activity.ws_7.app.renamed", record("t1", ""))
	s.Now = now - 5_000_000_000
	s.Publish("activity.ws_7.app.renamed", record("t2", ""))
	s.Now = now
	return s
}
