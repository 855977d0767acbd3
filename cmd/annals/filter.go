package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	reading "annals/query/client"

	"github.com/spf13/cobra"
)

// filterFlags are the API's filters as flags, of every command that looks for
// entries.
type filterFlags struct {
	workspace string
	values    map[reading.Field]*[]string
	dimension []string // NAME=VALUE
	not       []string // FIELD=VALUE

	since, until, updatedSince, occurredSince, occurredUntil string
}

// filterFields are the flags that name a field, with what each means.
var filterFields = []struct {
	field reading.Field
	about string
	list  bool // commas part values
}{
	{reading.User, "only what this user did, or what was done on their behalf: an `ID`", false},
	{reading.Object, "only what was done to this object, or links it: `TYPE/ID`, a slash in the type being %2F; TYPE/ is every object of the type", false},
	{reading.Linked, "only what links this object: `TYPE/ID` or TYPE/", false},
	{reading.Type, "only this `TYPE` of activity; app.* is every type that begins so", true},
	{reading.Group, "only types of this `GROUP` of the activity catalogue", true},
	{reading.Source, "only this `SOURCE`", false},
	{reading.Outcome, "only this `OUTCOME`", false},
	{reading.Session, "only this session: an `ID`", false},
	{reading.IP, "only from this address, or this network: `10.0.0.0/8`", false},
	{reading.Grade, "only where it is known so well who acted: verified, delegated, asserted, anonymous or none", true},
	{reading.Amends, "only what amends this record: a `ULID`", false},
	{reading.Kind, "kinds of entries: record, duplicate, conflict, rejection, control, gap (default record,conflict)", true},
}

// filterHelp explains the flags, below a command's own words.
const filterHelp = `Filters combine: of different flags all must hold, of one given several times any.
--not FIELD=VALUE leaves out what has the value: --not type=app.* --not user=usr_bot.
A time is RFC 3339, a date (from its beginning, UTC), or an age such as 24h or 7d.

The type in --object TYPE/ID ends at the first slash: one that holds a slash or a
percent sign is written percent-encoded, a%2Fb/ID. The id is written as it is.`

func (f *filterFlags) add(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.workspace, "workspace", "", "the workspace; _system has what belongs to none")
	f.values = map[reading.Field]*[]string{}
	for _, field := range filterFields {
		f.values[field.field] = fl.StringArray(string(field.field), nil, field.about)
	}
	fl.StringArrayVar(&f.dimension, "dimension", nil, "only with this value in one of the record's dimensions: `NAME=VALUE`")
	fl.StringArrayVar(&f.not, "not", nil, "only without this value: `FIELD=VALUE`, the field being a flag's name or dimension.NAME")
	fl.StringVar(&f.since, "since", "", "recorded at or after this `TIME`")
	fl.StringVar(&f.until, "until", "", "recorded before this `TIME`")
	fl.StringVar(&f.updatedSince, "updated-since", "", "recorded, or amended, at or after this `TIME`")
	fl.StringVar(&f.occurredSince, "occurred-since", "", "occurred at or after this `TIME`")
	fl.StringVar(&f.occurredUntil, "occurred-until", "", "occurred before this `TIME`")
}

// filter turns the flags into the API's filter.
func (f *filterFlags) filter(now time.Time) (filter reading.Filter, err error) {
	if f.workspace == "" {
		return filter, usagef("which workspace? Give one with --workspace")
	}
	for _, field := range filterFields {
		for _, value := range *f.values[field.field] {
			if err := condition(&filter, "--"+string(field.field), field.field, value, field.list, false); err != nil {
				return filter, err
			}
		}
	}
	for _, pair := range f.dimension {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return filter, usagef("--dimension is NAME=VALUE, not %q", pair)
		}
		if err := condition(&filter, "--dimension", reading.Dimension(name), value, false, false); err != nil {
			return filter, err
		}
	}
	for _, pair := range f.not {
		name, value, _ := strings.Cut(pair, "=")
		field, list, ok := fieldOf(name)
		if !ok {
			return filter, usagef("--not is FIELD=VALUE, not %q: the field is %s or dimension.NAME", pair, fieldList())
		}
		if err := condition(&filter, "--not", field, value, list, true); err != nil {
			return filter, err
		}
	}
	for _, t := range []struct {
		flag, value string
		into        *time.Time
	}{
		{"since", f.since, &filter.Since},
		{"until", f.until, &filter.Until},
		{"updated-since", f.updatedSince, &filter.UpdatedSince},
		{"occurred-since", f.occurredSince, &filter.OccurredSince},
		{"occurred-until", f.occurredUntil, &filter.OccurredUntil},
	} {
		if t.value == "" {
			continue
		}
		if *t.into, err = instant(t.value, now); err != nil {
			return filter, usagef("--%s: %w", t.flag, err)
		}
	}
	return filter, nil
}

// condition adds a condition. Spaces between the values of a list are the shell's
// user's, not the API's.
func condition(f *reading.Filter, flag string, field reading.Field, value string, list, not bool) error {
	if list {
		value = strings.ReplaceAll(value, " ", "")
	}
	if value == "" {
		return usagef("%s is empty; leave it out, or check the variable it came from", flag)
	}
	f.Where = append(f.Where, reading.Condition{Field: field, Any: []string{value}, Not: not})
	return nil
}

// fieldOf finds a field by its flag's name.
func fieldOf(name string) (field reading.Field, list, ok bool) {
	if dimension, is := strings.CutPrefix(name, "dimension."); is && dimension != "" {
		return reading.Dimension(dimension), false, true
	}
	for _, f := range filterFields {
		if string(f.field) == name {
			return f.field, f.list, true
		}
	}
	return "", false, false
}

func fieldList() string {
	var names []string
	for _, f := range filterFields {
		names = append(names, string(f.field))
	}
	return strings.Join(names, ", ")
}

// asOf reads a tree size.
func asOf(text string) (uint64, error) {
	if text == "" {
		return 0, nil
	}
	size, err := strconv.ParseUint(text, 10, 63)
	if err != nil || size == 0 {
		return 0, usagef("--as-of is a tree size, as answers name it: a whole number from 1, not %q", text)
	}
	return size, nil
}

// oneOf holds a flag to a few words.
func oneOf(flag, value string, words ...string) error {
	if slices.Contains(words, value) {
		return nil
	}
	last := len(words) - 1
	return usagef("%s is %s or %s, not %q", flag, strings.Join(words[:last], ", "), words[last], value)
}

// cut says on the side that an answer is not complete.
func (a *app) cut(truncated bool) {
	if truncated {
		fmt.Fprintln(a.err, "annals: the server stopped searching before the end: the total is at least what is shown; ask for less with narrower filters or times, or go on with the cursor")
	}
}
