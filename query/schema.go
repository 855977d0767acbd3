package query

import (
	"annals/ledger/chain"

	"github.com/danielgtaylor/huma/v2"
)

// Items and pages are printed by hand, so their schemas are written by hand too;
// a test holds the one to the other.

const (
	schemaPrefix = "#/components/schemas/"
	hashPattern  = "^[0-9a-f]{64}$"
	ulidPattern  = "^[0-7][0-9A-HJKMNP-TV-Z]{25}$"
)

func pageSchema(r huma.Registry) *huma.Schema {
	itemRef(r)
	r.Map()["Page"] = object("A page of a timeline.",
		[]string{"records", "total", "as_of"}, map[string]*huma.Schema{
			"records":     {Type: huma.TypeArray, Items: &huma.Schema{Ref: schemaPrefix + "Item"}, MaxItems: ptr(MaxLimit)},
			"next_cursor": {Type: huma.TypeString, Description: "Asks for the next page; absent on the last one.", MinLength: ptr(cursorText), MaxLength: ptr(cursorText)},
			"total":       count("Entries that match, on all pages together: exact at as_of, and at least so many where truncated."),
			"truncated":   truncatedSchema(),
			"as_of":       momentSchema(),
		})
	return &huma.Schema{Ref: schemaPrefix + "Page"}
}

func truncatedSchema() *huma.Schema {
	return &huma.Schema{
		Type: huma.TypeBoolean, Enum: []any{true},
		Description: "The bound on the work for one answer was reached. total is then a lower bound, and a page may hold fewer records than there are: next_cursor goes on where the search stopped.",
	}
}

func momentSchema() *huma.Schema {
	return object("The moment that the answer speaks of. All pages of one cursor speak of the same.",
		[]string{"size", "root"}, map[string]*huma.Schema{
			"size": count("Entries in the tree."),
			"root": hash("RFC 6962 tree hash over them."),
		})
}

func countsSchema(r huma.Registry) *huma.Schema {
	word := func(about string) *huma.Schema { return &huma.Schema{Type: huma.TypeString, Description: about} }
	one := object("A day, an hour or a value.", []string{"n"}, map[string]*huma.Schema{
		"start": {Type: huma.TypeString, Format: "date-time", Description: "When the day or hour begins, in the zone asked for. It ends where the next one begins."},
		"value": word("The value, as the filter of its field takes it: an object is type/id. Of one that is longer than 512 bytes, the beginning and …."),
		"n":     count("Entries."),
	})
	r.Map()["Counts"] = object("Entries counted by days, hours or values.",
		[]string{"by", "counts", "total", "as_of"}, map[string]*huma.Schema{
			"by":        word("What was asked for."),
			"time":      {Type: huma.TypeString, Enum: []any{"recorded", "occurred"}, Description: "Of days and hours: which time."},
			"tz":        word("Of days and hours: the zone."),
			"counts":    {Type: huma.TypeArray, Items: one, MaxItems: ptr(MaxBuckets), Description: "Days or hours in order, those without any too, from the first asked for, or the first with a match, to the last. Values by frequency, most first; then by value."},
			"distinct":  count("Of values: how many there are; at least so many where truncated."),
			"other":     count("Of values: entries with none of those shown, among them those without any. An entry with several values is counted under each. Absent where that can't be said: where truncated, or where a value shown is cut."),
			"total":     count("Entries that match: exact at as_of, and at least so many where truncated."),
			"truncated": truncatedSchema(),
			"as_of":     momentSchema(),
		})
	return &huma.Schema{Ref: schemaPrefix + "Counts"}
}

func itemRef(r huma.Registry) *huma.Schema {
	if r.Map()["Item"] == nil {
		r.Map()["Item"] = itemSchema()
	}
	return &huma.Schema{Ref: schemaPrefix + "Item"}
}

func itemSchema() *huma.Schema {
	var kinds []any
	for _, k := range chain.Kinds() {
		kinds = append(kinds, k.String())
	}
	return object("One entry of the ledger.",
		[]string{"ulid", "index", "kind", "workspace", "recorded_at", "stream_time", "entry_hash", "sequence", "place", "epoch"},
		map[string]*huma.Schema{
			"ulid":        {Type: huma.TypeString, Pattern: ulidPattern, Description: "The entry's id; it sorts as the index does."},
			"index":       count("Its place in the ledger, and its leaf index in the tree."),
			"kind":        {Type: huma.TypeString, Enum: kinds},
			"workspace":   {Type: huma.TypeString},
			"type":        {Type: huma.TypeString, Description: "The activity type; absent where none is known."},
			"recorded_at": {Type: huma.TypeString, Format: "date-time", Description: "The ULID's time, to the millisecond."},
			"stream_time": {Type: huma.TypeString, Format: "date-time", Description: "When the stream took the message, as it said, to the nanosecond."},
			"entry_hash":  hash("RFC 6962 leaf hash of the entry."),
			"grade":       {Type: huma.TypeString, Enum: []any{"anonymous", "asserted", "delegated", "verified"}, Description: "How it is known who acted; absent where nobody did."},
			"sequence":    count("The message's sequence in the stream."),
			"place":       count("The record's place in the message, from 0."),
			"epoch":       count("Which stream the sequence belongs to."),
			"ref": object("The original of a duplicate or conflict, or the entry that a record amends.",
				[]string{"index"}, map[string]*huma.Schema{
					"index": count("Its place in the ledger."),
					"ulid":  {Type: huma.TypeString, Pattern: ulidPattern, Description: "Absent when that entry is not of this workspace."},
				}),
			"reason": object("Why a message or line was rejected.",
				[]string{"code", "name", "advice"}, map[string]*huma.Schema{
					"code": count("As it stands in the entry."), "name": {Type: huma.TypeString}, "advice": {Type: huma.TypeString},
				}),
			"compared": {Type: huma.TypeBoolean, Description: "Of a duplicate: false when the original was erased and could not be compared."},
			"control":  {Type: huma.TypeString, Description: "What a control entry does."},
			"erased": object("By what the payload was erased: there is no record then.",
				[]string{"at", "by", "control"}, map[string]*huma.Schema{
					"at":      {Type: huma.TypeString, Format: "date-time", Description: "The time of the control entry."},
					"by":      {Type: huma.TypeString, Description: "The role that signed it."},
					"reason":  {Type: huma.TypeString, Description: "As it signed: request, order, mistake, secret, contract, or a number; expired under a retention rule. Absent where a seed went with a trim."},
					"control": {Type: huma.TypeString, Pattern: ulidPattern, Description: "The control entry."},
					"rule":    {Type: huma.TypeString, Pattern: ulidPattern, Description: "The entry of the rule that it expired under; the genesis, of the rule that every ledger begins with."},
				}),
			"gap": object("The sequences that are lost.", []string{"first", "last"}, map[string]*huma.Schema{
				"first": count("The first."), "last": count("The last."),
			}),
			"sentence": object("What the record tells, in words (with=sentence). Text, never HTML.",
				[]string{"text", "parts"}, map[string]*huma.Schema{
					"text": {Type: huma.TypeString},
					"parts": {Type: huma.TypeArray, Items: object("A piece of the sentence.", []string{"kind", "text"}, map[string]*huma.Schema{
						"kind": {Type: huma.TypeString, Enum: []any{"text", "actor", "object", "value"}},
						"text": {Type: huma.TypeString},
						"ref":  {Type: huma.TypeObject, AdditionalProperties: true, Description: "What the piece names: type and id."},
					})},
				}),
			"amendments":  {Type: huma.TypeArray, Items: &huma.Schema{Ref: schemaPrefix + "Item"}, MaxItems: ptr(MaxAmendments), Description: "Of one record: the records of its workspace that amend it, in the ledger's order; absent where none does."},
			"more":        {Type: huma.TypeBoolean, Enum: []any{true}, Description: "There are more amendments than are shown: the timeline with amends=ULID has them all."},
			"modified_at": {Type: huma.TypeString, Format: "date-time", Description: "Of one record: when it was last amended; absent where it never was."},
			"present":     {Type: huma.TypeObject, AdditionalProperties: true, Description: "Of one record that was amended: its data with the top-level members that the amendments' data give in their place, a later one's over an earlier one's. Absent where the record, or no amendment, has any. It is made of what was recorded; the records are the evidence."},
			"trace_id":    {Type: huma.TypeString, Pattern: "^[0-9a-f]{32}$", Description: "The trace that the record belongs to (W3C Trace Context), by the door's trace or else the message's traceparent; absent where there is none, or not one valid one."},
			"span_id":     {Type: huma.TypeString, Pattern: "^[0-9a-f]{16}$", Description: "The span that published it; with trace_id."},
			"door":        {Type: huma.TypeObject, AdditionalProperties: true, Description: "What the door says that the record came through; absent where the producer published itself."},
			"event":       {Type: huma.TypeObject, AdditionalProperties: true, Description: "The CloudEvent that tells the record, in the JSON event format; absent where the record was published as such."},
			"record":      {Type: huma.TypeObject, AdditionalProperties: true, Description: "The record as it was published. A rejection has it when its payload is a JSON object within the bounds."},
			"text":        {Type: huma.TypeString, Description: "Of a rejection: the payload, when it is UTF-8 but no such object."},
			"raw":         {Type: huma.TypeString, ContentEncoding: "base64", Description: "Of a rejection: any other payload, in base64."},
		})
}

func object(about string, required []string, properties map[string]*huma.Schema) *huma.Schema {
	return &huma.Schema{Type: huma.TypeObject, Description: about, Required: required, Properties: properties, AdditionalProperties: false}
}

func count(about string) *huma.Schema {
	return &huma.Schema{Type: huma.TypeInteger, Minimum: ptr(0.0), Description: about}
}

func hash(about string) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Pattern: hashPattern, Description: about + " In hexadecimal."}
}
