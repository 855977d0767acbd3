package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"annals/cmd/annals/internal/evidence"
	"annals/cmd/annals/internal/show"
	"annals/ledger/proof"
	"annals/ledger/proof/pack"
	reading "annals/query/client"

	"github.com/spf13/cobra"
)

type evidenceFlags struct {
	filterFlags
	url, key, from, to, out string
}

func (a *app) evidence() *cobra.Command {
	var f evidenceFlags
	cmd := &cobra.Command{
		Use:   "evidence --workspace WS --key VKEY -o FILE",
		Short: "Make a file that proves a part of a workspace's history",
		Long: `Make an evidence pack: a zip archive with the header of every entry of a workspace
from one position of its chain to another, what was published of a selection of
them, and all that is needed to check both offline: proofs, signatures, a script
that needs nothing but Python, and a report to read and print.

The filters choose the payloads, as they choose what a timeline shows; without one
every payload is in the pack. The range is the whole chain, or --from to --to.

What was fetched is verified with --key before it is written. A pack that would not
be clean is not written; the exit code is then that of verify.

` + filterHelp,
		Example: `  annals evidence --workspace ws_7 --key "$VKEY" -o pack.zip
  annals evidence --workspace ws_7 --user usr_dana --since 2026-01-01 --key "$VKEY" -o dana.zip
  annals evidence --workspace ws_7 --from 100 --to 250 --key "$VKEY" -o pack.zip
  annals verify --pack pack.zip --key "$VKEY"`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runEvidence(cmd.Context(), &f) },
	}
	a.urlFlag(cmd, &f.url)
	f.add(cmd)
	fl := cmd.Flags()
	fl.StringVar(&f.key, "key", "", "the ledger's verifier key: `VKEY`")
	fl.StringVar(&f.from, "from", "", "begin at this `POSITION` of the workspace's chain")
	fl.StringVar(&f.to, "to", "", "end with this `POSITION` of the workspace's chain")
	fl.StringVarP(&f.out, "output", "o", "", "write the pack to this `FILE`")
	return cmd
}

// wanted turns the flags into what the pack is to hold.
func (f *evidenceFlags) wanted(now time.Time) (w evidence.Wanted, err error) {
	filter, err := f.filter(now)
	if err != nil {
		return w, err
	}
	switch {
	case f.key == "":
		return w, usagef("--key VKEY is needed, the ledger's verifier key: what would not verify is not written")
	case f.out == "":
		return w, usagef("-o FILE is needed: where to write the pack")
	}
	if _, err := proof.NewKeyring(f.key); err != nil {
		return w, &usageError{err}
	}
	w = evidence.Wanted{Workspace: f.workspace, VKey: f.key, Maker: "annals " + versionName(), Created: now, Selection: "all payloads"}
	if w.First, err = position("--from", f.from); err != nil {
		return w, err
	}
	if f.to != "" {
		last, err := position("--to", f.to)
		if err != nil {
			return w, err
		}
		w.Last = &last
	}
	if words := selection(&filter); words != "" {
		w.Filter, w.Selection = &filter, words
	}
	return w, nil
}

func position(flag, text string) (uint64, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil || text[0] == '+' {
		return 0, usagef("%s is a position in the workspace's chain, a whole number from 0, not %q", flag, text)
	}
	return n, nil
}

// selection says a filter in words, "" where it is none.
func selection(f *reading.Filter) string {
	var words []string
	for _, c := range f.Where {
		is := "="
		if c.Not {
			is = "!="
		}
		words = append(words, string(c.Field)+is+strings.Join(c.Any, ","))
	}
	for _, t := range []struct {
		name string
		at   time.Time
	}{{"since", f.Since}, {"until", f.Until}, {"updated-since", f.UpdatedSince}, {"occurred-since", f.OccurredSince}, {"occurred-until", f.OccurredUntil}} {
		if !t.at.IsZero() {
			words = append(words, t.name+"="+t.at.UTC().Format(time.RFC3339Nano))
		}
	}
	return strings.Join(words, " ")
}

func (a *app) runEvidence(ctx context.Context, f *evidenceFlags) error {
	w, err := f.wanted(time.Now())
	if err != nil {
		return err
	}
	c, err := a.serverAt(f.url)
	if err != nil {
		return err
	}
	// Beside the pack, which has to fit there too; payloads go to no other place.
	if w.Spool, err = os.MkdirTemp(filepath.Dir(f.out), ".annals-evidence-*"); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(w.Spool) }()
	bar := a.progress(-1, "fetching", false)
	w.Progress = func(done, of uint64) {
		bar.ChangeMax64(int64(of))
		_ = bar.Set64(int64(done))
	}
	contents, err := evidence.Gather(ctx, c.Client, w)
	_ = bar.Finish()
	if err != nil {
		return err
	}
	report, err := contents.Verify(ctx)
	if err != nil {
		return err
	}
	if report.Verdict != proof.Clean {
		if err := a.printReport(nil, &report.Report, "text"); err != nil {
			return err
		}
		fmt.Fprintln(a.out, "no pack was written")
		return statusError(max(codeOf(report.Verdict), exitFailure))
	}
	digest, err := writePack(f.out, w.Spool, contents, &report)
	if err != nil {
		return fmt.Errorf("the pack was not written: %w", err)
	}
	fmt.Fprintf(a.out, "wrote %s: complete positions %d to %d of workspace %s, %d payloads (%s)\nSHA-256 %s\n",
		f.out, contents.About.First, contents.About.Last, w.Workspace, contents.About.Payloads, show.Clean(w.Selection), digest)
	return nil
}

// writePack writes a pack, all of it or nothing, and returns its SHA-256.
func writePack(path, spool string, c *pack.Contents, r *proof.TenantReport) (string, error) {
	f, err := os.OpenFile(filepath.Join(spool, "pack.zip"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	digest := sha256.New()
	out := bufio.NewWriter(io.MultiWriter(f, digest))
	err = errors.Join(pack.Write(out, c, r), out.Flush(), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	return hex.EncodeToString(digest.Sum(nil)), err
}
