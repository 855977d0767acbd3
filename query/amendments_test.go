package query

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"annals/ledger/chain/chaintest"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// amendedItem is a record as it is shown with what amends it.
type amendedItem struct {
	oneItem    `json:",inline"`
	Amendments []oneItem      `json:"amendments"`
	More       bool           `json:"more"`
	ModifiedAt string         `json:"modified_at"`
	Present    jsontext.Value `json:"present"`
}

func (s *served) amended(ws string, index uint64) (out amendedItem, tag string) {
	s.t.Helper()
	a := s.do("GET", "/v1/workspaces/"+ws+"/records/"+s.ulid(s.t.(*testing.T), index)+"?with=sentence")
	if err := json.Unmarshal(a.body, &out); err != nil || a.status != 200 {
		s.t.Fatalf("%d %s %v", a.status, a.body, err)
	}
	return out, a.header.Get("ETag")
}

// TestAmended shows a record as it was published, each amendment, and the present state
// of its data; another workspace's amendments are nothing to it, nor are conflicts.
func TestAmended(t *testing.T) {
	s := serveOn(t, chaintest.NewKeyed("amended"), Options{})
	record := func(ws, more string) {
		s.publish(ws, `{"type":"app.renamed","actor":{"type":"user","id":"dana"}`+more+`}`)
	}
	amend := func(ws string, index uint64, more string) {
		record(ws, `,"amends":"`+s.ulid(t, index)+`"`+more)
		s.settle()
	}
	record("ws_7", `,"id":"a","data":{"previous_name":"Old","new_name":"Nwe", "n":1.0}`)
	s.settle()
	at := s.api.o.Ledger.Head().Size - 1
	whole, never := s.amended("ws_7", at)
	if whole.Amendments != nil || whole.ModifiedAt != "" || whole.Present != nil {
		t.Errorf("before anything: %+v", whole)
	}
	amend("ws_8", at, `,"data":{"new_name":"another workspace's"}`)
	record("ws_7", `,"id":"a","amends":"`+s.ulid(t, at)+`","data":{"new_name":"a conflict's"}`)
	s.settle()
	if got, tag := s.amended("ws_7", at); got.Amendments != nil || tag != never {
		t.Errorf("another workspace's, or a conflict: %+v", got)
	}
	amend("ws_7", at, `,"reason":{"code":"typo"},"data":{"new_name":"New"}`)
	first := s.api.o.Ledger.Head().Size - 1
	once, tag := s.amended("ws_7", at)
	if len(once.Amendments) != 1 || once.Amendments[0].Index != first || string(once.Present) != `{"previous_name":"Old","new_name":"New","n":1.0}` ||
		once.ModifiedAt != once.Amendments[0].Recorded || tag == never || !strings.Contains(once.Amendments[0].Sentence.Text, `amending record "`+once.ULID) {
		t.Errorf("once: %+v %s", once, once.Present)
	}
	if string(once.Record) != string(whole.Record) {
		t.Errorf("the record itself changed: %s", once.Record)
	}
	amend("ws_7", at, `,"reason":{"details":"and more"},"data":{"n":null,"é":[1],"new_name":"Newer"}`)
	amend("ws_7", at, `,"reason":{"details":"a remark"}`)
	amend("ws_7", first, `,"data":{"new_name":"an amendment's amendment"}`)
	twice, tag2 := s.amended("ws_7", at)
	if len(twice.Amendments) != 3 || string(twice.Present) != `{"previous_name":"Old","new_name":"Newer","n":null,"é":[1]}` || tag2 == tag || twice.ModifiedAt != twice.Amendments[2].Recorded {
		t.Errorf("again: %+v %s", twice, twice.Present)
	}
	if got := s.page("/v1/workspaces/ws_7/timeline?amends=" + once.ULID).Total; got != 3 {
		t.Errorf("the timeline has %d amendments, want 3", got)
	}
	if got := s.page("/v1/workspaces/ws_8/timeline?amends=" + once.ULID).Total; got != 1 {
		t.Errorf("the other workspace has %d, want its own", got)
	}

	// What is erased gives nothing, and is still told of.
	sel := s.selectionOf(t, "record="+twice.Amendments[1].ULID)
	s.erase(t, &sel)
	left, tag3 := s.amended("ws_7", at)
	if len(left.Amendments) != 3 || left.Amendments[1].Record != nil || string(left.Present) != `{"previous_name":"Old","new_name":"New","n":1.0}` || tag3 == tag2 || left.ModifiedAt != twice.ModifiedAt {
		t.Errorf("an amendment is erased: %+v %s", left, left.Present)
	}
	sel = s.selectionOf(t, "record="+once.ULID)
	s.erase(t, &sel)
	if gone, _ := s.amended("ws_7", at); len(gone.Amendments) != 3 || gone.Record != nil || gone.Present != nil {
		t.Errorf("the original is erased: %+v", gone)
	}
}

// TestUpdatedSince lists what was recorded or amended since a time, as of any size.
func TestUpdatedSince(t *testing.T) {
	s := serve(t, Options{})
	s.fill("ws_7", 3)
	s.settle()
	records := s.page("/v1/workspaces/ws_7/timeline").Records // newest first
	s.leap(time.Hour)
	s.publish("ws_7", fmt.Sprintf(`{"type":"t","actor":{"id":"u"},"amends":%q}`, records[1].ULID))
	s.publish("ws_8", fmt.Sprintf(`{"type":"t","actor":{"id":"u"},"amends":%q}`, records[0].ULID))
	s.settle()
	amendment := s.page("/v1/workspaces/ws_7/timeline").Records[0]
	listed := func(query string) (indexes []uint64) {
		for _, r := range s.page("/v1/workspaces/ws_7/timeline?" + query).Records {
			indexes = append(indexes, r.Index)
		}
		return indexes
	}
	since := "updated_since=" + amendment.Recorded
	for _, c := range []struct {
		query string
		want  []uint64
	}{
		{since, []uint64{amendment.Index, records[1].Index}},
		{since + "&first=oldest", []uint64{records[1].Index, amendment.Index}},
		{since + "&order=occurred", []uint64{amendment.Index, records[1].Index}},
		{since + "&until=" + amendment.Recorded, []uint64{records[1].Index}},
		{fmt.Sprintf("%s&as_of=%d", since, amendment.Index), nil},
		{"updated_since=" + records[0].Recorded + "&limit=2", []uint64{amendment.Index, records[0].Index}},
		{"updated_since=2040-01-01T00:00:00Z", nil},
	} {
		if got := listed(c.query); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.query, got, c.want)
		}
	}
}

// TestPresent is what the present state is made of, of odd data too.
func TestPresent(t *testing.T) {
	for _, c := range []struct {
		name, original string
		amendments     []string
		want           string // "": nobody told anything
	}{
		{"no data", `{"actor":{}}`, []string{`{"data":{"a":1}}`}, `{"a":1}`},
		{"data that is no object", `{"data":[1]}`, []string{`{"data":{"a":1}}`}, `{"a":1}`},
		{"an amendment without", `{"data":{"a":1}}`, []string{`{"reason":{}}`}, ""},
		{"an amendment whose data is none", `{"data":{"a":1}}`, []string{`{"data":"a"}`, `{"data":{}}`}, ""},
		{"not merged deeper", `{"data":{"a":{"b":1}}}`, []string{`{"data":{"a":{"c":2}}}`}, `{"a":{"c":2}}`},
		{"a name spelt otherwise", `{"data":{"a":1}}`, []string{`{"data":{"\u0061":2}}`}, `{"a":2}`},
		{"numbers as written", `{"data":{"a":1e400}}`, []string{`{"data":{"b":9007199254740993.0}}`}, `{"a":1e400,"b":9007199254740993.0}`},
		{"the last counts", `{}`, []string{`{"data":{"a":1}}`, `{"data":{"a":2}}`}, `{"a":2}`},
		{"an erased original", ``, []string{`{"data":{"a":1}}`}, `{"a":1}`},
	} {
		s := newPresent([]byte(c.original))
		for _, a := range c.amendments {
			s.amend([]byte(a))
		}
		if got := string(s.appendTo(nil)); s.told != (c.want != "") || s.told && got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}
