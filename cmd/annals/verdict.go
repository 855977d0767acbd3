package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"annals/cmd/annals/internal/audit"
	"annals/cmd/annals/internal/show"
	"annals/ledger/chain"
	"annals/ledger/proof"

	"github.com/go-json-experiment/json"
)

// verdict is an audit's report with what it was compared with.
type verdict struct {
	proof.Report
	Remembered *compared `json:"remembered"`
	Error      string    `json:"error,omitzero"`
}

// compared is the remembered head that a report speaks of.
type compared struct {
	Size uint64     `json:"size"`
	Root chain.Hash `json:"root"`
}

func comparedWith(r *audit.Remembered) *compared {
	if r == nil {
		return nil
	}
	return &compared{r.Size, r.Root}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return oneLine(err)
}

// ended is how a command ends that audited: err is what kept it from that.
func ended(ctx context.Context, err error, v proof.Finding) error {
	switch {
	case ctx.Err() != nil:
		return errors.New("interrupted; nothing is said about the ledger")
	case err != nil:
		return err
	case v != proof.Clean:
		return statusError(max(codeOf(v), exitFailure))
	}
	return nil
}

// maxShown is how many findings, and how many notices, are printed for people.
const maxShown = 20

// couldNot is the report where no audit was made.
func couldNot(err error) proof.Report {
	return proof.Report{
		Verdict:  proof.Inconclusive,
		Sentence: fmt.Sprintf("inconclusive: %s. This means: %s.", oneLine(err), proof.Inconclusive.Meaning()),
	}
}

// printReport prints a report, or as JSON what it is a part of.
func (a *app) printReport(whole any, r *proof.Report, output string) error {
	if output == "json" {
		b, err := json.Marshal(whole)
		if err != nil {
			return err
		}
		return a.printJSON(b)
	}
	fmt.Fprintln(a.out, show.Clean(r.Sentence))
	for i, f := range r.Findings {
		if len(r.Findings) > 1 { // the sentence has said one
			if i == maxShown {
				fmt.Fprintf(a.out, "         and %d more; -o json lists the first hundred\n", r.Total-maxShown)
				break
			}
			fmt.Fprintf(a.out, "  %s  %s: %s\n", place(f.Index), f.Finding, show.Clean(f.Detail))
		}
		for _, note := range f.Evidence {
			fmt.Fprintln(a.out, "evidence:")
			for line := range strings.SplitSeq(strings.TrimSuffix(note, "\n"), "\n") {
				fmt.Fprintln(a.out, "  "+show.Clean(line))
			}
		}
	}
	for i, n := range r.Notices {
		if i == maxShown {
			fmt.Fprintf(a.out, "notice: and %d more; -o json lists them\n", len(r.Notices)-maxShown)
			break
		}
		fmt.Fprintf(a.out, "notice: %s\n", show.Clean(n.Detail))
	}
	return nil
}

func place(index *uint64) string {
	if index == nil {
		return "     "
	}
	return fmt.Sprintf("%5d", *index)
}

func (a *app) sayRemembered(known *audit.Remembered, head proof.Head, path string) {
	if known == nil {
		fmt.Fprintf(a.out, "remembered this head in %s; the next run checks against it\n", path)
		return
	}
	fmt.Fprintf(a.out, "it contains the head of %d entries that was remembered; now %d entries are, in %s\n", known.Size, head.Size, path)
}
