package query

import (
	"context"
	"net/http"
	"reflect"
	"slices"
	"time"

	"annals/internal/access"
	"annals/internal/problem"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"
)

// Ledger is the answer of /v1/ledger: where the ledger stands.
type Ledger struct {
	ID         string      `json:"id" doc:"The digest of the genesis, in hexadecimal."`
	Origin     string      `json:"origin" doc:"The name that the genesis gave the ledger."`
	Stream     string      `json:"stream" doc:"The name of the stream that it folds."`
	Size       uint64      `json:"size" doc:"Durable entries."`
	Root       string      `json:"root" doc:"RFC 6962 tree hash over them, in hexadecimal."`
	RecordedAt string      `json:"recorded_at" format:"date-time" doc:"The time of the last entry."`
	Sequence   uint64      `json:"sequence" doc:"The stream's sequence up to which it is folded."`
	Trimmed    uint64      `json:"trimmed" doc:"The stream's last sequence that the ledger lets go: what it holds up to there may be gone from the stream. 0: nothing."`
	TrimHeld   string      `json:"trim_held,omitzero" doc:"Why the stream grows and can't be trimmed at the moment. For who audits or administers all workspaces."`
	Epoch      uint32      `json:"epoch" doc:"Which stream the sequence is of: each time that it had to be made anew is one more."`
	Fold       uint16      `json:"fold_version" doc:"The version of the fold that the next message is folded by. From 2 on CloudEvents are read."`
	Control    uint64      `json:"control" doc:"The number that the next control statement has to have."`
	Hole       *Hole       `json:"hole,omitzero" doc:"What of the stream is missing, and admitted by no signed gap in the ledger. Unless it is folded it keeps the ledger from recording."`
	Witnessed  *Witnessing `json:"witnessed,omitzero" nullable:"false" doc:"How far witnesses have cosigned. Absent where the server asks none."`
	State      string      `json:"state" enum:"recording,waiting,stopped" doc:"recording; waiting: not at the moment; stopped: not before a restart or a newer version."`
	Error      string      `json:"error,omitzero" doc:"Why nothing is being recorded. For who audits or administers all workspaces, as are the errors of witnesses and of a rebuild."`
	Erasing    int         `json:"erasing,omitzero" doc:"Erasures that are obeyed, and whose bytes are still being removed from files or the stream."`
	Salting    int         `json:"salting,omitzero" doc:"Seeds that salted what is erased, and stay until the stream is trimmed: who has one can confirm a guess."`
	Indexes    Indexes     `json:"indexes"`
}

func ledgerSchema(r huma.Registry) *huma.Schema { return r.Schema(reflect.TypeFor[Ledger](), true, "") }

// ledger answers where the ledger stands.
func (a *API) ledger(w http.ResponseWriter, r *http.Request, _ *filter) error {
	l := a.o.Ledger
	indexes := a.indexes() // before the head, which it is never ahead of
	head := l.Head()
	genesis := l.Genesis()
	out := Ledger{
		ID: l.ID().String(), Origin: genesis.Origin, Stream: genesis.Stream,
		Size: head.Size, Root: head.Root.String(),
		RecordedAt: time.UnixMilli(head.State.Millis).UTC().Format(recordedText),
		Sequence:   head.State.Sequence,
		Trimmed:    head.State.Trimmed,
		TrimHeld:   a.o.TrimHeld(),
		Epoch:      head.State.Epoch,
		Fold:       head.State.Version,
		Control:    head.State.Control,
		State:      "recording",
		Indexes:    indexes,
	}
	if a.o.Witnesses.Status != nil {
		out.Witnessed = a.o.Witnesses.Status()
	}
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	if a.o.Hole != nil {
		out.Hole, out.Control = a.o.Hole(ctx)
	}
	if err := a.o.Ready(ctx); err != nil {
		out.State, out.Error = "waiting", err.Error()
	}
	erasing, err := l.Unscrubbed()
	if err != nil {
		return err
	}
	seeds, err := l.Incomplete()
	if err != nil {
		return err
	}
	out.Erasing, out.Salting = len(erasing), len(seeds)
	if err := l.Err(); err != nil {
		out.State, out.Error = "stopped", err.Error()
	}
	if access.From(r.Context()).Authorize(access.Audit|access.Admin, access.Everywhere) != nil {
		out.withoutReasons()
	}
	return writeJSON(w, &out)
}

// withoutReasons leaves that something is wrong and takes away why: the errors name
// other replicas, their addresses and roots, witnesses' answers, files. They are for
// who audits or administers the whole ledger, and not for whoever reads one
// workspace of it, in a browser too.
func (l *Ledger) withoutReasons() {
	l.TrimHeld, l.Error = "", ""
	if l.Witnessed != nil {
		shown := *l.Witnessed // what Status returned may be others' too
		shown.Error, shown.Witnesses = "", slices.Clone(shown.Witnesses)
		for i := range shown.Witnesses {
			shown.Witnesses[i].Error = ""
		}
		l.Witnessed = &shown
	}
	if l.Indexes.Rebuilt != nil {
		l.Indexes.Rebuilt.Error = ""
	}
}

// Status is the answer of /healthz and /readyz.
type Status struct {
	Status string `json:"status"`
}

func statusSchema(status string) func(huma.Registry) *huma.Schema {
	return func(huma.Registry) *huma.Schema {
		return &huma.Schema{
			Type:       huma.TypeObject,
			Properties: map[string]*huma.Schema{"status": {Type: huma.TypeString, Enum: []any{status}}},
			Required:   []string{"status"},
		}
	}
}

func healthz(_ *API, w http.ResponseWriter, _ *http.Request, _ *filter) error {
	return writeJSON(w, Status{"ok"})
}

// readyTimeout bounds the check behind /readyz: what hangs isn't ready.
const readyTimeout = 5 * time.Second

func (a *API) readyz(w http.ResponseWriter, r *http.Request, _ *filter) error {
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	if err := a.o.Ready(ctx); err != nil {
		if a.o.Ledger.Err() != nil {
			return a.notReady("recording has stopped", err)
		}
		return a.notReady("recording or signing waits", err)
	}
	folded, _ := a.o.Projections.Cursor()
	if err := a.level(folded); err != nil {
		return a.notReady("the indexes are behind the ledger", err)
	}
	return writeJSON(w, Status{"ready"})
}

// notReady says why. Where access is configured whoever asks without a token is told
// the kind alone, and the log the rest, which names peers, replicas and roots.
func (a *API) notReady(kind string, err error) error {
	if a.o.Access == nil {
		return problem.New(problem.NotReady, "%v", err).From(err)
	}
	return problem.New(problem.NotReady, "%s; the log says why, and /v1/ledger to who audits or administers all of it", kind).From(err)
}

func writeJSON(w http.ResponseWriter, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return write(w, jsonMedia, body)
}
