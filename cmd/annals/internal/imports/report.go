package imports

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"annals/cmd/annals/internal/client"
	"annals/cmd/annals/internal/show"

	"github.com/go-json-experiment/json"
)

// Status is what became of something of a file, or of the file.
type Status string

// What a row of the report may say.
const (
	StatusRefused    Status = "refused"     // it is no record, and not in the ledger
	StatusDoubtful   Status = "doubtful"    // it is in the ledger, and something in it can't be read
	StatusConflict   Status = "conflict"    // recorded, beside another that had its id first
	StatusUnknown    Status = "unknown"     // it was sent, and no answer came
	StatusUnsent     Status = "unsent"      // it is surely not in the ledger
	StatusPassedOver Status = "passed_over" // a folder's file that doesn't look like the format's
	StatusFailed     Status = "failed"      // the file can't be read to its end
	StatusIncomplete Status = "incomplete"  // something of the file is not in the ledger that can be
	StatusImported   Status = "imported"    // the file is dealt with
)

// Row is one line of the report.
type Row struct {
	File   string `json:"file"`
	Status Status `json:"status"`

	// Of something in a file.
	*Place
	Size    int64  `json:"size,omitzero"`
	Code    string `json:"code,omitzero"`
	Pointer string `json:"pointer,omitzero"` // into the record that it would have been, or the event
	Detail  string `json:"detail,omitzero"`
	Text    string `json:"text,omitzero"`   // its bytes
	Base64  []byte `json:"base64,omitzero"` // its bytes, where they are no UTF-8

	// Of a file.
	*Counts
}

// Counts is what became of the things of a file.
type Counts struct {
	SHA256     string `json:"sha256,omitzero"`
	Bytes      int64  `json:"bytes"`
	Recorded   int    `json:"recorded"`
	Duplicates int    `json:"duplicates"`
	Conflicts  int    `json:"conflicts"`
	Refused    int    `json:"refused"`
	Unknown    int    `json:"unknown"`
	Unsent     int    `json:"unsent"`
}

// Records counts the records that the file held, whatever became of them.
func (c *Counts) Records() int {
	return c.Recorded + c.Duplicates + c.Conflicts + c.Unknown + c.Unsent
}

func (c *Counts) add(o *Counts) {
	c.Bytes += o.Bytes
	c.Recorded += o.Recorded
	c.Duplicates += o.Duplicates
	c.Conflicts += o.Conflicts
	c.Refused += o.Refused
	c.Unknown += o.Unknown
	c.Unsent += o.Unsent
}

// Summary is what became of all files.
type Summary struct {
	Counts
	Files      int // dealt with
	Failed     int // not read to their ends
	Known      int // of the files: already known as imported
	PassedOver int
	refusals   reasons
	doubts     reasons
}

// reason is why things were refused, or are doubtful: how many, and the first of them.
type reason struct {
	code  string
	n     int
	first string
}

// reasons are in the order in which they were met.
type reasons []*reason

func (rs *reasons) add(file string, it *Item, code, pointer, detail string) {
	i := slices.IndexFunc(*rs, func(r *reason) bool { return r.code == code })
	if i < 0 {
		if pointer != "" {
			detail = "at " + pointer + ": " + detail
		}
		i = len(*rs)
		*rs = append(*rs, &reason{code: code, first: fmt.Sprintf("%s:%d:%d: %s", file, it.Line, it.Column, detail)})
	}
	(*rs)[i].n++
}

func (rs reasons) print(b *strings.Builder, what string) {
	for _, r := range rs {
		fmt.Fprintf(b, "%s, %s: %d\n  %s\n", what, r.code, r.n, show.Clean(r.first))
	}
}

// Whole reports whether everything of every file is in the ledger.
func (s *Summary) Whole() bool { return s.Failed+s.Refused+s.Unknown+s.Unsent == 0 }

// Print prints the summary. report is where the rows are.
func (s *Summary) Print(w io.Writer, report string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s: %d recorded, %s, %s, %d refused\n", show.Count(s.Files, "file"), show.Count(s.Records(), "record"), s.Recorded,
		show.Count(s.Duplicates, "duplicate"), show.Count(s.Conflicts, "conflict"), s.Refused)
	if s.Known > 0 {
		fmt.Fprintf(&b, "%s imported before\n", show.Count(s.Known, "file"))
	}
	if s.PassedOver > 0 {
		fmt.Fprintf(&b, "%s passed over: their names are not the format's\n", show.Count(s.PassedOver, "file"))
	}
	s.doubts.print(&b, "doubtful")
	s.refusals.print(&b, "refused")
	if s.Unknown > 0 {
		fmt.Fprintf(&b, "unknown, no answer came: %d\n", s.Unknown)
	}
	if s.Unsent > 0 {
		fmt.Fprintf(&b, "not recorded: %d\n", s.Unsent)
	}
	if s.Unknown+s.Unsent > 0 {
		b.WriteString("import the same files again: what is there already becomes duplicates\n")
	}
	if s.Failed > 0 {
		fmt.Fprintf(&b, "%s not read to the end\n", show.Count(s.Failed, "file"))
	}
	if !s.Whole() || s.Conflicts+s.PassedOver+len(s.doubts) > 0 {
		fmt.Fprintf(&b, "each, with its place and its bytes, is in %s\n", report)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// row writes a row of the report.
func (u *run) row(r *Row) error {
	r.File, r.Detail = strings.ToValidUTF8(r.File, "\uFFFD"), strings.ToValidUTF8(r.Detail, "\uFFFD")
	b, err := json.Marshal(r)
	if err == nil {
		_, err = u.o.Report.Write(append(b, '\n'))
	}
	if err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}

// refuse reports what is no record.
func (u *run) refuse(it *Item) error {
	u.now.Refused++
	u.summary.refusals.add(u.file, it, it.Refusal.Code, it.Refusal.Pointer, it.Refusal.Detail)
	r := &Row{File: u.file, Status: StatusRefused, Place: &it.Place, Size: it.Size, Code: it.Refusal.Code, Pointer: it.Refusal.Pointer, Detail: it.Refusal.Detail}
	if utf8.Valid(it.Raw) {
		r.Text = string(it.Raw)
	} else {
		r.Base64 = it.Raw
	}
	return u.row(r)
}

// answered reports what became of a record that was sent, or should have been.
func (u *run) answered(it *Item, o client.Outcome) error {
	for _, d := range o.Doubts {
		u.summary.doubts.add(u.file, it, d.Code, d.Pointer, d.Detail)
		if err := u.row(&Row{File: u.file, Status: StatusDoubtful, Place: &it.Place, Size: it.Size, Code: d.Code, Pointer: d.Pointer, Detail: d.Detail}); err != nil {
			return err
		}
	}
	r := &Row{File: u.file, Place: &it.Place, Size: it.Size, Code: o.Code, Pointer: o.Pointer, Detail: o.Detail}
	switch o.Status {
	case "recorded":
		u.now.Recorded++
		return nil
	case "duplicate":
		u.now.Duplicates++
		return nil
	case "rejected":
		it.Refusal, it.Raw = &Refusal{o.Code, o.Pointer, o.Detail}, it.Record
		return u.refuse(it)
	case "conflict":
		u.now.Conflicts++
		r.Status, r.Detail = StatusConflict, "recorded as "+o.ULID+", beside the record that had the id "+o.ID+" first"
	case client.Unsent:
		u.now.Unsent++
		r.Status = StatusUnsent
	default:
		u.now.Unknown++
		r.Status = StatusUnknown
	}
	return u.row(r)
}
