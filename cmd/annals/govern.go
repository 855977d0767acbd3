package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"annals/cmd/annals/internal/client"
	"annals/cmd/annals/internal/control"
	"annals/cmd/annals/internal/evidence"
	"annals/cmd/annals/internal/proposal"
	"annals/ledger/chain"

	"github.com/spf13/cobra"
)

// governFlags are those of the commands that sign a rule, a hold or a release.
type governFlags struct {
	url, data, workspace, by, note string
	keys                           []string
	dryRun, yes                    bool
	proposeFlags
}

func (f *governFlags) add(a *app, cmd *cobra.Command) {
	a.urlFlag(cmd, &f.url)
	dataFlag(cmd, &f.data)
	operatorKeyFlag(cmd, &f.keys)
	fl := cmd.Flags()
	fl.StringVar(&f.workspace, "workspace", "", "the `NAME` of the workspace")
	fl.StringVar(&f.by, "by", "", "`NAME` of who wants it")
	fl.StringVar(&f.note, "note", "", "why, in words: `TEXT`")
	fl.BoolVar(&f.dryRun, "dry-run", false, "show what it would mean, and sign nothing")
	fl.BoolVar(&f.yes, "yes", false, "do it")
	f.proposeFlags.add(cmd)
}

// check says what is missing or does not go together.
func (f *governFlags) check(data bool) error {
	switch {
	case f.by == "":
		return usagef("--by names who wants it; it is kept in the ledger, and may be erased")
	case f.yes && f.dryRun:
		return usagef("--dry-run does nothing and --yes does it; give one of them")
	case len(f.keys) > 0 && data:
		return usagef("--key is the key itself, --data the folder that it is in; give one of them")
	}
	return f.proposeFlags.check(f.yes, f.dryRun, f.keys)
}

// words are kept beside the statement's entry.
func (f *governFlags) words() string { return wordsOf(f.by, f.note) }

func wordsOf(by, note string) string {
	if note == "" {
		return "by " + by
	}
	return "by " + by + "\n" + note
}

// whereOf says in which entry a statement was recorded.
func whereOf(answer control.Answer) string {
	if answer.Index == nil {
		return "not folded yet"
	}
	return fmt.Sprintf("entry %d, %s", *answer.Index, answer.ULID)
}

// told is what a proposal says of the statement besides.
func (f *governFlags) told(question url.Values) proposal.Told {
	return proposal.Told{Workspace: f.workspace, Select: question.Encode(), Words: f.words()}
}

// sign signs and submits a statement in a role, anew where another control message came
// first; or proposes it. Without --yes it signs nothing.
func (a *app) sign(ctx context.Context, c *client.Client, f *governFlags, role chain.Role, seal sealer) error {
	if f.file != "" {
		return a.propose(ctx, c, &f.proposeFlags, f.told(nil), seal)
	}
	if !f.yes {
		if _, err := fmt.Fprintln(a.out, "signed   nothing; with --yes it is"); err != nil || f.dryRun {
			return err
		}
		return errors.New("nothing was signed: look at what it would mean, and run it again with --yes")
	}
	first, err := control.Look(ctx, c)
	if err != nil {
		return err
	}
	signers, err := signersOf(f.data, f.keys, role)
	if err != nil {
		return err
	}
	for range gapTries {
		now, err := control.Look(ctx, c)
		if err != nil {
			return err
		}
		if now.Ledger != first.Ledger {
			return errors.New("the server serves another ledger than a moment ago; nothing was signed")
		}
		answer, err := submitSigned(ctx, c, signers, func(together []chain.Signer) []byte { return seal(now, together...) })
		if raced(err) {
			continue
		}
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(a.out, "signed   message %d, %s\n", answer.Sequence, whereOf(answer))
		return err
	}
	return errors.New("other control messages came first each time; nothing was signed")
}

// named asks for a workspace's tag, and the role that erases.
func named(ctx context.Context, c *client.Client, workspace string) (tag chain.Hash, role chain.Role, err error) {
	s, err := control.Select(ctx, c, workspace, url.Values{"kind": {"gap"}})
	if err != nil {
		return tag, 0, err
	}
	role, err = chain.ParseRole(s.Role)
	return s.Tag, role, err
}

// standingHold is a hold that stands, as a server shows it.
type standingHold struct {
	chain.HeldBy
	chain.Hold
}

// standing asks which rules and holds stand over a workspace. Nothing is proven of it:
// `annals verify` does that.
func standing(ctx context.Context, c *client.Client, workspace string) (rules chain.Rules, holds []standingHold, err error) {
	entries, err := evidence.Erasures(ctx, c.Client, workspace, 0)
	if err != nil {
		return nil, nil, err
	}
	rules = chain.FirstRules()
	for i := range entries {
		e, err := chain.ParseEntry(entries[i].Entry)
		if err != nil {
			return nil, nil, err
		}
		s, err := e.Control()
		if err != nil {
			return nil, nil, err
		}
		switch s.Statement.Type {
		case chain.ControlRetention:
			r, err := chain.ParseRetention(s.Statement.Body)
			if err != nil {
				return nil, nil, err
			}
			rules = rules.With(e.Index, r)
		case chain.ControlHold:
			h, err := chain.ParseHold(s.Statement.Body)
			if err != nil {
				return nil, nil, err
			}
			holds = append(holds, standingHold{chain.HeldBy{Number: s.Statement.Number, At: e.Index}, h})
		case chain.ControlRelease:
			number, err := chain.ParseRelease(s.Statement.Body)
			if err != nil {
				return nil, nil, err
			}
			for i := range holds {
				if holds[i].Number == number {
					holds = append(holds[:i], holds[i+1:]...)
					break
				}
			}
		}
	}
	return rules, holds, nil
}

// standingList is a command that prints some of what stands over a workspace, a line
// each.
func (a *app) standingList(short, example string, says func(workspace string, rules chain.Rules, holds []standingHold) []string) *cobra.Command {
	var address, workspace string
	cmd := &cobra.Command{
		Use: "list", Short: short, Args: cobra.NoArgs, Example: example,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if workspace == "" {
				return usagef("--workspace says where")
			}
			c, err := a.serverAt(address)
			if err != nil {
				return err
			}
			rules, holds, err := standing(cmd.Context(), c, workspace)
			if err != nil {
				return err
			}
			for _, line := range says(workspace, rules, holds) {
				if _, err := fmt.Fprintln(a.out, line); err != nil {
					return err
				}
			}
			return nil
		},
	}
	a.urlFlag(cmd, &address)
	cmd.Flags().StringVar(&workspace, "workspace", "", "the `NAME` of the workspace")
	return cmd
}
