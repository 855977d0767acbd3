package query

import (
	"context"
	"errors"
	"net/http"

	"annals/activity"
	"annals/internal/problem"
	"annals/ledger/chain"
	"annals/ledger/proof"

	"github.com/danielgtaylor/huma/v2"
)

// head answers with the signed statement of where a workspace's chain ends.
func (a *API) head(w http.ResponseWriter, r *http.Request, f *filter) error {
	if err := tenantsOwn(f); err != nil {
		return err
	}
	if a.o.SignHead == nil {
		return problem.New(problem.NoCheckpoint, "this server signs no heads of workspaces")
	}
	tag := a.o.Ledger.Tag(f.workspace)
	head, signed, err := a.headUnder(r.Context(), f.workspace, tag)
	if err != nil {
		return err
	}
	note, err := a.o.SignHead([]byte(head.Text()))
	if err != nil {
		return problem.New(problem.NoCheckpoint, "the head of the workspace was not signed; try again, and if it lasts, ask an administrator of this server: its log says why").From(err)
	}
	answer := proof.HeadAnswer{Workspace: f.workspace, Tag: proof.Hash64(tag), Head: string(note), Checkpoint: string(signed.Note)}
	if answer.Mark, err = a.markOf(tag, signed); err != nil {
		return err
	}
	return writeJSON(w, &answer)
}

// tenantsOwn refuses the system, whose payloads hold secrets of all workspaces: it
// is no tenant's, and is audited with the whole ledger.
func tenantsOwn(f *filter) error {
	if f.workspace != activity.SystemWorkspace {
		return nil
	}
	return problem.Parameter("ws", "reserved_workspace", "the system's chain is no tenant's: its entries are in /tile/entries, and an audit of the whole ledger proves them")
}

// headUnder returns where a workspace's chain ends, at a size that a published
// checkpoint covers, and that checkpoint. It waits for one only where the chain has
// grown since the last.
func (a *API) headUnder(ctx context.Context, workspace string, tag chain.Hash) (*proof.WorkspaceHead, proof.Checkpoint, error) {
	var signed proof.Checkpoint
	size, end, err := a.o.Ledger.WorkspaceHead(ctx, tag)
	if err != nil {
		return nil, signed, err
	}
	if end.Count == 0 {
		return nil, signed, problem.New(problem.NoHead, "the workspace %s has no entries, so its chain has no end to sign", workspace)
	}
	if signed, err = a.covering(ctx, end.Index); err != nil {
		return nil, signed, err
	}
	// Nothing of the workspace stands between its last entry and size, nor does before
	// it if the checkpoint is of less.
	return &proof.WorkspaceHead{
		Origin: a.o.Ledger.Genesis().Origin, Tag: tag,
		Count: end.Count, Index: end.Index, Leaf: end.Leaf, Size: min(size, signed.Size),
	}, signed, nil
}

// markOf shows the workspace's row in the last mark that the checkpoint covers; nil
// when this server has made none, or the workspace was not in it.
func (a *API) markOf(tag chain.Hash, signed proof.Checkpoint) (*proof.MarkAnswer, error) {
	if a.o.Mark == nil {
		return nil, nil
	}
	index, heads, ok := a.o.Mark(signed.Size)
	if !ok {
		return nil, nil
	}
	row, ok := heads.Row(tag)
	if !ok {
		return nil, nil
	}
	leaf, _, err := a.o.Ledger.Get(index)
	if err != nil {
		return nil, err
	}
	mark := proof.NewReceipt(a.o.Ledger.ID(), &leaf, false)
	mark.Checkpoint = signed.Note
	if mark.Hashes, err = a.o.Ledger.Inclusion(index, signed.Size); err != nil {
		return nil, err
	}
	return proof.NewMarkAnswer(mark, &row), nil
}

var errIndexes = errors.New("query: the indexes hold another chain of the workspace than the ledger; rebuild them")

func headSchema(huma.Registry) *huma.Schema {
	note := func(about string) *huma.Schema {
		return &huma.Schema{Type: huma.TypeString, Description: about + " A signed note (C2SP signed-note)."}
	}
	return object("Where a workspace's chain ends, signed.", []string{"workspace", "tag", "head", "checkpoint"}, map[string]*huma.Schema{
		"workspace":  {Type: huma.TypeString},
		"tag":        base64Of("The pseudonym under which its entries stand, 32 bytes."),
		"head":       note("The statement, which docs/format/workspace-head.md describes."),
		"checkpoint": note("A checkpoint whose size is the head's tree size or more."),
		"mark": object("The workspace's row in the last mark; absent where this server has made none since it started, or the workspace is younger.",
			[]string{"receipt", "map_size", "map_index", "map_proof", "count", "index", "leaf"}, map[string]*huma.Schema{
				"receipt":   {Type: huma.TypeString, Description: "Of the mark's entry, in the tree of the checkpoint: a tlog-proof."},
				"map_size":  count("Rows in the mark's map: workspaces with entries."),
				"map_index": count("The row's place in it."),
				"map_proof": {Type: huma.TypeArray, Items: base64Of("32 bytes."), Description: "RFC 6962 inclusion proof of the row, the leaf's sibling first."},
				"count":     count("Entries of the workspace at the mark's size."),
				"index":     count("Of the last of them."),
				"leaf":      base64Of("Leaf hash of the last of them, 32 bytes."),
			}),
	})
}

func base64Of(about string) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, ContentEncoding: "base64", Description: about + " In base64."}
}
