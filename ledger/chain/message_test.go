package chain_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"annals/activity"
	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
)

// foldOne folds one message after a fresh beginning and returns its entries.
func foldOne(t testing.TB, subject, body string, header ...string) []chain.Folded {
	t.Helper()
	s := chaintest.New("one")
	s.Publish(subject, body, header...)
	l := newLog(t, s.Messages[0])
	if err := l.Fold(s.Messages, allAtOnce); err != nil {
		t.Fatal(err)
	}
	return l.Entries[2:]
}

// TestTotal: each kind of bad message becomes the entry that docs/format says.
func TestTotal(t *testing.T) {
	const good = `{"actor":{"id":"a"},"type":"t"}`
	pad := func(n int) string { // a record of n bytes
		s := `{"actor":{"id":"a"},"type":"t","data":""}`
		return s[:len(s)-2] + strings.Repeat("x", n-len(s)) + `"}`
	}
	nested := func(n int) string {
		return `{"actor":{"id":"a"},"type":"t","data":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}`
	}
	for _, c := range []struct {
		name, subject, body string
		want                string
	}{
		{"record", "activity.w.t", good, "record"},
		{"largest record", "activity.w.t", pad(activity.MaxRecord), "record"},
		{"oversize record", "activity.w.t", pad(activity.MaxRecord + 1), "record_too_large"},
		{"largest kept body", "activity.w.t", pad(chain.MaxBody), "record_too_large"},
		{"oversize message", "activity.w.t", pad(chain.MaxBody + 1), "body_too_large not kept"},
		{"garbage", "activity.w.t", "\x00\xff\x17", "invalid_utf8"},
		{"text", "activity.w.t", "hello", "malformed_json"},
		{"unknown type is recorded", "activity.w.never.seen-before_1", `{"actor":{"id":"a"}}`, "record"},
		{"wrong workspace", "activity.w.t", `{"actor":{"id":"a"},"workspace":"v"}`, "workspace_mismatch"},
		{"missing actor", "activity.w.t", `{}`, "missing_actor_id"},
		{"null is no string", "activity.w.t", `{"actor":{"id":"a"},"id":null}`, "wrong_type"},
		{"depth 64", "activity.w.t", nested(63), "record"},
		{"depth 65", "activity.w.t", nested(64), "too_deep"},
		{"depth 10,000", "activity.w.t", nested(10_000), "too_deep"},
		{"forged actor", "activity.w.t", `{"actor":{"id":"alice"},"actor":{"id":"mallory"}}`, "duplicate_name"},
		{"lone surrogate", "activity.w.t", `{"actor":{"id":"\ud800"}}`, "malformed_json"},
		{"trailing bytes", "activity.w.t", good + "{}", "trailing_bytes"},
		{"empty message", "activity.w.t", "", "empty"},
		{"no type token", "activity.w", good, "odd_subject"},
		{"bare root", "activity", good, "odd_subject"},
		{"literal wildcard", "activity.w.a.>", good, "odd_subject"},
		{"literal star", "activity.*.t", good, "odd_subject"},
		{"type of 128", "activity.w." + strings.Repeat("t", 128), `{"actor":{"id":"a"}}`, "record"},
		{"type of 129", "activity.w." + strings.Repeat("t", 129), `{"actor":{"id":"a"}}`, "odd_subject"},
		{"workspace of 64", "activity." + strings.Repeat("w", 64) + ".t", good, "record"},
		{"workspace of 65", "activity." + strings.Repeat("w", 65) + ".t", good, "odd_subject"},
		{"reserved", "activity._system.t", good, "reserved_workspace"},
		{"vouched reserved", "vouched._other.t", good, "reserved_workspace"},
		{"no frame on vouched", "vouched.w.t", good, "invalid_door"},
		{"a frame on activity is no record", "activity.w.t", `{"door":{"grade":"verified","producer":""},"record":` + good + `}`, "missing_actor_id"},
		{"control garbage", "annals.control.erase", "x", "control_frame"},
		{"foreign subject", "other.w.t", good, "odd_subject"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := foldOne(t, c.subject, c.body)
			if len(got) != 1 {
				t.Fatalf("%d entries, want 1", len(got))
			}
			e := got[0].Entry
			say := e.Kind.String()
			if e.Kind == chain.KindRejection {
				say, _ = chain.Reason(e.Code)
			}
			if got[0].Payload.Kept == chain.KeptNone {
				say += " not kept"
			}
			if say != c.want {
				t.Fatalf("got %s, want %s", say, c.want)
			}
		})
	}
}

func TestLines(t *testing.T) {
	const good = `{"actor":{"id":"a"},"type":"t"}`
	for _, c := range []struct {
		name, body string
		want       string // kinds' first letters
	}{
		{"one without LF", good, "r"},
		{"one with LF", good + "\n", "r"},
		{"an empty line between", good + "\n\n" + good, "rxr"},
		{"LF LF at the end", good + "\n\n", "rx"},
		{"only LF", "\n", "x"},
		{"CR LF", good + "\r\n" + good + "\r\n", "rr"},
		{"a lone CR does not split", good + "\r" + good, "x"},
		{"no line", "", "x"},
		{"1,024 lines", strings.Repeat(good+"\n", 1024), strings.Repeat("r", 1024)},
		{"1,025 lines", strings.Repeat(good+"\n", 1025), "x"},
		{"2,000 empty lines", strings.Repeat("\n", 2000), "x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := ""
			for i, e := range foldOne(t, "activity.w._", c.body, "Content-Type", chain.NDJSON) {
				if int(e.Entry.Place) != i {
					t.Fatalf("entry %d has place %d", i, e.Entry.Place)
				}
				switch e.Entry.Kind {
				case chain.KindRecord:
					got += "r"
				case chain.KindRejection:
					got += "x"
				}
			}
			if got != c.want {
				t.Fatalf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestContentTypeIsExact(t *testing.T) {
	two := "{\"actor\":{\"id\":\"a\"},\"type\":\"t\"}\n{\"actor\":{\"id\":\"b\"},\"type\":\"t\"}"
	for _, c := range []struct {
		header []string
		many   bool
	}{
		{[]string{"Content-Type", "application/x-ndjson"}, true},
		{[]string{"Content-Type", " \tapplication/x-ndjson"}, true},
		{[]string{"Content-Type", "application/x-ndjson "}, false},
		{[]string{"Content-Type", "application/x-ndjson; charset=utf-8"}, false},
		{[]string{"Content-Type", "Application/X-NDJSON"}, false},
		{[]string{"content-type", "application/x-ndjson"}, false},
		{[]string{"Content-Type", "application/x-ndjson", "Content-Type", "application/x-ndjson"}, false},
		{nil, false},
	} {
		if got := len(foldOne(t, "activity.w._", two, c.header...)) == 2; got != c.many {
			t.Errorf("%q: read as lines: %v, want %v", c.header, got, c.many)
		}
	}
}

func TestEnvelopeRetainsHeadersInOrder(t *testing.T) {
	e := foldOne(t, "activity.w.t", `{"actor":{"id":"a"}}`,
		"ce-b", "1", "ce-a", "2", "ce-b", "3", "tracestate", "s", "traceparent", "p", "Traceparent", "not kept",
		"Content-Type", "  application/json", "Nats-Msg-Id", "not kept")
	want := []string{
		"Content-Type", "application/json", "traceparent", "p", "tracestate", "s", "ce-a", "2", "ce-b", "1", "ce-b", "3",
	}
	if got := e[0].Payload.Headers(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("got %q, want %q", got, want)
	}
	if got := e[0].Payload.Subject(); got != "activity.w.t" {
		t.Fatalf("subject %q", got)
	}
}

func TestHeadersBound(t *testing.T) {
	record := `{"actor":{"id":"a"}}`
	// One retained header takes 2 + len(name) + 4 + len(value) bytes.
	fill := func(n int) string { return strings.Repeat("v", n-2-len("ce-x")-4) }
	if e := foldOne(t, "activity.w.t", record, "ce-x", fill(chain.MaxHeaders)); e[0].Entry.Kind != chain.KindRecord {
		t.Fatalf("at the bound: %s", e[0].Entry.Kind)
	}
	e := foldOne(t, "activity.w.t", record, "ce-x", fill(chain.MaxHeaders+1))
	if name, _ := chain.Reason(e[0].Entry.Code); name != "headers_too_large" || len(e[0].Payload.Headers()) != 0 {
		t.Fatalf("over the bound: %s, retains %d", name, len(e[0].Payload.Headers()))
	}
	if e := foldOne(t, "activity.w.t", record, "X-Big", strings.Repeat("v", 1<<20)); e[0].Entry.Kind != chain.KindRecord {
		t.Fatal("a header that isn't retained must not count")
	}
}

func TestMillis(t *testing.T) {
	const day = 24 * 3600 * 1000
	for _, c := range []struct {
		name                      string
		previous, wall, timestamp int64
		want                      int64
	}{
		{"the stream's", 10, 0, 20_999_999, 20},
		{"never backwards", 30, 0, 20_000_000, 30},
		{"a day ahead", 0, 1000, (1000 + day) * 1_000_000, 1000 + day},
		{"more than a day ahead is clamped", 0, 1000, (1001 + day) * 1_000_000, 1000 + day},
		{"before 1970", 0, 0, -1, 0},
		{"the last nanosecond there is", 0, 1000, math.MaxInt64, 1000 + day},
		{"the first", 5, 1000, math.MinInt64, 5},
		{"a wall clock at the end of time", 0, math.MaxInt64, 7_000_000, 7},
	} {
		if got := chain.Millis(c.previous, c.wall, c.timestamp); got != c.want {
			t.Errorf("%s: got %d, want %d", c.name, got, c.want)
		}
	}
}

func TestULIDHoldsTheIndex(t *testing.T) {
	id := chain.MakeULID(1767323045000, 7, 1<<40+3)
	if p, i := chain.SplitULID(id); p != 7 || i != 1<<40+3 || id.Time() != 1767323045000 {
		t.Fatalf("%s gives %d, %d, %d", id, p, i, id.Time())
	}
}

func BenchmarkPrepare(b *testing.B) {
	s := chaintest.New("bench")
	s.Record("ws_1", "x", `"`+strings.Repeat("d", 300)+`"`)
	state := newLog(b, s.Messages[0]).State
	p := state.Preparer()
	b.ReportAllocs()
	for b.Loop() {
		p.Prepare(s.Messages[2])
	}
}

func BenchmarkFold(b *testing.B) {
	s := chaintest.New("bench")
	for i := range 1000 {
		s.Record(fmt.Sprint("ws_", i%10), fmt.Sprint(i), `"`+strings.Repeat("d", 300)+`"`)
	}
	l := newLog(b, s.Messages[0])
	if err := l.Fold(s.Messages[:2], oneByOne); err != nil {
		b.Fatal(err)
	}
	p := l.State.Preparer()
	batch := make([]chain.Prepared, 1000)
	for i := range batch {
		batch[i] = p.Prepare(s.Messages[i+2])
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := l.State.Fold(batch, chain.Known{Heads: l.Heads}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/entry")
}
