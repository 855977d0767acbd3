package projections

import (
	"context"
	"fmt"
	"testing"

	"annals/activity"
	"annals/ledger/chain"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"
)

// hostile draws values that are made of what keys are made of.
var hostile = rapid.OneOf(
	rapid.StringOfN(rapid.SampledFrom([]rune{0, 1, 2, 'a', 'ÿ', '\uffff'}), 0, 6, -1),
	rapid.StringOfN(rapid.SampledFrom([]rune{'a'}), maxValue-2, maxValue+2, -1),
)

// TestWalls puts the same hostile values in two workspaces, and a question in one
// never finds an entry of the other.
func TestWalls(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newLeaves()
		values := rapid.SliceOfN(hostile, 1, 8).Draw(t, "values")
		n := rapid.IntRange(1, 40).Draw(t, "entries")
		some := rapid.SampledFrom(values)
		where := map[uint64]string{}
		for range n {
			w := rapid.SampledFrom([]string{"a", "b", ""}).Draw(t, "workspace")
			r := activity.Record{
				Type:       "t",
				Dimensions: map[string]string{some.Draw(t, "dimension"): some.Draw(t, "its value")},
				Actor:      &activity.Actor{Type: "system", ID: clip(some.Draw(t, "user"))},
				Object:     &activity.Object{Type: some.Draw(t, "object type"), ID: clip(some.Draw(t, "object id"))},
			}
			body, err := r.AppendJSON(nil)
			if err != nil {
				t.Fatal(err)
			}
			at := l.add(spec{kind: chain.KindRecord, workspace: w, subject: "activity." + w + "._", body: body})
			where[at] = w
		}
		p, err := Open("projections", l.ledger, Options{FS: vfs.NewMem(), flush: 1 << rapid.IntRange(0, 6).Draw(t, "flush")})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		if err := p.Fold(l.all()); err != nil {
			t.Fatal(err)
		}
		for _, w := range []string{"a", "b", ""} {
			for _, v := range values {
				for _, q := range []Query{
					is(FieldUser, Value{A: v}),
					is(FieldUser, Value{A: clip(v)[:min(len(v), keptPrefix)], Prefix: true}),
					is(FieldObject, Value{A: v}),
					is(FieldObject, Value{B: v}),
					is(FieldType, Value{A: v}),
					is(FieldObject, Value{A: v, B: some.Draw(t, "id")}),
					is(FieldObject, Value{A: v, B: clip(v)[:min(len(v), keptPrefix)], Prefix: true}),
					is(FieldDimension, Value{A: v, B: v}),
					{},
				} {
					if q.Workspace, q.Limit, q.Kinds = tagOf(w), 100, chain.Kinds(); q.Check() != nil {
						continue // an empty value
					}
					if err := inWorkspace(p, q, where, w); err != nil {
						t.Fatalf("asked in %q for %q: %v", w, v, err)
					}
				}
			}
		}
	})
}

// is asks for one value.
func is(f Field, v Value) Query { return Query{Where: []Condition{{Field: f, Any: []Value{v}}}} }

// inWorkspace asks for a page and for values, and looks where they are of.
func inWorkspace(p *Projections, q Query, where map[uint64]string, w string) error {
	v, err := p.View()
	if err != nil {
		return err
	}
	defer v.Close()
	page, err := v.Page(context.Background(), q)
	if err != nil {
		return err
	}
	for _, i := range page.Indexes {
		if where[i] != w {
			return fmt.Errorf("found entry %d of %q", i, where[i])
		}
	}
	values, err := v.Values(context.Background(), q, FieldKind, "", 1)
	if err != nil {
		return err
	}
	if n := uint64(len(page.Indexes)); n > 0 && (len(values.Top) != 1 || values.Top[0].N != n) {
		return fmt.Errorf("found %d entries, and the kinds %v", n, values)
	}
	return nil
}

func clip(s string) string { return s[:min(len(s), activity.MaxID)] }

// TestLongValues finds objects whose type is as long as a record allows, and
// tells those apart that differ only at their end.
func TestLongValues(t *testing.T) {
	l := newLeaves()
	long := func(end byte) string {
		b := make([]byte, 100<<10)
		for i := range b {
			b[i] = 'x'
		}
		b[len(b)-1] = end
		return string(b)
	}
	for i, end := range []byte("aab") {
		body := fmt.Appendf(nil, `{"actor":{"id":"u"},"object":{"type":%q,"id":"1"}}`, long(end))
		if at := l.add(spec{kind: chain.KindRecord, workspace: "w", subject: "activity.w.t", body: body}); at != uint64(i) {
			t.Fatal(at)
		}
	}
	p := open(t, l.ledger, Options{FS: vfs.NewMem()})
	defer shut(t, p)
	if err := p.Fold(l.all()); err != nil {
		t.Fatal(err)
	}
	for end, want := range map[byte]uint64{'a': 2, 'b': 1, 'c': 0} {
		q := is(FieldObject, Value{A: long(end), B: "1"})
		q.Workspace = tagOf("w")
		if got, err := count(p, q); err != nil || got != want {
			t.Errorf("…%c: %d (%v), want %d", end, got, err, want)
		}
	}
}
