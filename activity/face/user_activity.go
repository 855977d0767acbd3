package face

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"annals/activity"
	"annals/internal/jsonkind"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// MaxUserIDs is how many users one question of user activity may name.
const MaxUserIDs = 200

// DefaultActivityRange is how far back a question looks that names no beginning, and
// how many days one may span.
const DefaultActivityRange = 90

// exportActivity is the number of the activity that has kinds of exports.
const exportActivity = 8

// UserActivityQuestion is what a request for user activity asks, all of it decided.
type UserActivityQuestion struct {
	Users    []string // any of these actors; none: all
	From, To time.Time
	Types    []string // of records, any of these; never none
	Source   string   // "": any
	Export   string   // slug of the export data type; "": any
}

// ParseUserActivity reads a request's body at a moment: what it leaves out is the
// default. days is how many one question may span; 0: [DefaultActivityRange]. Members
// that it doesn't know are refused, for a filter that is passed over would widen the
// answer. A fault is a [*Refusal] without a code.
//
// Dates are days of UTC, whatever their time of day: a question is for [From, To).
func ParseUserActivity(body []byte, now time.Time, days int) (*UserActivityQuestion, error) {
	if days == 0 {
		days = DefaultActivityRange
	}
	p := userActivityBody{given: map[string]bool{}}
	if r := members(body, refuseActivity, p.member); r != nil {
		return nil, r
	}
	q := &UserActivityQuestion{Users: p.users}
	for _, decide := range []func(*UserActivityQuestion) *Refusal{
		p.types, p.sources, p.exports,
		func(q *UserActivityQuestion) *Refusal { return p.dates(q, now.UTC(), days) },
	} {
		if r := decide(q); r != nil {
			return nil, r
		}
	}
	return q, nil
}

func refuseActivity(pointer, detail string) *Refusal { return &Refusal{"", pointer, detail} }

// userActivityBody is the body as it came.
type userActivityBody struct {
	given                    map[string]bool
	users                    []string
	from, to                 time.Time
	activity, source, export int64
}

func (p *userActivityBody) member(name string, v jsontext.Value) *Refusal {
	p.given[name] = true
	switch name {
	case "userIDs", "userIds": // the published table has the one, its samples the other
		if p.given["userIDs"] && p.given["userIds"] {
			return refuseActivity(pointerTo(name), "userIDs and userIds are one filter; send one")
		}
		return p.userIDs(name, v)
	case "dateFrom":
		return dateAt(name, v, &p.from)
	case "dateTo":
		return dateAt(name, v, &p.to)
	case "activity":
		return integerAt(name, v, &p.activity, refuseActivity)
	case "source":
		return integerAt(name, v, &p.source, refuseActivity)
	case "exportDataType":
		return integerAt(name, v, &p.export, refuseActivity)
	case "pageNumber", "pageSize":
		return refuseActivity(pointerTo(name), name+" is a parameter of the query: …/user/activity?"+name+"=1")
	}
	return refuseActivity(pointerTo(name), strconv.QuoteToASCII(name)+" is no filter here; there is userIDs, dateFrom, dateTo, activity, source and exportDataType")
}

func (p *userActivityBody) userIDs(name string, v jsontext.Value) *Refusal {
	if v.Kind() != '[' {
		return refuseActivity(pointerTo(name), name+" is an array of integers, not "+jsonkind.Name(v.Kind()))
	}
	var elements []jsontext.Value
	if err := json.Unmarshal(v, &elements); err != nil {
		return refuseActivity(pointerTo(name), name+" can't be read")
	}
	if len(elements) > MaxUserIDs {
		return refuseActivity(pointerTo(name), name+" has at most "+strconv.Itoa(MaxUserIDs)+" users; ask in parts")
	}
	for i, e := range elements {
		n, err := strconv.ParseInt(string(e), 10, 64)
		if e.Kind() != '0' || err != nil {
			return refuseActivity(pointerTo(name)+"/"+strconv.Itoa(i), "a user's id is an integer of 64 bits, written without fraction and exponent")
		}
		p.users = append(p.users, strconv.FormatInt(n, 10))
	}
	return nil
}

// dateAt reads a date with or without a time, and a time with or without a zone:
// without one it is UTC.
func dateAt(name string, v jsontext.Value, into *time.Time) *Refusal {
	var s string
	if r := stringAt(name, v, &s, refuseActivity); r != nil {
		return r
	}
	for _, layout := range [...]string{time.RFC3339, "2006-01-02T15:04:05", time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			*into = day(t.UTC())
			return nil
		}
	}
	return refuseActivity(pointerTo(name), name+" is a date and time such as 2021-05-05T19:54:08.704Z")
}

func day(t time.Time) time.Time { return t.Truncate(24 * time.Hour) } // UTC has no other days

// types decides which activities are asked for: unless one is named, the eleven.
func (p *userActivityBody) types(q *UserActivityQuestion) *Refusal {
	for _, d := range activity.Catalogue().UserActivities() {
		if !p.given["activity"] || int64(d.Number) == p.activity {
			q.Types = append(q.Types, d.Slug)
		}
	}
	if len(q.Types) == 0 {
		return refuseActivity("/activity", "there is no activity "+strconv.FormatInt(p.activity, 10)+"; they are numbered from 1 to 11")
	}
	return nil
}

func (p *userActivityBody) sources(q *UserActivityQuestion) *Refusal {
	if !p.given["source"] {
		return nil
	}
	c, ok := numbered(activity.Catalogue().Sources(), p.source)
	if !ok {
		return refuseActivity("/source", "there is no source "+strconv.FormatInt(p.source, 10)+"; they are numbered from 1 to 11")
	}
	q.Source = c.Slug
	return nil
}

func (p *userActivityBody) exports(q *UserActivityQuestion) *Refusal {
	if !p.given["exportDataType"] {
		return nil
	}
	c, ok := numbered(activity.Catalogue().ExportDataTypes(), p.export)
	switch {
	case !ok:
		return refuseActivity("/exportDataType", "there is no export data type "+strconv.FormatInt(p.export, 10)+"; they are numbered from 0 to 4")
	case p.activity != exportActivity:
		return refuseActivity("/exportDataType", "exportDataType filters exports alone; ask for activity 8 with it")
	}
	q.Export = c.Slug
	return nil
}

// dates decides the range. What dateFrom leaves open begins 90 days before the end,
// and what dateTo leaves open goes on through now.
func (p *userActivityBody) dates(q *UserActivityQuestion, now time.Time, days int) *Refusal {
	today := day(now)
	q.From, q.To = p.from, p.to
	end := q.To
	if !p.given["dateTo"] {
		end, q.To = today, today.AddDate(0, 0, 1) // a day that is not over
	}
	if !p.given["dateFrom"] {
		q.From = end.AddDate(0, 0, -days)
	}
	switch {
	case p.given["dateFrom"] && p.given["dateTo"] && !q.To.After(q.From), q.From.After(end):
		return refuseActivity("/dateTo", "DateTo should be greater than DateFrom.")
	case end.Sub(q.From) > time.Duration(days)*24*time.Hour:
		return refuseActivity("/dateFrom", "DateFrom and DateTo should be at most "+strconv.Itoa(days)+" days apart.")
	}
	return nil
}

func numbered(choices []activity.Choice, n int64) (activity.Choice, bool) {
	i := slices.IndexFunc(choices, func(c activity.Choice) bool { return int64(c.Number) == n })
	if i < 0 {
		return activity.Choice{}, false
	}
	return choices[i], true
}

// UserActivityRow is a row of the answer. What the record doesn't say is left out.
type UserActivityRow struct {
	UserName       string         `json:"userName,omitzero"`
	FullName       string         `json:"fullName,omitzero"`
	EventDate      string         `json:"eventDate"`
	ActivityTypeID int            `json:"activityTypeId"`
	ActivityType   string         `json:"activityType"`
	SourceTypeID   int            `json:"sourceTypeId"`
	SourceType     string         `json:"sourceType"`
	IPAddress      *uint32        `json:"ipAddress,omitzero"`   // an IPv4 address in network byte order
	IPv6Address    string         `json:"ipv6Address,omitzero"` // added: an IPv6 address as text
	UserID         jsontext.Value `json:"userId,omitzero"`      // a number; a string where the id is none
	SessionID      string         `json:"sessionId,omitzero"`

	// Added, for activity 8, where it is known what was exported: 0 is a value.
	ExportDataTypeID *int   `json:"exportDataTypeId,omitzero"`
	ExportDataType   string `json:"exportDataType,omitzero"`

	// Added, for activity 9: as whom the user acted.
	OnBehalfOfUserID   jsontext.Value `json:"onBehalfOfUserId,omitzero"`
	OnBehalfOfUserName string         `json:"onBehalfOfUserName,omitzero"`
}

// eventDate is how the published samples write a time: UTC, without saying so.
const eventDate = "2006-01-02T15:04:05.000"

// UserActivityRowOf reads a record of one of the eleven types as a row. A source that
// is none of the eleven is Unknown.
func UserActivityRowOf(r *activity.Record, typ string, occurred time.Time) UserActivityRow {
	d, _ := activity.Lookup(typ)
	row := UserActivityRow{EventDate: occurred.UTC().Format(eventDate), ActivityTypeID: d.Number, ActivityType: d.Label}
	sources := activity.Catalogue().Sources()
	i := slices.IndexFunc(sources, func(c activity.Choice) bool { return c.Slug == r.Source })
	if i < 0 {
		i = slices.IndexFunc(sources, func(c activity.Choice) bool { return c.Slug == UnknownSource })
	}
	row.SourceTypeID, row.SourceType = sources[i].Number, sources[i].Label
	if a := r.Actor; a != nil {
		row.UserName, row.FullName, row.UserID = loginOf(a), a.Name, idOf(a.ID)
	}
	if c := r.Context; c != nil {
		row.SessionID = c.SessionID
		row.address(c.IP)
	}
	if b := r.OnBehalfOf; b != nil {
		row.OnBehalfOfUserID, row.OnBehalfOfUserName = idOf(b.ID), loginOf(b)
	}
	if d.Number == exportActivity {
		if c, ok := activity.ExportDataTypeOf(r.Data); ok {
			row.ExportDataTypeID, row.ExportDataType = &c.Number, c.Label
		}
	}
	return row
}

// UnknownSource is the source that whatever is none of the others is shown as.
const UnknownSource = "unknown"

// KnownSources are the slugs of the others.
func KnownSources() (slugs []string) {
	for _, c := range activity.Catalogue().Sources() {
		if c.Slug != UnknownSource {
			slugs = append(slugs, c.Slug)
		}
	}
	return slugs
}

func loginOf(a *activity.Actor) string {
	if a.Login != "" {
		return a.Login
	}
	return a.Email
}

// address puts an address where it belongs; what is none is left out.
func (row *UserActivityRow) address(ip string) {
	a, err := netip.ParseAddr(ip)
	if err != nil {
		return
	}
	if a = a.Unmap(); a.Is4() {
		b := a.As4()
		n := binary.BigEndian.Uint32(b[:])
		row.IPAddress = &n
		return
	}
	row.IPv6Address = a.String()
}

// idOf is a user's id as JSON: a number where it is one as it would be written.
func idOf(id string) jsontext.Value {
	if id == "" {
		return nil
	}
	if n, err := strconv.ParseInt(id, 10, 64); err == nil && strconv.FormatInt(n, 10) == id {
		return jsontext.Value(id)
	}
	v, _ := jsontext.AppendQuote(nil, id) // a record's text is UTF-8
	return v
}
