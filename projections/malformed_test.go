package projections

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"annals/ledger/chain"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestMalformed refuses questions that can't be meant.
func TestMalformed(t *testing.T) {
	p := open(t, newLeaves().ledger, Options{FS: vfs.NewMem()})
	defer shut(t, p)
	v, err := p.View()
	check(t, err)
	defer v.Close()
	where := func(c ...Condition) Query { return Query{Limit: 1, Where: c} }
	for name, q := range map[string]Query{
		"no limit":            {},
		"negative limit":      {Limit: -1},
		"large limit":         {Limit: MaxLimit + 1},
		"kind 0":              {Limit: 1, Kinds: []chain.Kind{0}},
		"kind 7":              {Limit: 1, Kinds: []chain.Kind{7}},
		"order":               {Limit: 1, Order: 2},
		"no field":            where(Condition{Any: []Value{{A: "x"}}}),
		"field beyond":        where(Condition{Field: FieldData + 1, Any: []Value{{A: "x"}}}),
		"no value":            where(Condition{Field: FieldUser}),
		"empty value":         where(Condition{Field: FieldUser, Any: []Value{{A: "x"}, {}}}),
		"two parts":           where(Condition{Field: FieldUser, Any: []Value{{A: "x", B: "y"}}}),
		"long prefix":         where(Condition{Field: FieldUser, Any: []Value{{A: strings.Repeat("x", keptPrefix+1), Prefix: true}}}),
		"prefix of addresses": where(Condition{Field: FieldIP, Any: []Value{{A: "10.", Prefix: true}}}),
		"prefix of actors":    where(Condition{Field: FieldActor, Any: []Value{{A: "a", Prefix: true}}}),
		"prefix of a group":   where(Condition{Field: FieldGroup, Any: []Value{{A: "app", Prefix: true}}}),
		"unknown group":       where(Condition{Field: FieldGroup, Any: []Value{{A: "App"}}}),
	} {
		if _, err := v.Page(t.Context(), q); !errors.Is(err, ErrQuery) {
			t.Errorf("%s: %v", name, err)
		}
		if q.Check() != nil && q.Matcher().Match(&chain.Leaf{Entry: chain.Entry{Kind: chain.KindRecord}}) {
			t.Errorf("%s: matches", name)
		}
	}
	ctx := t.Context()
	for name, ask := range map[string]func() error{
		"no bounds":          func() error { _, _, err := v.Histogram(ctx, Query{}, nil); return err },
		"one bound":          func() error { _, _, err := v.HistogramOccurred(ctx, Query{}, []int64{1}); return err },
		"bounds descend":     func() error { _, _, err := v.HistogramOccurred(ctx, Query{}, []int64{1, 0}); return err },
		"too many bounds":    func() error { _, _, err := v.Histogram(ctx, Query{}, make([]uint64, maxBounds+1)); return err },
		"no dimension":       func() error { _, err := v.Values(ctx, Query{}, FieldDimension, "", 1); return err },
		"actors":             func() error { _, err := v.Values(ctx, Query{}, FieldActor, "", 1); return err },
		"dimension of users": func() error { _, err := v.Values(ctx, Query{}, FieldUser, "org", 1); return err },
		"no top":             func() error { _, err := v.Values(ctx, Query{}, FieldUser, "", 0); return err },
		"values of nothing":  func() error { _, err := v.Values(ctx, Query{}, 0, "", 1); return err },
		"no quarter":         func() error { _, err := v.IndexAt(1); return err },
	} {
		if err := ask(); !errors.Is(err, ErrQuery) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if at, err := v.IndexAt(math.MaxInt64 / quarter * quarter); at != 0 || err != nil {
		t.Errorf("the end of time is at %d (%v)", at, err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := v.Page(cancelled, Query{Limit: 1}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestFieldNames reads every field's name back.
func TestFieldNames(t *testing.T) {
	for _, f := range Fields() {
		if back, ok := ParseField(f.String()); back != f || !ok {
			t.Errorf("%q is read as %d", f, back)
		}
	}
	if len(Fields()) != 16 {
		t.Errorf("%d fields", len(Fields()))
	}
	if _, ok := ParseField(""); ok {
		t.Error("no name is a field's")
	}
}
