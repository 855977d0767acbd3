package problem

import (
	"iter"
	"maps"
	"net/http"
	"slices"
)

// Code names one way of going wrong. It is frozen: programs branch on it.
type Code string

// The codes of reading and of HTTP itself. A record's own faults have the names
// of their codes in the ledger; they are rows of the table too.
const (
	InvalidParameter Code = "invalid_parameter"
	UnknownParameter Code = "unknown_parameter"
	InvalidCursor    Code = "invalid_cursor"
	InvalidBody      Code = "invalid_body"
	InvalidEncoding  Code = "invalid_encoding"
	EventsNotRead    Code = "events_not_read"
	KeyInFlight      Code = "idempotency_in_flight"
	KeyReused        Code = "idempotency_key_reused"
	BadRequest       Code = "bad_request"
	NoSuchRecord     Code = "no_such_record"
	NoSuchPath       Code = "no_such_path"
	NoSuchTile       Code = "no_such_tile"
	NoCheckpoint     Code = "no_checkpoint"
	NotWitnessed     Code = "not_witnessed"
	NoHead           Code = "no_head"
	MethodNotAllowed Code = "method_not_allowed"
	TooLarge         Code = "body_too_large"
	UnsupportedMedia Code = "unsupported_media_type"
	UnsupportedCode  Code = "unsupported_encoding"
	BodyTimeout      Code = "body_timeout"
	NoRecords        Code = "no_records"
	TooManyRecords   Code = "too_many_records"
	AllRefused       Code = "all_refused"
	NotAcceptable    Code = "not_acceptable"
	NotReady         Code = "not_ready"
	Behind           Code = "behind"
	Rebuilding       Code = "rebuilding"
	CrossSite        Code = "cross_site"
	TooManyListeners Code = "too_many_listeners"
	TooManyRequests  Code = "too_many_requests"
	Unavailable      Code = "unavailable"
	StreamFull       Code = "stream_full"
	PublishRefused   Code = "publish_refused"
	NotYetRecorded   Code = "not_yet_recorded"
	RecordingStopped Code = "recording_stopped"
	NotRecording     Code = "not_recording"
	WrongToken       Code = "wrong_token"
	NoSuchMessage    Code = "no_such_message"
	ControlRefused   Code = "control_refused"
	ControlRaced     Code = "control_raced"
	Unauthenticated  Code = "unauthenticated"
	MissingScope     Code = "missing_scope"
	NoSuchWorkspace  Code = "no_such_workspace"
	TokenInURL       Code = "token_in_url"
	NoSuchKey        Code = "no_such_key"
	AccessOff        Code = "access_off"
	RateLimited      Code = "rate_limited"
	TooManyAtOnce    Code = "too_many_at_once"
	Internal         Code = "internal"
)

// Row is what the table says of a code.
type Row struct {
	Status int
	Title  string // the same every time (RFC 9457, 3.1.3)
	Advice string // what to do; the detail of a problem that has none of its own
	Retry  int    // seconds for Retry-After; 0: trying again alone doesn't help
}

var table = map[Code]Row{
	InvalidParameter: {http.StatusBadRequest, "A parameter is not what it must be", "correct the parameter that errors names", 0},
	UnknownParameter: {http.StatusBadRequest, "Unknown query parameter", "leave it out or correct its spelling: a filter that is misspelt must not widen the answer", 0},
	InvalidCursor:    {http.StatusBadRequest, "The cursor does not fit", "use next_cursor as it was given, with the same filters, or begin again without one", 0},
	InvalidBody:      {http.StatusUnprocessableEntity, "The body is not what it must be", "correct what errors points at", 0},
	BadRequest:       {http.StatusBadRequest, "Bad request", "correct the request", 0},
	NoSuchRecord:     {http.StatusNotFound, "No such record in this workspace", "check the ULID and the workspace", 0},
	NoSuchPath:       {http.StatusNotFound, "No such path", "see /docs for what there is; percent-encode ids in paths", 0},
	NoSuchTile:       {http.StatusNotFound, "No such tile", "ask for the tiles of the tree that /checkpoint names, with paths as C2SP tlog-tiles writes them", 0},
	NoHead:           {http.StatusNotFound, "The workspace has no entries", "check its name; a chain has an end once something was recorded in it", 0},
	NoCheckpoint:     {http.StatusServiceUnavailable, "No checkpoint is served", "try again; if it lasts, /readyz says why none is signed", 1},
	NotWitnessed:     {http.StatusNotFound, "No checkpoint is witnessed", "/v1/ledger says which witnesses are asked, and what they answer; /checkpoint has the ledger's own", 0},
	MethodNotAllowed: {http.StatusMethodNotAllowed, "Method not allowed", "use a method that the Allow header names", 0},
	TooLarge:         {http.StatusRequestEntityTooLarge, "The body is too large", "send fewer records at once", 0},
	UnsupportedMedia: {http.StatusUnsupportedMediaType, "Unsupported content type", "send application/json (a record, or an array of records) or application/x-ndjson (a record a line), in UTF-8, or a CloudEvent", 0},
	UnsupportedCode:  {http.StatusUnsupportedMediaType, "Unsupported content encoding", "send the body with Content-Encoding gzip or zstd, one of them, or as it is", 0},
	InvalidEncoding:  {http.StatusBadRequest, "The body is not encoded as it says", "encode it as Content-Encoding says, or send it as it is; nothing of it was recorded", 0},
	EventsNotRead:    {http.StatusUnsupportedMediaType, "The ledger reads no CloudEvents yet", "an operator lets it read them with `annals fold-version`; until then send records; nothing was recorded", 0},
	KeyInFlight:      {http.StatusConflict, "A request with the idempotency key is under way", "wait for its answer, or send it again in a moment", 0},
	KeyReused:        {http.StatusUnprocessableEntity, "The idempotency key was used for another request", "use a new key for a new request; this one was not looked at", 0},
	BodyTimeout:      {http.StatusRequestTimeout, "The body did not arrive in time", "send it again; nothing of it was recorded", 0},
	NoRecords:        {http.StatusUnprocessableEntity, "There is no record in the body", "send at least one", 0},
	TooManyRecords:   {http.StatusRequestEntityTooLarge, "Too many records at once", "send fewer records at once", 0},
	AllRefused:       {http.StatusUnprocessableEntity, "None of the records is a record", "correct what errors points at; nothing was recorded", 0},
	NotAcceptable:    {http.StatusNotAcceptable, "Not acceptable", "accept application/json", 0},
	NotReady:         {http.StatusServiceUnavailable, "Not ready", "wait; if it lasts, the detail says what to look at", 1},
	Behind:           {http.StatusServiceUnavailable, "The indexes are catching up", "try again: they are being folded again from the ledger", 1},
	Rebuilding:       {http.StatusConflict, "The indexes are being rebuilt", "wait for the rebuild that runs: indexes of /v1/ledger says how far it is", 0},
	CrossSite:        {http.StatusForbidden, "A page of another site asks for this", "ask from a page of this server, or from a program that is no browser", 0},
	TooManyListeners: {http.StatusServiceUnavailable, "Too many listen already", "try again later; timelines are not affected", 5},
	TooManyRequests:  {http.StatusServiceUnavailable, "Too many requests wait already", "ask again in a moment", 1},
	Unavailable:      {http.StatusServiceUnavailable, "The stream gave no answer", "try again with the same id: a record that did arrive is kept once", 1},
	StreamFull:       {http.StatusServiceUnavailable, "The stream is full", "an operator has to make room; try again later with the same id", 30},
	PublishRefused:   {http.StatusInternalServerError, "The stream refused the record", "an operator has to look at the stream's configuration; the record was not accepted", 0},
	NotYetRecorded:   {http.StatusGatewayTimeout, "Accepted, not recorded yet", "the record is in the stream and will be recorded; don't send it under another id", 0},
	RecordingStopped: {http.StatusServiceUnavailable, "Accepted, but recording has stopped", "the record is in the stream and will be recorded once an operator has mended what stopped the ledger; don't send it under another id", 30},
	NotRecording:     {http.StatusServiceUnavailable, "Recording has stopped", "the record was not stored: an operator has to mend what stopped the ledger (/readyz says what); send it again then", 30},
	WrongToken:       {http.StatusUnauthorized, "Not the replicas' token", "this is for replicas of the ledger: show the token that they share", 0},
	NoSuchMessage:    {http.StatusNotFound, "The ledger has no such message", "ask for messages that it has folded, by their epoch and sequence", 0},
	ControlRefused:   {http.StatusUnprocessableEntity, "The ledger would not accept the control message", "correct what the detail says; nothing was published", 0},
	ControlRaced:     {http.StatusConflict, "Another control message came first", "look at control of /v1/ledger and sign the statement anew; nothing was published", 0},
	Unauthenticated:  {http.StatusUnauthorized, "Who asks is not known", "send a token: `Authorization: Bearer TOKEN`", 0},
	MissingScope:     {http.StatusForbidden, "The token is not for this", "use a token that has the scope", 0},
	NoSuchWorkspace:  {http.StatusNotFound, "No such workspace", "check the name, and the workspaces that the token is for", 0},
	TokenInURL:       {http.StatusBadRequest, "A token stands in the URL", "send it in the Authorization header, and revoke this one: URLs are kept in logs and histories", 0},
	NoSuchKey:        {http.StatusNotFound, "No such key", "check the id; the list of keys has those that you may end", 0},
	AccessOff:        {http.StatusConflict, "No access is configured", "stop the server and make the first key with `annals access add`: while anybody may do everything, nobody makes keys", 0},
	RateLimited:      {http.StatusTooManyRequests, "The token asks too often", "wait as long as Retry-After says; RateLimit says what is left", 1},
	TooManyAtOnce:    {http.StatusTooManyRequests, "Too much is under way at once", "wait for some of it to end", 1},
	Internal:         {http.StatusInternalServerError, "Internal error", "nothing that you did; give the request_id to an operator", 0},

	// What the faces of other systems call their faults, as these are published.
	trackingInvalidInput: {http.StatusBadRequest, "The event can't be read", "send a JSON object whose members have their published types", 0},
	trackingInvalidEvent: {http.StatusBadRequest, "The event breaks a rule", "correct what errors points at", 0},
	trackingUnauthorized: {http.StatusUnauthorized, "Who acts is not known", "send a token that is good: `Authorization: Bearer TOKEN`", 0},
	trackingFailed:       {http.StatusInternalServerError, "The event was not recorded", "an operator has to look at the stream's configuration", 0},
	trackingUnavailable:  {http.StatusServiceUnavailable, "Nothing is recorded at the moment", "send the event again later", 1},

	// What breaks a strict catalogue, under the names that readers' flags have.
	"unknown_type":   {http.StatusUnprocessableEntity, "No catalogue has the activity type", "correct the type, or have an operator add it with `annals catalogue add`; the workspace's catalogue is strict", 0},
	"missing_object": {http.StatusUnprocessableEntity, "The record does not say what it is about", "give object.id: the type has an object, and the workspace's catalogue is strict", 0},
	"missing_field":  {http.StatusUnprocessableEntity, "A field of the activity type is missing", "give the field in data: the workspace's catalogue is strict", 0},

	// A record's faults, under the names that rejections have in the ledger. 400:
	// nobody can read it; 422: it reads, and breaks a rule.
	"empty":              {http.StatusBadRequest, "The record is empty", "send a JSON object", 0},
	"record_too_large":   {http.StatusRequestEntityTooLarge, "The record is too large", "keep large documents elsewhere and name them", 0},
	"invalid_utf8":       {http.StatusBadRequest, "The record is not UTF-8", "send JSON in UTF-8", 0},
	"malformed_json":     {http.StatusBadRequest, "The record is not JSON", "send a JSON object (RFC 8259)", 0},
	"duplicate_name":     {http.StatusBadRequest, "An object names a member twice", "name each member once: two readers would take two different ones", 0},
	"too_deep":           {http.StatusBadRequest, "The record is nested too deep", "flatten it", 0},
	"too_many_members":   {http.StatusBadRequest, "The record has too many members", "split it, or keep the document elsewhere", 0},
	"trailing_bytes":     {http.StatusBadRequest, "Something follows the record", "send one JSON value; for several, an array or application/x-ndjson", 0},
	"not_an_object":      {http.StatusUnprocessableEntity, "The record is no JSON object", "send a JSON object", 0},
	"wrong_type":         {http.StatusUnprocessableEntity, "A member has the wrong JSON type", "give the member the type that the schema says", 0},
	"missing_type":       {http.StatusUnprocessableEntity, "The record names no activity type", "add type", 0},
	"invalid_type":       {http.StatusUnprocessableEntity, "The activity type is no legal name", "use 1 to 128 of A-Z a-z 0-9 _ . -", 0},
	"type_mismatch":      {http.StatusUnprocessableEntity, "Two activity types are named", "name one", 0},
	"missing_workspace":  {http.StatusUnprocessableEntity, "No workspace is named", "name it in the path", 0},
	"invalid_workspace":  {http.StatusUnprocessableEntity, "The workspace is no legal name", "use 1 to 64 of A-Z a-z 0-9 _ -, not beginning with _", 0},
	"workspace_mismatch": {http.StatusUnprocessableEntity, "The record names another workspace than the path", "leave it out of the record, or make them equal", 0},
	"missing_actor_id":   {http.StatusUnprocessableEntity, "The record does not say who acted", "give actor.id, or set actor.type to anonymous or system", 0},
	"id_too_long":        {http.StatusUnprocessableEntity, "An id is too long", "an id has at most 512 bytes", 0},
	"producer_too_long":  {http.StatusUnprocessableEntity, "The producer's name is too long", "it has at most 128 bytes", 0},
	"invalid_door":       {http.StatusInternalServerError, "The door could not vouch for the record", "nothing that you did; give the request_id to an operator", 0},
	"unsupported_event":  {http.StatusUnprocessableEntity, "The event is of another version or format", "send an event of CloudEvents 1.0, in binary mode or in the JSON event format", 0},
	"invalid_event":      {http.StatusUnprocessableEntity, "An attribute of the event is missing, or is none", "give specversion, id, source and type at least, as CloudEvents 1.0 says", 0},
	"event_mismatch":     {http.StatusUnprocessableEntity, "The event and the record in its data contradict each other", "let both say the same, or leave it to one of them", 0},
	"two_ids":            {http.StatusUnprocessableEntity, "The record has two ids", "give it one", 0},
}

// Lookup returns a code's row.
func Lookup(c Code) (Row, bool) {
	row, ok := table[c]
	return row, ok
}

// Rows iterates the table in order of codes, for documentation.
func Rows() iter.Seq2[Code, Row] {
	return func(yield func(Code, Row) bool) {
		for _, c := range slices.Sorted(maps.Keys(table)) {
			if !yield(c, table[c]) {
				return
			}
		}
	}
}
