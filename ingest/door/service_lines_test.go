package door_test

import (
	"fmt"
	"strings"
	"testing"

	"annals/ingest/door"

	"github.com/go-json-experiment/json"
)

// TestRequestOfLines: a request may have a record a line: each is answered for, in order,
// and refused by itself; what asks for too much is refused before anything is published.
func TestRequestOfLines(t *testing.T) {
	s := reply(t)
	const in = door.SubjectRecord + ".ws_7"
	ndjson := []string{"Content-Type", "application/x-ndjson", door.HeaderWait, "recorded"}
	line := func(n int) string { return fmt.Sprintf(`{"id":"%d","type":"a.b","actor":{"id":"u"}}`, n) }
	a, p := s.request(in, line(1)+"\n"+line(2)+"\n"+`{"id":"x","type":"a.b"}`+"\n"+line(1)+"\n", ndjson...)
	if p != nil {
		t.Fatal(p)
	}
	var told door.Answer
	if err := json.Unmarshal(a.Data, &told); err != nil || len(told.Items) != 4 {
		t.Fatalf("%v: %s", err, a.Data)
	}
	for i, want := range []string{"recorded", "recorded", "rejected", "duplicate"} {
		if told.Items[i].Status != want {
			t.Errorf("line %d: %s, want %s", i, told.Items[i].Status, want)
		}
	}
	if one, two := told.Items[0], told.Items[1]; *one.Index+1 != *two.Index {
		t.Errorf("entries %d and %d are not in the lines' order", *one.Index, *two.Index)
	}
	size := s.ledger.Head().Size
	for name, c := range map[string]struct{ subject, body, wait, code string }{
		"no workspace":     {door.SubjectRecord, line(3), "recorded", "missing_workspace"},
		"receipts of many": {in, line(3) + "\n" + line(4), "receipt", "bad_request"},
		"too many":         {in, strings.Repeat(line(3)+"\n", door.MaxRequested+1), "", "too_many_records"},
		"none":             {in, "", "", "no_records"},
		"all refused":      {in, "{}\n[]\n", "", "all_refused"},
	} {
		header := []string{"Content-Type", "application/x-ndjson"}
		if c.wait != "" {
			header = append(header, door.HeaderWait, c.wait)
		}
		if _, p := s.request(c.subject, c.body, header...); p == nil || string(p.Code) != c.code {
			t.Errorf("%s: %v", name, p)
		}
	}
	far := strings.Repeat("x\n", 2*door.MaxRecords)
	if _, p := s.request(in, far, "Content-Type", "application/x-ndjson"); p == nil || !strings.Contains(p.Detail, fmt.Sprintf("may hold %d records", door.MaxRequested)) {
		t.Errorf("far too many: %v", p)
	}
	if _, p := s.request(in, strings.Repeat(line(5)+"\n", door.MaxRequested), ndjson...); p != nil {
		t.Errorf("as many as there may be: %v", p)
	}
	if got := s.ledger.Head().Size; got != size+door.MaxRequested {
		t.Errorf("%d entries, want %d: what was refused left a trace", got-size, door.MaxRequested)
	}
}
