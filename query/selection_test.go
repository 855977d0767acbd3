package query

import (
	"fmt"
	"strings"
	"testing"

	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"

	"github.com/go-json-experiment/json"
)

// selectionOf asks for a selection.
func (s *served) selectionOf(t *testing.T, question string) Selection {
	t.Helper()
	a := s.do("GET", "/v1/workspaces/ws_7/erasure?"+question)
	var out Selection
	if err := json.Unmarshal(a.body, &out); err != nil || a.status != 200 {
		t.Fatalf("%s: %d %s %v", question, a.status, a.body, err)
	}
	return out
}

// erase publishes what a selection says, part by part, and folds it.
func (s *served) erase(t *testing.T, out *Selection) {
	t.Helper()
	for i, part := range out.Parts {
		e := chain.Erase{
			Role: chain.RoleOperator, Reason: chain.EraseRequest, Rule: chain.NoRef, Workspace: s.api.o.Ledger.Tag("ws_7"),
			Part: uint16(i), Parts: uint16(len(out.Parts)),
		}
		var root chain.Hash
		for into, text := range map[*chain.Hash]string{&e.Selection: out.Selection, &e.Leaves: part.Leaves, &root: out.Root} {
			if err := into.UnmarshalText([]byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		for _, r := range part.Ranges {
			e.Ranges = append(e.Ranges, chain.Range{From: r[0], To: r[1]})
		}
		s.stream.Erase(out.Size, root, e, "")
	}
	s.record()
	s.index()
	if head := s.api.o.Ledger.Head(); head.State.Erasures == 0 {
		t.Fatal("nothing was erased")
	}
}

// personal adds records of users u0 to u(n-1), some more than once: every fourth
// twice, with a conflict behind it and an amendment.
func personal(s *served, n int) {
	for i := range n {
		record := func(id, more string) {
			s.stream.Publish("activity.ws_7.app.renamed", fmt.Sprintf(`{"id":%q,"producer":"p","actor":{"type":"user","id":"u%d"},"object":{"type":"app","id":"a%d"}%s}`, id, i%40, i%3, more))
		}
		id := fmt.Sprint("r", i)
		record(id, "")
		if i%4 == 0 {
			record(id, "")
			record(id, `,"data":1}`[:len(`,"data":1`)])
		}
	}
}

// TestSelection: what the API selects is what an operator may sign as it stands, with
// duplicates counted and what was asked for along; and once it is erased there is
// nothing left to select, a stub on the page, and no validator from before that holds.
func TestSelection(t *testing.T) {
	s := serveOn(t, chaintest.NewKeyed("selection"), Options{})
	personal(s, 200)
	s.stream.Record("ws_8", "other", `{}`)
	s.record()
	s.index()
	path := "/v1/workspaces/ws_7/timeline?limit=1000&kind=record,conflict,duplicate"
	before := s.do("GET", path)

	out := s.selectionOf(t, "user=u4") // entries of r4, r44, …: each with a duplicate and a conflict
	if out.Records != 5 || out.Conflicts != 5 || out.Duplicates != 5 || out.Rejections+out.Controls != 0 || out.Role != "operator" || len(out.Parts) != 1 {
		t.Fatalf("%+v", out)
	}
	if out := s.selectionOf(t, "user=u4&kind=record"); out.Records != 5 || out.Conflicts != 0 {
		t.Errorf("records alone: %+v", out)
	}
	if out := s.selectionOf(t, "user=u4&kind=record&along=conflicts,amendments"); out.Records != 5 || out.Conflicts != 5 {
		t.Errorf("with conflicts: %+v", out)
	}
	if out := s.selectionOf(t, "user=nobody"); len(out.Parts) != 0 || out.Records != 0 {
		t.Errorf("of nobody: %+v", out)
	}
	s.do("GET", "/v1/workspaces/ws_7/erasure").problem(t, 400, "invalid_parameter")
	s.do("GET", "/v1/workspaces/ws_8/erasure?record="+s.ulid(t, 2)).problem(t, 404, "no_such_record")
	s.do("GET", "/v1/workspaces/ws_7/erasure?record=x").problem(t, 400, "invalid_parameter")

	s.erase(t, &out)
	if again := s.selectionOf(t, "user=u4"); len(again.Parts) != 0 {
		t.Errorf("after the erasure: %+v", again)
	}
	after := s.do("GET", path, "If-None-Match", before.header.Get("ETag"))
	if after.status != 200 || strings.Count(string(after.body), `"erased":{"at":"`) != 15 || strings.Contains(string(after.body), `"id":"u4"`) {
		t.Errorf("%d, %d stubs", after.status, strings.Count(string(after.body), `"erased":{"at":"`))
	}
	if n := strings.Count(string(after.body), `"ulid":"`) - strings.Count(string(after.body), `"ref":`); n != strings.Count(string(before.body), `"ulid":"`)-strings.Count(string(before.body), `"ref":`) {
		t.Errorf("another number of entries than before: %d", n)
	}
	// A duplicate stands for its record.
	duplicate := s.selectionOf(t, "record="+s.ulid(t, 3))
	if duplicate.Records != 1 || duplicate.Duplicates != 1 || duplicate.Parts[0].Ranges[0] != [2]uint64{2, 3} {
		t.Errorf("a duplicate's: %+v", duplicate)
	}
}

// ulid is that of the entry at an index.
func (s *served) ulid(t *testing.T, index uint64) string {
	t.Helper()
	leaf, _, err := s.api.o.Ledger.Get(index)
	if err != nil {
		t.Fatal(err)
	}
	return leaf.Entry.ULID.String()
}

// TestSelectionInParts: a selection that no statement holds comes in parts, and all of
// them together erase it.
func TestSelectionInParts(t *testing.T) {
	if testing.Short() {
		t.Skip("NOT CHECKED here: it takes 140,000 records, and the race detector's run has fewer")
	}
	s := serveOn(t, chaintest.NewKeyed("parts"), Options{})
	line := `{"type":"a","actor":{"id":"u"}}` + "\n"
	for range 140 {
		s.stream.Publish("activity.ws_7._", strings.Repeat(line, 1000), "Content-Type", chain.NDJSON)
	}
	s.stream.Publish("activity.ws_7._", strings.Repeat(line+strings.ReplaceAll(line, `"u"`, `"v"`), 500), "Content-Type", chain.NDJSON)
	s.record()
	s.index()
	out := s.selectionOf(t, "user=u")
	if out.Records != 140_500 || len(out.Parts) != 3 {
		t.Fatalf("%d records in %d parts", out.Records, len(out.Parts))
	}
	s.erase(t, &out)
	if again := s.selectionOf(t, "user=u,v"); again.Records != 0 {
		t.Errorf("%d records are left", again.Records)
	}
	if head := s.api.o.Ledger.Head(); head.State.Erasures != 3 {
		t.Errorf("%d erasures, want 3", head.State.Erasures)
	}
	if left := s.selectionOf(t, "user=v"); left.Records != 500 {
		t.Errorf("of others %d are left, want 500", left.Records)
	}
}
