package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"
)

func (a *app) healthcheck() *cobra.Command {
	var url string
	cmd := &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask a server whether reading and recording work",
		Long: `Ask a server's /readyz, for containers that have no curl. Prints nothing when all
is well; else says what is not, and exits with 1.`,
		Example: `  annals healthcheck
  annals healthcheck --url http://127.0.0.1:9090`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.serverAt(url)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), 5*time.Second)
			defer cancel()
			return c.Ready(ctx)
		},
	}
	a.urlFlag(cmd, &url)
	return cmd
}
