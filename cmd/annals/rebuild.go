package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"annals/cmd/annals/internal/client"
	"annals/cmd/annals/internal/datadir"
	"annals/ledger"
	"annals/projections"

	"github.com/spf13/cobra"
)

func (a *app) rebuild() *cobra.Command {
	var data, url string
	cmd := &cobra.Command{
		Use:   "rebuild",
		Short: "Fold the indexes again from the ledger",
		Long: `Fold the indexes again from the ledger: in a data folder whose server is stopped
(--data), or let a running server do it (--url), which answers from the old ones
meanwhile. The new indexes take the place of the old ones when they are complete;
until then there has to be room for both.

Nothing is lost by it: indexes hold only what the ledger says. It may be
interrupted; the next rebuild goes on from there. With --url the server goes on by
itself when this command is interrupted.`,
		Example: `  annals rebuild --data ./annals-data           server stopped
  annals rebuild --url http://127.0.0.1:8080    server running; reads go on`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			here, there := cmd.Flags().Changed("data"), cmd.Flags().Changed("url")
			switch {
			case here && there:
				return usagef("--data is for a server that is stopped, --url for one that runs; give one of them")
			case there, !here && url != "": // the environment's
				c, err := a.serverAt(url)
				if err != nil {
					return err
				}
				return a.rebuildThere(cmd.Context(), c)
			}
			return a.rebuildHere(cmd.Context(), data)
		},
	}
	dataFlag(cmd, &data)
	cmd.Flags().StringVar(&url, "url", "", "the `URL` of a running server, instead of --data")
	a.tokenFlag(cmd)
	return cmd
}

// rebuildHere rebuilds in a data folder.
func (a *app) rebuildHere(ctx context.Context, data string) (err error) {
	l, err := ledger.Open(filepath.Join(data, datadir.Ledger), ledger.Options{CacheSize: ledger.CacheToReadOnce, Reading: true})
	if err != nil {
		return explain(data, err)
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	p, err := projections.OpenLive(filepath.Join(data, datadir.Projections), l.ID(), projections.Options{})
	if err != nil {
		return err
	}
	size := l.Head().Size
	bar := a.progress(int64(size), "rebuilding", false)
	err = p.Rebuild(ctx, l.Leaves, func() uint64 { return size }, func(done, _ uint64) { _ = bar.Set64(int64(done)) })
	_ = bar.Finish()
	if err = errors.Join(err, p.Close()); err != nil {
		return fmt.Errorf("stopped at %d of %d entries; the old indexes are as they were, and the next rebuild goes on from there: %w", p.Progress().Done, size, err)
	}
	done := p.Progress()
	return a.rebuilt(done.Folded, done.Took)
}

// pollRebuild is how often a server is asked how far it is.
const pollRebuild = 200 * time.Millisecond

// rebuildThere lets a server rebuild, and follows it to the end.
func (a *app) rebuildThere(ctx context.Context, c *client.Client) error {
	at, err := c.Rebuild(ctx)
	if err != nil {
		return err
	}
	bar := a.progress(-1, "rebuilding", false)
	defer func() { _ = bar.Finish() }()
	for at.Rebuilding != nil {
		bar.ChangeMax64(int64(at.Rebuilding.Of))
		_ = bar.Set64(int64(at.Rebuilding.Size))
		select {
		case <-time.After(pollRebuild):
		case <-ctx.Done():
			return errors.New("interrupted; the server goes on rebuilding: /v1/ledger says how far it is")
		}
		if at, err = c.Indexes(ctx); err != nil {
			return err
		}
	}
	_ = bar.Finish()
	switch {
	case at.Rebuilt == nil:
		return errors.New("the server was restarted meanwhile; rebuild again, and it goes on from where it was")
	case at.Rebuilt.Error != "":
		return fmt.Errorf("the server could not rebuild, and its old indexes serve as before: %s", at.Rebuilt.Error)
	}
	return a.rebuilt(at.Rebuilt.Entries, time.Duration(at.Rebuilt.Seconds*float64(time.Second)))
}

// rebuilt says what was done and how fast.
func (a *app) rebuilt(entries uint64, took time.Duration) error {
	_, err := fmt.Fprintf(a.out, "rebuilt: %d entries in %s, %.0f entries/s\n", entries, took.Round(time.Millisecond), float64(entries)/took.Seconds())
	return err
}
