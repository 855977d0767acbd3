package face

import (
	"fmt"
	"slices"
	"strings"

	"annals/activity"
)

// LogLabels turn round what [LogEntry.Labelled] does: they know what of some catalogues
// is called so. A workspace that had several, one after the other, exports the labels of
// each.
type LogLabels struct {
	types, reasons map[string][]string // slugs and codes by their labels
}

// LogLabelsOf gathers the labels that workspaces' vocabularies give.
func LogLabelsOf(vocabularies ...*activity.Vocabulary) *LogLabels {
	l := &LogLabels{types: map[string][]string{}, reasons: map[string][]string{}}
	for _, words := range vocabularies {
		own := words.Overlay()
		if own == nil {
			continue
		}
		for i := range own.Types {
			d, _ := words.Definition(own.Types[i].Slug)
			l.types[d.Label] = append(l.types[d.Label], d.Slug)
		}
		for _, r := range own.Reasons {
			l.reasons[r.Label] = append(l.reasons[r.Label], r.Code)
		}
	}
	for _, by := range []map[string][]string{l.types, l.reasons} {
		for label, slugs := range by {
			slices.Sort(slugs)
			by[label] = slices.Compact(slugs)
		}
	}
	return l
}

// LogLabelError says that nobody can tell from a label what was recorded.
type LogLabelError struct {
	Field string // of the entry
	Label string
	Of    []string // what is called so: several, or a beginning that stands for many
}

func (e *LogLabelError) Error() string {
	return fmt.Sprintf("%s is %q, as the catalogue calls %s: which of them it was can't be told", e.Field, e.Label, strings.Join(e.Of, ", "))
}

// decode puts the slug and the code in the place of their labels. What is no label stays.
func (l *LogLabels) decode(e *LogEntry) error {
	for _, f := range []struct {
		name string
		said **string
		of   map[string][]string
	}{{"activityType", &e.ActivityType, l.types}, {"activityReason", &e.ActivityReason, l.reasons}} {
		label := text(*f.said)
		switch of := f.of[label]; {
		case len(of) == 0:
		case len(of) > 1, f.name == "activityType" && strings.HasSuffix(of[0], "*"):
			return &LogLabelError{f.name, label, of}
		default:
			*f.said = &of[0]
		}
	}
	return nil
}
