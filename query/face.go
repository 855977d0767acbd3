package query

import (
	"net/http"

	"annals/internal/access"

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

func init() {
	// Documented here and read in [API.place]: the query's rows don't see headers.
	parameters[access.WorkspaceHeader] = &parameter{
		name: access.WorkspaceHeader, in: "header", example: "ws_7",
		about:  "The workspace, where the token is for more than one.",
		schema: huma.Schema{Type: huma.TypeString, Pattern: `^[A-Za-z0-9-][A-Za-z0-9_-]{0,63}$`},
	}
}
