package upload

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"annals/cmd/annals/internal/client"
	"annals/cmd/annals/internal/show"
)

// Report is what became of the lines of a file.
type Report struct {
	Lines int // read
	Blank int // of those, with nothing on them

	Recorded   int
	Duplicates int
	Conflicts  []int // numbers of lines
	Rejections []*Rejection
	Unknown    []int // accepted, or sent without an answer
	Unsent     []int // surely not in the stream

	Doubtful []*Rejection // in the ledger, and not read as was meant: one reason each

	outside int // rejected without an entry in the ledger that says so
}

// Rejection is one reason, to reject or to doubt, and the lines that it holds of.
type Rejection struct {
	Code   string
	Lines  []int
	Detail string // of the first
	first  int    // the first line's number
}

func (r *Report) add(number int, o client.Outcome) {
	for _, d := range o.Doubts {
		r.Doubtful = noted(r.Doubtful, number, d.Code, d.Pointer, d.Detail)
	}
	switch o.Status {
	case "recorded":
		r.Recorded++
	case "duplicate":
		r.Duplicates++
	case "conflict":
		r.Conflicts = append(r.Conflicts, number)
	case "rejected":
		r.reject(number, o)
	case client.Unsent:
		r.Unsent = append(r.Unsent, number)
	default:
		r.Unknown = append(r.Unknown, number)
	}
}

func (r *Report) reject(number int, o client.Outcome) {
	if o.Index == nil {
		r.outside++
	}
	r.Rejections = noted(r.Rejections, number, o.Code, o.Pointer, o.Detail)
}

// noted adds a line to the reason that it has, or begins one.
func noted(reasons []*Rejection, number int, code, pointer, detail string) []*Rejection {
	i := slices.IndexFunc(reasons, func(x *Rejection) bool { return x.Code == code })
	if i < 0 {
		i = len(reasons)
		reasons = append(reasons, &Rejection{Code: code})
	}
	found := reasons[i]
	if len(found.Lines) == 0 || number < found.first {
		found.first = number
		found.Detail = detail
		if pointer != "" {
			found.Detail = "at " + pointer + ": " + detail
		}
	}
	found.Lines = append(found.Lines, number)
	return reasons
}

// unsent notes the lines that were read and never sent.
func (r *Report) unsent(baskets map[string]*basket) {
	for _, b := range baskets {
		r.Unsent = append(r.Unsent, b.numbers...)
	}
}

// Rejected counts the lines that were refused.
func (r *Report) Rejected() (n int) {
	for _, x := range r.Rejections {
		n += len(x.Lines)
	}
	return n
}

// Whole reports whether every line is in the ledger.
func (r *Report) Whole() bool {
	return r.Rejected()+len(r.Unknown)+len(r.Unsent) == 0
}

// printReasons prints reasons and their lines, by the first line of each.
func printReasons(b *strings.Builder, what string, reasons []*Rejection) {
	slices.SortFunc(reasons, func(a, b *Rejection) int { return cmp.Compare(a.first, b.first) })
	for _, x := range reasons {
		fmt.Fprintf(b, "%s, %s: %s\n  %s\n", what, x.Code, numbers(x.Lines), show.Clean(x.Detail))
	}
}

// Print prints the report.
func (r *Report) Print(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d recorded, %s, %s, %d rejected\n", show.Count(r.Lines-r.Blank, "line"), r.Recorded,
		show.Count(r.Duplicates, "duplicate"), show.Count(len(r.Conflicts), "conflict"), r.Rejected())
	if len(r.Conflicts) > 0 {
		fmt.Fprintf(&b, "conflict (recorded beside the one that had the id first): %s\n", numbers(r.Conflicts))
	}
	printReasons(&b, "doubtful", r.Doubtful)
	printReasons(&b, "rejected", r.Rejections)
	switch {
	case r.outside == 0:
	case r.outside == r.Rejected():
		b.WriteString("what was rejected is not in the ledger, not even as a rejection: correct it and publish it again\n")
	default:
		fmt.Fprintf(&b, "%d of those rejected are not in the ledger, not even as rejections: correct them and publish them again\n", r.outside)
	}
	if len(r.Unknown) > 0 {
		fmt.Fprintf(&b, "unknown, no answer came: %s\n  publish them again: those with an id that did arrive become duplicates\n", numbers(r.Unknown))
	}
	if len(r.Unsent) > 0 {
		fmt.Fprintf(&b, "not recorded: %s\n", numbers(r.Unsent))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// numbers prints the numbers of lines: "lines 3, 7-9".
func numbers(list []int) string {
	list = slices.Clone(list)
	slices.Sort(list)
	var parts []string
	for i := 0; i < len(list); {
		j := i
		for j+1 < len(list) && list[j+1] == list[j]+1 {
			j++
		}
		part := strconv.Itoa(list[i])
		if j > i {
			part += "-" + strconv.Itoa(list[j])
		}
		parts = append(parts, part)
		i = j + 1
	}
	what := "line "
	if len(list) > 1 {
		what = "lines "
	}
	return what + strings.Join(parts, ", ")
}
