package query

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"annals/internal/access"
	"annals/internal/problem"

	"github.com/danielgtaylor/huma/v2"
)

// operation is one thing that can be asked: a row of [operations].
type operation struct {
	method      string // "": GET
	path        string
	id          string
	summary     string
	description string
	rest        string   // the path's last parameter, when it is all of the rest: slashes are part of it
	parameters  []string // names of rows of [parameters], the path's first
	body        string   // media type of the request's body; "": there is none
	bodySchema  *huma.Schema
	message     bool // refusals carry message, as another system publishes them
	mediaType   string
	status      int                              // of an answer that is no problem; 0: 200
	schema      func(huma.Registry) *huma.Schema // of that answer
	problems    []problem.Code
	access      need
	work        *access.Work // what is counted while it is answered; nil: nothing is
	// answer writes the answer, or returns an error to be written as a problem.
	answer func(*API, http.ResponseWriter, *http.Request, *filter) error
}

// operations is everything that this package serves. A new one is a new row.
var operations []operation

// init breaks the circle: an answer reads the document that the rows make.
func init() {
	times := []string{"since", "until", "updated_since", "occurred_since", "occurred_until", "as_of"}
	page := slices.Concat([]string{"limit", "cursor"}, filterNames, times, []string{"order", "first", "with"})
	without := func(names ...string) []string {
		return slices.DeleteFunc(slices.Clone(page), func(n string) bool { return slices.Contains(names, n) })
	}
	const paging = " A page can hold fewer records than `limit`, when they are large, or when the search took too long (`truncated`): `next_cursor` alone says whether there are more."
	readable := []problem.Code{problem.InvalidParameter, problem.UnknownParameter, problem.InvalidCursor, problem.BadRequest, problem.Behind, problem.Internal}
	const tailing = " A stream of server-sent events: `record` has an item as on a page, and its ULID as id. It begins with what is recorded from now on, " +
		"or after `Last-Event-ID`, with nothing missed and nothing sent twice. Events are in the ledger's order, and durable. " +
		"Where nothing happens a comment comes, and an id without data, so that a client that comes again is not asked about the past. " +
		"The last event is `stopping` when the server stops, or `dropped` with a reason when the client reads too slowly or the ledger can't be read."
	tail := slices.Concat([]string{"after", "last", lastEventID}, filterNames, []string{"occurred_since", "occurred_until", "with"})
	besides := func(names []string, but string) []string {
		return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == but })
	}
	listenable := []problem.Code{problem.InvalidParameter, problem.UnknownParameter, problem.BadRequest, problem.NotAcceptable, problem.TooManyListeners, problem.Internal}
	told := feedOperations(without("with"), slices.Concat(filterNames, times, []string{"order", "first"}), readable)
	operations = []operation{
		{
			path: "/v1/workspaces/{ws}/timeline", id: "workspace-timeline", summary: "A workspace's timeline",
			description: "What happened in a workspace." + paging,
			parameters:  append([]string{"ws"}, page...),
			mediaType:   jsonMedia, schema: pageSchema, problems: readable, access: inWorkspace(access.Read), work: ptr(access.Query), answer: (*API).page,
		},
		{
			path: "/v1/workspaces/{ws}/users/{id}/timeline", id: "user-timeline", summary: "A user's timeline",
			description: "What a user did, and what was done on their behalf." + paging,
			parameters:  append([]string{"ws", "id"}, without("user")...),
			mediaType:   jsonMedia, schema: pageSchema, problems: readable, access: ofUser(access.Read), work: ptr(access.Query), answer: (*API).page,
		},
		{
			path: "/v1/workspaces/{ws}/objects/{type}/{id}/history", id: "object-history", summary: "An object's history",
			description: "What was done to an object, and the records that link it." + paging,
			parameters:  append([]string{"ws", "object-type", "object-id"}, without("object")...),
			mediaType:   jsonMedia, schema: pageSchema, problems: readable, access: ofObject(access.Read), work: ptr(access.Query), answer: (*API).page,
		},
		{
			path: "/v1/workspaces/{ws}/counts", id: "counts", summary: "How many there were",
			description: "Entries counted by day, by hour, or by the values of a field: those that the timeline with the same filters shows." +
				" by=kind counts every kind where none is asked for.",
			parameters: slices.Concat([]string{"ws", "by", "time", "tz", "top"}, filterNames, times),
			mediaType:  jsonMedia, schema: countsSchema, access: inWorkspace(access.Read), work: ptr(access.Query), answer: (*API).counts, problems: slices.DeleteFunc(slices.Clone(readable), func(c problem.Code) bool { return c == problem.InvalidCursor }),
		},
		{
			path: "/v1/workspaces/{ws}/tail", id: "workspace-tail", summary: "What happens in a workspace",
			description: "What is recorded in a workspace, as it is recorded." + tailing,
			parameters:  append([]string{"ws"}, tail...),
			mediaType:   eventStream, problems: listenable, access: inWorkspace(access.Read), work: ptr(access.Tail), answer: (*API).tail,
		},
		{
			path: "/v1/workspaces/{ws}/users/{id}/tail", id: "user-tail", summary: "What a user does",
			description: "What is recorded of a user, and of what is done on their behalf." + tailing,
			parameters:  append([]string{"ws", "id"}, besides(tail, "user")...),
			mediaType:   eventStream, problems: listenable, access: ofUser(access.Read), work: ptr(access.Tail), answer: (*API).tail,
		},
		{
			path: "/v1/workspaces/{ws}/objects/{type}/{id}/tail", id: "object-tail", summary: "What is done to an object",
			description: "What is recorded of an object, and the records that link it." + tailing,
			parameters:  append([]string{"ws", "object-type", "object-id"}, besides(tail, "object")...),
			mediaType:   eventStream, problems: listenable, access: ofObject(access.Read), work: ptr(access.Tail), answer: (*API).tail,
		},
		{
			path: "/v1/workspaces/{ws}/records/{ulid}", id: "record", summary: "One record",
			description: "One entry of the workspace's chain, of any kind. A ULID of another workspace is answered like one that doesn't exist. " +
				"Of a record that was amended it shows each amendment, and the present state of its data (docs/amendments.md), as far as the indexes are.",
			parameters: []string{"ws", "ulid", "with"},
			mediaType:  jsonMedia, schema: itemRef, access: aRecord(access.Read), answer: (*API).record,
			problems: []problem.Code{problem.InvalidParameter, problem.UnknownParameter, problem.NoSuchRecord, problem.Internal},
		},
		{
			path: "/v1/workspaces/{ws}/records/{ulid}/proof", id: "proof", summary: "The receipt of one record",
			description: "Proof that the entry is in the ledger, of whatever kind it is; of a rejection, that it was refused. " +
				"A C2SP tlog-proof whose `extra` line holds the entry, its salt and what was published (docs/receipts.md): it is verified offline, with the ledger's key. " +
				"Waits, 10 s at most, for a checkpoint that covers the entry. The header Annals-Grade says how well it is founded: recorded, or witnessed. A receipt at hand stays as good as a later one.",
			parameters: []string{"ws", "ulid", "proof-payload", "proof-wait"},
			mediaType:  plainText, access: aRecord(access.Read | access.Audit), answer: (*API).proof,
			problems: []problem.Code{problem.InvalidParameter, problem.UnknownParameter, problem.NoSuchRecord, problem.NoCheckpoint, problem.Internal},
		},
		{
			path: "/v1/workspaces/{ws}/head", id: "workspace-head", summary: "Where a workspace's chain ends",
			description: "The ledger's signed statement of how many entries the workspace has in a tree that a checkpoint covers, and which is the last (docs/format/workspace-head.md). " +
				"A receipt of an entry that it leaves out proves a lie. With it, the workspace's row in the map of heads of the last mark. The system has none.",
			parameters: []string{"ws"},
			mediaType:  jsonMedia, schema: headSchema, access: inWorkspace(access.Audit), answer: (*API).head,
			problems: []problem.Code{problem.InvalidParameter, problem.UnknownParameter, problem.NoHead, problem.NoCheckpoint, problem.Internal},
		},
		{
			path: "/v1/workspaces/{ws}/entries", id: "workspace-entries", summary: "A workspace's chain",
			description: "Its entries, of every kind, in the order of its chain: a JSON object a line, with `index`, `entry` (base64), and what was asked for besides: `proof`; `salt`, `envelope` and `body`. " +
				"What a tenant verifies (docs/format/pack.md). An answer without a line says that the chain ends before `from`, as far as the indexes are.",
			parameters: []string{"ws", "entries-from", "entries-limit", "entries-with", "entries-proofs"},
			mediaType:  entriesMedia, schema: lineSchema, access: inWorkspace(access.Audit), work: ptr(access.Query), answer: (*API).entries,
			problems: []problem.Code{problem.InvalidParameter, problem.UnknownParameter, problem.Behind, problem.Internal},
		},
		{
			path: "/v1/workspaces/{ws}/erasures", id: "workspace-erasures", summary: "What was erased",
			description: "The control entries that erased something of the workspace, in the ledger's order: a JSON object a line, with `index`, `entry` (base64) and, where `proofs` asks for it, `proof`. " +
				"By them a tenant tells what was erased from what is missing.",
			parameters: []string{"ws", "entries-proofs"},
			mediaType:  entriesMedia, schema: lineSchema, access: inWorkspace(access.Audit), work: ptr(access.Query), answer: (*API).erasures,
			problems: []problem.Code{problem.InvalidParameter, problem.UnknownParameter, problem.Internal},
		},
		{
			path: "/v1/workspaces/{ws}/erasure", id: "erasure-selection", summary: "What an erasure would take",
			description: "Selects what an operator may sign to have erased (docs/erasure.md): the records named, or those that the filters find. " +
				"It erases nothing. The statement's parts are signed elsewhere, by as many keys as `needed` says, and submitted to `/v1/control`.",
			parameters: slices.Concat([]string{"ws", "erase-record", "erase-along"}, filterNames, []string{"since", "until"}),
			mediaType:  jsonMedia, schema: selectionSchema, access: inWorkspace(access.Erase), work: ptr(access.Query), answer: (*API).selection,
			problems: []problem.Code{problem.InvalidParameter, problem.UnknownParameter, problem.BadRequest, problem.NoSuchRecord, problem.Behind, problem.Internal},
		},
		activitiesOperations()[0], activitiesOperations()[1],
		catalogueOperation(),
		told[0], told[1], told[2],
		trackingOperation(),
		userActivityOperation(),
		{
			path: "/v1/consistency", id: "consistency", summary: "That one tree begins with another",
			description: "The proof (RFC 6962, 2.1.2) that the tree of size `to` is that of size `from` with more entries behind it: that nothing was changed in between. Compare with the roots of two checkpoints.",
			parameters:  []string{"consistency-from", "consistency-to"},
			mediaType:   jsonMedia, schema: consistencySchema, access: anywhere(access.Read | access.Audit), answer: (*API).consistency,
			problems: []problem.Code{problem.InvalidParameter, problem.UnknownParameter, problem.Internal},
		},
		{
			path: "/v1/ledger", id: "ledger", summary: "The ledger's head",
			description: "Its identity, its durable size and root, whether it records, and how far the indexes are.",
			mediaType:   jsonMedia, schema: ledgerSchema, access: anywhere(access.All), answer: (*API).ledger,
			problems: []problem.Code{problem.UnknownParameter, problem.Internal},
		},
		{
			method: http.MethodPost, path: "/v1/control", id: "submit-control", summary: "Submit a signed control message",
			description: "Publishes a control message that was signed elsewhere: a signed gap, a change of keys, an erasure, a rule, a hold (docs/format/control.md). The server adds no signature: as many keys as the role's threshold says have signed it. " +
				"It needs no other authority than its signatures, and is checked against the ledger before it is published. " +
				"The statement's number is `control` of `/v1/ledger`; where another message came first the answer is `control_raced`, and the statement has to be signed anew. " +
				"Waits, 5 s at most, for its entry.",
			body: octets, mediaType: jsonMedia, schema: submittedSchema, access: everywhere(access.Erase | access.Admin), answer: (*API).submit,
			problems: []problem.Code{
				problem.UnknownParameter, problem.CrossSite, problem.BadRequest, problem.UnsupportedMedia, problem.TooLarge,
				problem.ControlRefused, problem.ControlRaced, problem.NotRecording, problem.Unavailable, problem.Internal,
			},
		},
		expiryOperations()[0], expiryOperations()[1],
		{
			path: "/checkpoint", id: "checkpoint", summary: "The signed tree head",
			description: "The last checkpoint (C2SP tlog-checkpoint): the ledger's origin, its size, its RFC 6962 root, signed; with those cosignatures of witnesses that have come by now. Never an earlier one than before.",
			mediaType:   plainText, access: anywhere(access.All), answer: (*API).checkpoint,
			problems: []problem.Code{problem.UnknownParameter, problem.NoCheckpoint},
		},
		{
			path: "/witnessed", id: "witnessed", summary: "The tree head that witnesses cosigned",
			description: "The last checkpoint that enough witnesses cosigned (C2SP tlog-cosignature), by the server's policy. It may be of fewer entries than `/checkpoint`, whose tree begins with its own. Never an earlier one than before.",
			mediaType:   plainText, access: anywhere(access.All), answer: (*API).witnessed,
			problems: []problem.Code{problem.UnknownParameter, problem.NotWitnessed},
		},
		{
			path: "/keys", id: "keys", summary: "Every key, with its proofs",
			description: "Which keys may sign for the ledger, from where to where, and every change of them with its proof: who knows an old key follows them to the one that signs now (docs/format/keys.md).",
			mediaType:   jsonMedia, schema: keysSchema, access: anywhere(access.All), answer: (*API).history,
			problems: []problem.Code{problem.UnknownParameter, problem.NoCheckpoint, problem.Internal},
		},
		{
			path: "/tile/entries/{n}", rest: "n", id: "entry-bundle", summary: "Entries",
			description: "256 entries, or the first of them (`.p/W`), each behind its length in 16 bits (C2SP tlog-tiles). Entries are what is hashed: headers and tails, no payloads. Never changes.",
			parameters:  []string{"tile"},
			mediaType:   octets, access: everywhere(access.Audit), answer: (*API).bundle,
			problems: []problem.Code{problem.UnknownParameter, problem.NoSuchTile, problem.Internal},
		},
		{
			path: "/tile/{level}/{n}", rest: "n", id: "tile", summary: "Hashes of the tree",
			description: "256 hashes of the RFC 6962 tree at height 8·level, or the first of them (`.p/W`), 32 bytes each (C2SP tlog-tiles). Never changes.",
			parameters:  []string{"level", "tile"},
			mediaType:   octets, access: everywhere(access.Audit), answer: (*API).tile,
			problems: []problem.Code{problem.UnknownParameter, problem.NoSuchTile, problem.Internal},
		},
		{
			method: http.MethodPost, path: "/v1/indexes/rebuild", id: "rebuild-indexes", summary: "Rebuild the indexes",
			description: "Begins to fold the indexes anew from the ledger, beside those that serve, and puts them in their place when they are level. " +
				"Reads go on meanwhile. The answer says that it has begun; `indexes` of `/v1/ledger` says how far it is, and how it ended. " +
				"One that was interrupted by a stop is gone on with. It takes no body.",
			mediaType: jsonMedia, status: http.StatusAccepted, schema: indexesSchema, access: everywhere(access.Admin), answer: (*API).rebuild,
			problems: []problem.Code{problem.UnknownParameter, problem.CrossSite, problem.Rebuilding, problem.NotReady, problem.Internal},
		},
		{
			path: "/v1/access/keys", id: "access-keys", summary: "The API keys",
			description: "Every API key that names no workspace beyond those of the token that asks, revoked and expired ones too, the oldest first. The keys themselves are known to their holders alone.",
			mediaType:   jsonMedia, schema: keyListSchema, access: anywhere(access.Admin), answer: (*API).accessKeys,
			problems: []problem.Code{problem.UnknownParameter, problem.AccessOff, problem.Internal},
		},
		{
			method: http.MethodPost, path: "/v1/access/keys", id: "mint-key", summary: "Mint an API key",
			description: "Makes an API key. The answer shows it, once: what is kept is its SHA-256. It may name workspaces of the token that asks, and no others.",
			body:        jsonMedia, mediaType: jsonMedia, status: http.StatusCreated, schema: mintedSchema, access: anywhere(access.Admin), answer: (*API).mintKey,
			problems: []problem.Code{
				problem.UnknownParameter, problem.CrossSite, problem.BadRequest, problem.UnsupportedMedia, problem.TooLarge, problem.InvalidBody, problem.NoSuchWorkspace, problem.AccessOff, problem.Internal,
			},
		},
		{
			method: http.MethodDelete, path: "/v1/access/keys/{id}", id: "revoke-key", summary: "Revoke an API key",
			description: "Ends a key at once, and the live tails that it listens to. It stays on the list. To end it twice is to end it once.",
			parameters:  []string{"key-id"},
			mediaType:   jsonMedia, schema: keySchema, access: anywhere(access.Admin), answer: (*API).revokeKey,
			problems: []problem.Code{problem.InvalidParameter, problem.UnknownParameter, problem.CrossSite, problem.NoSuchKey, problem.AccessOff, problem.Internal},
		},
		{
			method: http.MethodPost, path: "/v1/workspaces/{ws}/embed-tokens", id: "mint-embed-token", summary: "Mint an embed token",
			description: "Makes a token for a page in a browser: for an hour, or as `expires_in` says, a day at most. It reads this workspace, or of it one user's or one object's timeline and tail. It is signed, and stored nowhere.",
			parameters:  []string{"ws"},
			body:        jsonMedia, mediaType: jsonMedia, status: http.StatusCreated, schema: embeddedSchema, access: inWorkspace(access.Read), answer: (*API).mintEmbed,
			problems: []problem.Code{
				problem.InvalidParameter, problem.UnknownParameter, problem.CrossSite, problem.BadRequest, problem.UnsupportedMedia, problem.TooLarge, problem.InvalidBody, problem.AccessOff, problem.Internal,
			},
		},
		{
			method: http.MethodDelete, path: "/v1/workspaces/{ws}/embed-tokens/{id}", id: "revoke-embed-token", summary: "Revoke an embed token",
			description: "Ends an embed token at once, and its streams. Revoking the key that made it ends it too.",
			parameters:  []string{"ws", "key-id"},
			mediaType:   jsonMedia, schema: statusSchema("revoked"), access: inWorkspace(access.Read), answer: (*API).revokeEmbed,
			problems: []problem.Code{problem.InvalidParameter, problem.UnknownParameter, problem.CrossSite, problem.AccessOff, problem.Internal},
		},
		{
			path: "/healthz", id: "healthz", summary: "The process is up",
			description: "Answers as long as the process can answer.",
			mediaType:   jsonMedia, schema: statusSchema("ok"), access: open, answer: healthz,
			problems: []problem.Code{problem.UnknownParameter},
		},
		{
			path: "/readyz", id: "readyz", summary: "Reading and recording work",
			description: "200 once they do; else 503, and the detail says what is missing: where access is configured its kind alone, and the log the rest.",
			mediaType:   jsonMedia, schema: statusSchema("ready"), access: open, answer: (*API).readyz,
			problems: []problem.Code{problem.UnknownParameter, problem.NotReady},
		},
		{
			path: "/metrics", id: "metrics", summary: "Metrics", description: "Prometheus' text format.",
			mediaType: "text/plain", access: everywhere(access.Audit | access.Admin), answer: (*API).serveMetrics, problems: []problem.Code{problem.UnknownParameter},
		},
		{
			path: "/openapi.json", id: "openapi-json", summary: "This document", description: "OpenAPI 3.1 as JSON.",
			mediaType: openAPIJSON, access: openDocument, answer: (*API).openAPI, problems: []problem.Code{problem.UnknownParameter},
		},
		{
			path: "/openapi.yaml", id: "openapi-yaml", summary: "This document", description: "OpenAPI 3.1 as YAML.",
			mediaType: openAPIYAML, access: openDocument, answer: (*API).openAPI, problems: []problem.Code{problem.UnknownParameter},
		},
		{
			path: problem.DocsPath, id: "docs", summary: "This document for people",
			description: "One page; it loads nothing from elsewhere.",
			mediaType:   "text/html", access: openDocument, answer: (*API).docs, problems: []problem.Code{problem.UnknownParameter},
		},
	}
	operations = append(operations, logOperations()...)
}

const jsonMedia = "application/json"

// register adds an operation to the mux and to the document.
func (a *API) register(op *operation) {
	registry := a.huma.OpenAPI().Components.Schemas
	content := &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}}
	if op.schema != nil {
		content.Schema = op.schema(registry)
	}
	media, _, _ := strings.Cut(op.mediaType, ";") // without its charset
	method, status := cmp.Or(op.method, http.MethodGet), cmp.Or(op.status, http.StatusOK)
	doc := &huma.Operation{
		Method: method, Path: op.path, OperationID: op.id,
		Summary: op.summary, Description: op.description,
		Responses: map[string]*huma.Response{
			strconv.Itoa(status): {Description: http.StatusText(status), Content: map[string]*huma.MediaType{media: content}},
		},
	}
	var ps []*parameter
	for _, name := range op.parameters {
		p := parameters[name]
		ps = append(ps, p)
		doc.Parameters = append(doc.Parameters, p.document()...)
	}
	if op.body != "" {
		doc.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
			op.body: {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}},
		}}
		if op.bodySchema != nil {
			doc.RequestBody.Required, doc.RequestBody.Content[op.body].Schema = false, op.bodySchema
		}
	}
	problem.Document(doc, registry, append(op.access.problems(), op.problems...)...)
	op.access.document(doc)
	a.huma.OpenAPI().AddOperation(doc)
	pattern := method + " " + op.path
	if op.rest != "" {
		pattern = strings.Replace(pattern, "{"+op.rest+"}", "{"+op.rest+"...}", 1)
	}
	a.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		var f filter
		r, err := a.enter(w, r, &op.access)
		if err == nil {
			err = f.parse(ps, r)
		}
		if err == nil {
			err = a.place(&op.access, r, &f)
		}
		if err == nil {
			err = op.access.authorize(a.o.Access, r, op.id, &f)
		}
		if err == nil && method != http.MethodGet {
			err = a.ownSite(r)
		}
		if err == nil {
			err = a.counted(op, w, r, &f)
		}
		if err != nil && op.message {
			err = messaged(err)
		}
		if err != nil {
			a.refuse(w, r, err)
		}
	})
}
