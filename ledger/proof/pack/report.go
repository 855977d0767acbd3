package pack

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"html/template"
	"io"
	"iter"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"annals/activity"
	"annals/ledger/chain"
	"annals/ledger/proof"
)

//go:embed REPORT.html
var reportText string

//go:embed report.css
var reportStyle string

var reportTemplate = template.Must(template.New(Report).Parse(reportText))

// row is what the report shows of one entry.
type row struct {
	Position, Index                            uint64
	Kind, Grade, Recorded, Occurred            string
	Type, Actor, Sentence, Record, Leaf, Cause string
	Flags                                      []string
}

// maxShown is how many bytes of a record the report shows.
const maxShown = 4000

// writeReport writes REPORT.html: one page, for people, that loads nothing and runs
// nothing, whatever stands in the records.
func writeReport(w io.Writer, c *Contents, r *proof.TenantReport) error {
	var failed error
	checkpoint, err := proof.ParseCheckpoint(c.Checkpoint)
	if err != nil {
		return err
	}
	digest, style := sha256.Sum256(VerifyScript), sha256.Sum256([]byte(reportStyle))
	err = reportTemplate.Execute(w, map[string]any{
		"Policy": "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(style[:]) + "'; base-uri 'none'; form-action 'none'",
		"Style":  template.CSS(reportStyle),
		"About":  c.About, "Selection": shown(c.About.Selection), "Maker": shown(c.Maker), "VKey": c.VKey,
		"Checkpoint": checkpoint, "Note": string(c.Checkpoint), "Digest": hex.EncodeToString(digest[:]),
		"Report": r, "Goes": r.Count > c.About.Last+1,
		"Rows": rows(c, &failed),
	})
	if failed != nil {
		return failed
	}
	return err
}

// rows iterates what the report shows: the entries with a payload, and those whose
// payload is gone.
func rows(c *Contents, failed *error) iter.Seq[row] {
	by := map[uint64]*chain.Entry{}
	for i := range c.Erasures {
		if e, err := chain.ParseEntry(c.Erasures[i].Entry); err == nil {
			by[e.Index] = &e
		}
	}
	return func(yield func(row) bool) {
		for l, err := range c.Lines() {
			if err != nil {
				*failed = err
				return
			}
			s := c.readSaying(&l)
			if l.Gone != nil {
				s = readStub(&l, by[*l.Gone])
			}
			if s != nil && !yield(s.row) {
				return
			}
		}
	}
}

// saying is what an entry says, by what stands beside it.
type saying struct {
	row
	Type string
}

// readSaying reads a line for people; nil where nothing stands beside the entry.
func (c *Contents) readSaying(l *proof.Line) *saying {
	p := l.Payload()
	e, err := chain.ParseEntry(l.Entry)
	if p == nil || err != nil {
		return nil
	}
	s := sayingOf(&e, l)
	leaf := chain.Leaf{Entry: e, Payload: p}
	_, record := leaf.Shown()
	s.Record = cut(record)
	switch e.Kind {
	case chain.KindRejection:
		name, _ := chain.Reason(e.Code)
		s.Sentence = "Refused: " + strings.ReplaceAll(name, "_", " ")
		return s
	case chain.KindDuplicate, chain.KindConflict:
		s.Cause = fmt.Sprintf("of entry %d", e.Ref)
	}
	r, err := activity.Parse(record)
	if err != nil {
		return s
	}
	if r.Type == "" {
		r.Type = leaf.Subject().Type
	}
	s.Type = r.Type
	words := c.wordsAt(e.Index)
	s.row.Type, s.Sentence, s.Occurred = shown(r.Type), shown(words.Describe(r).String()), shown(r.OccurredAt)
	s.Actor = shown(actor(r))
	for _, f := range words.Check(r) {
		s.Flags = append(s.Flags, visible(f.Detail))
	}
	return s
}

// sayingOf is what an entry says by itself.
func sayingOf(e *chain.Entry, l *proof.Line) *saying {
	s := &saying{row: row{
		Position: e.Position, Index: e.Index, Kind: e.Kind.String(),
		Recorded: instant(e), Leaf: chain.LeafHash(l.Entry).String(),
	}}
	if e.Grade != chain.GradeNone {
		s.Grade = e.Grade.String()
	}
	return s
}

// instant is when an entry was recorded.
func instant(e *chain.Entry) string {
	return time.UnixMilli(int64(e.ULID.Time())).UTC().Format("2006-01-02 15:04:05.000")
}

// readStub reads a line whose payload is gone by a control entry: what stays is that
// something was recorded, and by what it went.
func readStub(l *proof.Line, by *chain.Entry) *saying {
	e, err := chain.ParseEntry(l.Entry)
	if err != nil || by == nil {
		return nil
	}
	s := sayingOf(&e, l)
	s.Sentence = fmt.Sprintf("Gone: control entry %d of %s destroyed what was published", by.Index, instant(by))
	switch erase, ok := by.Erases(); {
	case ok && erase.Rule != chain.NoRef:
		s.Sentence = fmt.Sprintf("Expired by control entry %d of %s, under the retention rule in entry %d", by.Index, instant(by), erase.Rule)
	case ok:
		s.Sentence = fmt.Sprintf("Erased by the %s under control entry %d of %s: %s", erase.Role, by.Index, instant(by), erase.Reason)
	}
	return s
}

// actor is who acted, by name and id.
func actor(r *activity.Record) string {
	switch a := r.Actor; {
	case a == nil:
		return ""
	case a.Name == "":
		return strings.TrimSpace(a.Type + " " + a.ID)
	case a.ID == "":
		return a.Name
	default:
		return a.Name + " (" + a.ID + ")"
	}
}

// cut is a record's text, as far as the report shows it.
func cut(b []byte) string {
	if len(b) <= maxShown {
		return visible(string(b))
	}
	n := maxShown
	for n > maxShown-utf8.UTFMax && !utf8.RuneStart(b[n]) {
		n--
	}
	return visible(string(b[:n])) + fmt.Sprintf(" … and %d bytes more, in entries.jsonl", len(b)-n)
}

// shown is a text in a cell of its own. A program that cells are copied into must
// not take it for a formula.
func shown(s string) string {
	s = visible(s)
	if s != "" && strings.ContainsRune("=+-@", rune(s[0])) {
		return "'" + s
	}
	return s
}

// visible spells out what would steer the text around it, or not be seen: control,
// direction and other invisible characters, and bytes that are no UTF-8.
func visible(s string) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD"):
			fmt.Fprintf(&b, "\\x%02x", s[i])
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), unicode.Is(unicode.Co, r), r == '\u2028', r == '\u2029', unicode.Is(unicode.Variation_Selector, r):
			fmt.Fprintf(&b, "\\u{%x}", r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
