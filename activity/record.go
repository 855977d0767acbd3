package activity

import (
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Record is a record as producers write it and readers use it. Every member is
// optional but who acted (Actor); see docs/format/record.schema.json.
//
// It keeps what it does not know: unknown members of the record and of its
// parts come back out of [Record.AppendJSON] as they went in. An empty string
// counts as absent and is not printed. What is hashed and shown is never this
// struct printed again, always the bytes that were published.
type Record struct {
	ID         string            `json:"id,omitzero"`          // the producer's event id; sent again, it is a duplicate
	Producer   string            `json:"producer,omitzero"`    // who gave the id: the scope in which it is unique
	Type       string            `json:"type,omitzero"`        // a slug such as app.renamed
	Workspace  string            `json:"workspace,omitzero"`   // the hard boundary of every read
	OccurredAt string            `json:"occurred_at,omitzero"` // RFC 3339; kept as written
	Actor      *Actor            `json:"actor,omitzero"`
	OnBehalfOf *Actor            `json:"on_behalf_of,omitzero"`
	Object     *Object           `json:"object,omitzero"`
	Linked     []Object          `json:"linked,omitzero"`
	Source     string            `json:"source,omitzero"` // where it was done: web, mobile, api…
	Method     string            `json:"method,omitzero"` // how it was acquired
	Context    *Context          `json:"context,omitzero"`
	Changes    []Change          `json:"changes,omitzero"`
	Reason     *Reason           `json:"reason,omitzero"`
	Outcome    string            `json:"outcome,omitzero"` // success, failure, denied…
	Origin     *Origin           `json:"origin,omitzero"`
	Dimensions map[string]string `json:"dimensions,omitzero"` // org, site, application, group, project, customer, your own
	Message    jsontext.Value    `json:"message,omitzero"`    // any JSON
	Data       jsontext.Value    `json:"data,omitzero"`       // any JSON; a catalogued type's extra fields
	Amends     string            `json:"amends,omitzero"`     // ULID of an earlier entry
	Extra      jsontext.Value    `json:",embed"`              // unknown members, an object
}

// Actor is who acted. Type is user, system, device, service, anonymous, or the
// producer's own; names are snapshots of the moment.
type Actor struct {
	Type  string         `json:"type,omitzero"`
	ID    string         `json:"id,omitzero"`
	Name  string         `json:"name,omitzero"`
	Login string         `json:"login,omitzero"`
	Email string         `json:"email,omitzero"`
	Extra jsontext.Value `json:",embed"`
}

// Object is a thing acted on or linked to.
type Object struct {
	Type     string         `json:"type,omitzero"`
	ID       string         `json:"id,omitzero"`
	Name     string         `json:"name,omitzero"`
	Revision string         `json:"revision,omitzero"`
	Extra    jsontext.Value `json:",embed"`
}

// Context is where and with what it was done. Behind a proxy IP is the proxy's
// address and ForwardedIP the one it names.
type Context struct {
	IP          string         `json:"ip,omitzero"`
	ForwardedIP string         `json:"forwarded_ip,omitzero"`
	UserAgent   string         `json:"user_agent,omitzero"`
	SessionID   string         `json:"session_id,omitzero"`
	RequestID   string         `json:"request_id,omitzero"`
	Location    jsontext.Value `json:"location,omitzero"` // any JSON
	Device      jsontext.Value `json:"device,omitzero"`   // any JSON
	Extra       jsontext.Value `json:",embed"`
}

// Change is one field's old and new value: nil is absent, null is null.
type Change struct {
	Field string         `json:"field,omitzero"`
	Old   jsontext.Value `json:"old,omitzero"`
	New   jsontext.Value `json:"new,omitzero"`
	Extra jsontext.Value `json:",embed"`
}

// Reason is why it was done. Line breaks are kept.
type Reason struct {
	Code       string         `json:"code,omitzero"`
	Details    string         `json:"details,omitzero"`
	Commentary string         `json:"commentary,omitzero"`
	Extra      jsontext.Value `json:",embed"`
}

// Origin is the line of the file that a bulk import came from.
type Origin struct {
	Kind   string         `json:"kind,omitzero"`
	FileID string         `json:"file_id,omitzero"`
	Line   Number         `json:"line,omitzero"`
	Extra  jsontext.Value `json:",embed"`
}

// Number is a JSON number as it was written, so that none is rounded.
type Number string

// NumberOf returns n as a Number.
func NumberOf(n int64) Number { return Number(strconv.FormatInt(n, 10)) }

// MarshalJSONTo prints the number as it was written, without quotes.
func (n Number) MarshalJSONTo(e *jsontext.Encoder) error {
	v := jsontext.Value(n)
	if v.Kind() != '0' {
		return refuse(CodeWrongType, string(e.StackPointer()), "this member is a number, unlike "+quote(string(n)))
	}
	return e.WriteValue(v)
}

// UnmarshalJSONFrom reads a JSON number and no other value.
func (n *Number) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	v, err := d.ReadValue()
	if err != nil {
		return err
	}
	if v.Kind() != '0' {
		return refuse(CodeWrongType, string(d.StackPointer()), "this member is a number")
	}
	*n = Number(v)
	return nil
}

// plain is a Record without its methods.
type plain Record

// Parse reads a record strictly: [Scan] decides, and what it accepts always
// parses. A refusal is returned as a *[Refusal].
func Parse(body []byte) (*Record, error) {
	var k Keys
	if r := Scan(body, &k); r != nil {
		return nil, r
	}
	p := new(plain)
	if err := json.Unmarshal(body, p); err != nil {
		return nil, err
	}
	return (*Record)(p), nil
}

// AppendJSON appends the record as one line of compact JSON, members in the
// struct's order, unknown ones last. It fails when a raw value is not JSON or
// Extra repeats a known member; whether the result is a record is for [Scan].
func (r *Record) AppendJSON(dst []byte) ([]byte, error) {
	b, err := json.Marshal((*plain)(r), json.Deterministic(true), jsontext.PreserveRawStrings(true))
	if err != nil {
		return dst, err
	}
	return append(dst, b...), nil
}

// MarshalJSON is AppendJSON for packages that look for it.
func (r Record) MarshalJSON() ([]byte, error) { return r.AppendJSON(nil) }

// UnmarshalJSON is [Parse] for packages that look for it.
func (r *Record) UnmarshalJSON(body []byte) error {
	p, err := Parse(body)
	if err != nil {
		return err
	}
	*r = *p
	return nil
}
