package projections

import (
	"context"
	"errors"
	"fmt"
)

// Page answers with one page. Newest first it reads from the page's end of the
// ledger on and stops when the page is full; by the time of occurrence it reads
// what it must to know which come first (occurred_page.go). ctx ends it early,
// with an error.
//
// A page that the bound on work cut short says so, holds what is certain, and
// goes on at Last. One in the order of occurrence that is cut short and empty
// can't be gone on with: the question must be narrower, or have more Work.
func (v *View) Page(ctx context.Context, q Query) (Page, error) {
	if q.Limit < 1 || q.Limit > MaxLimit {
		return Page{}, fmt.Errorf("%w: a limit of %d is not between 1 and %d", ErrQuery, q.Limit, MaxLimit)
	}
	if q.Order > ByOccurred {
		return Page{}, fmt.Errorf("%w: there is no order %d", ErrQuery, q.Order)
	}
	lo, hi := q.span(v.size)
	if q.Order == ByRecorded && q.After != nil {
		switch at := q.After.Index; {
		case !q.Oldest:
			hi = min(hi, at)
		case at+1 == 0:
			hi = lo
		default:
			lo = max(lo, at+1)
		}
	}
	w, err := v.plan(ctx, &q, lo, hi)
	if err != nil {
		return Page{}, err
	}
	defer w.close()
	page := Page{Indexes: make([]uint64, 0, min(q.Limit, 64))}
	if q.After != nil {
		page.Last = *q.After
	}
	if q.Order == ByOccurred {
		err = w.byOccurred(&q, &page)
	} else {
		err = w.byRecorded(&q, &page)
	}
	if err != nil {
		return Page{}, v.failed(ctx, err)
	}
	return page, nil
}

// failed sorts out what an answer failed by: the store's faults are remembered.
func (v *View) failed(ctx context.Context, err error) error {
	if ctx.Err() != nil || errors.Is(err, ErrQuery) {
		return err
	}
	return v.p.failed(err)
}

func (w *walk) byRecorded(q *Query, page *Page) error {
	var offsets []uint16
	end, err := w.each(q.Oldest, func(block uint64, found *set) (bool, error) {
		offsets = found.appendTo(offsets[:0])
		for i := range offsets {
			if !q.Oldest {
				i = len(offsets) - 1 - i
			}
			if len(page.Indexes) == q.Limit {
				page.More = true
				return false, nil
			}
			page.Indexes = append(page.Indexes, indexAt(block, offsets[i]))
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	if n := len(page.Indexes); n > 0 {
		page.Last = Position{Index: page.Indexes[n-1]}
	}
	if end.found == unlooked {
		page.More, page.Truncated = true, true
		if q.Oldest { // never in the first block, which is always looked at
			page.Last = Position{Index: indexAt(end.block, 0) - 1}
		} else {
			page.Last = Position{Index: indexAt(end.block+1, 0)}
		}
	}
	return nil
}
