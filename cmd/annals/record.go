package main

import (
	"fmt"

	"annals/cmd/annals/internal/show"

	"github.com/oklog/ulid/v2"
	"github.com/spf13/cobra"
)

func (a *app) record() *cobra.Command {
	var url, workspace, output string
	cmd := &cobra.Command{
		Use:   "record ULID --workspace WS",
		Short: "Show one entry",
		Long: `Show one entry of a workspace, of any kind: what the ledger says of it, and what was
published. A ULID is guessable, so the workspace has to be given as well.`,
		Example: `  annals record 01KA2B3C4D0000000000000005 --workspace ws_7
  annals record 01KA2B3C4D0000000000000005 --workspace ws_7 -o json | jq .record`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case workspace == "":
				return usagef("which workspace? Give one with --workspace")
			case output != "text" && output != "json":
				return usagef("-o is text or json, not %q", output)
			}
			if _, err := ulid.ParseStrict(args[0]); err != nil {
				return usagef("%q is no ULID: it is 26 characters of Crockford's base 32, as `annals timeline` prints them", args[0])
			}
			c, err := a.serverAt(url)
			if err != nil {
				return err
			}
			item, err := c.Record(cmd.Context(), workspace, args[0])
			if err != nil {
				return err
			}
			if output == "json" {
				return a.printJSON(item.Raw)
			}
			if err := show.Record(a.out, item); err != nil {
				return fmt.Errorf("printing the record: %w", err)
			}
			return nil
		},
	}
	a.urlFlag(cmd, &url)
	cmd.Flags().StringVar(&workspace, "workspace", "", "the workspace that the entry belongs to")
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	return cmd
}
