package door_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"annals/ingest/door"
	"annals/ledger/chain"
	"annals/ledger/proof"
)

// TestOnlyKnown: where access is configured, who doesn't know what was published is
// told of an entry what they are told of none, word for word and as soon.
func TestOnlyKnown(t *testing.T) {
	s := reply(t)
	const record = `{"id":"q1","type":"app.renamed","workspace":"ws_7","actor":{"type":"user","id":"u"}}`
	plain := s.post(door.SubjectRecord, record, door.HeaderWait, "recorded")
	again := s.post(door.SubjectRecord, record, door.HeaderWait, "recorded")
	first, _, err := s.ledger.Get(again.Ref.Index)
	if err != nil {
		t.Fatal(err)
	}
	s.service.Close()
	s.known = true
	receipts := s.options.Receipts
	s.options.Receipts = func(context.Context, []uint64, bool, proof.Grade) ([]*proof.Receipt, proof.Grade, error) {
		return nil, "", errors.New("a checkpoint was waited for")
	}
	s.serve()

	byULID := func(id any, rest string) string { return fmt.Sprintf(`{"ulid":"%s"%s}`, id, rest) }
	byPlace := func(sequence uint64, place int, rest string) string {
		return fmt.Sprintf(`{"sequence":%d,"place":%d%s}`, sequence, place, rest)
	}
	guess := fmt.Sprintf(`,"sha256":%q,"payload":true`, digest("x"))
	none, noPlace := chain.MakeULID(1, 0, 99999), 7
	for _, c := range []struct{ name, there, absent, what, whatAbsent string }{
		{"by ulid", byULID(first.Entry.ULID, ""), byULID(none, ""), first.Entry.ULID.String(), none.String()},
		{"by ulid, a guess", byULID(first.Entry.ULID, guess), byULID(none, guess), first.Entry.ULID.String(), none.String()},
		{"by place", byPlace(*plain.Sequence, 0, ""), byPlace(*plain.Sequence, noPlace, ""), "of place 0", "of place 7"},
		{"by place, a guess", byPlace(*plain.Sequence, 0, guess), byPlace(*plain.Sequence, noPlace, guess), "of place 0", "of place 7"},
		{"a duplicate", byPlace(*again.Sequence, 0, guess), byPlace(*again.Sequence, noPlace, guess), "of place 0", "of place 7"},
	} {
		_, got := s.request(door.SubjectReceipt+".ws_7", c.there)
		_, want := s.request(door.SubjectReceipt+".ws_7", c.absent)
		if got == nil || want == nil || got.Code != "no_such_record" || got.Code != want.Code ||
			strings.Replace(got.Detail, c.what, "", 1) != strings.Replace(want.Detail, c.whatAbsent, "", 1) {
			t.Errorf("%s: there %v, not there %v", c.name, got, want)
		}
	}

	s.service.Close()
	s.options.Receipts = receipts
	s.serve()
	knowing := fmt.Sprintf(`,"sha256":%q,"payload":true`, digest(record))
	for name, ask := range map[string]string{
		"by ulid": byULID(first.Entry.ULID, knowing), "by place": byPlace(*plain.Sequence, 0, knowing), "a duplicate": byPlace(*again.Sequence, 0, knowing),
	} {
		m, p := s.request(door.SubjectReceipt+".ws_7", ask)
		if p != nil {
			t.Errorf("%s: who knows it is told %v", name, p)
			continue
		}
		if r, err := proof.ParseReceipt(m.Data); err != nil || r.Payload == nil || string(r.Payload.Body) != record {
			t.Errorf("%s: %v\n%s", name, err, m.Data)
		}
		if _, p := s.request(door.SubjectReceipt+".ws_8", ask); p == nil || p.Code != "no_such_record" {
			t.Errorf("%s in another workspace: %v", name, p)
		}
	}
}

// TestRecordingTellsNothing: where access is configured, who waits for a record on NATS
// is told the same of a new id, of one that another took with the same record, and of
// one that another took with another: but for the numbers of the entry, word for word.
func TestRecordingTellsNothing(t *testing.T) {
	s := reply(t)
	record := func(id, name string) string {
		return fmt.Sprintf(`{"id":%q,"type":"app.renamed","workspace":"ws_7","actor":{"type":"user","id":%q}}`, id, name)
	}
	s.post(door.SubjectRecord, record("taken", "u"), door.HeaderWait, "recorded")
	if told := s.post(door.SubjectRecord, record("taken", "v"), door.HeaderWait, "recorded"); told.Status != "conflict" || told.Ref == nil {
		t.Fatalf("without access: %+v", told)
	}
	s.service.Close()
	s.known = true
	s.serve()
	plain := func(id, name string) string {
		told := s.post(door.SubjectRecord, record(id, name), door.HeaderWait, "recorded")
		if told.Index == nil || told.ULID == "" {
			t.Fatalf("%s: %+v", id, told)
		}
		told.ID, told.ULID, told.EntryHash, told.Sequence, told.Place, told.Index = "", "", "", nil, nil, nil
		return fmt.Sprintf("%+v", told)
	}
	fresh := plain("new", "u")
	for name, told := range map[string]string{"a duplicate": plain("taken", "u"), "a conflict": plain("taken", "w")} {
		if told != fresh {
			t.Errorf("%s is told\n%s\na new one\n%s", name, told, fresh)
		}
	}
}
