package door

import (
	"crypto/rand"
	"net/http"

	"annals/activity/face"
	"annals/internal/access"
	"annals/internal/problem"

	"github.com/danielgtaylor/huma/v2"
	"github.com/oklog/ulid/v2"
)

// UserActivitiesPath is where activities of the user-activities model are posted.
const UserActivitiesPath = "/api/v1/useractivities"

// userActivities records one activity, an array of them, or one a line.
func (d *door) userActivities(w http.ResponseWriter, r *http.Request) error {
	who, err := d.o.Access.Enter(w, r)
	if err != nil {
		return err
	}
	workspace, err := who.FaceWorkspace(r, access.Record, d.o.DefaultWorkspace)
	if err != nil {
		return err
	}
	wants, err := wanted(r)
	if err != nil {
		return err
	}
	if err := d.o.Access.Authorize(r, who, access.Record, "record-useractivities", workspace); err != nil {
		return err
	}
	sent, err := read(w, r)
	if err != nil {
		return err
	}
	if sent.events {
		return problem.New(problem.UnsupportedMedia, "this path takes activities of the model, and no CloudEvents: send %s or %s", mediaJSON, mediaNDJSON)
	}
	batch := newActivities(workspace, sent.bodies, vouching(seen(r), who, anyID))
	if err := d.record(r.Context(), batch, sent.lone, wants); err != nil {
		return err
	}
	if wants.wait == "" {
		return answer(w, http.StatusAccepted, batch)
	}
	return answer(w, http.StatusOK, batch)
}

// newActivities makes a batch of activities: each a record of its own, refused where
// the activity has its fault.
func newActivities(workspace string, bodies [][]byte, frame framing) *batch {
	records := make([][]byte, len(bodies))
	for i, body := range bodies {
		records[i] = body
		id, err := face.UserActivityID(body)
		if err != nil { // as a record it is refused for the same
			continue
		}
		if id == "" {
			id = ulid.MustNew(ulid.Now(), rand.Reader).String()
		}
		if record, err := face.UserActivityRecord(body, id); err == nil {
			records[i] = record
		}
	}
	b := newBatch(workspace, records, false, frame)
	for i := range b.items {
		if p := b.items[i].Pointer; p != nil {
			*p = face.UserActivityPointer(*p)
		}
	}
	return b
}

func documentActivities(registry huma.Registry) *huma.Operation {
	op := *document(registry)
	op.Path, op.OperationID, op.Summary = UserActivitiesPath, "record-useractivities", "Record activities of the user-activities model"
	op.Description = "Records one activity, an array, or one a line, and keeps each as it came, byte for byte (docs/faces.md). Nothing is required. `id` is yours: sent again with the same bytes it is a duplicate. " +
		"Answered as recording records is.\n\nScope: record."
	op.Parameters = append([]*huma.Param{{
		Name: access.WorkspaceHeader, In: "header", Example: "ws_7", Description: "The workspace, where the token is for more than one.",
		Schema: &huma.Schema{Type: huma.TypeString, Pattern: "^[A-Za-z0-9-][A-Za-z0-9_-]{0,63}$"},
	}}, op.Parameters[1:]...)
	one := &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true, Description: "An activity; see reading one."}
	op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		mediaJSON:   {Schema: &huma.Schema{OneOf: []*huma.Schema{one, {Type: huma.TypeArray, Items: one}}}},
		mediaNDJSON: {Schema: &huma.Schema{Type: huma.TypeString, Description: "An activity a line."}},
	}}
	return &op
}
