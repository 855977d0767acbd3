package activity

import (
	"maps"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/oklog/ulid/v2"
)

// Flag is a doubt about a record: it was recorded, and something about it is
// not as its type's catalogue or a date's format says.
type Flag struct {
	Code    FlagCode
	Pointer string // RFC 6901, into the record
	Detail  string
}

// FlagCode names a doubt.
type FlagCode string

// The doubts. None of them ever decides record or rejection.
const (
	FlagUnknownType      FlagCode = "unknown_type"      // no catalogue has it
	FlagMissingObject    FlagCode = "missing_object"    // the type has an object, the record names none
	FlagMissingField     FlagCode = "missing_field"     // an extra field of the type is not in data
	FlagUnknownField     FlagCode = "unknown_field"     // data has what the type doesn't
	FlagUnreadableDate   FlagCode = "unreadable_date"   // occurred_at is no RFC 3339 date and time
	FlagUnreadableAmends FlagCode = "unreadable_amends" // amends is no ULID
)

// Check returns what is doubtful about a record: about its type by the
// [Catalogue], about its date and its amended entry. r.Type must be filled in
// where the subject alone named it.
func Check(r *Record) []Flag { return Catalogue().Check(r) }

// Check returns what is doubtful about a record: about its type by the vocabulary,
// about its date and its amended entry.
func (v *Vocabulary) Check(r *Record) []Flag {
	var flags []Flag
	if d, ok := v.Lookup(r.Type); ok {
		flags = d.Check(r)
	} else {
		flags = []Flag{{FlagUnknownType, "/type", "no catalogue has the type " + quote(r.Type)}}
	}
	return appendUnread(flags, r.OccurredAt, r.Amends)
}

// Unread returns what of a record says something and can't be read, whatever its type:
// its date, and the entry that it amends. Nearly every record has none, and costs nothing.
func (k *Keys) Unread() []Flag { return appendUnread(nil, k.OccurredAt, k.Amends) }

func appendUnread(flags []Flag, occurred, amends string) []Flag {
	if occurred != "" {
		if _, ok := Occurred(occurred); !ok {
			flags = append(flags, Flag{FlagUnreadableDate, "/occurred_at", "this is no RFC 3339 date and time; the stream's time orders the record"})
		}
	}
	if amends != "" {
		if _, err := ulid.ParseStrict(amends); err != nil {
			flags = append(flags, Flag{FlagUnreadableAmends, "/amends", "this is no ULID, so the record amends nothing"})
		}
	}
	return flags
}

// Check returns how a record departs from the definition of its type: fields in
// the definition's order, then unknown ones by name.
func (d Definition) Check(r *Record) []Flag {
	var flags []Flag
	if d.Object != "" && (r.Object == nil || r.Object.ID == "") {
		flags = append(flags, Flag{FlagMissingObject, "/object/id", "a record of " + d.Slug + " says which " + d.Object + " it is about"})
	}
	data := members(r.Data)
	for _, f := range d.Fields {
		if _, there := data[f.Slug]; !there && !f.Optional && !f.isObject(r) {
			flags = append(flags, Flag{FlagMissingField, "/data/" + f.Slug, "a record of " + d.Slug + " has the field " + quote(f.Label)})
		}
	}
	if d.Open {
		return flags
	}
	for _, name := range slices.Sorted(maps.Keys(data)) {
		if !d.has(name) {
			pointer := jsontext.Pointer("/data").AppendToken(name)
			flags = append(flags, Flag{FlagUnknownField, string(pointer), "a record of " + d.Slug + " has no such field"})
		}
	}
	return flags
}

// isObject reports whether a field asks for what the record's object says: the
// station of station.created is the object itself.
func (f Field) isObject(r *Record) bool {
	return f.Object != "" && f.Slug == f.Object && r.Object != nil && r.Object.Type == f.Object
}

func (d Definition) has(field string) bool {
	for _, f := range d.Fields {
		if f.Slug == field {
			return true
		}
	}
	return false
}

// Occurred reads an occurred_at: a date and time of RFC 3339. ok is false for
// any other text, which is evidence all the same.
func Occurred(s string) (t time.Time, ok bool) {
	t, err := time.Parse(time.RFC3339Nano, s)
	return t, err == nil
}

// members takes a JSON object apart; any other value has no members.
func members(v jsontext.Value) map[string]jsontext.Value {
	var m map[string]jsontext.Value
	if v.Kind() != '{' || json.Unmarshal(v, &m) != nil {
		return nil
	}
	return m
}
