package query

import (
	"context"

	"annals/internal/problem"
	"annals/ledger/chain"
	"annals/projections"
)

// asOf is the moment that an answer speaks of: a size of the tree, and its root.
type asOf struct {
	size uint64
	root chain.Hash
}

// look opens a view for an answer, and says at which place the answer begins:
// where the cursor says, at the size that as_of names, or at what the indexes
// hold. After is nil where it begins at the beginning. Close the view.
func (a *API) look(ctx context.Context, f *filter) (view *projections.View, moment *asOf, after *projections.Position, err error) {
	var p position
	if f.cursor != "" {
		var ok bool
		if p, ok = a.cursors.open(f.cursor, f); !ok {
			const why = "it was altered, or belongs to other filters, another order or another ledger; use next_cursor as it was given, with the same filters, or begin again without one"
			return nil, nil, nil, problem.New(problem.InvalidCursor, "cursor: %s", why).With(problem.Of("cursor", problem.InvalidCursor, why))
		}
		if f.then && f.asOf != p.size {
			return nil, nil, nil, problem.Parameter("as_of", "differs", "the cursor speaks of another size; leave as_of out, or begin again without the cursor")
		}
		after = &p.after
	} else {
		if folded, _ := a.o.Projections.Cursor(); !f.then || f.asOf > folded {
			a.freshen(ctx)
		}
	}
	if view, err = a.o.Projections.View(); err != nil {
		return nil, nil, nil, err
	}
	folded := view.Cursor()
	switch {
	case f.cursor != "":
	case f.then:
		p.size = f.asOf
	default:
		p.size = folded
		err = a.level(folded)
	}
	switch {
	case err != nil:
	case folded < p.size:
		err = problem.New(problem.Behind, "%d entries were asked for and the indexes hold %d so far; try again", p.size, folded)
	default:
		moment, err = a.moment(p.size)
	}
	if err != nil {
		_ = view.Close() // the error at hand is the one to tell
		return nil, nil, nil, err
	}
	return view, moment, after, nil
}

// level refuses to answer for less than the ledger held when the server started:
// indexes that are folded anew would show a past that clients have left behind.
func (a *API) level(folded uint64) error {
	if folded < a.opened {
		return problem.New(problem.Behind, "the indexes hold %d of the %d entries that the ledger had when the server started; try again", folded, a.opened)
	}
	return nil
}

// maxLag is how many entries the indexes may be behind and still be waited for;
// beyond it they are being folded anew, which outlasts any page.
const maxLag = 1 << 16

// freshen gives the indexes a moment to reach what is durable now.
func (a *API) freshen(ctx context.Context) {
	size, _ := a.o.Projections.Cursor()
	durable := a.o.Ledger.Head().Size
	if size >= durable || durable-size > maxLag {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, a.o.Fresh)
	defer cancel()
	_ = a.o.Projections.Wait(ctx, durable) // late is no error: as_of says how far
}

// moment returns the tree's root at a size.
func (a *API) moment(size uint64) (*asOf, error) {
	if m := a.root.Load(); m != nil && m.size == size {
		return m, nil
	}
	root, err := a.o.Ledger.RootAt(size)
	if err != nil {
		return nil, err
	}
	m := &asOf{size, root}
	a.root.Store(m)
	return m, nil
}
