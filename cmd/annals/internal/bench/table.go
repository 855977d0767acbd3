package bench

import (
	"fmt"
	"io"
	"math"
	"strconv"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// PrintTable prints measures for people.
func PrintTable(w io.Writer, measures []Measure) {
	t := table.NewWriter()
	t.SetOutputMirror(w)
	t.SetStyle(table.StyleLight)
	t.AppendHeader(table.Row{"measure", "median", "least", "most", "unit", "of", "ratio", "to"})
	right := func(n int) table.ColumnConfig {
		return table.ColumnConfig{Number: n, Align: text.AlignRight, AlignHeader: text.AlignRight}
	}
	t.SetColumnConfigs([]table.ColumnConfig{right(2), right(3), right(4), right(6), right(7)})
	for _, m := range measures {
		ratio := ""
		if m.Against != "" {
			ratio = fmt.Sprintf("%.2f × (%.2f – %.2f)", m.Ratio, m.RatioLeast, m.RatioMost)
		}
		t.AppendRow(table.Row{m.Name, Figure(m.Median), Figure(m.Least), Figure(m.Most), m.Unit, Figure(float64(m.N)), ratio, m.Against})
	}
	t.Render()
}

// Figure prints a number with three digits that matter, whole from a hundred on
// and its thousands apart.
func Figure(v float64) string {
	switch abs := math.Abs(v); {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return "–"
	case abs >= 100 || abs == math.Trunc(abs):
		digits := strconv.FormatFloat(math.Round(v), 'f', 0, 64)
		for at := len(digits) - 3; at > 0 && digits[at-1] != '-'; at -= 3 {
			digits = digits[:at] + "," + digits[at:]
		}
		return digits
	case abs >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case abs >= 1:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	return strconv.FormatFloat(v, 'f', 3, 64)
}
