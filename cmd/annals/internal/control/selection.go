package control

import (
	"context"
	"net/url"

	"annals/cmd/annals/internal/client"
	"annals/ledger/chain"
)

// Selection is what an erasure would take, as a server says. Nothing of it is proven:
// the fold holds what is signed to its own entries.
type Selection struct {
	Workspace  string     `json:"workspace"`
	Tag        chain.Hash `json:"tag"`
	Role       string     `json:"role"`   // that has to sign
	Needed     int        `json:"needed"` // how many of its keys
	Size       uint64     `json:"size"`
	Root       chain.Hash `json:"root"`
	Records    uint64     `json:"records"`
	Conflicts  uint64     `json:"conflicts"`
	Rejections uint64     `json:"rejections"`
	Controls   uint64     `json:"controls"`
	Duplicates uint64     `json:"duplicates"`
	Selection  chain.Hash `json:"selection"`
	Parts      []Part     `json:"parts"`
}

// Part is what one statement selects.
type Part struct {
	Runs   [][2]uint64 `json:"ranges"`
	Leaves chain.Hash  `json:"leaves"`
}

// Ranges are the part's.
func (p *Part) Ranges() []chain.Range {
	out := make([]chain.Range, len(p.Runs))
	for i, r := range p.Runs {
		out[i] = chain.Range{From: r[0], To: r[1]}
	}
	return out
}

// Select asks a server what an erasure in a workspace would take; question is
// the query of /v1/workspaces/{ws}/erasure.
func Select(ctx context.Context, c *client.Client, workspace string, question url.Values) (*Selection, error) {
	return ask[Selection](ctx, c.Client, "/v1/workspaces/"+url.PathEscape(workspace)+"/erasure", question)
}

// Ranges are those of all parts.
func (s *Selection) Ranges() (out []chain.Range) {
	for i := range s.Parts {
		out = append(out, s.Parts[i].Ranges()...)
	}
	return out
}
