package main

import (
	"context"
	"errors"
	"fmt"

	"annals/cmd/annals/internal/client"
	"annals/cmd/annals/internal/evidence"
	"annals/cmd/annals/internal/proposal"
	"annals/cmd/annals/internal/show"
	"annals/cmd/annals/internal/succession"
	"annals/internal/problem"
	"annals/ledger/chain"
	"annals/ledger/proof"

	"github.com/spf13/cobra"
)

type submitFlags struct {
	url, data, names string
	dryRun, yes      bool
}

func (a *app) submitFile() *cobra.Command {
	var f submitFlags
	cmd := &cobra.Command{
		Use:   "submit FILE…",
		Short: "Have the ledger do what enough keys have signed",
		Long: `Submit a proposal that was signed by ` + "`annals sign`" + `. It shows what it does and who has
signed, counts the signatures by the keys that are in force now, and publishes it
through the running server. Several files may be copies of one proposal, each with the
signature of somebody else: they are counted together. Different ones are submitted in
turn.

The same file can be submitted again: what is recorded already is said, and not
published twice. So after an error, or when somebody else was quicker, run it again.`,
		Example: `  annals submit request.json --dry-run
  annals submit request.json --yes
  annals submit from-dana.json from-erin.json --yes`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.yes && f.dryRun {
				return usagef("--dry-run does nothing and --yes does it; give one of them")
			}
			proposals, err := readProposals(args)
			if err != nil {
				return err
			}
			for _, p := range proposals {
				if err := a.runSubmit(cmd.Context(), &f, p); err != nil {
					return err
				}
			}
			return nil
		},
	}
	a.urlFlag(cmd, &f.url)
	dataFlag(cmd, &f.data)
	namesFlag(cmd, &f.names)
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "show what would be done and whether enough have signed, and do nothing")
	cmd.Flags().BoolVar(&f.yes, "yes", false, "do it")
	return cmd
}

func (a *app) runSubmit(ctx context.Context, f *submitFlags, p *proposal.Proposal) error {
	names, err := namedKeys(f.names, f.data)
	if err != nil {
		return err
	}
	c, err := a.serverAt(f.url)
	if err != nil {
		return err
	}
	history, roster, err := rosterOf(ctx, c)
	if err != nil {
		return err
	}
	a.shows(p)
	if history.Ledger != p.Ledger {
		return fmt.Errorf("the server at %s serves the ledger %s, and not the one that this is for; nothing was submitted", c.URL(), history.Ledger)
	}
	t := p.Tally(roster)
	for _, line := range t.Says(func(id chain.Hash) string { return names[id] }) {
		fmt.Fprintln(a.out, line)
	}
	s := proposal.Submission{Server: c, Entries: entriesOf(c, p), Said: a.submitted}
	if done, err := p.Done(ctx, &s); done || err != nil {
		return err
	}
	if role := p.Role(); role != 0 && role != t.Role {
		return fmt.Errorf("it was proposed while the role %s signed this, and now it is %s: propose it anew", role, t.Role)
	}
	if err := a.met(ctx, c, p); err != nil {
		return err
	}
	if err := t.Err(); err != nil {
		return err
	}
	if !f.yes {
		if _, err := fmt.Fprintln(a.out, "enough   have signed; with --yes it is submitted"); err != nil || f.dryRun {
			return err
		}
		return errors.New("nothing was submitted: look at what it does, and run it again with --yes")
	}
	if err := p.Submit(ctx, &s, t); err != nil {
		return err
	}
	if p.Type() == chain.ControlErase {
		return a.saidErased(ctx, c)
	}
	return nil
}

// met says what the statements meet in the ledger as it is now: holds that keep what
// they erase, and what came since they were proposed.
func (a *app) met(ctx context.Context, c *client.Client, p *proposal.Proposal) error {
	if p.Type() != chain.ControlErase || p.Told.Workspace == "" {
		return nil
	}
	var ranges []chain.Range
	for _, r := range p.Selected() {
		ranges = append(ranges, r...)
	}
	if err := a.refusedByHolds(ctx, c, p.Told.Workspace, ranges); err != nil {
		return err
	}
	later, err := confirmTold(ctx, c, p)
	if err != nil {
		// Whoever signed has looked; some of it may be erased since, which does no harm.
		_, err = fmt.Fprintf(a.out, "differs  %s\n", oneLine(err))
		return err
	}
	if later > 0 {
		_, err = fmt.Fprintf(a.out, "later    %s came since it was proposed, or was left out, and stays: propose that anew\n", show.Count(later, "entry"))
	}
	return err
}

// entriesOf asks for the control entries among which the statements are if they were
// submitted before.
func entriesOf(c *client.Client, p *proposal.Proposal) func(ctx context.Context) ([]proof.KeyEntry, error) {
	if p.Type() == chain.ControlKey {
		return func(ctx context.Context) ([]proof.KeyEntry, error) {
			history, err := succession.Recent(ctx, c)
			if err != nil {
				return nil, err
			}
			return history.Changes, nil
		}
	}
	workspace := p.Told.Workspace
	if workspace == "" {
		workspace = anyWorkspace
	}
	return func(ctx context.Context) ([]proof.KeyEntry, error) {
		entries, err := evidence.Erasures(ctx, c.Client, workspace, 0)
		if unauthorised(err) {
			return nil, nil
		}
		return entries, err
	}
}

// anyWorkspace is one whose rules are asked for where a rule for every workspace is
// looked for: it need not be there.
const anyWorkspace = "default"

// unauthorised reports whether a server keeps to itself what it was asked for.
func unauthorised(err error) bool {
	var p *client.Problem
	return errors.As(err, &p) && (p.Code == string(problem.MissingScope) || p.Code == string(problem.NoSuchWorkspace))
}

// submitted says what became of a statement.
func (a *app) submitted(o proposal.Outcome) {
	switch {
	case o.Before:
		fmt.Fprintf(a.out, "before   part %d is entry %d already: nothing was published\n", o.Part+1, o.Index)
	case o.Answer.Index != nil:
		fmt.Fprintf(a.out, "recorded part %d by message %d, entry %d, %s\n", o.Part+1, o.Answer.Sequence, *o.Answer.Index, o.Answer.ULID)
	default:
		fmt.Fprintf(a.out, "accepted part %d as message %d, not folded yet\n", o.Part+1, o.Answer.Sequence)
	}
}
