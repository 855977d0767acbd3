package query

import (
	"net/http"
	"reflect"

	"annals/activity"
	"annals/activity/face"
	"annals/internal/access"
	"annals/internal/problem"
	"annals/ledger/chain"
	"annals/projections"

	"github.com/danielgtaylor/huma/v2"
)

// TrackingPath is where the events of the activity-tracking backend are read. The
// backend publishes the path for recording, and the columns.
const TrackingPath = "/api/v1/activity/events"

// TrackingPage is a page of activity_events.
type TrackingPage struct {
	Events    []face.TrackingRow `json:"events" doc:"Rows in the published columns, null where nothing was said."`
	Next      string             `json:"next_cursor,omitzero" doc:"Where the next page begins; none: there is no more."`
	Total     uint64             `json:"total" doc:"How many events match, on all pages."`
	Truncated bool               `json:"truncated,omitzero" doc:"The search took too long: there may be more of everything."`
	AsOf      Moment             `json:"as_of" doc:"The tree that the page, its total and its next pages speak of."`
}

// Moment is a tree: its size, and its root in hexadecimal.
type Moment struct {
	Size uint64 `json:"size"`
	Root string `json:"root"`
}

func trackingSchema(r huma.Registry) *huma.Schema {
	s := r.Schema(reflect.TypeFor[TrackingPage](), true, "")
	row := r.SchemaFromRef("#/components/schemas/TrackingRow")
	for name, about := range map[string]string{
		"id": "ULID of the entry.", "event_type": "With frontend_ before what a frontend reported.", "user_id": "Who acted.",
		"session_id": "", "project_id": "The dimension `project`.", "method": "", "path": "Of the request, or the frontend's page.",
		"created_at": "When it was recorded, by the server's clock: RFC 3339, UTC.",
	} {
		row.Properties[name] = &huma.Schema{Type: huma.TypeString, Nullable: name != "id" && name != "event_type" && name != "created_at", Description: about}
	}
	for name, about := range map[string]string{"status_code": "A number, or null.", "duration_ms": "A number, or null.", "metadata": "As it was recorded."} {
		row.Properties[name] = &huma.Schema{Description: about}
	}
	return s
}

// trackingFilters are the columns that events are looked up by, and the native filter
// that each is.
var trackingFilters = []struct{ column, native, example, about string }{
	{"event_type", "type", "frontend_*", "Events of this type, as it is stored: frontend_button_click. With a * at its end, of every type that begins so. Default: the published ones, frontend_* among them."},
	{"user_id", "user", "usr_dana", "Events of this user."},
	{"session_id", "session", "s_1", "Events of this session."},
	{"project_id", "", "p_1", "Events of this project."},
	{"created_since", "since", "2026-11-01T00:00:00Z", "Recorded at or after this time (RFC 3339)."},
	{"created_until", "until", "2026-12-01T00:00:00Z", "Recorded before this time (RFC 3339)."},
}

func init() {
	for _, t := range trackingFilters {
		p := parameter{schema: nonEmpty, parse: func(f *filter, said said, v string) (problem.Code, string) {
			if code, why := text(v); code != "" {
				return code, why
			}
			return f.add(projections.FieldDimension, said.not, projections.Value{A: face.TrackingProject, B: v})
		}}
		switch {
		case filters[t.native] != nil:
			p = *filters[t.native]
		case t.native != "":
			p = *parameters[t.native]
		}
		p.name, p.in, p.about, p.example = t.column, inQuery, t.about, t.example
		p.filter = filters[t.native] != nil || t.native == ""
		parameters["tracking-"+t.column] = &p
	}
}

func trackingOperation() operation {
	names := []string{access.WorkspaceHeader, "limit", "cursor", "first", "as_of"}
	for _, t := range trackingFilters {
		names = append(names, "tracking-"+t.column)
	}
	return operation{
		path: TrackingPath, id: "activity-events", summary: "Events of the activity-tracking backend",
		description: "Rows of activity_events by their published columns (docs/faces.md), newest first: what frontends reported, and what backends did of the published types. " +
			"A page can hold fewer rows than `limit`: `next_cursor` alone says whether there are more.",
		parameters: names, mediaType: jsonMedia, schema: trackingSchema,
		access: onFace(access.Read), work: ptr(access.Query), answer: (*API).tracking,
		problems: []problem.Code{problem.InvalidParameter, problem.UnknownParameter, problem.InvalidCursor, problem.BadRequest, problem.Behind, problem.Internal},
	}
}

// tracking answers one page of events.
func (a *API) tracking(w http.ResponseWriter, r *http.Request, f *filter) error {
	if err := f.tracked(); err != nil {
		return err
	}
	found, err := a.sheet(r.Context(), f)
	if err != nil {
		return err
	}
	defer found.view.Close()
	page := TrackingPage{
		Events: []face.TrackingRow{}, Total: found.total.N, Truncated: found.cut(),
		AsOf: Moment{found.moment.size, found.moment.root.String()},
	}
	shown, err := a.records(f.turn, found.Indexes, maxPage, func(e *chain.Entry, r *activity.Record) error {
		row := face.TrackingRowOf(r, r.Type)
		row.ID = e.ULID.String()
		row.CreatedAt = recordedAt(e).Format(recordedText)
		page.Events = append(page.Events, row)
		return nil
	})
	if err != nil {
		return err
	}
	if shown < len(found.Indexes) {
		found.More, found.Last = true, projections.Position{Index: found.Indexes[shown-1]}
	}
	page.Next = a.next(found, f)
	return writeJSON(w, &page)
}

// tracked asks for what the backend publishes, where no type is asked for.
func (f *filter) tracked() error {
	for i := range f.where {
		if f.where[i].Field == projections.FieldType && !f.where[i].Not {
			return nil
		}
	}
	f.published = true // the system's own table, not the workspace's
	for _, group := range face.TrackingGroups() {
		if code, why := f.add(projections.FieldGroup, false, projections.Value{A: group}); code != "" {
			return problem.Parameter("event_type", code, why)
		}
	}
	return f.check()
}
