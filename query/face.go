package query

import (
	"errors"
	"net/http"

	"annals/activity"
	"annals/internal/access"
	"annals/ledger/chain"

	"github.com/danielgtaylor/huma/v2"
)

// onFace is what is about the workspace that a request acts on whose path has no room
// for one, as other systems publish theirs.
func onFace(anyOf access.Scopes) need {
	n := inWorkspace(anyOf)
	n.face = true
	return n
}

// place finds that workspace, of an operation that is about one.
func (a *API) place(n *need, r *http.Request, f *filter) (err error) {
	if n.face {
		f.workspace, err = access.From(r.Context()).FaceWorkspace(r, n.anyOf, a.o.DefaultWorkspace)
	}
	return err
}

// records reads the records at some indexes, until they are more than most bytes, and
// says how many it read: one at least. The type is filled in where the subject alone
// names it. What was erased since the indexes were asked is passed over.
func (a *API) records(t *turn, indexes []uint64, most int, fn func(*chain.Entry, *activity.Record) error) (read int, err error) {
	size := 0
	err = a.each(t, indexes, func(leaf *chain.Leaf, _ chain.Hash) error {
		if size > most {
			return errFull
		}
		read++
		_, body := leaf.Shown()
		if body == nil {
			return nil
		}
		size += len(body)
		r, err := activity.Parse(body)
		if err != nil {
			return err
		}
		if r.Type == "" {
			r.Type = leaf.Subject().Type
		}
		return fn(&leaf.Entry, r)
	})
	if errors.Is(err, errFull) {
		err = nil
	}
	return read, err
}

func init() {
	// Documented here and read in [API.place]: the query's rows don't see headers.
	parameters[access.WorkspaceHeader] = &parameter{
		name: access.WorkspaceHeader, in: "header", example: "ws_7",
		about:  "The workspace, where the token is for more than one.",
		schema: huma.Schema{Type: huma.TypeString, Pattern: `^[A-Za-z0-9-][A-Za-z0-9_-]{0,63}$`},
	}
}
