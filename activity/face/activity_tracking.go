package face

import (
	"strconv"
	"unicode/utf8"

	"annals/activity"
	"annals/internal/jsonkind"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// The codes of the activity-tracking backend.
const (
	TrackingInvalidInput = "INVALID_INPUT"          // unparsable, or of a wrong JSON type
	TrackingInvalidEvent = "INVALID_ACTIVITY_EVENT" // a rule is broken
	TrackingUnauthorized = "UNAUTHORIZED"
	TrackingFailed       = "ACTIVITY_RECORD_FAILED"
	TrackingUnavailable  = "ACTIVITY_RECORDER_UNAVAILABLE"
)

// Bounds of an event: characters are Unicode code points, bytes are those of the
// metadata as JSON without white space, nothing escaped that need not be.
const (
	MaxTrackingType     = 64
	MaxTrackingID       = 128
	MaxTrackingPage     = 512
	MaxTrackingMetadata = 16 << 10
)

// TrackingPrefix is what the type of an event that a frontend reports is stored
// behind, whatever it is: nobody out there can report a user_login.
const TrackingPrefix = "frontend_"

// TrackingProject is the dimension that holds project_id.
const TrackingProject = "project"

// TrackingEvent is what a frontend reports.
type TrackingEvent struct {
	Type      string // without the prefix
	SessionID string
	ProjectID string
	Page      string
	Metadata  jsontext.Value // an object in compact form; nil: none
}

// ParseTrackingEvent reads a request's body. Members that it doesn't know are passed
// over, a user_id among them: who acted is the token's word alone. A fault is a
// [*Refusal] with one of the codes.
func ParseTrackingEvent(body []byte) (*TrackingEvent, error) {
	e := new(TrackingEvent)
	input := func(pointer, detail string) *Refusal { return &Refusal{TrackingInvalidInput, pointer, detail} }
	r := members(body, input, func(name string, v jsontext.Value) *Refusal {
		switch name {
		case "type":
			return stringAt(name, v, &e.Type, input)
		case "sessionId":
			return stringAt(name, v, &e.SessionID, input)
		case "projectId":
			return stringAt(name, v, &e.ProjectID, input)
		case "page":
			return stringAt(name, v, &e.Page, input)
		case "metadata":
			if v.Kind() != '{' {
				return input("/metadata", "metadata is an object, not "+jsonkind.Name(v.Kind()))
			}
			e.Metadata = v.Clone()
			if err := e.Metadata.Format(); err != nil {
				return input("/metadata", "metadata can't be read")
			}
		}
		return nil
	})
	if r == nil {
		r = e.check()
	}
	if r != nil {
		return nil, r
	}
	return e, nil
}

// check holds an event to the published rules, in the order in which they stand there.
func (e *TrackingEvent) check() *Refusal {
	broken := func(pointer, detail string) *Refusal { return &Refusal{TrackingInvalidEvent, pointer, detail} }
	if e.Type == "" {
		return broken("/type", "an event has a type")
	}
	if len(e.Type) > MaxTrackingType || !activity.ValidType(TrackingPrefix+e.Type) {
		return broken("/type", "a type has at most "+strconv.Itoa(MaxTrackingType)+" of the characters A-Z a-z 0-9 _ - .")
	}
	for _, of := range [...]struct {
		name, value string
		most        int
	}{{"sessionId", e.SessionID, MaxTrackingID}, {"projectId", e.ProjectID, MaxTrackingID}, {"page", e.Page, MaxTrackingPage}} {
		if n := utf8.RuneCountInString(of.value); n > of.most {
			return broken("/"+of.name, of.name+" has at most "+strconv.Itoa(of.most)+" characters, this one has "+strconv.Itoa(n))
		}
	}
	if n := len(e.Metadata); n > MaxTrackingMetadata {
		return broken("/metadata", "metadata has at most "+strconv.Itoa(MaxTrackingMetadata)+" bytes of JSON, this has "+strconv.Itoa(n)+"; keep large documents elsewhere and name them")
	}
	return nil
}

// Record is the event as a native record. user is who reported it, by their token;
// "" is nobody known.
func (e *TrackingEvent) Record(user string) ([]byte, error) {
	r := trackingRecord(TrackingPrefix+e.Type, user, e.SessionID, e.ProjectID)
	if e.Page != "" || e.Metadata != nil {
		data, err := json.Marshal(trackingData{Path: e.Page, Metadata: e.Metadata})
		if err != nil {
			return nil, err
		}
		r.Data = data
	}
	return r.AppendJSON(nil)
}

// trackingRecord is a record of what the backend has columns for; what is "" isn't said.
func trackingRecord(typ, user, session, project string) *activity.Record {
	r := &activity.Record{Type: typ, Actor: &activity.Actor{Type: activity.ActorAnonymous}}
	if user != "" {
		r.Actor = &activity.Actor{Type: "user", ID: user}
	}
	if session != "" {
		r.Context = &activity.Context{SessionID: session}
	}
	if project != "" {
		r.Dimensions = map[string]string{TrackingProject: project}
	}
	return r
}

// trackingData is what the columns that a record has no member for are in its data.
type trackingData struct {
	Path     string         `json:"path,omitzero"`
	Metadata jsontext.Value `json:"metadata,omitzero"`
}

// TrackingRow is a row of activity_events: the published columns, null where the
// record says nothing of them, behind the ledger's id.
type TrackingRow struct {
	ID         string         `json:"id"`
	EventType  string         `json:"event_type"`
	UserID     *string        `json:"user_id"`
	SessionID  *string        `json:"session_id"`
	ProjectID  *string        `json:"project_id"`
	Method     *string        `json:"method"`
	Path       *string        `json:"path"`
	StatusCode jsontext.Value `json:"status_code"` // a number as it was recorded
	DurationMS jsontext.Value `json:"duration_ms"` // likewise
	Metadata   jsontext.Value `json:"metadata"`    // as it was recorded
	CreatedAt  string         `json:"created_at"`  // the server's time, RFC 3339
}

// TrackingRowOf reads a record of a type as a row. A column whose value has another
// JSON type than the column is null: the native record shows it.
func TrackingRowOf(r *activity.Record, typ string) TrackingRow {
	row := TrackingRow{EventType: typ}
	if a := r.Actor; a != nil {
		row.UserID = said(a.ID)
	}
	if c := r.Context; c != nil {
		row.SessionID = said(c.SessionID)
	}
	row.ProjectID = said(r.Dimensions[TrackingProject])
	var data map[string]jsontext.Value
	if r.Data.Kind() == '{' && json.Unmarshal(r.Data, &data) == nil {
		row.Method, row.Path = textOf(data["method"]), textOf(data["path"])
		if v := data["status_code"]; v.Kind() == '0' {
			row.StatusCode = v
		}
		if v := data["duration_ms"]; v.Kind() == '0' {
			row.DurationMS = v
		}
		row.Metadata = data["metadata"]
	}
	return row
}

// said is a text that was given, nil where it is empty.
func said(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// textOf is what a JSON string says, nil where it is none.
func textOf(v jsontext.Value) *string {
	if v.Kind() != '"' {
		return nil
	}
	b, err := jsontext.AppendUnquote(nil, v)
	if err != nil {
		return nil
	}
	return said(string(b))
}

// TrackingGroups are the groups of the catalogue whose types the backend has.
func TrackingGroups() (groups []string) {
	for _, g := range activity.Catalogue().Groups() {
		if g.System == "activity_tracking" {
			groups = append(groups, g.Slug)
		}
	}
	return groups
}
