package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"annals/activity"
	"annals/cmd/annals/internal/imports"

	"github.com/spf13/cobra"
)

// importing is what the import command was told.
type importing struct {
	recording
	workspace, format, mapping, report, zone string
	catalogues                               []string
}

func (a *app) imports() *cobra.Command {
	var o importing
	cmd := &cobra.Command{
		Use:   "import --format FORMAT --workspace WS FILE|DIR|-…",
		Short: "Record what other systems logged",
		Long: `Record what other systems logged: files of their formats, compressed by gzip or not,
folders of them, or standard input (-). Formats:

` + listFormats() + `
Each event becomes a record of the workspace. When it happened becomes occurred_at;
the whole event stays in data. A record's id is the event's own, or else a hash of its
bytes, so importing a file again does no harm: all of it is there. So an import that
broke off is begun again. That a file was imported is recorded too (file.imported, with
its SHA-256 and counts).

What was refused stands in --report, a JSON line each, with its place, why, and its
bytes; so do conflicts and what got no answer. Exits with 1 if anything of any file is
not in the ledger.

With --nats or --context it asks by requests over NATS instead, as annals publish does.`,
		Example: `  annals import --format cloudtrail --workspace ws_7 ./AWSLogs
  annals import --format csv --mapping crm.yaml --workspace ws_7 crm-2026-03.csv
  annals import --nats nats://127.0.0.1:4222 --format user_activity --workspace ws_7 activity.json
  zcat audit.ocsf.gz | annals import --format ocsf --workspace ws_7 -`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.runImport(cmd, args, &o)
		},
	}
	a.recordingFlags(cmd, &o.recording)
	f := cmd.Flags()
	f.StringVar(&o.workspace, "workspace", "", "the workspace to record in")
	f.StringVar(&o.format, "format", "", "what the files are: "+formatNames())
	f.StringVar(&o.mapping, "mapping", "", "a `FILE` that says which columns of a CSV file become which members of a record (docs/import.md)")
	f.StringVar(&o.zone, "zone", "", "the IANA `NAME` of the time zone of dates and times in user_activity_log that name none; UTC unless given")
	f.StringArrayVar(&o.catalogues, "catalogue", nil, "a `FILE` as `annals catalogue show` prints it: user_activity_log tells types and reasons by its labels (repeatable)")
	f.StringVar(&o.report, "report", "annals-import.jsonl", "the `FILE` that is written with what was refused and why; - for standard error")
	return cmd
}

func formatNames() string {
	var names []string
	for _, f := range imports.Formats() {
		names = append(names, f.Name)
	}
	return strings.Join(names, ", ")
}

func listFormats() string {
	var b strings.Builder
	for _, f := range imports.Formats() {
		fmt.Fprintf(&b, "  %-17s %s\n", f.Name, f.About)
	}
	return b.String()
}

// check reads what the flags say.
func (o *importing) check() (format imports.Format, mapping *imports.Mapping, err error) {
	switch {
	case o.workspace == "":
		return format, nil, usagef("which workspace? Give one with --workspace")
	case !activity.ValidWorkspace(o.workspace):
		return format, nil, usagef("--workspace %q is no legal name: it is 1 to %d of A-Z a-z 0-9 _ -, not beginning with _", o.workspace, activity.MaxWorkspace)
	case o.format == "":
		return format, nil, usagef("what are the files? Say so with --format: %s", formatNames())
	}
	if format, err = imports.FormatNamed(o.format); err != nil {
		return format, nil, usagef("--format: %w", err)
	}
	switch {
	case format.Mapped() && o.mapping == "":
		return format, nil, usagef("%s is read by a mapping: give one with --mapping (docs/import.md)", format.Name)
	case !format.Mapped() && o.mapping != "":
		return format, nil, usagef("--mapping is for csv; %s needs none", format.Name)
	case o.mapping != "":
		text, err := os.ReadFile(o.mapping)
		if err != nil {
			return format, nil, fmt.Errorf("the mapping can't be read: %w", err)
		}
		if mapping, err = imports.ReadMapping(o.mapping, text); err != nil {
			return format, nil, usagef("the mapping: %w", err)
		}
	}
	return format, mapping, nil
}

// inZone reads --zone, nil where it isn't given.
func (o *importing) inZone(format *imports.Format) (*time.Location, error) {
	if o.zone == "" {
		return nil, nil
	}
	if !format.Zoned() {
		return nil, usagef("--zone is for user_activity_log; times of %s say their zone, or are UTC", format.Name)
	}
	zone, err := time.LoadLocation(o.zone)
	if err != nil || o.zone == "Local" {
		return nil, usagef("--zone: %q is no time zone; one looks like Europe/Berlin or UTC", o.zone)
	}
	return zone, nil
}

// labels reads --catalogue, nil where it isn't given.
func (a *app) labels(ctx context.Context, o *importing, format *imports.Format) (*imports.Labels, error) {
	if len(o.catalogues) == 0 {
		return nil, nil
	}
	if !format.Labelled() {
		return nil, usagef("--catalogue is for user_activity_log; %s has no labels", format.Name)
	}
	texts := make([][]byte, len(o.catalogues))
	for i, name := range o.catalogues {
		var err error
		if texts[i], err = a.readText(ctx, name); err != nil {
			return nil, fmt.Errorf("--catalogue: %w", err)
		}
	}
	labels, err := imports.ReadLabels(o.catalogues, texts)
	if err != nil {
		return nil, usagef("--catalogue: %w", err)
	}
	return labels, nil
}

func (a *app) runImport(cmd *cobra.Command, args []string, o *importing) (err error) {
	format, mapping, err := o.check()
	if err != nil {
		return err
	}
	zone, err := o.inZone(&format)
	if err != nil {
		return err
	}
	labels, err := a.labels(cmd.Context(), o, &format)
	if err != nil {
		return err
	}
	files, passed, total, err := a.importFiles(cmd.Context(), args, &format)
	if err != nil {
		return err
	}
	c, done, err := a.recorder(cmd, &o.recording)
	if err != nil {
		return err
	}
	defer done()
	report, name := a.err, "standard error"
	if o.report != "-" {
		f, err := os.Create(o.report)
		if err != nil {
			return fmt.Errorf("the report can't be written (another place is given with --report): %w", err)
		}
		defer func() {
			if closeErr := f.Close(); err == nil && closeErr != nil {
				err = fmt.Errorf("writing the report: %w", closeErr)
			}
		}()
		report, name = f, o.report
	}
	bar := a.progress(total, "importing", true)
	summary, err := imports.Run(cmd.Context(), files, passed, imports.Options{
		Client: c, Workspace: o.workspace, Format: format, Mapping: mapping, Zone: zone, Labels: labels, Report: report,
		Progress: func(n int) { _ = bar.Add(n) },
	})
	_ = bar.Finish()
	if printErr := summary.Print(a.out, name); printErr != nil {
		return printErr
	}
	if cmd.Context().Err() != nil {
		err = errInterrupted
	}
	switch {
	case err != nil:
		return fmt.Errorf("stopped: %w; import the same again, and it goes on where it was", err)
	case !summary.Whole():
		return statusError(exitFailure)
	}
	return nil
}

// importFiles finds the files, and says how many bytes they have: -1 when nobody knows.
func (a *app) importFiles(ctx context.Context, args []string, format *imports.Format) (files []imports.File, passed []string, total int64, err error) {
	for _, arg := range args {
		if arg == "-" {
			if len(args) > 1 {
				return nil, nil, 0, usagef("standard input (-) is imported by itself")
			}
			return []imports.File{imports.Stdin(a.stdin(ctx))}, nil, -1, nil
		}
	}
	if files, passed, err = imports.Find(args, format); err != nil {
		return nil, nil, 0, err
	}
	for _, f := range files {
		if f.Size < 0 {
			return files, passed, -1, nil
		}
		total += f.Size
	}
	if len(files) == 0 {
		return nil, nil, 0, fmt.Errorf("there is no file of the format %s among what was given (%d looked at); name files to have them imported whatever they are called", format.Name, len(passed))
	}
	return files, passed, total, nil
}
