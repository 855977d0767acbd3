// Package evidence asks a server for what proves one workspace's history, and makes
// evidence packs of it.
//
// The rule it exists for: everything that is verified together is of one checkpoint,
// and nothing that a server says is taken for true here. Verifying is the work of
// annals/ledger/proof; this package only brings the bytes.
package evidence

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"

	"annals/ledger/proof"
	"annals/query/client"
)

// Signed is what a server has signed about a workspace and its ledger, all of it for
// one checkpoint. It is not verified.
type Signed struct {
	Keys, Head []byte // the answers, as they came
	History    *proof.KeyHistory
	Answer     *proof.HeadAnswer
	Checkpoint proof.Checkpoint
	End        proof.WorkspaceHead
	Erasures   []proof.Line
}

// mostTries is how often a growing ledger is asked again: each try takes
// milliseconds, and a checkpoint is signed once a second.
const mostTries = 50

// Fetch asks for the workspace's head and the ledger's keys until both are for the
// same checkpoint.
func Fetch(ctx context.Context, c *client.Client, workspace string) (*Signed, error) {
	for range mostTries {
		s := new(Signed)
		var err error
		if s.Head, err = c.Head(ctx, workspace); err != nil {
			return nil, err
		}
		if s.Keys, err = c.Keys(ctx); err != nil {
			return nil, err
		}
		if s.Answer, err = proof.ParseHeadAnswer(s.Head); err != nil {
			return nil, client.Foreign(err)
		}
		if s.History, err = proof.ParseKeyHistory(s.Keys); err != nil {
			return nil, client.Foreign(err)
		}
		if s.Answer.Checkpoint != s.History.Checkpoint {
			continue
		}
		if s.Checkpoint, err = proof.ParseCheckpoint([]byte(s.Answer.Checkpoint)); err != nil {
			return nil, client.Foreign(err)
		}
		if s.End, err = proof.ParseWorkspaceHead([]byte(s.Answer.Head)); err != nil {
			return nil, client.Foreign(err)
		}
		s.Erasures, err = erasures(ctx, c, workspace, s.Checkpoint.Size)
		return s, err
	}
	return nil, errors.New("the server signs checkpoints faster than it answers: head and keys were never of the same one; try again, or sign less often (serve --checkpoint-every)")
}

// Erasures asks for what a workspace's missing payloads were erased by, with proofs in
// the tree of a size; of size 0 without.
func Erasures(ctx context.Context, c *client.Client, workspace string, size uint64) (out []proof.KeyEntry, err error) {
	lines, err := erasures(ctx, c, workspace, size)
	for i := range lines {
		out = append(out, lines[i].KeyEntry())
	}
	return out, err
}

func erasures(ctx context.Context, c *client.Client, workspace string, size uint64) (out []proof.Line, err error) {
	b, err := c.Erasures(ctx, workspace, size)
	if err != nil {
		return nil, err
	}
	for line := range bytes.Lines(b) {
		l, err := proof.ParseLine(bytes.TrimSuffix(line, []byte("\n")))
		if err != nil {
			return nil, client.Foreign(err)
		}
		out = append(out, l)
	}
	return out, nil
}

// Lines asks for entries, and reads them.
func Lines(ctx context.Context, c *client.Client, workspace string, r client.Range) iter.Seq2[proof.Line, error] {
	return func(yield func(proof.Line, error) bool) {
		for raw, err := range c.Entries(ctx, workspace, r) {
			var l proof.Line
			if err == nil {
				if l, err = proof.ParseLine(raw); err != nil {
					err = client.Foreign(err)
				}
			}
			if !yield(l, err) || err != nil {
				return
			}
		}
	}
}

// Tenant is what verifies a workspace up to its signed head, with everything that a
// tenant may ask the server for.
func (s *Signed) Tenant(ctx context.Context, c *client.Client, workspace, vkey string) *proof.Tenant {
	t := &proof.Tenant{
		Workspace: workspace, History: s.History, VKey: vkey, Checkpoint: []byte(s.Answer.Checkpoint), Answer: s.Answer,
		Lines: s.whole(ctx, c, workspace),
	}
	for i := range s.Erasures {
		t.Erasures = append(t.Erasures, s.Erasures[i].KeyEntry())
	}
	return t
}

// whole asks for all of a workspace's entries. The last comes with its place in the
// signed tree, and must: what the head's key alone says is no history, and through the
// chain the last one's place is that of all before it.
func (s *Signed) whole(ctx context.Context, c *client.Client, workspace string) iter.Seq2[proof.Line, error] {
	last := s.End.Count - 1
	return func(yield func(proof.Line, error) bool) {
		for l, err := range Lines(ctx, c, workspace, client.Range{To: last, Payloads: true}) {
			if !yield(l, err) || err != nil {
				return
			}
		}
		for l, err := range Lines(ctx, c, workspace, client.Range{From: last, To: s.End.Count, Payloads: true, Proofs: s.Checkpoint.Size}) {
			if err == nil && l.Proof == nil {
				err = client.Foreign(fmt.Errorf("position %d came without the proof that was asked for", last))
			}
			if !yield(l, err) || err != nil {
				return
			}
		}
	}
}

func beyond(what string, position, count uint64) error {
	return fmt.Errorf("%s is position %d, and the workspace has %d entries: positions 0 to %d", what, position, count, count-1)
}
