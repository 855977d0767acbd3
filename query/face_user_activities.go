package query

import (
	"bytes"
	"context"
	"net/http"
	"strconv"
	"time"

	"annals/activity/face"
	"annals/internal/access"
	"annals/internal/problem"
	"annals/ledger/chain"
	"annals/projections"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// UserActivitiesPath is where the activities of the user-activities model are.
const UserActivitiesPath = "/api/v1/useractivities"

// activitiesFilters are the members of the model that activities are looked up by, and
// what each is natively.
var activitiesFilters = []struct {
	member string
	field  projections.Field
	name   string // of a dimension
	about  string
}{
	{"id", projections.FieldDimension, "activity", "Activities of this id."},
	{"interaction_type", projections.FieldDimension, "interaction_type", "Activities of this interaction type."},
	{"sites_id", projections.FieldDimension, "site", "Activities at this site."},
	{"org_id", projections.FieldDimension, "org", "Activities of this organization."},
	{"application_id", projections.FieldDimension, "application", "Activities in this application."},
	{"user_id", projections.FieldUser, "", "Activities of this user."},
	{"orggroup_id", projections.FieldDimension, "group", "Activities of this organizational group."},
	{"object_id", projections.FieldObject, face.UserActivitiesObject, "Activities on this object."},
	{"action_from", projections.FieldSource, "", "Activities from this source."},
}

// activitiesTimes are the parameters of times, and the native ones that they are.
var activitiesTimes = [][2]string{
	{"created_since", "since"},
	{"created_until", "until"},
	{"modified_since", "updated_since"},
}

func init() {
	for _, m := range activitiesFilters {
		parameters["activities-"+m.member] = &parameter{
			name: m.member, in: inQuery, filter: true, example: "example_value", about: m.about, schema: nonEmpty,
			parse: func(f *filter, said said, v string) (problem.Code, string) {
				if code, why := text(v); code != "" {
					return code, why
				}
				value := projections.Value{A: v}
				if m.name != "" {
					value = projections.Value{A: m.name, B: v}
				}
				return f.add(m.field, said.not, value)
			},
		}
	}
	for _, t := range activitiesTimes {
		p := *parameters[t[1]]
		p.name = t[0]
		parameters["activities-"+t[0]] = &p
	}
	parameters["activities-path"] = &parameter{
		name: "id", in: inPath, example: "evt_1", about: "The activity's id, percent-encoded.", schema: identifier,
		parse: func(f *filter, said said, v string) (problem.Code, string) {
			f.pathID = v
			if code, why := id(v); code != "" {
				return code, why
			}
			return f.add(projections.FieldDimension, false, projections.Value{A: "activity", B: v})
		},
	}
}

// activitiesOperations are the face's rows.
func activitiesOperations() []operation {
	names := []string{access.WorkspaceHeader, "limit", "cursor", "first", "as_of"}
	for _, m := range activitiesFilters {
		names = append(names, "activities-"+m.member)
	}
	for _, t := range activitiesTimes {
		names = append(names, "activities-"+t[0])
	}
	readable := []problem.Code{problem.InvalidParameter, problem.UnknownParameter, problem.InvalidCursor, problem.BadRequest, problem.Behind, problem.Internal}
	return []operation{
		{
			path: UserActivitiesPath, id: "list-useractivities", summary: "Activities of the user-activities model",
			description: "Each as it was recorded, byte for byte, newest first (docs/faces.md): what the producer left out of `id`, `created_at` and `modified_at` is added behind, and what amends it is in its place. " +
				"`flags` names the dates that nobody can read. A page can hold fewer than `limit`: `next_cursor` alone says whether there are more.",
			parameters: names, mediaType: jsonMedia, schema: activitiesSchema,
			access: onFace(access.Read), work: ptr(access.Query), answer: (*API).activities, problems: readable,
		},
		{
			path: UserActivitiesPath + "/{id}", id: "get-useractivity", summary: "One activity",
			description: "The activity of an id, as it was recorded. Where several producers gave it, the one that was recorded first.",
			parameters:  []string{access.WorkspaceHeader, "activities-path"}, mediaType: jsonMedia, schema: activitySchema,
			access: onFace(access.Read), work: ptr(access.Query), answer: (*API).activity,
			problems: []problem.Code{problem.InvalidParameter, problem.UnknownParameter, problem.NoSuchRecord, problem.Behind, problem.Internal},
		},
	}
}

func activitySchema(r huma.Registry) *huma.Schema {
	any := func(about string) *huma.Schema { return &huma.Schema{Description: about} }
	properties := map[string]*huma.Schema{}
	for _, name := range []string{
		"id", "interaction_type", "sites_id", "org_id", "application_id", "user_id", "orggroup_id", "menu", "screen_name", "api_url", "object_id",
		"message", "device_info", "build_type", "data", "data_type", "action_from",
	} {
		properties[name] = any("As it was recorded.")
	}
	properties["created_at"] = any("As it was recorded; else when it was.")
	properties["modified_at"] = any("When it was last amended; else as it was recorded, or as created_at.")
	r.Map()["ModelActivity"] = &huma.Schema{
		Type: huma.TypeObject, Description: "An activity of the user-activities model. All is optional, and of any JSON type.", AdditionalProperties: true, Properties: properties,
	}
	return &huma.Schema{Ref: schemaPrefix + "ModelActivity"}
}

func activitiesSchema(r huma.Registry) *huma.Schema {
	activitySchema(r)
	flag := object("A doubt about an activity.", []string{"id", "member", "code"}, map[string]*huma.Schema{
		"id": {Type: huma.TypeString}, "member": {Type: huma.TypeString}, "code": {Type: huma.TypeString, Enum: []any{"unreadable_date"}},
	})
	r.Map()["UserActivities"] = object("A page of activities.", []string{"useractivities", "flags", "total", "as_of"}, map[string]*huma.Schema{
		"useractivities": {Type: huma.TypeArray, Items: &huma.Schema{Ref: schemaPrefix + "ModelActivity"}, MaxItems: ptr(MaxLimit)},
		"flags":          {Type: huma.TypeArray, Items: flag},
		"next_cursor":    {Type: huma.TypeString, Description: "Asks for the next page; absent on the last one.", MinLength: ptr(cursorText), MaxLength: ptr(cursorText)},
		"total":          count("Activities that match, on all pages together."),
		"truncated":      truncatedSchema(),
		"as_of":          momentSchema(),
	})
	return &huma.Schema{Ref: schemaPrefix + "UserActivities"}
}

// ofActivities narrows a question to what the model is recorded as.
func (f *filter) ofActivities() error {
	f.kinds = 1 << chain.KindRecord
	if code, why := f.add(projections.FieldType, false, projections.Value{A: face.UserActivitiesType}); code != "" {
		return problem.Parameter("id", code, why)
	}
	return f.check()
}

// activities answers one page.
func (a *API) activities(w http.ResponseWriter, r *http.Request, f *filter) error {
	if err := f.ofActivities(); err != nil {
		return err
	}
	found, err := a.sheet(r.Context(), f)
	if err != nil {
		return err
	}
	defer found.view.Close()
	type flag struct {
		ID     string `json:"id"`
		Member string `json:"member"`
		Code   string `json:"code"`
	}
	flags := []flag{}
	b, read := []byte(`{"useractivities":[`), 0
	start := len(b)
	err = a.activitiesAt(r.Context(), f.turn, found.view, found.Indexes, found.moment.size, func(one *oneActivity) error {
		if len(b) > maxPage {
			return errFull
		}
		read++
		if one == nil {
			return nil
		}
		if len(b) > start {
			b = append(b, ',')
		}
		for _, member := range face.UserActivityFlags(one.present) {
			flags = append(flags, flag{one.id, member, "unreadable_date"})
		}
		var err error
		b, err = one.append(b)
		return err
	})
	if err != nil && err != errFull {
		return err
	}
	if read < len(found.Indexes) {
		found.More, found.Last = true, projections.Position{Index: found.Indexes[read-1]}
	}
	text, err := json.Marshal(flags)
	if err != nil {
		return err
	}
	b = append(append(b, `],"flags":`...), text...)
	b = appendNext(b, a.next(found, f))
	b = appendTotal(b, found.total.N, found.cut())
	b = appendMoment(b, found.moment)
	w.Header().Set("Cache-Control", cacheControl)
	return write(w, jsonMedia, append(b, '}'))
}

// activity answers one activity by its id.
func (a *API) activity(w http.ResponseWriter, r *http.Request, f *filter) error {
	f.oldest, f.limit = true, 1
	if err := f.ofActivities(); err != nil {
		return err
	}
	view, moment, _, err := a.look(r.Context(), f)
	if err != nil {
		return err
	}
	defer view.Close()
	q, _, err := a.question(view, f, moment.size)
	if err != nil {
		return err
	}
	page, err := view.Page(r.Context(), q)
	if err != nil {
		return err
	}
	var b []byte
	err = a.activitiesAt(r.Context(), f.turn, view, page.Indexes, moment.size, func(one *oneActivity) (err error) {
		if one != nil {
			b, err = one.append(nil)
		}
		return err
	})
	if err != nil {
		return err
	}
	if b == nil {
		return problem.New(problem.NoSuchRecord, "the workspace has no activity %s; check the id and the workspace", strconv.Quote(f.pathID))
	}
	w.Header().Set("Cache-Control", cacheControl)
	return write(w, jsonMedia, b)
}

// oneActivity is an activity as it stands.
type oneActivity struct {
	id                string
	present           jsontext.Value
	recorded, amended time.Time
}

func (o *oneActivity) append(b []byte) ([]byte, error) {
	return face.UserActivity(b, o.present, o.id, o.recorded, o.amended)
}

// activitiesAt reads the activities at some indexes, as what amends them in a tree of
// a size leaves them. One that was erased since the indexes were asked is nil.
func (a *API) activitiesAt(ctx context.Context, t *turn, view *projections.View, indexes []uint64, size uint64, fn func(*oneActivity) error) error {
	return a.each(t, indexes, func(leaf *chain.Leaf, _ chain.Hash) error {
		_, record := leaf.Shown()
		if record == nil {
			return fn(nil)
		}
		one := &oneActivity{recorded: recordedAt(&leaf.Entry)}
		for m := range membersOf(record) {
			switch m.key {
			case "data":
				one.present = m.value
			case "id":
				one.id, _ = textIn(m.value)
			}
		}
		if one.present.Kind() != '{' { // another producer's record of that type
			one.present = jsontext.Value("{}")
		}
		amended, err := a.amendedBy(ctx, view, leaf.Entry.Workspace, leaf.Entry.Index, size)
		if err != nil || len(amended.indexes) == 0 {
			if err == nil {
				err = fn(one)
			}
			return err
		}
		state := newPresent(bytes.Clone(record))
		err = a.each(t, amended.indexes, func(leaf *chain.Leaf, _ chain.Hash) error {
			one.amended = recordedAt(&leaf.Entry)
			if _, record := leaf.Shown(); record != nil {
				state.amend(record)
			}
			return nil
		})
		if err != nil {
			return err
		}
		if state.told {
			one.present = state.appendTo(nil)
		}
		return fn(one)
	})
}

// recordedAt is when an entry was recorded: the time in its ULID.
func recordedAt(e *chain.Entry) time.Time { return time.UnixMilli(int64(e.ULID.Time())).UTC() }

// textIn is what a JSON string says.
func textIn(v jsontext.Value) (string, error) {
	b, err := jsontext.AppendUnquote(nil, v)
	return string(b), err
}
