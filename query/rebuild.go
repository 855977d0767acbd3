package query

import (
	"errors"
	"net/http"
	"reflect"

	"annals/internal/problem"
	"annals/projections"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"
)

// Indexes is how far the projections are.
type Indexes struct {
	Size       uint64      `json:"size" doc:"Entries that pages can show."`
	Generation uint64      `json:"generation" doc:"Which generation of the indexes serves. Each rebuild that ends well is one more."`
	Rebuilding *Rebuilding `json:"rebuilding,omitzero" doc:"While a rebuild runs: how far it is. Reads are answered by the old indexes."`
	Rebuilt    *Rebuilt    `json:"rebuilt,omitzero" doc:"How the last rebuild ended, if there was one since the server was started."`
}

// Rebuilding is how far a rebuild is.
type Rebuilding struct {
	Size uint64 `json:"size" doc:"Entries that the new indexes hold."`
	Of   uint64 `json:"of" doc:"Entries that the ledger has."`
}

// Rebuilt is how a rebuild ended.
type Rebuilt struct {
	Size    uint64  `json:"size" doc:"Entries that the new indexes held."`
	Entries uint64  `json:"entries" doc:"Entries that it folded: fewer where it went on with a rebuild that was interrupted."`
	Seconds float64 `json:"seconds" doc:"How long it took."`
	Error   string  `json:"error,omitzero" doc:"Why it failed. The old indexes serve as before, and what it had folded is kept for the next one."`
}

func indexesSchema(r huma.Registry) *huma.Schema {
	return r.Schema(reflect.TypeFor[Indexes](), true, "")
}

// indexes says how far the projections are.
func (a *API) indexes() Indexes {
	// In this order: a swap between the two must not show the old size as the new
	// generation's.
	p := a.o.Projections.Progress()
	size, _ := a.o.Projections.Cursor()
	out := Indexes{Size: size, Generation: p.Generation}
	switch {
	case p.Running:
		out.Rebuilding = &Rebuilding{Size: p.Done, Of: p.Of}
	case p.Took > 0:
		out.Rebuilt = &Rebuilt{Size: p.Done, Entries: p.Folded, Seconds: p.Took.Seconds()}
		if p.Err != nil {
			out.Rebuilt.Error = p.Err.Error()
		}
	}
	return out
}

// rebuild begins a rebuild of the indexes.
func (a *API) rebuild(w http.ResponseWriter, _ *http.Request, _ *filter) error {
	l := a.o.Ledger
	err := a.o.Projections.StartRebuild(l.Leaves, func() uint64 { return l.Head().Size })
	switch {
	case errors.Is(err, projections.ErrRebuilding):
		return problem.New(problem.Rebuilding, "").From(err)
	case err != nil: // closed: the server is stopping
		return problem.New(problem.NotReady, "").From(err)
	}
	body, err := json.Marshal(a.indexes())
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/v1/ledger") // where to see how far it is
	return writeStatus(w, http.StatusAccepted, jsonMedia, body)
}
