package query

import (
	"annals/ledger/chain"

	"github.com/danielgtaylor/huma/v2"
)

// feedSchema is that of [Feed].
func feedSchema(r huma.Registry) *huma.Schema {
	word := func(about string) *huma.Schema { return &huma.Schema{Type: huma.TypeString, Description: about} }
	moment := func(about string) *huma.Schema {
		return &huma.Schema{Type: huma.TypeString, Format: "date-time", Description: about}
	}
	list := func(of *huma.Schema, about string) *huma.Schema {
		return &huma.Schema{Type: huma.TypeArray, Items: of, Description: about}
	}
	var kinds []any
	for _, k := range chain.Kinds() {
		kinds = append(kinds, k.String())
	}
	change := object("A field's old and new value; what is absent was not said.", nil, map[string]*huma.Schema{
		"field": word(""), "old": {Description: "Any JSON."}, "new": {Description: "Any JSON."},
	})
	change.AdditionalProperties = true
	item := object("One thing that happened.", []string{"ulid", "kind", "occurred_at", "recorded_at", "links"}, map[string]*huma.Schema{
		"ulid":        {Type: huma.TypeString, Pattern: ulidPattern},
		"kind":        {Type: huma.TypeString, Enum: kinds},
		"type":        word("The activity type; absent where none is known."),
		"label":       word("What the catalogue calls the type."),
		"occurred_at": moment("In the zone. When it occurred, as far as the record says so in a way that can be read; else when it was recorded."),
		"recorded_at": moment("In the zone."),
		"actor": object("Who acted.", []string{"name", "initials"}, map[string]*huma.Schema{
			"type": word(""), "id": word("What a page shows in a tooltip."), "name": word("As it was then; what else is known where there is none."), "initials": word(""),
		}),
		"sentence": object("Absent of what was erased, and of what is no record. Text, never HTML.", []string{"text", "parts"}, map[string]*huma.Schema{
			"text": word(""),
			"parts": list(object("A piece of the sentence; one with a ref is to be a link.", []string{"kind", "text"}, map[string]*huma.Schema{
				"kind": {Type: huma.TypeString, Enum: []any{"text", "actor", "object", "value"}},
				"text": word(""),
				"ref":  {Type: huma.TypeObject, AdditionalProperties: true, Description: "What the piece names: type and id."},
			}), ""),
		}),
		"changes": list(change, "Fields with their old and new values."),
		"grade":   {Type: huma.TypeString, Enum: []any{"anonymous", "asserted", "delegated", "verified"}},
		"erased":  {Type: huma.TypeBoolean, Enum: []any{true}, Description: "Its payload was erased: the record itself says by what."},
		"links": object("Paths of the API.", []string{"record"}, map[string]*huma.Schema{
			"record": word(""), "actor": word("The actor's timeline."), "object": word("The object's history."),
		}),
	})
	r.Map()["Feed"] = object("What happened, told for people, day by day.", []string{"tz", "days", "total", "as_of"}, map[string]*huma.Schema{
		"tz": word("The time zone that days and times are of."),
		"days": list(object("A day.", []string{"date", "items"}, map[string]*huma.Schema{
			"date":  {Type: huma.TypeString, Format: "date", Description: "In the zone: by when it was recorded, or with order=occurred by when it occurred."},
			"items": list(item, ""),
		}), "In the order asked for; days without any are not there."),
		"next_cursor": {Type: huma.TypeString, Description: "Asks for the next page; absent on the last one. A day may go on there.", MinLength: ptr(cursorText), MaxLength: ptr(cursorText)},
		"total":       count("Entries that match, on all pages together; with field, before it chooses among them."),
		"truncated":   truncatedSchema(),
		"as_of":       momentSchema(),
	})
	return &huma.Schema{Ref: schemaPrefix + "Feed"}
}
