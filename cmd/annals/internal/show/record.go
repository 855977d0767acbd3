package show

import (
	"fmt"
	"io"
	"strings"
	"time"

	"annals/cmd/annals/internal/client"

	"github.com/go-json-experiment/json/jsontext"
)

// Record prints one entry: what the ledger says of it, then what was published.
func Record(w io.Writer, i *client.Item) error {
	var b strings.Builder
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%-12s %s\n", name, Clean(value))
		}
	}
	if i.Sentence != nil {
		fmt.Fprintf(&b, "%s\n\n", Clean(i.Sentence.Text))
	}
	line("ulid", i.ULID)
	line("index", fmt.Sprint(i.Index))
	line("kind", i.Kind)
	if i.Reason != nil {
		line("reason", i.Reason.Name+": "+i.Reason.Advice)
	}
	if i.Ref != nil {
		line("refers to", strings.TrimSpace(fmt.Sprintf("entry %d %s", i.Ref.Index, i.Ref.ULID)))
	}
	line("workspace", i.Workspace)
	line("type", i.Type)
	line("recorded at", i.RecordedAt.Format(time.RFC3339Nano))
	line("stream time", i.StreamTime.Format(time.RFC3339Nano))
	line("grade", i.Grade)
	line("entry hash", i.EntryHash)
	line("trace", i.TraceID)
	line("span", i.SpanID)
	if i.Erased != nil {
		line("erased", fmt.Sprintf("%s, at %s, by entry %s", strings.TrimPrefix(erasedText(i), "ERASED "), i.Erased.At.Format(time.RFC3339Nano), i.Erased.Control))
	}
	for _, part := range []struct {
		name  string
		value jsontext.Value
	}{{"door", i.Door}, {"record", i.Record}} {
		if part.value == nil {
			continue
		}
		shown, err := Indent(part.value)
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "\n%s\n%s\n", part.name, shown)
	}
	if err := amendments(&b, i); err != nil {
		return err
	}
	if i.Text != "" {
		fmt.Fprintf(&b, "\ntext\n%s\n", Clean(i.Text))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Indent spreads JSON over lines. Strings keep their meaning, and whatever in
// them could steer a terminal is escaped.
func Indent(v jsontext.Value) (string, error) {
	v = v.Clone()
	if err := v.Indent(jsontext.WithIndent("  "), jsontext.PreserveRawStrings(true)); err != nil {
		return "", err
	}
	return Escape(string(v)), nil
}

// Escape makes JSON safe for a terminal and leaves its meaning as it is: what
// isn't printable can only stand in strings, where \u says the same.
func Escape(s string) string {
	bad := func(r rune) bool { return r != '\n' && unsafe(r) }
	if strings.IndexFunc(s, bad) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case !bad(r):
			b.WriteRune(r)
		case r > 0xffff:
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}
