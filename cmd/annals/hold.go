package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"annals/cmd/annals/internal/control"
	"annals/cmd/annals/internal/show"
	"annals/ledger/chain"

	"github.com/spf13/cobra"
)

type holdFlags struct {
	governFlags
	records      []string
	user, object string
	everything   bool
	number       uint64
}

func (a *app) hold() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "hold",
		Short: "Keep what records say from being erased",
		Long: `Keep payloads: what is held is neither erased nor expires until it is released, whoever
signs that. A hold on a user or an object is a selection of what there is of it now; one
on everything covers what is yet to come.`,
		Example: `  annals hold place --workspace ws_7 --user usr_dana --by Erin --note "case 12" --yes
  annals hold list --workspace ws_7
  annals hold release --workspace ws_7 --hold 41 --by Erin --yes`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	for _, sub := range []*cobra.Command{a.holdPlace(), a.holdList(), a.holdRelease()} {
		sub.Args = a.arguments(sub.Args)
		cmd.AddCommand(sub)
	}
	return cmd
}

func (a *app) holdPlace() *cobra.Command {
	var f holdFlags
	cmd := &cobra.Command{
		Use: "place", Short: "Sign a hold", Args: cobra.NoArgs,
		Example: `  annals hold place --workspace ws_7 --user usr_dana --by Erin --note "case 12" --yes`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			question, err := f.question(cmd.Flags().Changed("data"))
			if err != nil {
				return err
			}
			return a.runPlace(cmd.Context(), &f, question)
		},
	}
	f.add(a, cmd)
	fl := cmd.Flags()
	fl.StringSliceVar(&f.records, "record", nil, "`ULIDS` of entries")
	fl.StringVar(&f.user, "user", "", "all that the user with this `ID` did so far, or that was done on their behalf")
	fl.StringVar(&f.object, "object", "", "all that concerns or links the object so far, `TYPE/ID`")
	fl.BoolVar(&f.everything, "everything", false, "the whole workspace, with what is yet to come")
	return cmd
}

// question reads the flags as the query of what is selected; nil for everything.
func (f *holdFlags) question(data bool) (question url.Values, err error) {
	question = url.Values{}
	if len(f.records) > 0 {
		question["record"] = f.records
	}
	if f.user != "" {
		question.Set("user", f.user)
	}
	if f.object != "" {
		question.Set("object", f.object)
	}
	given := len(question)
	if f.everything {
		question, given = nil, given+1
	}
	switch {
	case f.workspace == "":
		return nil, usagef("--workspace says where")
	case given != 1:
		return nil, usagef("say what is held by one of --record, --user, --object and --everything")
	}
	return question, f.check(data)
}

func (a *app) runPlace(ctx context.Context, f *holdFlags, question url.Values) error {
	c, err := a.serverAt(f.url)
	if err != nil {
		return err
	}
	if question == nil {
		tag, _, err := named(ctx, c, f.workspace)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(a.out, "held     everything of %s, with what is yet to come\n", f.workspace); err != nil {
			return err
		}
		return a.sign(ctx, c, &f.governFlags, chain.RoleOperator, func(at *control.Standing, signers ...chain.Signer) []byte {
			return chain.SealHold(at.Ledger, at.Control, 0, chain.Hash{}, chain.Hold{Workspace: tag}, f.words(), signers...)
		})
	}
	s, err := control.Select(ctx, c, f.workspace, question)
	if err != nil {
		return err
	}
	if len(s.Parts) == 0 {
		return errors.New("there is nothing to hold; what was erased before can't be kept any more")
	}
	var seals []sealer
	for part := range s.Parts {
		h := chain.Hold{Workspace: s.Tag, Ranges: s.Parts[part].Ranges(), Leaves: s.Parts[part].Leaves}
		if _, err := fmt.Fprintf(a.out, "held     %s of %s\n", show.Count(chain.Count(h.Ranges), "entry"), f.workspace); err != nil {
			return err
		}
		seals = append(seals, func(at *control.Standing, signers ...chain.Signer) []byte {
			return chain.SealHold(at.Ledger, at.Control, s.Size, s.Root, h, f.words(), signers...)
		})
		if f.file != "" {
			continue // all of them go into one file
		}
		if err := a.sign(ctx, c, &f.governFlags, chain.RoleOperator, seals[part]); err != nil {
			return fmt.Errorf("part %d of %d: %w", part+1, len(s.Parts), err)
		}
	}
	if f.file == "" {
		return nil
	}
	return a.propose(ctx, c, &f.proposeFlags, f.told(question), seals...)
}

func (a *app) holdRelease() *cobra.Command {
	var f holdFlags
	cmd := &cobra.Command{
		Use: "release", Short: "Sign that a hold ends", Args: cobra.NoArgs,
		Example: "  annals hold release --workspace ws_7 --hold 41 --by Erin --yes",
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case f.workspace == "":
				return usagef("--workspace says where")
			case f.number == 0:
				return usagef("--hold is the hold's number, as `annals hold list` shows it")
			}
			if err := f.check(cmd.Flags().Changed("data")); err != nil {
				return err
			}
			ctx := cmd.Context()
			c, err := a.serverAt(f.url)
			if err != nil {
				return err
			}
			_, holds, err := standing(ctx, c, f.workspace)
			if err != nil {
				return err
			}
			for i := range holds {
				if holds[i].Number != f.number {
					continue
				}
				if _, err := fmt.Fprintf(a.out, "released %s\n", holds[i].says()); err != nil {
					return err
				}
				return a.sign(ctx, c, &f.governFlags, chain.RoleOperator, func(at *control.Standing, signers ...chain.Signer) []byte {
					return chain.SealRelease(at.Ledger, at.Control, f.number, f.words(), signers...)
				})
			}
			return fmt.Errorf("no hold %d stands over %s; `annals hold list` shows those that do", f.number, f.workspace)
		},
	}
	f.add(a, cmd)
	cmd.Flags().Uint64Var(&f.number, "hold", 0, "the hold's `NUMBER`")
	return cmd
}

// says is a hold in a line.
func (h *standingHold) says() string {
	if h.Ranges == nil {
		return fmt.Sprintf("hold %d, entry %d: everything, with what is yet to come", h.Number, h.At)
	}
	return fmt.Sprintf("hold %d, entry %d: %s", h.Number, h.At, show.Count(chain.Count(h.Ranges), "entry"))
}

func (a *app) holdList() *cobra.Command {
	return a.standingList("List the holds that stand over a workspace", "  annals hold list --workspace ws_7",
		func(_ string, _ chain.Rules, holds []standingHold) (lines []string) {
			for i := range holds {
				lines = append(lines, holds[i].says())
			}
			return lines
		})
}
