package main

import (
	"context"
	"errors"
	"fmt"

	"annals/cmd/annals/internal/audit"
	"annals/cmd/annals/internal/export"
	"annals/ledger/proof"
	"annals/ledger/proof/tiles"

	"github.com/spf13/cobra"
)

// exporting is what one run of export was asked for.
type exporting struct{ data, url, key, dir string }

func (a *app) export() *cobra.Command {
	e := &exporting{}
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write a ledger as files that anybody can audit",
		Long: `Write a ledger's signed checkpoint, its tiles and entries (C2SP tlog-tiles), its
key history, and the last checkpoint that witnesses cosigned, as static files. Any web server can serve the folder, and
annals verify --url DIR --key VKEY audits it, here or elsewhere. Payloads, workspace
names and keys are not in it.

  --data DIR   the folder of a ledger whose server is stopped
  --url URL    what a server shows to everybody. Needs --key, the ledger's verifier
               key

An export that was broken off goes on where it stopped, and one that is there is
brought up to date: run the same command again. A folder that holds an export of
another ledger, or of another history of this one, is left as it is.`,
		Example: `  annals export --data ./annals-data -o ./export
  annals export --url https://annals.example --key "$VKEY" -o ./export
  annals verify --url ./export --key "$VKEY"`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("url") && cmd.Flags().Changed("data") {
				return usagef("give one of --data and --url: they are two ledgers")
			}
			if !cmd.Flags().Changed("url") {
				e.url = ""
			}
			return a.runExport(cmd.Context(), e)
		},
	}
	dataFlag(cmd, &e.data)
	cmd.Flags().StringVar(&e.url, "url", "", "export what this server shows: `URL`")
	a.tokenFlag(cmd)
	cmd.Flags().StringVar(&e.key, "key", "", "the ledger's verifier key: `VKEY`")
	cmd.Flags().StringVarP(&e.dir, "output", "o", "", "the `DIR` to write to")
	return cmd
}

func (a *app) runExport(ctx context.Context, e *exporting) error {
	if e.dir == "" {
		return usagef("-o DIR says where to write the export")
	}
	if e.url != "" && e.key == "" {
		return usagef("--url needs --key VKEY, the ledger's verifier key: nothing is fetched that it didn't sign for")
	}
	if e.key != "" {
		if _, err := proof.NewKeyring(e.key); err != nil {
			return &usageError{err}
		}
	}
	bar := a.progress(-1, "exporting", false)
	defer func() { _ = bar.Finish() }()
	o := export.Options{Dir: e.dir, Progress: func(done, of uint64) {
		bar.ChangeMax64(int64(of))
		_ = bar.Set64(int64(done))
	}}
	var err error
	if e.url != "" {
		err = a.exportURL(ctx, e, &o)
	} else {
		err = e.fromData(ctx, &o)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(a.out, "exported %d entries to %s; check them: annals verify --url %s --key VKEY\n", o.Checkpoint.Size, e.dir, e.dir)
	return nil
}

func (a *app) exportURL(ctx context.Context, e *exporting, o *export.Options) (err error) {
	place, err := a.placeAt(e.url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, place.Close()) }()
	if o.Checkpoint, o.Retired, err = audit.Open(ctx, place, e.key); err != nil {
		return err
	}
	if o.Witnessed, err = place.Witnessed(ctx); err != nil && !errors.Is(err, tiles.ErrAbsent) {
		return err
	}
	o.Read = func(ctx context.Context, name tiles.Name) ([]byte, error) {
		b, err := place.Read(ctx, name)
		if err == nil && !name.Fits(b) {
			err = fmt.Errorf("%s of %s is not as long as it should be: annals verify says what is wrong", name.Path(), place)
		}
		return b, err
	}
	return export.Write(ctx, *o)
}

func (e *exporting) fromData(ctx context.Context, o *export.Options) (err error) {
	src, err := openForAudit(e.data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	signed, err := audit.ReadSigned(e.data)
	if err != nil {
		return err
	}
	if signed.Checkpoint == nil {
		return fmt.Errorf("%s has no signed checkpoint, and an export without one proves nothing: run `annals serve --data %s` once, which signs one", e.data, e.data)
	}
	if o.Checkpoint, err = proof.ParseCheckpoint(signed.Checkpoint); err != nil {
		return fmt.Errorf("the checkpoint of %s: %w", e.data, err)
	}
	o.Retired, o.Witnessed, o.Read = signed.Retired, signed.Witnessed, export.Folder(src)
	return export.Write(ctx, *o)
}
