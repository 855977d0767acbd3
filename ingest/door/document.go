package door

import (
	"net/http"

	"annals/activity"
	"annals/internal/problem"

	"github.com/danielgtaylor/huma/v2"
)

// document is the operation in OpenAPI.
func document(registry huma.Registry) *huma.Operation {
	text := func(about, example string) *huma.Schema {
		return &huma.Schema{Type: huma.TypeString, Description: about, Examples: []any{example}}
	}
	record := &huma.Schema{
		Type: huma.TypeObject, AdditionalProperties: true,
		Description: "A record (docs/format/record.schema.json). type is required here, and actor.id unless actor.type is anonymous or system.",
		Properties: map[string]*huma.Schema{
			"id":   text("Your event id. Sent again with the same bytes it is a duplicate, with others a conflict; without one, a record that is sent again is recorded again.", "evt-1"),
			"type": text("The activity type.", "app.renamed"),
			"actor": {Type: huma.TypeObject, AdditionalProperties: true, Properties: map[string]*huma.Schema{
				"type": text("user, system, device, service, anonymous, or your own.", "user"),
				"id":   text("Who acted.", "user:1"),
			}},
		},
		Required: []string{"type", "actor"},
	}
	registry.Map()["Record"] = record
	ref := &huma.Schema{Ref: "#/components/schemas/Record"}
	event := &huma.Schema{
		Type: huma.TypeObject, AdditionalProperties: true,
		Description: "A CloudEvent 1.0 in the JSON event format (docs/format/cloudevents.md).",
		Properties: map[string]*huma.Schema{
			"specversion": {Type: huma.TypeString, Enum: []any{activity.EventVersion}},
			"id":          text("Unique for its source.", "evt-1"),
			"source":      text("The record's producer.", "/crm"),
			"type":        text("The activity type.", "app.renamed"),
			"subject":     text("The id of the object.", "app_42"),
			"authtype":    text("The kind of who acted: user, service_account, system, unauthenticated …", "user"),
			"authid":      text("Who acted.", "usr_dana"),
		},
		Required: []string{"specversion", "id", "source", "type"},
	}
	answers := &huma.MediaType{Schema: registry.Schema(answerType, true, "")}
	longest := maxKey + len(`""`)
	op := &huma.Operation{
		Method: http.MethodPost, Path: Path, OperationID: "record-activity",
		Summary: "Record",
		Description: "Records one record, an array, or one a line. Each is published as it came, byte for byte. " +
			"The answer comes after the stream's acknowledgement (202: accepted, it will be recorded), with wait=recorded after the ledger's fsync (200), " +
			"or with wait=receipt once a published checkpoint covers every record, each with its proof (200). " +
			"wait=witnessed waits, 20 s at most beyond that, for enough witnesses to cosign such a checkpoint; `grade` says whether they did. " +
			"In a batch each record has its own fate, and the good ones go on; when not one is a record the answer is 422. " +
			"Where the workspace's catalogue is strict (docs/catalogue.md), a record of an unknown type, or without what its type needs, is refused as well.\n\n" +
			"CloudEvents 1.0 are taken in binary, structured and batched mode where the ledger reads them (fold_version of /v1/ledger is 2 or more); each is published in the JSON event format, JSON data byte for byte. " +
			"Who acted is named by the attributes authtype and authid, or the data is a record.\n\n" +
			"A body may be encoded by gzip or zstd. A valid traceparent of the request (W3C Trace Context, version 00), and its tracestate, are kept with each record, as door.trace.\n\nScope: record.",
		MaxBodyBytes: MaxBody,
		Security:     []map[string][]string{{"bearer": {}}},
		Parameters: []*huma.Param{
			{Name: "ws", In: "path", Required: true, Description: "The workspace.", Example: "ws_7", Schema: &huma.Schema{Type: huma.TypeString, Pattern: "^[A-Za-z0-9-][A-Za-z0-9_-]{0,63}$"}},
			{Name: "wait", In: "query", Description: "recorded: answer after the ledger's fsync, not only the stream's. receipt: answer with a receipt of each, under a signed checkpoint. witnessed: under one that witnesses cosigned, if they do in time.", Schema: &huma.Schema{Type: huma.TypeString, Enum: []any{waitRecorded, waitReceipt, waitWitnessed}}},
			{Name: "payload", In: "query", Description: "false: receipts leave out what was published.", Schema: &huma.Schema{Type: huma.TypeString, Enum: []any{"true", "false"}, Default: "true"}},
			{Name: HeaderKey, In: "header", Description: "Names the request, for a day: sent again with the key, it is answered as it was, with Idempotency-Replayed: true, and nothing is recorded again. While it is under way the answer is 409, with another body or query 422. " +
				"A request that failed may be sent again with its key. Records without an id get one that follows from the key: even where the key is forgotten, after a restart, the ledger keeps each once, and says so with wait=recorded.", Example: `"8e03978e-40d5-43e8-bc93-6894a57f9324"`, Schema: &huma.Schema{Type: huma.TypeString, MaxLength: &longest}},
			{Name: "Content-Encoding", In: "header", Description: "How the body is encoded. The bound of 16 MiB holds for the body as it is sent, and again decoded.", Schema: &huma.Schema{Type: huma.TypeString, Enum: []any{"gzip", "zstd", "identity"}}},
		},
		RequestBody: &huma.RequestBody{
			Required: true,
			Content: map[string]*huma.MediaType{
				mediaJSON:   {Schema: &huma.Schema{OneOf: []*huma.Schema{ref, {Type: huma.TypeArray, Items: ref}}}},
				mediaNDJSON: {Schema: &huma.Schema{Type: huma.TypeString, Description: "A record a line."}},
				mediaEvent:  {Schema: event},
				mediaEvents: {Schema: &huma.Schema{Type: huma.TypeArray, Items: event}},
			},
		},
		Responses: map[string]*huma.Response{
			"200": {Description: "With wait: every record is in the ledger, or was refused.", Content: map[string]*huma.MediaType{mediaJSON: answers}},
			"202": {Description: "Every record is in the stream, or was refused.", Content: map[string]*huma.MediaType{mediaJSON: answers}},
		},
	}
	codes := []problem.Code{
		problem.TokenInURL, problem.Unauthenticated, problem.MissingScope, problem.NoSuchWorkspace, problem.RateLimited,
		problem.InvalidParameter, problem.UnknownParameter, problem.BadRequest, problem.BodyTimeout, problem.TooLarge,
		problem.UnsupportedMedia, problem.UnsupportedCode, problem.InvalidEncoding, problem.EventsNotRead, problem.KeyInFlight, problem.KeyReused, problem.NoRecords, problem.TooManyRecords, problem.AllRefused,
		problem.Unavailable, problem.StreamFull, problem.PublishRefused, problem.NotYetRecorded, problem.RecordingStopped, problem.NotRecording, problem.NoCheckpoint, problem.Internal,
	}
	for c := activity.CodeEmpty; c <= activity.CodeProducerTooLong; c++ {
		codes = append(codes, problem.Code(c.String()))
	}
	for _, c := range []activity.FlagCode{activity.FlagUnknownType, activity.FlagMissingObject, activity.FlagMissingField} {
		codes = append(codes, problem.Code(c))
	}
	for c := activity.CodeUnsupportedEvent; c <= activity.CodeEventMismatch; c++ {
		codes = append(codes, problem.Code(c.String()))
	}
	problem.Document(op, registry, codes...)
	return op
}
