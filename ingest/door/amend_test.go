package door_test

import (
	"crypto/sha256"
	"errors"
	"strings"
	"testing"

	"annals/ingest/door"
	"annals/ledger/chain"
)

// TestAmend posts amendments: each is published as a record that names what it amends,
// byte for byte but for what is put in front; and whatever is not one is told so, and
// nothing is published.
func TestAmend(t *testing.T) {
	tag := func(workspace string) chain.Hash { return sha256.Sum256([]byte(workspace)) }
	kinds := []chain.Kind{chain.KindRecord, chain.KindConflict, chain.KindDuplicate, chain.KindRejection}
	ulidOf := func(index uint64) string { return chain.MakeULID(1_700_000_000_000, 0, index).String() }
	s := new(stream)
	d := open(t, door.Options{
		Publish: s.publish, Await: s.await, Tag: tag,
		Get: func(index uint64) (leaf chain.Leaf, _ chain.Hash, err error) {
			if index >= uint64(len(kinds)) {
				return leaf, chain.Hash{}, errors.New("not there")
			}
			leaf.Entry = chain.Entry{Kind: kinds[index], Index: index, ULID: chain.MakeULID(1_700_000_000_000, 0, index), Workspace: tag("ws_7")}
			return leaf, chain.Hash{}, nil
		},
	})
	const reason = `"actor":{"id":"u"},"reason":{"code":"typo"}`
	id := ulidOf(0)
	path := func(ws, id string) string { return "/v1/workspaces/" + ws + "/records/" + id + "/amendments" }
	for _, c := range []struct {
		name, path, body string
		status           int
		code             string
		published        string // the record's bytes
	}{
		{"OK", path("ws_7", id), `{"type":"t",` + reason + `}`, 202, "", `{"amends":"` + id + `","type":"t",` + reason + `}`},
		{"no type", path("ws_7", id), ` { ` + reason + ` , "data" : {"a": 1.0} }`, 202, "", `{"amends":"` + id + `","type":"record.amended", ` + reason + ` , "data" : {"a": 1.0} }`},
		{"it names what it amends", path("ws_7", id), `{"type":"t",` + reason + `,"amends":"` + id + `"}`, 202, "", `{"type":"t",` + reason + `,"amends":"` + id + `"}`},
		{"a conflict", path("ws_7", ulidOf(1)), `{"type":"t",` + reason + `}`, 202, "", `{"amends":"` + ulidOf(1) + `","type":"t",` + reason + `}`},
		{"details alone", path("ws_7", id), `{"type":"t","actor":{"id":"u"},"reason":{"details":"a\nb"}}`, 202, "", `{"amends":"` + id + `","type":"t","actor":{"id":"u"},"reason":{"details":"a\nb"}}`},
		{"commentary alone", path("ws_7", id), `{"type":"t","actor":{"id":"u"},"reason":{"commentary":"c"}}`, 202, "", `{"amends":"` + id + `","type":"t","actor":{"id":"u"},"reason":{"commentary":"c"}}`},
		{"no reason", path("ws_7", id), `{"type":"t","actor":{"id":"u"}}`, 422, "invalid_body", ""},
		{"a reason that says nothing", path("ws_7", id), `{"type":"t","actor":{"id":"u"},"reason":{"code":""}}`, 422, "invalid_body", ""},
		{"it names another", path("ws_7", id), `{"type":"t",` + reason + `,"amends":"` + ulidOf(1) + `"}`, 422, "invalid_body", ""},
		{"it names none", path("ws_7", id), `{"type":"t",` + reason + `,"amends":""}`, 422, "invalid_body", ""},
		{"an empty type", path("ws_7", id), `{"type":"",` + reason + `}`, 422, "missing_type", ""},
		{"nobody", path("ws_7", id), `{"type":"t","reason":{"code":"typo"}}`, 422, "missing_actor_id", ""},
		{"no JSON", path("ws_7", id), `{`, 400, "malformed_json", ""},
		{"several", path("ws_7", id), `[{"type":"t",` + reason + `}]`, 422, "invalid_body", ""},
		{"a duplicate", path("ws_7", ulidOf(2)), `{"type":"t",` + reason + `}`, 422, "invalid_body", ""},
		{"a rejection", path("ws_7", ulidOf(3)), `{"type":"t",` + reason + `}`, 422, "invalid_body", ""},
		{"beyond the end", path("ws_7", ulidOf(4)), `{"type":"t",` + reason + `}`, 404, "no_such_record", ""},
		{"of another time", path("ws_7", chain.MakeULID(1, 0, 0).String()), `{"type":"t",` + reason + `}`, 404, "no_such_record", ""},
		{"another workspace's", path("ws_8", id), `{"type":"t",` + reason + `}`, 404, "no_such_record", ""},
		{"no ULID", path("ws_7", "x"), `{"type":"t",` + reason + `}`, 400, "invalid_parameter", ""},
		{"a parameter", path("ws_7", id) + "?x=1", `{"type":"t",` + reason + `}`, 400, "unknown_parameter", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.frames = nil
			a := d.post(c.path, c.body)
			if a.status != c.status || a.Code != c.code {
				t.Fatalf("%d %s, want %d %q", a.status, a.raw, c.status, c.code)
			}
			if (c.published == "") != (len(s.frames) == 0) {
				t.Fatalf("published %q", s.frames)
			}
			if c.published != "" {
				if _, record, _ := strings.Cut(string(s.frames[0]), `"record":`); strings.TrimSpace(strings.TrimSuffix(record, "}")) != c.published {
					t.Errorf("published %s\nwant %s", record, c.published)
				}
			}
		})
	}
}
