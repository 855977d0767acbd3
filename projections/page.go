package projections

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
	if err := q.checkPage(); err != nil {
		return Page{}, err
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
	page := q.emptyPage()
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

// PageAndCount answers with [View.Page] and with [View.Count]. A first page, newest
// first, and a count that isn't known yet, it takes from one walk where
// that costs less than two.
func (v *View) PageAndCount(ctx context.Context, q Query) (page Page, n Count, err error) {
	if err := q.checkPage(); err != nil {
		return Page{}, Count{}, err
	}
	key := q.canonical()
	known := v.counted(&q, key)
	found := false
	if lo, _ := q.span(v.size); q.Order == ByRecorded && !q.Oldest && q.After == nil && known.size == lo {
		page, n, found, err = v.bothAtOnce(ctx, &q, key)
	} else {
		n, err = v.countFrom(ctx, &q, key, known)
	}
	if !found && err == nil && n != (Count{}) {
		page, err = v.Page(ctx, q)
	}
	if err != nil {
		return Page{}, Count{}, err
	}
	return page, n, nil
}

// bothAtOnce counts, from the oldest on, which is how rows are read quickest, and
// keeps what the page may have. found is false where it has no page: the count was cut
// short, or a block has more than a page does, so that to keep them costs more than to
// look for the newest again.
func (v *View) bothAtOnce(ctx context.Context, q *Query, key string) (page Page, n Count, found bool, err error) {
	lo, hi := q.span(v.size)
	w, err := v.plan(ctx, q, lo, hi)
	if err != nil {
		return Page{}, Count{}, false, err
	}
	defer w.close()
	page = q.emptyPage()
	var offsets []uint16
	end, err := w.each(true, func(block uint64, found *set) (bool, error) {
		n.N += uint64(found.n)
		if w.number = w.number || found.n > q.Limit; w.number {
			return true, nil
		}
		offsets = found.appendTo(offsets[:0])
		for _, o := range offsets {
			page.Indexes = append(page.Indexes, indexAt(block, o))
		}
		if over := len(page.Indexes) - 2*q.Limit; over > 0 {
			page.Indexes = append(page.Indexes[:0], page.Indexes[over+q.Limit:]...)
		}
		return true, nil
	})
	if err != nil {
		return Page{}, Count{}, false, v.failed(ctx, err)
	}
	if n.Truncated = end.found == unlooked; n.Truncated {
		return Page{}, n, false, nil
	}
	v.remember(q, key, n.N)
	if w.number {
		return Page{}, n, false, nil
	}
	if page.More = n.N > uint64(q.Limit); page.More {
		page.Indexes = page.Indexes[len(page.Indexes)-q.Limit:]
	}
	slices.Reverse(page.Indexes)
	if len(page.Indexes) > 0 {
		page.Last = Position{Index: page.Indexes[len(page.Indexes)-1]}
	}
	return page, n, true, nil
}

func (q *Query) checkPage() error {
	if q.Limit < 1 || q.Limit > MaxLimit {
		return fmt.Errorf("%w: a limit of %d is not between 1 and %d", ErrQuery, q.Limit, MaxLimit)
	}
	if q.Order > ByOccurred {
		return fmt.Errorf("%w: there is no order %d", ErrQuery, q.Order)
	}
	return nil
}

// emptyPage is the page before anything is found.
func (q *Query) emptyPage() Page {
	page := Page{Indexes: make([]uint64, 0, min(q.Limit, 64))}
	if q.After != nil {
		page.Last = *q.After
	}
	return page
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
