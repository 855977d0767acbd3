package client

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Field is what entries are told apart by.
type Field string

// The fields. Each is a parameter of the API, and means what docs/reading.md
// says.
const (
	User    Field = "user"    // id of who acted, or on whose behalf
	Object  Field = "object"  // the object or a linked one: see [Ref]
	Linked  Field = "linked"  // a linked object: see [Ref]
	Type    Field = "type"    // app.renamed, or app.* for all that begin so
	Group   Field = "group"   // a group of the activity catalogue, or of the workspace's own
	Source  Field = "source"  // as the record says
	Outcome Field = "outcome" // as the record says
	Session Field = "session" // context.session_id
	IP      Field = "ip"      // context.ip: an address, or a network such as 10.0.0.0/8
	Grade   Field = "grade"   // verified, delegated, asserted, anonymous, none
	Amends  Field = "amends"  // ULID of the entry that the record amends
	Kind    Field = "kind"    // record, duplicate, conflict, rejection, control, gap
)

// Dimension is the field of one of the records' dimensions.
func Dimension(name string) Field { return "dimension." + Field(dimensionNames.Replace(name)) }

// A name is percent-encoded by itself where the API would take it for another.
var dimensionNames = strings.NewReplacer("%", "%25", "!", "%21")

// Ref is the value that names one object. Without an id it is every object of the
// type.
func Ref(typ, id string) string { return objectTypes.Replace(typ) + "/" + id }

var objectTypes = strings.NewReplacer("%", "%25", "/", "%2F")

// Condition is what an entry must be: of a field, any of some values, or with
// Not none of them.
type Condition struct {
	Field Field
	Any   []string
	Not   bool
}

// Is holds for entries that have any of the values in the field.
func Is(f Field, values ...string) Condition { return Condition{Field: f, Any: values} }

// Not holds for entries that have none of the values in the field.
func Not(f Field, values ...string) Condition { return Condition{Field: f, Any: values, Not: true} }

// Filter says which entries of a workspace are meant. The zero value is all of
// its records and conflicts.
type Filter struct {
	Where []Condition // all of them hold; those of one field count as one, with all their values

	UpdatedSince                 time.Time // recorded or amended at or after; zero: no bound. Not for a tail
	Since, Until                 time.Time // recorded in [Since, Until); zero: no bound
	OccurredSince, OccurredUntil time.Time // occurred in [since, until); zero: no bound

	AsOf uint64 // as the ledger stood at this tree size; 0: as it stands
}

// parameters are the filter's, as the API spells them. A condition without values
// is an error: left out, it would widen the answer.
func (f *Filter) parameters() (url.Values, error) {
	q := url.Values{}
	for _, c := range f.Where {
		if len(c.Any) == 0 {
			return nil, fmt.Errorf("the filter by %s names no value; leave it out, or give it one", c.Field)
		}
		name := string(c.Field)
		if c.Not {
			name += "!"
		}
		q[name] = append(q[name], c.Any...)
	}
	for name, t := range map[string]time.Time{
		"since": f.Since, "until": f.Until, "updated_since": f.UpdatedSince, "occurred_since": f.OccurredSince, "occurred_until": f.OccurredUntil,
	} {
		if !t.IsZero() {
			q.Set(name, t.UTC().Format(time.RFC3339Nano))
		}
	}
	if f.AsOf != 0 {
		q.Set("as_of", strconv.FormatUint(f.AsOf, 10))
	}
	return q, nil
}
