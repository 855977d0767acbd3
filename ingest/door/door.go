package door

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"reflect"
	"strconv"
	"time"

	"annals/activity"
	"annals/ingest"
	"annals/internal/access"
	"annals/internal/problem"
	"annals/ledger/chain"
	"annals/ledger/proof"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// Path is where records are posted.
const Path = "/v1/workspaces/{ws}/records"

// Bounds of a request. MaxRecords keeps the answer in proportion: 16 MiB of line
// feeds are as many refusals.
const (
	MaxBody    = 16 << 20
	MaxRecords = 10_000
)

// Publish hands a frame to the stream under a workspace of `vouched.`, and
// returns how to wait for its acknowledgement. Its error says that the frame was
// not taken. See [Through].
type Publish func(ctx context.Context, workspace string, frame []byte) (wait func(context.Context) (ingest.Ack, error), err error)

// wait is what a [Publish] returns.
type wait = func(context.Context) (ingest.Ack, error)

// ErrStopped is what a [Publish] says when nothing can be recorded before somebody
// has mended what stopped it, so that it hands nothing to the stream.
var ErrStopped = errors.New("recording has stopped")

// Through publishes through a publisher whose root is [ingest.RootVouched].
func Through(p *ingest.Publisher) Publish {
	return func(ctx context.Context, workspace string, frame []byte) (func(context.Context) (ingest.Ack, error), error) {
		pending, err := p.PublishAsync(ctx, workspace, chain.OwnType, frame)
		if err != nil {
			return nil, err
		}
		return pending.Wait, nil
	}
}

// Options of a door. Publish and Await are required.
type Options struct {
	Publish Publish
	// Await returns what became of the record at place in the message at sequence,
	// once that is durable; when recording has stopped, it returns why.
	Await func(ctx context.Context, sequence uint64, place uint16) (chain.Receipt, error)

	// Get returns an entry, for the ULIDs of those that others refer to; nil: they
	// are given by their index alone.
	Get func(index uint64) (chain.Leaf, chain.Hash, error)

	// Tag returns what entries of a workspace have for its name; nil, or where Get is:
	// no record can be amended by its ULID.
	Tag func(workspace string) chain.Hash

	// Receipts returns a receipt of each of the entries, all under one published
	// checkpoint, for which it waits a while, and how well that founds them; for a
	// witnessed one it waits longer when it is asked for it. With payload they show
	// what was published. nil: this door gives none.
	Receipts func(ctx context.Context, indexes []uint64, payload bool, ask proof.Grade) ([]*proof.Receipt, proof.Grade, error)

	// AckTimeout is how long the stream may take to acknowledge a request's
	// records; 0: 10 s. WaitTimeout is how long ?wait=recorded and ?wait=receipt wait
	// beyond; 0: 30 s.
	AckTimeout  time.Duration
	WaitTimeout time.Duration

	// Words are those that a workspace's records are told in next; where they are strict,
	// records posted to it are held to them. nil: nothing is.
	Words func(workspace string) (*activity.Vocabulary, error)

	// FoldVersion is the version of the fold that is in force (chain.State.Version);
	// below [chain.FoldEvents] no CloudEvent is taken. nil: none is.
	FoldVersion func() uint16

	// Access says who records, over HTTP. nil: anybody does.
	Access *access.Gate
	// DefaultWorkspace is where a request acts whose path names no workspace, while
	// access is not configured; "": [access.DefaultWorkspace].
	DefaultWorkspace string
	// AnonymousWorkspace is where events are recorded that a frontend reports without a
	// token; "": nowhere, but in development mode in the default workspace.
	AnonymousWorkspace string
	// RequireSession refuses those that name no session.
	RequireSession bool

	Logger *slog.Logger // nil discards
}

func (o Options) filled() Options {
	if o.AckTimeout == 0 {
		o.AckTimeout = 10 * time.Second
	}
	if o.WaitTimeout == 0 {
		o.WaitTimeout = 30 * time.Second
	}
	if o.FoldVersion == nil {
		o.FoldVersion = func() uint16 { return chain.FoldRecords }
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Register adds the door's operation to an API.
func Register(api huma.API, o Options) {
	o = o.filled()
	problem.Install()
	d := &door{o: o}
	registry := api.OpenAPI().Components.Schemas
	d.serve(api, document(registry), d.post)
	d.serve(api, documentActivities(registry), d.userActivities)
	registerTracking(api, d)
	if o.Get != nil && o.Tag != nil {
		d.serve(api, documentAmend(registry), d.amend)
	}
}

// serve adds an operation to the API.
func (d *door) serve(api huma.API, op *huma.Operation, answer func(http.ResponseWriter, *http.Request) error) {
	api.OpenAPI().AddOperation(op)
	api.Adapter().Handle(op, api.Middlewares().Handler(func(ctx huma.Context) {
		r, w := humago.Unwrap(ctx)
		err := answer(w, r)
		if err == nil {
			return
		}
		if status := problem.Write(w, r, err); status >= http.StatusInternalServerError {
			d.o.Logger.Error("recording failed", "request_id", problem.RequestID(r.Context()), "status", status, "error", err.Error())
		}
	}))
}

type door struct {
	o    Options
	keys keys
}

// post answers one request.
func (d *door) post(w http.ResponseWriter, r *http.Request) error {
	who, err := d.o.Access.Enter(w, r)
	if err != nil {
		return err
	}
	workspace, wants, err := parameters(r)
	if err != nil {
		return err
	}
	// Before the body is read: whoever may not record costs nothing.
	if err := d.o.Access.Authorize(r, who, access.Record, "record-activity", workspace); err != nil {
		return err
	}
	key, err := keyOf(r, who, workspace)
	if err != nil {
		return err
	}
	sent, err := read(w, r)
	if err != nil {
		return err
	}
	if sent.events && d.o.FoldVersion() < chain.FoldEvents {
		return problem.New(problem.EventsNotRead, "")
	}
	from, newID := seen(r), anyID
	if key != nil {
		before, end, err := d.keys.begin(key, digest(r, sent.whole))
		if err != nil || before != nil {
			return replay(w, before, err)
		}
		defer func() { end(nil) }() // unless it was answered before: then it may be sent again
		newID = key.id
		w = &remembering{ResponseWriter: w, end: end}
	}
	if sent.events {
		from.Format = activity.FormatEvent
	}
	batch := d.held(workspace, sent.bodies, sent.events, vouching(from, who, newID))
	if err := d.record(r.Context(), batch, sent.lone, wants); err != nil {
		return err
	}
	if wants.wait == "" {
		return answer(w, http.StatusAccepted, batch)
	}
	return answer(w, http.StatusOK, batch)
}

// record publishes a batch and waits for what is wanted.
func (d *door) record(ctx context.Context, b *batch, lone bool, wants wants) error {
	if err := b.refused(lone); err != nil {
		return err
	}
	if err := d.publish(ctx, b); err != nil || wants.wait == "" {
		return err
	}
	if err := d.await(ctx, b); err != nil || wants.wait == waitRecorded {
		return err
	}
	return d.prove(ctx, b, wants)
}

// wants is what a caller waits for.
type wants struct {
	wait string // "", [waitRecorded], [waitReceipt] or [waitWitnessed]
	bare bool   // receipts come without what was published
}

const (
	waitRecorded  = "recorded"
	waitReceipt   = "receipt"
	waitWitnessed = "witnessed"
)

const waits = "there is wait=recorded, which answers after the ledger's fsync, wait=receipt, which answers with proofs under a signed checkpoint, and wait=witnessed, which waits for witnesses to cosign that; without it the answer comes after the stream's"

// parameters reads what the path and the query say.
func parameters(r *http.Request) (workspace string, wants wants, err error) {
	workspace = r.PathValue("ws")
	if err := legal(workspace); err != nil {
		return "", wants, err
	}
	wants, err = wanted(r)
	return workspace, wants, err
}

// wanted reads what the query says.
func wanted(r *http.Request) (wants wants, err error) {
	if r.URL.RawQuery == "" {
		return wants, nil
	}
	for name, values := range r.URL.Query() {
		const why = "not a parameter here; there are wait and payload"
		switch {
		case name != "wait" && name != "payload":
			return wants, problem.New(problem.UnknownParameter, "%q: %s", name, why).With(problem.Of(name, problem.UnknownParameter, why))
		case len(values) != 1:
			return wants, problem.Parameter(name, "repeated", "give it once")
		}
		if err := wants.set(name, values[0]); err != nil {
			return wants, err
		}
	}
	return wants, nil
}

// set takes one of the two over.
func (w *wants) set(name, value string) error {
	switch {
	case name == "wait" && (value == waitRecorded || value == waitReceipt || value == waitWitnessed):
		w.wait = value
	case name == "wait":
		return problem.Parameter("wait", "unknown_wait", waits)
	case value == "true" || value == "false":
		w.bare = value == "false"
	default:
		return problem.Parameter("payload", "unknown_choice", strconv.Quote(value)+" is neither true nor false")
	}
	return nil
}

// legal holds a workspace's name to the rule of subjects.
func legal(workspace string) error {
	switch {
	case activity.ValidWorkspace(workspace):
		return nil
	case workspace != "" && workspace[0] == '_':
		return problem.Parameter("ws", "reserved_workspace", "names that begin with _ are the system's; record in another workspace")
	}
	return problem.Parameter("ws", "invalid_workspace", "a workspace is 1 to "+strconv.Itoa(activity.MaxWorkspace)+" of A-Z a-z 0-9 _ -")
}

// maxAddress bounds what the door keeps of a proxy's header: as evidence, not as
// a place to store things.
const maxAddress = 1024

// seen is what the door saw of the caller.
func seen(r *http.Request) activity.Door {
	forwarded := ""
	for i, v := range r.Header.Values("X-Forwarded-For") {
		if i > 0 {
			forwarded += ", "
		}
		forwarded += v
	}
	return activity.Door{
		RemoteAddr:   r.RemoteAddr,
		ForwardedFor: forwarded[:min(len(forwarded), maxAddress)],
		RequestID:    problem.RequestID(r.Context()),
		Trace:        activity.TraceOf(r.Header.Values("Traceparent"), r.Header.Values("Tracestate")),
	}
}

// Answer is what a request that went well is answered with.
type Answer struct {
	Items []Fate `json:"items" doc:"One for each record, in the order of the body."`
}

// Fate is what became of one record.
type Fate struct {
	Status string `json:"status" enum:"accepted,recorded,duplicate,conflict,rejected,unknown" doc:"accepted: the stream has it and it will be recorded. recorded, duplicate, conflict: it is in the ledger. rejected: it is no record. unknown: no acknowledgement came; send it again with the same id."`
	// What a status is worth.
	Grade proof.Grade `json:"grade,omitzero" enum:"accepted,recorded,witnessed" doc:"How well the status is founded. accepted: by this server's word, which nobody signed. recorded: by the receipt, under a published checkpoint. witnessed: by the receipt, and enough witnesses signed that checkpoint."`
	ID    string      `json:"id,omitzero" doc:"The record's id, or the one that the door gave it."`

	Sequence *uint64 `json:"sequence,omitzero" nullable:"false" doc:"Of its message in the stream."`
	Place    *uint16 `json:"place,omitzero" nullable:"false" doc:"Of the record in the message, from 0."`

	ULID      string      `json:"ulid,omitzero" doc:"Of its entry in the ledger."`
	Index     *uint64     `json:"index,omitzero" nullable:"false" doc:"Of its entry in the ledger."`
	Kind      string      `json:"kind,omitzero" doc:"Of its entry in the ledger."`
	EntryHash string      `json:"entry_hash,omitzero" doc:"RFC 6962 leaf hash of its entry, in hexadecimal."`
	Ref       *OtherEntry `json:"ref,omitzero" nullable:"false" doc:"The entry that it repeats, contradicts or amends."`

	Receipt string `json:"receipt,omitzero" doc:"With wait=receipt or wait=witnessed: the proof, a C2SP tlog-proof as text (docs/receipts.md)."`

	Code    problem.Code `json:"code,omitzero" doc:"Why it was rejected."`
	Pointer *string      `json:"pointer,omitzero" nullable:"false" doc:"RFC 6901 JSON pointer of the place, inside this record."`
	Detail  string       `json:"detail,omitzero" doc:"What is wrong there, and what to do; or, with wait=witnessed, that it is not witnessed yet."`

	Doubts *[]Doubt `json:"doubts,omitzero" nullable:"false" doc:"What of it can't be read. It is recorded all the same, as it came; who sent it can correct the next, or amend it."`

	named bool // the publisher gave it its id, and so published other bytes
}

// Doubt is something that a record says and that nobody can read: no reason to refuse
// evidence, and one to tell whoever sent it, before a timeline shows it in another place.
type Doubt struct {
	Code    activity.FlagCode `json:"code" enum:"unreadable_date,unreadable_amends"`
	Pointer string            `json:"pointer" doc:"RFC 6901 JSON pointer of the place, inside the record."`
	Detail  string            `json:"detail" doc:"What it is not, and what that means."`
}

// OtherEntry names another entry.
type OtherEntry struct {
	Index uint64 `json:"index"`
	ULID  string `json:"ulid,omitzero" doc:"Where it is of the same workspace."`
}

var answerType = reflect.TypeFor[Answer]()
