package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"annals/activity"
	"annals/cmd/annals/internal/upload"

	"github.com/spf13/cobra"
)

func (a *app) publish() *cobra.Command {
	var r recording
	var workspace string
	cmd := &cobra.Command{
		Use:   "publish FILE|-",
		Short: "Record a file of JSON lines",
		Long: `Record a file of JSON lines, or standard input (-). Each line is a record: a JSON
object with at least "type" and "actor". The workspace is the one that each record
names, or --workspace for all.

It answers after the ledger's fsync, and says at the end what became of the lines:
recorded, duplicates (there already, byte for byte), conflicts (another record had
the id first; both are kept), rejected and why. Exits with 1 if any line is not in
the ledger. Publishing a file again does no harm where its records have ids.

With --nats or --context it asks by requests over NATS (annals.api.record) instead, for
who is let in there and reaches no HTTP. Where the server has access configured it is
told that a record is in the ledger, not whether another had its id first.

What is rejected is refused before the ledger and leaves no trace in it. A UTF-8 byte
order mark at the beginning of the file is passed over.`,
		Example: `  annals publish testdata/activity/apps.jsonl
  annals publish --workspace ws_7 activity.jsonl
  annals publish --nats nats://127.0.0.1:4222 --workspace ws_7 activity.jsonl
  jq -c '.events[]' export.json | annals publish --workspace ws_7 -`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if workspace != "" && !activity.ValidWorkspace(workspace) {
				return usagef("--workspace %q is no legal name: it is 1 to %d of A-Z a-z 0-9 _ -, not beginning with _", workspace, activity.MaxWorkspace)
			}
			c, done, err := a.recorder(cmd, &r)
			if err != nil {
				return err
			}
			defer done()
			return a.runPublish(cmd.Context(), args[0], upload.Options{Client: c, Workspace: workspace})
		},
	}
	a.recordingFlags(cmd, &r)
	cmd.Flags().StringVar(&workspace, "workspace", "", "the workspace of all records; one that names another is rejected")
	return cmd
}

func (a *app) runPublish(ctx context.Context, name string, o upload.Options) error {
	in, size, err := a.input(ctx, name)
	if err != nil {
		return err
	}
	defer in.Close()
	bar := a.progress(size, "publishing", true)
	o.Progress = func(n int) { _ = bar.Add(n) }
	report, err := upload.Run(ctx, in, o)
	_ = bar.Finish()
	if printErr := report.Print(a.out); printErr != nil {
		return printErr
	}
	if err != nil {
		return fmt.Errorf("stopped after line %d: %w", report.Lines, err)
	}
	if !report.Whole() {
		return statusError(exitFailure)
	}
	return nil
}

// input opens what a command was told to read, and says how large it is: -1 when
// nobody knows.
func (a *app) input(ctx context.Context, name string) (io.ReadCloser, int64, error) {
	if name == "-" {
		return io.NopCloser(a.stdin(ctx)), -1, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, fmt.Errorf("can't read the records: %w", err)
	}
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, 0, errors.Join(fmt.Errorf("can't read the records: %w", err), f.Close())
	case info.IsDir():
		return nil, 0, errors.Join(fmt.Errorf("%s is a folder: name a file of it, or take `annals import`, which reads folders", name), f.Close())
	case !info.Mode().IsRegular():
		return f, -1, nil
	}
	return f, info.Size(), nil
}
