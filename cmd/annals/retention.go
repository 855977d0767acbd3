package main

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"annals/cmd/annals/internal/client"
	"annals/cmd/annals/internal/control"
	"annals/cmd/annals/internal/show"
	"annals/ledger/chain"

	"github.com/spf13/cobra"
)

type retentionFlags struct {
	governFlags
	everywhere, rejections bool
	types, keep            string
}

func (a *app) retention() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "retention",
		Short: "Say how long what records say is kept",
		Long: `Say by signed rules how long the payloads of records and of rejections are kept. The
server lets go what is older, as an erasure does: entries stay, and every proof.
Every ledger begins with one rule: rejections are kept for 30 days.`,
		Example: `  annals retention set --workspace ws_7 --types 'app.*' --keep 365d --by Erin --dry-run
  annals retention list --workspace ws_7
  annals retention remove --workspace ws_7 --types 'app.*' --by Erin --yes`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	for _, sub := range []*cobra.Command{a.retentionSet(), a.retentionList(), a.retentionRemove()} {
		sub.Args = a.arguments(sub.Args)
		cmd.AddCommand(sub)
	}
	return cmd
}

func (a *app) retentionSet() *cobra.Command {
	var f retentionFlags
	cmd := &cobra.Command{
		Use: "set", Short: "Sign a rule, which replaces the one for the same", Args: cobra.NoArgs,
		Example: "  annals retention set --workspace ws_7 --keep 365d --by Erin --yes",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.keep == "" {
				return usagef("--keep says how long: 365d, 12h, or forever")
			}
			return a.rule(cmd, &f)
		},
	}
	f.what(a, cmd)
	cmd.Flags().StringVar(&f.keep, "keep", "", "how long: `PERIOD`, such as 365d or 12h, or forever")
	return cmd
}

func (a *app) retentionRemove() *cobra.Command {
	var f retentionFlags
	cmd := &cobra.Command{
		Use: "remove", Short: "Sign that a rule ends", Args: cobra.NoArgs,
		Example: "  annals retention remove --workspace ws_7 --types 'app.*' --by Erin --yes",
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.rule(cmd, &f) },
	}
	f.what(a, cmd)
	return cmd
}

func (f *retentionFlags) what(a *app, cmd *cobra.Command) {
	f.add(a, cmd)
	fl := cmd.Flags()
	fl.BoolVar(&f.everywhere, "everywhere", false, "for every workspace that has no rule of its own, and the system")
	fl.BoolVar(&f.rejections, "rejections", false, "for rejections, not for records")
	fl.StringVar(&f.types, "types", "*", "for records of a `TYPE`, or of types that begin as it does up to a *")
}

// rule signs what the flags say.
func (a *app) rule(cmd *cobra.Command, f *retentionFlags) error {
	if err := f.check(cmd.Flags().Changed("data")); err != nil {
		return err
	}
	r := chain.Retention{Everywhere: f.everywhere, Rejections: f.rejections, Types: f.types}
	if f.rejections {
		if cmd.Flags().Changed("types") {
			return usagef("rejections have no types; leave --types out")
		}
		r.Types = ""
	}
	if (f.workspace == "") != f.everywhere {
		return usagef("say for what by one of --workspace and --everywhere")
	}
	if f.keep != "" {
		var ok bool
		if r.Period, ok = period(f.keep); !ok {
			return usagef("--keep is a number of days, such as 365d, or of hours, minutes or seconds (12h), or forever; not %q", f.keep)
		}
	}
	c, err := a.serverAt(f.url)
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	asked := f.workspace
	if f.everywhere {
		asked = chain.SystemWorkspace
	}
	tag, role, err := named(ctx, c, asked)
	if err != nil {
		return err
	}
	r.Role = role
	if !f.everywhere {
		r.Workspace = tag
	}
	if _, err := chain.ParseRetention(r.Append(nil)); err != nil {
		return usagef("--types is a type, or the beginning of types and *; not %q", f.types)
	}
	where := f.workspace
	if f.everywhere {
		where = "everywhere"
	}
	if _, err := fmt.Fprintf(a.out, "rule     %s: %s\n", where, r.Says()); err != nil {
		return err
	}
	if err := a.wouldGo(ctx, c, f, &r); err != nil {
		return err
	}
	return a.sign(ctx, c, &f.governFlags, role, func(at *control.Standing, signers ...chain.Signer) []byte {
		return chain.SealRetention(at.Ledger, at.Control, r, f.words(), signers...)
	})
}

// wouldGo says how much a rule of one workspace lets go at once.
func (a *app) wouldGo(ctx context.Context, c *client.Client, f *retentionFlags, r *chain.Retention) error {
	if f.yes || r.Everywhere || r.Period == chain.RuleEnds || r.Period == chain.KeepForever {
		return nil
	}
	question := url.Values{"until": {time.Now().Add(-time.Duration(r.Period) * time.Second).UTC().Format(time.RFC3339)}, "kind": {"record,conflict"}}
	most := ""
	switch {
	case r.Rejections:
		question.Set("kind", "rejection")
	case strings.HasSuffix(r.Types, "*"):
		if r.Types != "*" {
			most = "at most "
		}
	default:
		question.Set("type", r.Types)
	}
	s, err := control.Select(ctx, c, f.workspace, question)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.out, "would go %s%s now, what is held or has a closer rule left out\n", most, show.Count(s.Records+s.Conflicts+s.Rejections, "entry"))
	return err
}

// period reads a period in seconds.
func period(text string) (seconds uint64, ok bool) {
	if text == "forever" {
		return chain.KeepForever, true
	}
	if days, found := strings.CutSuffix(text, "d"); found {
		n, err := strconv.ParseUint(days, 10, 32)
		return n * 24 * 60 * 60, err == nil && n > 0
	}
	d, err := time.ParseDuration(text)
	return uint64(d / time.Second), err == nil && d >= time.Second && d%time.Second == 0
}

func (a *app) retentionList() *cobra.Command {
	return a.standingList("List the rules that are for a workspace", "  annals retention list --workspace ws_7",
		func(workspace string, rules chain.Rules, _ []standingHold) (lines []string) {
			for _, r := range rules {
				where := workspace
				if r.Everywhere {
					where = "everywhere"
				}
				lines = append(lines, fmt.Sprintf("entry %d  %s: %s", r.At, where, r.Says()))
			}
			return lines
		})
}
