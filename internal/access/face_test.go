package access

import (
	"net/http/httptest"
	"strings"
	"testing"

	"annals/internal/problem"
)

// TestFaceWorkspace asks paths that name no workspace which one they act on.
func TestFaceWorkspace(t *testing.T) {
	one := func(names ...string) *Principal {
		return &Principal{Kind: ByKey, Grants: []Grant{{Read, workspaces(t, names...)}, {Record, workspaces(t, "ws_r")}}}
	}
	cases := map[string]struct {
		who    *Principal
		header []string
		want   string // a workspace, or with a space in it what the error says
	}{
		"one workspace":               {who: one("ws_1"), want: "ws_1"},
		"one, named":                  {who: one("ws_1"), header: []string{"ws_1"}, want: "ws_1"},
		"another is for Authorize":    {who: one("ws_1"), header: []string{"ws_2"}, want: "ws_2"},
		"two workspaces":              {who: one("ws_1", "ws_2"), want: "name the workspace in the header Annals-Workspace"},
		"all workspaces":              {who: one(Everywhere), want: "scope read: name the workspace"},
		"two, named":                  {who: one("ws_1", "ws_2"), header: []string{"ws_2"}, want: "ws_2"},
		"only the scope's workspaces": {who: &Principal{Kind: ByKey, Grants: []Grant{{Record, workspaces(t, "ws_r")}}}, want: "missing_scope: this needs a token with the scope read"},
		"development":                 {who: developer, want: "fallen_back"},
		"development, named":          {who: developer, header: []string{"ws_7"}, want: "ws_7"},
		"named twice":                 {who: developer, header: []string{"a", "a"}, want: "came 2 times"},
		"no name":                     {who: developer, header: []string{""}, want: "is no workspace"},
		"no workspace":                {who: developer, header: []string{"a b"}, want: "is no workspace"},
		"the system":                  {who: developer, header: []string{System}, want: "is no workspace"},
		"all":                         {who: developer, header: []string{Everywhere}, want: "is no workspace"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/", nil)
			r.Header[WorkspaceHeader] = c.header
			got, err := c.who.FaceWorkspace(r, Read, "fallen_back")
			switch {
			case err != nil && !problem.Is(err, problem.InvalidParameter) && !problem.Is(err, problem.MissingScope):
				t.Errorf("error %v is neither invalid_parameter nor missing_scope", err)
			case err != nil && !strings.Contains(err.Error(), c.want):
				t.Errorf("error %q, want %q in it", err, c.want)
			case err == nil && got != c.want:
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
