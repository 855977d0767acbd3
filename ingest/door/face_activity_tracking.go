package door

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"annals/activity/face"
	"annals/internal/access"
	"annals/internal/problem"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// TrackingPath is where frontends post what users do in them, as the
// activity-tracking backend publishes it.
const TrackingPath = "/api/v1/activity/events"

// maxTracking bounds an event's body: room for its bounds, with everything escaped.
const maxTracking = 256 << 10

const trackingOperation = "record-activity-event"

// registerTracking adds the face of the activity-tracking backend.
func registerTracking(api huma.API, d *door) {
	op := documentTracking(api.OpenAPI().Components.Schemas)
	api.OpenAPI().AddOperation(op)
	api.Adapter().Handle(op, api.Middlewares().Handler(func(ctx huma.Context) {
		r, w := humago.Unwrap(ctx)
		err := tracked(d.track(w, r))
		if err == nil {
			h := w.Header()
			h.Set("Content-Type", mediaJSON)
			w.WriteHeader(http.StatusAccepted)
			_, _ = io.WriteString(w, `{"status":"accepted"}`) // the client is gone: the event is in the stream all the same
			return
		}
		if status := problem.Write(w, r, err); status >= http.StatusInternalServerError {
			d.o.Logger.Error("recording an event failed", "request_id", problem.RequestID(r.Context()), "status", status, "error", err.Error())
		}
	}))
}

// track records one event, and returns once the stream has acknowledged it.
func (d *door) track(w http.ResponseWriter, r *http.Request) error {
	who, workspace, err := d.tracker(w, r)
	if err != nil {
		return err
	}
	body, err := readTracking(w, r)
	if err != nil {
		return err
	}
	event, err := face.ParseTrackingEvent(body)
	if err != nil {
		return err
	}
	if d.o.RequireSession && who.Subject == "" && event.SessionID == "" {
		return &face.Refusal{Code: face.TrackingInvalidEvent, Pointer: "/sessionId", Detail: "an event without a token names its session"}
	}
	record, err := event.Record(who.Subject)
	if err != nil {
		return err
	}
	batch := newBatch(workspace, [][]byte{record}, false, vouching(seen(r), who, anyID))
	if item := &batch.items[0]; item.Status == rejected {
		// What is left to refuse is in the metadata: its depth, or its members.
		return &face.Refusal{Code: face.TrackingInvalidEvent, Pointer: strings.TrimPrefix(*item.Pointer, "/data"), Detail: item.Detail}
	}
	return d.publish(r.Context(), batch)
}

// tracker says who reports an event, and where it is recorded. Whoever brings a token
// is who it says or nobody at all, also where this server knows none.
func (d *door) tracker(w http.ResponseWriter, r *http.Request) (who *access.Principal, workspace string, err error) {
	bears := access.Bears(r)
	switch {
	case bears && d.o.Access == nil:
		return nil, "", access.Unauthenticated("this server is in development mode and knows no tokens: leave out the Authorization header, or make API keys with `annals access add`")
	case bears:
		if who, err = d.o.Access.Enter(w, r); err != nil {
			return nil, "", err
		}
	case d.o.Access != nil && d.o.AnonymousWorkspace == "":
		return nil, "", access.Unauthenticated("")
	default:
		if who, err = d.o.Access.EnterAnonymous(w, r); err != nil {
			return nil, "", err
		}
		if d.o.AnonymousWorkspace != "" {
			return who, d.o.AnonymousWorkspace, nil
		}
	}
	if workspace, err = who.FaceWorkspace(r, access.Record, d.o.DefaultWorkspace); err != nil {
		return nil, "", err
	}
	return who, workspace, d.o.Access.Authorize(r, who, access.Record, trackingOperation, workspace)
}

func readTracking(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if e := r.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return nil, problem.New(problem.UnsupportedCode, "")
	}
	given := r.Header.Get("Content-Type")
	media, params, err := mime.ParseMediaType(given)
	if charset := params["charset"]; err != nil || media != mediaJSON || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return nil, problem.New(problem.UnsupportedMedia, "Content-Type is %q: send an event as %s, in UTF-8", given, mediaJSON)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxTracking))
	if err != nil {
		return nil, unread(err)
	}
	return body, nil
}

// tracked gives a fault the code that the backend publishes, where it has one: the
// rest are those of every door.
func tracked(err error) error {
	if err == nil {
		return nil
	}
	if r, ok := errors.AsType[*face.Refusal](err); ok {
		code := problem.Code(r.Code)
		return problem.New(code, "%s", r.Detail).With(problem.At(r.Pointer, code, r.Detail))
	}
	p, ok := errors.AsType[*problem.Problem](err)
	if !ok {
		return err
	}
	switch p.Code {
	case problem.Unauthenticated:
		return p.Under(face.TrackingUnauthorized)
	case problem.PublishRefused:
		return p.Under(face.TrackingFailed)
	case problem.Unavailable, problem.StreamFull, problem.NotRecording:
		return p.Under(face.TrackingUnavailable)
	}
	return p
}

func documentTracking(registry huma.Registry) *huma.Operation {
	text := func(about string, most int, example string) *huma.Schema {
		return &huma.Schema{Type: huma.TypeString, MaxLength: &most, Description: about, Examples: []any{example}}
	}
	least := 1
	typ := text("Stored behind frontend_.", face.MaxTrackingType, "button_click")
	typ.MinLength, typ.Pattern = &least, `^[A-Za-z0-9_.-]+$`
	event := &huma.Schema{
		Type: huma.TypeObject, AdditionalProperties: true, Required: []string{"type"},
		Properties: map[string]*huma.Schema{
			"type":      typ,
			"sessionId": text("The session; whoever has no token sends it.", face.MaxTrackingID, "1f9f2b8d-1f0b-4c3c-9e2c-3dbd8f8b2d77"),
			"projectId": text("The project.", face.MaxTrackingID, "4ec4aa78-4ce0-4a77-aad1-5f74b66b1f5b"),
			"page":      text("The page: stored as path.", face.MaxTrackingPage, "/wizard/step/2"),
			"metadata":  {Type: huma.TypeObject, AdditionalProperties: true, Description: "At most 16,384 bytes of JSON without white space."},
		},
	}
	accepted := &huma.Schema{
		Type: huma.TypeObject, Required: []string{"status"}, AdditionalProperties: false,
		Properties: map[string]*huma.Schema{"status": {Type: huma.TypeString, Enum: []any{"accepted"}}},
	}
	op := &huma.Operation{
		Method: http.MethodPost, Path: TrackingPath, OperationID: trackingOperation,
		Summary: "Record what a user does in a frontend",
		Description: "The activity-tracking backend's endpoint (docs/faces.md). Answers once the stream has the event. The type is stored behind `frontend_`. " +
			"Who acted is who the token is of; without one the event is anonymous, which a server takes in development mode, or where `--anonymous-workspace` says where to. " +
			"Members that are not known are passed over.\n\nScope: record.",
		MaxBodyBytes: maxTracking,
		Security:     []map[string][]string{{}, {"bearer": {}}},
		Parameters:   []*huma.Param{workspaceHeader()},
		RequestBody:  &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{mediaJSON: {Schema: event}}},
		Responses:    map[string]*huma.Response{"202": {Description: "The stream has it.", Content: map[string]*huma.MediaType{mediaJSON: {Schema: accepted}}}},
	}
	problem.Document(op, registry,
		face.TrackingInvalidInput, face.TrackingInvalidEvent, face.TrackingUnauthorized, face.TrackingFailed, face.TrackingUnavailable,
		problem.TokenInURL, problem.InvalidParameter, problem.BadRequest, problem.MissingScope, problem.NoSuchWorkspace, problem.RateLimited,
		problem.BodyTimeout, problem.TooLarge, problem.UnsupportedMedia, problem.UnsupportedCode, problem.Internal,
	)
	return op
}

// workspaceHeader documents how a request names its workspace whose path has no room
// for one.
func workspaceHeader() *huma.Param {
	return &huma.Param{
		Name: access.WorkspaceHeader, In: "header", Example: "ws_7",
		Description: "The workspace, where the token is for more than one.",
		Schema:      &huma.Schema{Type: huma.TypeString, Pattern: "^[A-Za-z0-9-][A-Za-z0-9_-]{0,63}$"},
	}
}
