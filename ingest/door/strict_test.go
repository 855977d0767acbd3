package door_test

import (
	"errors"
	"strings"
	"testing"

	"annals/activity"
	"annals/ingest/door"
	"annals/ledger/chain"
)

// TestStrict: where a workspace's catalogue is strict, what breaks it is refused at its
// place, and the rest of a batch goes on; elsewhere everything is recorded.
func TestStrict(t *testing.T) {
	const types = `"types":[{"slug":"contract.signed","label":"Signed","object":"contract","fields":[{"slug":"with","label":"With"}],"sentence":"{actor} signed {object}"}]`
	catalogue := func(document string) *activity.Vocabulary {
		v, err := activity.Own([]byte(document))
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	words := map[string]*activity.Vocabulary{
		"strict": catalogue(`{"strict":true,` + types + `}`), "lenient": catalogue(`{` + types + `}`), "none": activity.Catalogue(),
	}
	s := &stream{}
	d := open(t, door.Options{
		Publish: s.publish, Await: s.await,
		FoldVersion: func() uint16 { return chain.LatestFold },
		Words: func(workspace string) (*activity.Vocabulary, error) {
			if workspace == "broken" {
				return nil, errors.New("the disk is gone")
			}
			return words[workspace], nil
		},
	})
	record := func(more string) string { return `{"actor":{"type":"user","id":"u"},` + more + `}` }
	const object = `"object":{"type":"contract","id":"7"}`
	for _, c := range []struct{ record, code, pointer string }{
		{record(`"type":"contract.signed",` + object + `,"data":{"with":"Acme"}`), "", ""},
		{record(`"type":"contract.signed",` + object + `,"data":{"with":"Acme","more":1},"occurred_at":"someday"`), "", ""}, // doubtful, and no breach
		{record(`"type":"app.archived","object":{"type":"app","id":"1"}`), "", ""},
		{record(`"type":"contract.lost"`), "unknown_type", "/type"},
		{record(`"type":"contract.signed","data":{"with":"Acme"}`), "missing_object", "/object/id"},
		{record(`"type":"contract.signed",` + object), "missing_field", "/data/with"},
		{record(`"type":"contract.signed","amends":"01K9Z0W3QH0000000000000005"`), "", ""},
		{record(`"type":"record.amended","amends":"01K9Z0W3QH0000000000000005"`), "", ""},
		{`{"actor":{},"type":"contract.lost"}`, "missing_actor_id", "/actor"},
	} {
		before := len(s.frames)
		a := d.post("/v1/workspaces/strict/records", c.record)
		switch {
		case c.code == "" && (a.status != 202 || len(s.frames) != before+1):
			t.Errorf("%s: %d %s", c.record, a.status, a.raw)
		case c.code != "" && (a.status != 422 || a.Code != c.code || len(a.Errors) != 1 || !strings.HasPrefix(*a.Errors[0].Pointer, c.pointer) || len(s.frames) != before):
			t.Errorf("%s: %d %s, want %s at %s", c.record, a.status, a.raw, c.code, c.pointer)
		}
		if c.code == "missing_actor_id" {
			continue
		}
		for _, workspace := range []string{"lenient", "none", "broken"} {
			if a := d.post("/v1/workspaces/"+workspace+"/records", c.record); a.status != 202 {
				t.Errorf("%s in the workspace %s: %d %s", c.record, workspace, a.status, a.raw)
			}
		}
	}
	a := d.post("/v1/workspaces/strict/records", "["+record(`"type":"app.archived","object":{"type":"app","id":"1"}`)+","+record(`"type":"x"`)+"]")
	if a.status != 202 || a.Items[0].Status != "accepted" || a.Items[1].Status != "rejected" || a.Items[1].Code != "unknown_type" || *a.Items[1].Pointer != "/type" {
		t.Errorf("a batch: %d %s", a.status, a.raw)
	}
	event := `{"specversion":"1.0","id":"1","source":"/crm","type":"x","authid":"u"}`
	if a := d.post("/v1/workspaces/strict/records", event, "Content-Type", "application/cloudevents+json"); a.status != 422 || a.Code != "unknown_type" {
		t.Errorf("an event: %d %s", a.status, a.raw)
	}
	if a := d.post("/v1/workspaces/lenient/records", event, "Content-Type", "application/cloudevents+json"); a.status != 202 {
		t.Errorf("an event elsewhere: %d %s", a.status, a.raw)
	}
}
