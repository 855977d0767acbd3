package face

import (
	"net/url"
	"strings"

	"annals/activity"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// PlatformItem is an activity record of the app platform as our endpoints tell it: an
// entry of a timeline, which has the record itself; an item of a news feed or a record's
// history, which has what people are shown; or a row of a feed's table.
type PlatformItem struct {
	ULID       string            `json:"ulid"`
	Kind       string            `json:"kind"`
	Workspace  string            `json:"workspace"`
	Type       string            `json:"type"`
	RecordedAt string            `json:"recorded_at"`
	OccurredAt string            `json:"occurred_at"`
	EntryHash  string            `json:"entry_hash"`
	Grade      string            `json:"grade"`
	Door       jsontext.Value    `json:"door"`
	Erased     jsontext.Value    `json:"erased"`
	Record     jsontext.Value    `json:"record"`
	Actor      *activity.Actor   `json:"actor"`
	Changes    []activity.Change `json:"changes"`
	Sentence   struct {
		Parts []struct {
			Kind string       `json:"kind"`
			Text string       `json:"text"`
			Ref  activity.Ref `json:"ref"`
		} `json:"parts"`
	} `json:"sentence"`
	Links struct {
		Object string `json:"object"`
	} `json:"links"`

	Object *activity.Object `json:"-"` // of a row
	Raw    jsontext.Value   `json:"-"` // what stands in data of what is told
}

// FeedColumns head the table of a feed, in order.
var FeedColumns = []string{
	"occurred_at", "recorded_at", "actor_type", "actor_id", "actor_name", "type", "label", "object_type", "object_id", "object_name", "sentence", "changes", "grade", "kind", "ulid",
}

// FeedErased is the sentence by which a feed's table tells of an entry whose payload is
// gone.
const FeedErased = "(erased)"

// PlatformRecord is the record that an item tells of, as JSON. A fault is a [*Refusal]
// without a code.
func PlatformRecord(raw []byte) (*activity.Record, error) {
	it := PlatformItem{Raw: raw}
	if err := json.Unmarshal(raw, &it); err != nil {
		return nil, err
	}
	return it.AsRecord()
}

// AsRecord is the record that the item tells of.
//
// Where the item has the record, that is it. It gains an id and an occurred_at where it
// had none, from the item, and the member imported_from, which says which entry of which
// ledger it was; it loses the name of its workspace, which is there too. A record that was
// imported before keeps what it says of that.
//
// Where it has not, the record says what was told, under the item's ULID, and all of the
// item stands in data.app_platform.
func (it *PlatformItem) AsRecord() (*activity.Record, error) {
	switch {
	case it.Erased != nil:
		return nil, refuseActivity("/erased", "of this entry the payload was erased, and nothing is left to record")
	case it.Record.Kind() == '{' && it.Kind == "rejection":
		return nil, refuseActivity("/kind", "a rejection is no record")
	case it.Record.Kind() == '{':
		return it.whole()
	case it.Kind != "" && it.Kind != "record" && it.Kind != "conflict":
		return nil, refuseActivity("/kind", "of a "+it.Kind+" a feed tells nothing that could be recorded")
	case it.Actor == nil || it.ULID == "":
		return nil, refuseActivity("", "an activity record has a record, or what a feed tells of it: ulid, type and actor")
	case !activity.ValidType(it.Type):
		return nil, refuseActivity("/type", "an activity record has a type")
	}
	return it.told()
}

func (it *PlatformItem) whole() (*activity.Record, error) {
	r, err := activity.Parse(it.Record)
	if err != nil {
		return nil, err
	}
	if r.ID == "" {
		r.ID = it.ULID
	}
	if r.Type == "" {
		r.Type = it.Type
	}
	if r.OccurredAt == "" {
		r.OccurredAt = it.RecordedAt
	}
	if _, ok := activity.Occurred(r.OccurredAt); it.ULID == "" || !ok && it.RecordedAt == "" {
		return nil, refuseActivity("/recorded_at", "an entry has a ulid, and a recorded_at such as 2026-03-04T05:06:07.089Z")
	}
	r.Workspace = ""
	extra := map[string]jsontext.Value{}
	if len(r.Extra) > 0 {
		if err := json.Unmarshal(r.Extra, &extra); err != nil {
			return nil, err
		}
	}
	if _, before := extra[importedFrom]; before {
		return r, nil
	}
	extra[importedFrom], err = json.Marshal(struct {
		ULID       string         `json:"ulid"`
		Workspace  string         `json:"workspace,omitzero"`
		RecordedAt string         `json:"recorded_at,omitzero"`
		EntryHash  string         `json:"entry_hash,omitzero"`
		Grade      string         `json:"grade,omitzero"`
		Door       jsontext.Value `json:"door,omitzero"`
	}{it.ULID, it.Workspace, it.RecordedAt, it.EntryHash, it.Grade, it.Door})
	if err == nil {
		r.Extra, err = json.Marshal(extra, json.Deterministic(true), jsontext.PreserveRawStrings(true))
	}
	return r, err
}

// importedFrom is the member of an imported record that says which entry it was.
const importedFrom = "imported_from"

func (it *PlatformItem) told() (*activity.Record, error) {
	occurred := it.OccurredAt
	if _, ok := activity.Occurred(occurred); !ok {
		return nil, refuseActivity("/occurred_at", "an activity record has an occurred_at such as 2026-03-04T05:06:07.089+01:00")
	}
	r := &activity.Record{
		ID: it.ULID, Producer: "app_platform", Type: it.Type, OccurredAt: occurred,
		Actor: it.actor(), Object: it.object(), Changes: it.Changes,
	}
	var err error
	r.Data, err = json.Marshal(struct {
		Item jsontext.Value `json:"app_platform"`
	}{it.Raw})
	return r, err
}

// actor is who acted. A page shows as the name what else is known where there is none,
// and initials, which are of the name.
func (it *PlatformItem) actor() *activity.Actor {
	a := activity.Actor{Type: it.Actor.Type, ID: it.Actor.ID, Name: it.Actor.Name}
	if a.Name == a.ID || a.ID == "" && a.Name == a.Type {
		a.Name = ""
	}
	if a.Type == "" && a.ID == "" {
		a.Type = activity.ActorAnonymous
	}
	return &a
}

// object is what it was done to: as the item names it, or by the path of its history. The
// name is the one in the sentence.
func (it *PlatformItem) object() *activity.Object {
	if it.Object != nil {
		return it.Object
	}
	path, ok := strings.CutSuffix(it.Links.Object, "/history")
	parts := strings.Split(path, "/") // "", v1, workspaces, WS, objects, TYPE, ID
	if !ok || len(parts) != 7 || parts[4] != "objects" {
		return nil
	}
	typ, badType := url.PathUnescape(parts[5])
	id, badID := url.PathUnescape(parts[6])
	if badType != nil || badID != nil {
		return nil
	}
	o := &activity.Object{Type: typ, ID: id}
	for _, p := range it.Sentence.Parts {
		if p.Kind == string(activity.PartObject) && p.Ref.Type == typ && p.Ref.ID == id && p.Text != id {
			o.Name = p.Text
			break
		}
	}
	return o
}
