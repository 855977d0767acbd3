package show

import (
	"fmt"
	"io"
	"strings"
	"time"

	reading "annals/query/client"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// barWidth is how many cells the longest bar of a chart has.
const barWidth = 40

// Counts prints counts as a table; on a terminal with a bar beside each.
func Counts(w io.Writer, c *reading.Counts, s Style) error {
	head, label := c.By, valueLabel
	switch c.By {
	case reading.Day:
		label = func(n *reading.Count) string { return n.Start.Format("Mon 2006-01-02") }
	case reading.Hour:
		label = func(n *reading.Count) string { return n.Start.Format("Mon 2006-01-02 15:04 -07:00") }
	}
	if c.Zone != "" {
		head += " (" + c.Zone + ")"
	}
	most := uint64(0)
	for i := range c.Counts {
		most = max(most, c.Counts[i].N)
	}
	chart := s.Width > 0
	t := table.NewWriter()
	t.SetStyle(style(s))
	t.SetColumnConfigs([]table.ColumnConfig{{Number: 2, Align: text.AlignRight, AlignHeader: text.AlignRight}})
	header := table.Row{Clean(head), "entries"}
	if chart {
		header = append(header, "")
	}
	t.AppendHeader(header)
	wide := 72
	if chart {
		wide = max(s.Width-barWidth-20, 20)
	}
	for i := range c.Counts {
		n := &c.Counts[i]
		row := table.Row{short(Clean(label(n)), wide), n.N}
		if chart {
			row = append(row, bar(n.N, most))
		}
		t.AppendRow(row)
	}
	if len(c.Counts) > 0 {
		if _, err := fmt.Fprintln(w, t.Render()); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintln(w, countsSummary(c))
	return err
}

func valueLabel(n *reading.Count) string { return n.Value }

// bar draws a number beside the largest one, in eighths of a cell. What is there
// is never invisible.
func bar(n, most uint64) string {
	if n == 0 || most == 0 {
		return ""
	}
	eighths := max(int(float64(n)/float64(most)*barWidth*8), 1)
	b := strings.Repeat("█", eighths/8)
	if rest := eighths % 8; rest > 0 {
		b += string('█' + rune(8-rest)) // ▉ ▊ ▋ ▌ ▍ ▎ ▏
	}
	return b
}

// countsSummary is the line below.
func countsSummary(c *reading.Counts) string {
	line := Count(c.Total, "entry")
	if c.Truncated {
		line = "at least " + line
	}
	if c.By == reading.Day || c.By == reading.Hour {
		if n := len(c.Counts); n > 0 {
			line += fmt.Sprintf(" from %s", c.Counts[0].Start.Format(time.RFC3339))
		}
		line += ", by the time they " + c.Time
		if c.Time == "recorded" {
			line = strings.Replace(line, "they recorded", "they were recorded", 1)
		}
	} else if !c.Truncated {
		line += fmt.Sprintf(", %d of %d values; %d with none of these", len(c.Counts), c.Distinct, c.Other)
	}
	return line + fmt.Sprintf(", as of size %d, root %s", c.AsOf.Size, c.AsOf.Root)
}
