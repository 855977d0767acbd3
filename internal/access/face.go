package access

import (
	"cmp"
	"net/http"
	"strings"

	"annals/internal/problem"
)

// WorkspaceHeader names the workspace of a request whose path has no room for one.
const WorkspaceHeader = "Annals-Workspace"

// DefaultWorkspace is where such a request acts while access is not configured,
// unless the operator names another.
const DefaultWorkspace = "default"

// FaceWorkspace returns the workspace of a request to a path that was published
// elsewhere and names none. [WorkspaceHeader] does, where it came. Without it a token
// acts in the one workspace in which it has one of the scopes, and a developer in the
// fallback, or [DefaultWorkspace] where that is "". Whether the token may is for [Gate.Authorize], as everywhere. The error is
// a problem, [problem.InvalidParameter], or [problem.MissingScope] where the token has
// none of the scopes.
func (p *Principal) FaceWorkspace(r *http.Request, anyOf Scopes, fallback string) (string, error) {
	switch given := r.Header.Values(WorkspaceHeader); {
	case len(given) > 1:
		return "", problem.New(problem.InvalidParameter, "the header %s came %d times: name one workspace", WorkspaceHeader, len(given))
	case len(given) == 1 && (!validWorkspace(given[0]) || given[0] == System):
		return "", problem.New(problem.InvalidParameter, "the header %s is %q, which is no workspace: a name is 1 to 64 of A-Z a-z 0-9 _ -, not beginning with _", WorkspaceHeader, given[0])
	case len(given) == 1:
		return given[0], nil
	case p.Kind == ByNothing:
		return cmp.Or(fallback, DefaultWorkspace), nil
	}
	if err := p.Authorize(anyOf, Anywhere); err != nil {
		return "", err // whoever may nothing anywhere need name nothing
	}
	within := p.Within(anyOf)
	if !within.all && len(within.names) == 1 {
		return within.names[0], nil
	}
	return "", problem.New(problem.InvalidParameter, "the token is not for one workspace alone with the scope %s: name the workspace in the header %s",
		strings.Join(anyOf.Names(), " or "), WorkspaceHeader)
}
