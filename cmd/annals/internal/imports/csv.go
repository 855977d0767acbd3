package imports

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"annals/activity"
)

// rows reads a CSV file (RFC 4180) whose first row names the columns.
type rows struct {
	m      *Mapping
	s      *sink
	names  []string
	column map[string]int
	rest   []int // columns that the mapping doesn't name
}

// readCSV reads a CSV file by a mapping.
func readCSV(t *tape, m *Mapping, s *sink) error {
	rows := &rows{m: m, s: s}
	return readRows(t, s, m.comma, rows.begin, rows.row)
}

// readRows reads a CSV file: its head is handed to begin, which may end it all, and each
// row to row. A row that breaks the rules is refused, with the place of what is wrong; the
// next one is read again.
func readRows(t *tape, s *sink, comma rune, head func(names []string, in *csv.Reader) error, row func(it *Item, in *csv.Reader, cells []string) error) error {
	begin := t.base
	r := csv.NewReader(t)
	r.Comma, r.FieldsPerRecord = comma, -1
	names, err := r.Read()
	if errors.Is(err, io.EOF) {
		return rowError(t, t.failed())
	}
	if err != nil {
		return rowError(t, err)
	}
	if err := head(names, r); err != nil {
		return err
	}
	from := begin + r.InputOffset()
	t.release(from)
	for {
		cells, err := r.Read()
		end := begin + r.InputOffset()
		if errors.Is(err, io.EOF) {
			return rowError(t, t.failed())
		}
		syntax, bad := errors.AsType[*csv.ParseError](err)
		if err != nil && !bad || t.failed() != nil || errors.Is(err, errEndless) {
			return rowError(t, err)
		}
		from = skipBlank(t, from, end)
		it := &Item{Place: t.at(from), Size: end - from, Raw: bytes.TrimRight(t.cut(from, end), "\r\n")}
		if bad {
			it.Line, it.Column = syntax.Line, syntax.Column
			err = s.refuse(it, &Refusal{Code: codeInvalidRow, Detail: syntax.Err.Error()})
		} else if bad := cellFault(it, r, names, cells); bad != nil {
			err = s.refuse(it, bad)
		} else {
			err = row(it, r, cells)
		}
		if err != nil {
			return err
		}
		t.release(end)
		from = end
	}
}

// cellFault says what is wrong with a row whatever its columns mean, and where.
func cellFault(it *Item, in *csv.Reader, names, cells []string) *Refusal {
	if len(cells) != len(names) {
		return &Refusal{Code: codeInvalidRow, Detail: fmt.Sprintf("the row has %d cells, and there are %d columns", len(cells), len(names))}
	}
	for i, cell := range cells {
		if !utf8.ValidString(cell) {
			it.Line, it.Column = in.FieldPos(i)
			return &Refusal{Code: codeInvalidCell, Detail: fmt.Sprintf("column %q: the cell is no UTF-8", names[i])}
		}
	}
	return nil
}

// skipBlank moves an offset over the empty lines that the parser passed over.
func skipBlank(t *tape, from, end int64) int64 {
	for ; from < end; from++ {
		if c := t.buf[from-t.base]; c != '\n' && c != '\r' {
			break
		}
	}
	return from
}

// rowError is why reading a file can't go on, nil where it came to its end.
func rowError(t *tape, err error) error {
	if failed := t.failed(); failed != nil {
		err = failed
	}
	if err == nil {
		return nil
	}
	if syntax, ok := errors.AsType[*csv.ParseError](err); ok {
		return fmt.Errorf("%d:%d: %w", syntax.Line, syntax.Column, syntax.Err)
	}
	return fmt.Errorf("%d:1: %w", t.line, err)
}

// begin holds the file's columns to the mapping.
func (r *rows) begin(names []string, head *csv.Reader) error {
	r.names = names
	r.column = map[string]int{}
	place := func(i int) string {
		line, column := head.FieldPos(i)
		return fmt.Sprintf("%d:%d", line, column)
	}
	for i, name := range r.names {
		switch _, twice := r.column[name]; {
		case !utf8.ValidString(name):
			return fmt.Errorf("%s: the column's name is no UTF-8", place(i))
		case twice:
			return fmt.Errorf("%s: two columns are called %q; which one is meant can't be told", place(i), name)
		}
		r.column[name] = i
	}
	mapped, inData := map[string]bool{}, map[string]bool{}
	for _, f := range r.m.fields {
		if _, there := r.column[f.column]; !there && f.column != "" {
			return fmt.Errorf("1:1: the mapping takes %s from a column %q, and there is none; there is %s", f.path, f.column, quoted(r.names))
		}
		if f.column != "" {
			mapped[f.column] = true
		}
		if name, ok := strings.CutPrefix(f.path, "data."); ok {
			inData[name] = true
		}
	}
	for i, name := range r.names {
		switch {
		case mapped[name] || r.m.unmapped == "ignore":
		case r.m.unmapped == "refuse":
			return fmt.Errorf("%s: the mapping has nothing for the column %q; map it, or say unmapped: data or ignore", place(i), name)
		case name == "" || inData[name]:
			return fmt.Errorf("%s: the column %q can't go to data under its name; map it to data.NAME", place(i), name)
		default:
			r.rest = append(r.rest, i)
		}
	}
	return nil
}

func quoted(names []string) string {
	list := make([]string, len(names))
	for i, name := range names {
		list[i] = strconv.Quote(name)
	}
	return strings.Join(list, ", ")
}

// row makes a record of a row.
func (r *rows) row(it *Item, in *csv.Reader, cells []string) error {
	// refuse says of which cell something holds.
	refuse := func(i int, code, detail string) error {
		it.Line, it.Column = in.FieldPos(i)
		return r.s.refuse(it, &Refusal{Code: code, Detail: fmt.Sprintf("column %q: %s", r.names[i], detail)})
	}
	out := newDraft()
	for i := range r.m.fields {
		f := &r.m.fields[i]
		if f.column == "" {
			out.set(f.path, f.constant)
			continue
		}
		at := r.column[f.column]
		value, fault := f.value(cells[at])
		if fault == nil && value != "" {
			fault = out.set(f.path, value)
		}
		if fault != nil {
			return refuse(at, fault.Code, fault.Detail)
		}
	}
	for _, i := range r.rest {
		if cells[i] != "" {
			out.data[r.names[i]] = cells[i]
		}
	}
	return r.s.record(it, out.record())
}

// value is what a cell says of a member.
func (f *field) value(cell string) (string, *Refusal) {
	v := cell
	if f.values != nil {
		mapped, there := f.values[cell]
		if !there && f.fallback == "" && cell != "" {
			return "", &Refusal{Code: codeInvalidCell, Detail: strconv.Quote(shorten(cell)) + " is none of the mapping's values, and it has no default"}
		}
		v = mapped
	}
	v = cmp.Or(v, f.fallback)
	if f.path == "occurred_at" {
		return f.time(v)
	}
	if v != "" {
		v = f.prefix + v
	}
	if f.path == "type" && !activity.ValidType(v) {
		return "", &Refusal{Code: codeInvalidCell, Detail: strconv.Quote(shorten(v)) + " is no activity type: it is 1 to 128 of A-Z a-z 0-9 _ . -; map it by values, or give a default"}
	}
	return v, nil
}

// The layouts that are no text but a number since 1970-01-01T00:00:00Z.
const (
	layoutSeconds = "unix"
	layoutMillis  = "unix_ms"
)

// time reads when a row's event happened.
func (f *field) time(v string) (string, *Refusal) {
	if v == "" {
		return "", &Refusal{Code: codeMissingTime, Detail: "the row does not say when it happened"}
	}
	var t time.Time
	var err error
	switch f.layout {
	case "": // as it is written, so that neither digits nor zone are lost
		if _, ok := activity.Occurred(v); !ok {
			return "", &Refusal{Code: codeInvalidCell, Detail: strconv.Quote(shorten(v)) + " is no RFC 3339 date and time; give the mapping the layout"}
		}
		return v, nil
	case layoutSeconds, layoutMillis:
		var n int64
		if n, err = strconv.ParseInt(v, 10, 64); err == nil && f.layout == layoutSeconds {
			t = time.Unix(n, 0)
		} else if err == nil {
			t = time.UnixMilli(n)
		}
	default:
		zone := f.zone
		if zone == nil {
			zone = time.UTC
		}
		t, err = time.ParseInLocation(f.layout, v, zone)
	}
	if err != nil || t.UTC().Year() < 0 || t.UTC().Year() > 9999 {
		return "", &Refusal{Code: codeInvalidCell, Detail: strconv.Quote(shorten(v)) + " is no time of the layout " + strconv.Quote(f.layout)}
	}
	return t.UTC().Format(time.RFC3339Nano), nil
}

func shorten(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
