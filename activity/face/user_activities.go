package face

import (
	"bytes"
	"errors"
	"io"
	"time"

	"annals/activity"

	"github.com/go-json-experiment/json/jsontext"
)

// UserActivitiesType is the type of the records that the user-activities model is
// recorded as.
const UserActivitiesType = "useractivity"

// userActivitiesTime is how a time is written that the model asks for and the producer
// left out: UTC, to the millisecond.
const userActivitiesTime = "2006-01-02T15:04:05.000Z"

// UserActivitiesDimensions are the members of the model that are looked up as a
// dimension of the record, and the dimension's name. The user is the actor, the object
// the object, action_from the source.
var UserActivitiesDimensions = []struct{ Member, Dimension string }{
	{"id", "activity"},
	{"interaction_type", "interaction_type"},
	{"sites_id", "site"},
	{"org_id", "org"},
	{"application_id", "application"},
	{"orggroup_id", "group"},
}

// UserActivityID returns the id of an activity, "" where it has none. An error says that
// the body is not one JSON object.
func UserActivityID(body []byte) (string, error) {
	id := ""
	err := eachMember(body, func(name string, value jsontext.Value) {
		if name == "id" {
			id = identifier(value)
		}
	})
	return id, err
}

// UserActivityRecord is a native record of an activity: what it says stands in data,
// byte for byte, and beside it what it is looked up by. id is its own, or the one that
// it was given. All is optional in the model, and evidence is refused for nothing: an
// identifier that is a number is looked up by how it is written, and one that is
// neither string nor number by nothing. What [activity.Scan] refuses it refuses of the
// record: [UserActivityPointer] says where that is in the activity.
func UserActivityRecord(body []byte, id string) ([]byte, error) {
	body = bytes.Trim(body, " \t\r\n")
	given := map[string]string{}
	err := eachMember(body, func(name string, value jsontext.Value) { given[name] = identifier(value) })
	if err != nil {
		return nil, err
	}
	given["id"] = id
	r := activity.Record{
		ID: id, Type: UserActivitiesType, OccurredAt: given["created_at"], Source: given["action_from"],
		Actor: &activity.Actor{Type: activity.ActorAnonymous}, Dimensions: map[string]string{},
	}
	if user := given["user_id"]; user != "" {
		r.Actor = &activity.Actor{Type: "user", ID: user}
	}
	if object := given["object_id"]; object != "" {
		r.Object = &activity.Object{Type: UserActivitiesObject, ID: object}
	}
	for _, d := range UserActivitiesDimensions {
		if v := given[d.Member]; v != "" {
			r.Dimensions[d.Dimension] = v
		}
	}
	record, err := r.AppendJSON(nil)
	if err != nil {
		return nil, err
	}
	record = append(record[:len(record)-1], `,"data":`...)
	return append(append(record, body...), '}'), nil
}

// UserActivitiesObject is the type of an activity's object, which the model has no
// member for.
const UserActivitiesObject = "object"

// UserActivityPointer is where in an activity the fault is that a record of it has.
func UserActivityPointer(pointer string) string {
	for _, p := range [...][2]string{{"/actor/id", "/user_id"}, {"/object/id", "/object_id"}, {"/occurred_at", "/created_at"}, {"/source", "/action_from"}} {
		if pointer == p[0] {
			return p[1]
		}
	}
	if rest, ok := bytes.CutPrefix([]byte(pointer), []byte("/data")); ok {
		return string(rest)
	}
	return pointer
}

// ErrUserActivity says that a body is no activity: not one JSON object.
var ErrUserActivity = errors.New("an activity is one JSON object")

// UserActivity appends an activity as it was recorded: the bytes that came, and behind
// their last member those of id, created_at and modified_at that the producer left out.
// recorded is when it was; amended when it last was amended, zero where it never was:
// then that is its modified_at, whatever the producer said. present is the activity as
// it stands, amendments and all.
func UserActivity(dst []byte, present jsontext.Value, id string, recorded, amended time.Time) ([]byte, error) {
	body := bytes.Trim(present, " \t\r\n")
	has := map[string]jsontext.Value{}
	if err := eachMember(body, func(name string, value jsontext.Value) { has[name] = value }); err != nil {
		return dst, err
	}
	start := len(dst)
	dst = append(dst, body...)
	if v, ok := has["modified_at"]; ok && !amended.IsZero() {
		// In its place: the value aliases the body.
		at := start + cap(body) - cap(v)
		dst = append(dst[:at], quoted(amended)...)
		dst = append(dst, body[cap(body)-cap(v)+len(v):]...)
	}
	dst = dst[:len(dst)-1] // the brace
	add := func(name, value string) {
		if len(has) > 0 {
			dst = append(dst, ',')
		}
		has[name] = nil
		dst = append(append(append(append(dst, '"'), name...), `":`...), value...)
	}
	if _, ok := has["id"]; !ok {
		text, err := jsontext.AppendQuote(nil, id)
		if err != nil {
			return dst, err
		}
		add("id", string(text))
	}
	created, ok := has["created_at"]
	if !ok {
		created = quoted(recorded)
		add("created_at", string(created))
	}
	if _, ok := has["modified_at"]; !ok {
		if !amended.IsZero() {
			created = quoted(amended)
		}
		add("modified_at", string(created))
	}
	return append(dst, '}'), nil
}

func quoted(t time.Time) jsontext.Value {
	return jsontext.Value(`"` + t.UTC().Format(userActivitiesTime) + `"`)
}

// UserActivityFlags lists the dates of an activity that nobody can read: members whose
// value is there and no RFC 3339 date and time. Such an activity is recorded all the
// same, and ordered by the stream's time.
func UserActivityFlags(body jsontext.Value) (unreadable []string) {
	_ = eachMember(body, func(name string, value jsontext.Value) {
		if name != "created_at" && name != "modified_at" || value.Kind() == 'n' {
			return
		}
		if _, ok := activity.Occurred(identifier(value)); value.Kind() != '"' || !ok {
			unreadable = append(unreadable, name)
		}
	})
	return unreadable
}

// identifier is what a value says as an identifier: a string's text, or a number as it
// is written; "" for any other.
func identifier(v jsontext.Value) string {
	switch v.Kind() {
	case '"':
		if b, err := jsontext.AppendUnquote(nil, v); err == nil {
			return string(b)
		}
	case '0':
		return string(v)
	}
	return ""
}

// eachMember calls fn with each member of the object that a body is; values alias it.
// Names that come twice are the record's fault, and found there.
func eachMember(body []byte, fn func(name string, value jsontext.Value)) error {
	d := jsontext.NewDecoder(bytes.NewBuffer(body), jsontext.AllowDuplicateNames(true))
	if d.PeekKind() != '{' {
		return ErrUserActivity
	}
	if _, err := d.ReadToken(); err != nil {
		return errors.Join(ErrUserActivity, err)
	}
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return errors.Join(ErrUserActivity, err)
		}
		text := name.String()
		value, err := d.ReadValue()
		if err != nil {
			return errors.Join(ErrUserActivity, err)
		}
		end := d.InputOffset()
		fn(text, jsontext.Value(body[end-int64(len(value)):end]))
	}
	if _, err := d.ReadToken(); err != nil {
		return errors.Join(ErrUserActivity, err)
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return ErrUserActivity
	}
	return nil
}
