package query

import (
	"context"
	"errors"
	"net/http"
	"reflect"

	"annals/internal/access"
	"annals/internal/problem"

	"github.com/danielgtaylor/huma/v2"
)

// DueRule is what a retention rule lets go.
type DueRule struct {
	Entry     uint64 `json:"entry" doc:"The index of the entry that made the rule; 0 of the one that every ledger begins with."`
	Workspace string `json:"workspace,omitzero" doc:"The tag of the workspace that it is for, in hexadecimal. Missing: it is for everywhere."`
	Rule      string `json:"rule" doc:"The rule in words."`
	Entries   uint64 `json:"entries" doc:"How many entries it lets go: what is held, or has a closer rule, is left out."`
}

// Expiry is what retention rules let go.
type Expiry struct {
	Status string    `json:"status" enum:"due,done,begun" doc:"due: nothing was asked for but this; done: the server has looked, and let go what was due; begun: it goes on."`
	Rules  []DueRule `json:"rules" doc:"Every rule that stands, and how much it lets go as the answer is written."`
}

func expirySchema(r huma.Registry) *huma.Schema {
	return r.Schema(reflect.TypeFor[Expiry](), true, "")
}

func expiryOperations() []operation {
	return []operation{
		{
			path: "/v1/expiry", id: "expiry", summary: "What the retention rules let go",
			description: "Counts what each retention rule would let go now (docs/retention.md), and lets nothing go. It reads every entry that is old enough. Something is due a minute after its time at the earliest.",
			mediaType:   jsonMedia, schema: expirySchema, access: everywhere(access.Admin), work: ptr(access.Query), answer: (*API).due,
			problems: []problem.Code{problem.UnknownParameter, problem.NotRecording, problem.Internal},
		},
		{
			method: http.MethodPost, path: "/v1/expiry", id: "expire", summary: "Let go what is due",
			description: "Has the server let go now what the retention rules let go, and not at its next turn. " +
				"Waits, 5 s at most, until that is done; the server goes on where it takes longer. The answer counts what is left. It takes no body.",
			mediaType: jsonMedia, schema: expirySchema, access: everywhere(access.Admin), work: ptr(access.Query), answer: (*API).expire,
			problems: []problem.Code{problem.UnknownParameter, problem.CrossSite, problem.NotRecording, problem.Internal},
		},
	}
}

// due says what the rules would let go.
func (a *API) due(w http.ResponseWriter, r *http.Request, _ *filter) error {
	return a.writeExpiry(w, r, "due")
}

// expire has what is due let go now, and says what is left.
func (a *API) expire(w http.ResponseWriter, r *http.Request, _ *filter) error {
	if a.o.Expire == nil {
		return problem.New(problem.NotRecording, "")
	}
	ctx, cancel := context.WithTimeout(r.Context(), a.o.FoldTimeout)
	defer cancel()
	status := "done"
	if err := a.o.Expire(ctx); err != nil {
		if !errors.Is(err, context.DeadlineExceeded) || r.Context().Err() != nil {
			return err
		}
		status = "begun"
	}
	return a.writeExpiry(w, r, status)
}

func (a *API) writeExpiry(w http.ResponseWriter, r *http.Request, status string) error {
	if a.o.Due == nil {
		return problem.New(problem.NotRecording, "")
	}
	rules, err := a.o.Due(r.Context())
	if err != nil {
		return err
	}
	return writeJSON(w, &Expiry{Status: status, Rules: rules})
}
