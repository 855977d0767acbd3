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

	outside int // rejected without an entry in the ledger that says so
	byCode  map[string]*Rejection
}

// Rejection is one reason and the lines that it holds of.
type Rejection struct {
	Code   string
	Lines  []int
	Detail string // of the first
	first  int    // the first line's number
}

func newReport() *Report { return &Report{byCode: map[string]*Rejection{}} }

func (r *Report) add(number int, o client.Outcome) {
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
	found := r.byCode[o.Code]
	if found == nil {
		found = &Rejection{Code: o.Code}
		r.byCode[o.Code] = found
		r.Rejections = append(r.Rejections, found)
	}
	if len(found.Lines) == 0 || number < found.first {
		found.first = number
		found.Detail = o.Detail
		if o.Pointer != "" {
			found.Detail = "at " + o.Pointer + ": " + o.Detail
		}
	}
	found.Lines = append(found.Lines, number)
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

// Print prints the report.
func (r *Report) Print(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d recorded, %s, %s, %d rejected\n", show.Count(r.Lines-r.Blank, "line"), r.Recorded,
		show.Count(r.Duplicates, "duplicate"), show.Count(len(r.Conflicts), "conflict"), r.Rejected())
	if len(r.Conflicts) > 0 {
		fmt.Fprintf(&b, "conflict (recorded beside the one that had the id first): %s\n", numbers(r.Conflicts))
	}
	slices.SortFunc(r.Rejections, func(a, b *Rejection) int { return cmp.Compare(a.first, b.first) })
	for _, x := range r.Rejections {
		fmt.Fprintf(&b, "rejected, %s: %s\n  %s\n", x.Code, numbers(x.Lines), show.Clean(x.Detail))
	}
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
