package tamper_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"annals/ledger/proof"
)

var update = flag.Bool("update", false, "write the matrix into the README")

const (
	readme      = "../../../../README.md"
	matrixBegin = "<!-- The matrix: go test ./cmd/annals/internal/tamper -run Readme -update -->\n"
	matrixEnd   = "<!-- The matrix ends. -->\n"
)

// TestReadme holds the README's matrix to the one that TestMatrix runs, and the tables
// of receipts and archives to those of TestReceipts and TestZips.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := bytes.Cut(text, []byte(matrixBegin))
	_, after, closed := bytes.Cut(rest, []byte(matrixEnd))
	if !ok || !closed {
		t.Fatalf("the README has no place for the matrix: %q, and then %q", matrixBegin, matrixEnd)
	}
	want := slices.Concat(before, []byte(matrixBegin), []byte(printed(tamperings())+printedReceipts()+printedZips()), []byte(matrixEnd), after)
	if bytes.Equal(text, want) {
		return
	}
	if !*update {
		t.Fatal("the README's matrix is not the one that is tested; write it anew with -update")
	}
	if err := os.WriteFile(readme, want, 0o644); err != nil {
		t.Fatal(err)
	}
}

// printed is the matrix in Markdown.
func printed(table []tampering) string {
	var b strings.Builder
	media := []medium{inFolder, atURL, inExport, inPack, byLog}
	var notes []string
	cell := func(c *tampering, m medium) string {
		if why, unseen := c.unseen[m]; unseen {
			at := slices.Index(notes, why)
			if at < 0 {
				at, notes = len(notes), append(notes, why)
			}
			return fmt.Sprintf("– <sup>%d</sup>", at+1)
		}
		if f, ok := c.other[m]; ok && f != c.want {
			return f.String()
		}
		return "✓"
	}
	fmt.Fprintf(&b, "\n| %d ways of tampering | verdict | folder | URL | export | pack | log client |\n|---|---|:-:|:-:|:-:|:-:|:-:|\n", len(table))
	for i := range table {
		c := &table[i]
		fmt.Fprintf(&b, "| %s | %s |", c.name, c.want)
		for _, m := range media {
			fmt.Fprintf(&b, " %s |", cell(c, m))
		}
		b.WriteString("\n")
	}
	b.WriteString("\n")
	for i, why := range notes {
		fmt.Fprintf(&b, "%d. – because %s.\n", i+1, why)
	}
	b.WriteString("\n")
	return b.String()
}

// TestMatrixIsWhole holds the table to what was promised of it.
func TestMatrixIsWhole(t *testing.T) {
	table := tamperings()
	const least = 40
	if len(table) < least {
		t.Errorf("%d ways of tampering, at least %d were promised", len(table), least)
	}
	seen := map[proof.Finding]bool{}
	for i := range table {
		c := &table[i]
		seen[c.want] = true
		for _, f := range c.other {
			seen[f] = true
		}
		for m := range c.other {
			if _, unseen := c.unseen[m]; unseen {
				t.Errorf("%s: %s sees it and doesn't", c.name, m)
			}
		}
		if len(c.unseen) > 4 {
			t.Errorf("%s: nobody sees it", c.name)
		}
	}
	// What can't be read is no tampering, and what projections say is another verifier's.
	others := []proof.Finding{proof.Clean, proof.Inconclusive, proof.IndexLies}
	for _, f := range proof.Findings() {
		if !seen[f] && !slices.Contains(others, f) {
			t.Errorf("no tampering leads to %s", f)
		}
	}
}
