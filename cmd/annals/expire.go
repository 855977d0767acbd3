package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"annals/cmd/annals/internal/client"
	"annals/cmd/annals/internal/show"

	"github.com/spf13/cobra"
)

func (a *app) expire() *cobra.Command {
	var address string
	var dryRun, yes bool
	cmd := &cobra.Command{
		Use:   "expire",
		Short: "Let go now what the retention rules let go",
		Long: `Show how many entries each retention rule lets go now, and with --yes have the server
destroy what they say now, and not at its next turn (serve --expire-every). It can't
be taken back. What is held stays. Something is due a minute after its time at the
earliest.`,
		Example: `  annals expire --dry-run
  annals expire --yes`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if yes && dryRun {
				return usagef("--dry-run does nothing and --yes does it; give one of them")
			}
			c, err := a.serverAt(address)
			if err != nil {
				return err
			}
			return a.runExpire(cmd.Context(), c, dryRun, yes)
		},
	}
	a.urlFlag(cmd, &address)
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "show what would go, and do nothing")
	cmd.Flags().BoolVar(&yes, "yes", false, "do it")
	return cmd
}

// expiry is what a server answers of what is due.
type expiry struct {
	Status string `json:"status"`
	Rules  []struct {
		Entry     uint64 `json:"entry"`
		Workspace string `json:"workspace"`
		Rule      string `json:"rule"`
		Entries   uint64 `json:"entries"`
	} `json:"rules"`
}

// total is what all rules let go together.
func (e *expiry) total() (n uint64) {
	for i := range e.Rules {
		n += e.Rules[i].Entries
	}
	return n
}

// askExpiry asks what is due (GET), or for it to be let go (POST).
func askExpiry(ctx context.Context, c *client.Client, method string) (*expiry, error) {
	return client.Done[expiry](ctx, c, method, "/v1/expiry", nil, http.StatusOK)
}

func (a *app) runExpire(ctx context.Context, c *client.Client, dryRun, yes bool) error {
	e, err := askExpiry(ctx, c, http.MethodGet)
	if err != nil {
		return err
	}
	for i := range e.Rules {
		r := &e.Rules[i]
		where := "everywhere"
		if r.Workspace != "" {
			where = "workspace " + r.Workspace
		}
		fmt.Fprintf(a.out, "entry %d  %s: %s; would go %s\n", r.Entry, where, r.Rule, show.Count(r.Entries, "entry"))
	}
	if !yes {
		if _, err := fmt.Fprintf(a.out, "would go %s; with --yes they are let go for good\n", show.Count(e.total(), "entry")); err != nil || dryRun {
			return err
		}
		return errors.New("nothing was let go: look at what would go, and run it again with --yes")
	}
	if e, err = askExpiry(ctx, c, http.MethodPost); err != nil {
		return err
	}
	if e.Status != "done" {
		_, err = fmt.Fprintf(a.out, "begun    the server goes on; %s left\n", show.Count(e.total(), "entry"))
		return err
	}
	_, err = fmt.Fprintf(a.out, "done     the server has let go what was due; %s left\n", show.Count(e.total(), "entry"))
	return err
}
