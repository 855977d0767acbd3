package show

import (
	"fmt"
	"io"
	"strings"

	"annals/cmd/annals/internal/client"

	"github.com/jedib0t/go-pretty/v6/text"
)

// Lines prints entries as they come, a line each, under one head. Its columns are
// as wide as they may ever be: what comes next isn't known.
type Lines struct {
	W     io.Writer
	Style Style
	begun bool
}

// Print prints an entry.
func (l *Lines) Print(i *client.Item) error {
	if !l.begun {
		l.begun = true
		if err := l.line(row{at: "recorded", actor: "who", what: "what", object: "object", id: "ulid"}, text.Bold); err != nil {
			return err
		}
	}
	r := rowOf(i, l.Style)
	if r.marked {
		return l.line(r, text.FgYellow)
	}
	return l.line(r)
}

func (l *Lines) line(r row, colours ...text.Color) error {
	actor, what, object := l.Style.columns()
	cells := []string{
		text.Pad(r.at, 19, ' '), text.Pad(short(r.actor, actor), actor, ' '),
		text.Pad(short(r.what, what), what, ' '), text.Pad(short(r.object, object), object, ' '), r.id,
	}
	line := strings.TrimRight(strings.Join(cells, "  "), " ")
	if l.Style.Colour && len(colours) > 0 {
		line = text.Colors(colours).Sprint(line)
	}
	_, err := fmt.Fprintln(l.W, line)
	return err
}
