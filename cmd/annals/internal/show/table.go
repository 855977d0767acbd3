// Package show prints entries for people: as tables, as one record's page, as
// JSON.
//
// The rule it exists for: what producers wrote is data, never instructions to a
// terminal. Whatever is printed for people is cleaned first; JSON is printed
// with everything that isn't plain text escaped.
package show

import (
	"fmt"
	"io"
	"strings"
	"time"

	"annals/activity"
	"annals/cmd/annals/internal/client"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// Style is how tables look.
type Style struct {
	Width  int            // of the terminal; 0: no bound
	Colour bool           // only for terminals
	Zone   *time.Location // of times; nil: UTC

	Occurred bool // show when things occurred, not when they were recorded
}

// row is what of an entry a timeline shows.
type row struct {
	at, actor, what, object, id string
	marked                      bool // a kind that stands out
}

const rowTime = "2006-01-02 15:04:05"

func rowOf(i *client.Item, s Style) row {
	zone := s.Zone
	if zone == nil {
		zone = time.UTC
	}
	r := row{at: i.RecordedAt.In(zone).Format(rowTime), id: i.ULID, what: i.Type}
	if rec, err := activity.Parse(i.Record); err == nil {
		if at, err := time.Parse(time.RFC3339, rec.OccurredAt); err == nil && s.Occurred {
			r.at = at.In(zone).Format(rowTime)
		}
		r.actor = actorOf(rec)
		r.object = objectOf(rec)
	}
	switch {
	case i.Sentence != nil:
		r.what = i.Sentence.Text
	case i.Reason != nil:
		r.what = i.Reason.Name + ": " + i.Reason.Advice
	case i.Erased != nil:
		r.what, r.marked = erasedText(i), true
	case i.Control != "":
		r.what = i.Control
	}
	if i.Kind != "record" {
		r.marked = true
		note := strings.ToUpper(i.Kind)
		if i.Ref != nil && i.Ref.ULID != "" {
			note += " of …" + i.Ref.ULID[len(i.Ref.ULID)-8:]
		}
		r.what = note + ": " + r.what
	}
	for _, p := range []*string{&r.actor, &r.what, &r.object, &r.id} {
		*p = Clean(*p)
	}
	return r
}

// erasedText says what is there in an erased record's stead.
func erasedText(i *client.Item) string {
	if i.Erased.Rule != "" {
		return "EXPIRED under rule " + i.Erased.Rule
	}
	why := ""
	if i.Erased.Reason != "" {
		why = ", reason " + i.Erased.Reason
	}
	return "ERASED by the " + i.Erased.By + why
}

// actorOf names who acted: by name, else by id, else by type.
func actorOf(r *activity.Record) string {
	if r.Actor == nil {
		return ""
	}
	for _, s := range []string{r.Actor.Name, r.Actor.Login, r.Actor.ID, r.Actor.Type} {
		if s != "" {
			return s
		}
	}
	return ""
}

func objectOf(r *activity.Record) string {
	if r.Object == nil {
		return ""
	}
	return strings.Trim(r.Object.Type+"/"+r.Object.ID, "/")
}

// Timeline prints a page as a table.
func Timeline(w io.Writer, p *client.Page, s Style) error {
	t := table.NewWriter()
	t.SetStyle(style(s))
	at := "recorded"
	if s.Occurred {
		at = "occurred"
	}
	t.AppendHeader(table.Row{at, "who", "what", "object", "ulid"})
	actor, what, object := s.columns()
	for i := range p.Items {
		r := rowOf(&p.Items[i], s)
		if r.marked && s.Colour {
			r.what = text.FgYellow.Sprint(short(r.what, what))
		} else {
			r.what = short(r.what, what)
		}
		t.AppendRow(table.Row{r.at, short(r.actor, actor), r.what, short(r.object, object), r.id})
	}
	_, err := fmt.Fprintln(w, t.Render())
	return err
}

// columns shares out what the times and ids leave of a terminal's width: texts
// are cut rather than wrapped, so that an entry is one line.
func (s Style) columns() (actor, what, object int) {
	const rest = 19 + 26 + 16 // times, ids, borders
	if s.Width == 0 {
		return 24, 72, 32
	}
	free := max(s.Width-rest, 45)
	actor = min(24, free/5)
	object = min(32, free/4)
	return actor, free - actor - object, object
}

func style(s Style) table.Style {
	st := table.StyleRounded
	st.Options.SeparateRows = false
	st.Options.SeparateColumns = false
	st.Options.DrawBorder = false
	st.Format.Header = text.FormatDefault
	st.Box.PaddingRight = "  "
	st.Box.PaddingLeft = ""
	if s.Colour {
		st.Color.Header = text.Colors{text.Bold}
	}
	return st
}

// Summary is the line below a timeline's table; first is newest or oldest.
func Summary(p *client.Page, shown int, first string) string {
	total := Count(p.Total, "entry")
	if p.Truncated {
		total = "at least " + total
	}
	return fmt.Sprintf("%d of %s, %s first, as of size %d, root %s", shown, total, first, p.AsOf.Size, p.AsOf.Root)
}
