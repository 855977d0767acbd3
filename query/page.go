package query

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"annals/internal/problem"
	"annals/ledger/chain"
	"annals/projections"
)

// maxPage is how many bytes a page may have before it ends early: a thousand
// records of 256 KiB would be more than a client wants at once.
const maxPage = 4 << 20

// selected is what the indexes say of a page.
type selected struct {
	projections.Page
	total projections.Count
}

// page answers one page of a timeline.
func (a *API) page(w http.ResponseWriter, r *http.Request, f *filter) error {
	found, err := a.sheet(r.Context(), f)
	if err != nil {
		return err
	}
	defer found.view.Close()
	if current(w, r, a.pageTag(f, &found.selected)) {
		return nil
	}
	var out body
	defer out.release()
	b, shown, err := a.items(&out, append(out.begin(), `{"records":[`...), found.Indexes, f)
	if err != nil {
		return err
	}
	b = append(b, ']')
	if err := found.endAt(r.Context(), shown); err != nil {
		return err
	}
	b = appendNext(b, a.next(found, f))
	b = appendTotal(b, found.total.N, found.cut())
	b = appendMoment(b, found.moment)
	return out.write(w, jsonMedia, append(b, '}'))
}

// selected asks the indexes for the page's entries, and how many match in all.
func (a *API) selected(ctx context.Context, view *projections.View, q projections.Query) (s selected, err error) {
	if s.Page, s.total, err = view.PageAndCount(ctx, q); err == nil && s.Truncated && len(s.Indexes) == 0 && q.Order == projections.ByOccurred {
		// Nothing is certain yet, and the same search would come no farther.
		err = problem.Parameter("order", "too_broad", "to find what occurred first takes too long; narrow the search by occurred_since, occurred_until or other filters, or use order=recorded")
	}
	return s, err
}

// items appends the entries at the given indexes to the body whose last piece is b, as far
// as they fit on a page, and says how many do.
func (a *API) items(out *body, b []byte, indexes []uint64, f *filter) (_ []byte, shown int, err error) {
	it := newItem(a, f)
	err = a.each(f.turn, indexes, func(leaf *chain.Leaf, hash chain.Hash) error {
		if out.size+len(b) > maxPage {
			return errFull
		}
		if b = out.next(b); shown > 0 {
			b = append(b, ',')
		}
		shown++
		var err error
		b, err = it.append(b, leaf, hash)
		return err
	})
	if errors.Is(err, errFull) {
		err = nil
	}
	return b, shown, err
}

var errFull = errors.New("query: the page is full")

// appendTotal appends how many entries match, and whether that is only a lower
// bound.
func appendTotal(b []byte, total uint64, truncated bool) []byte {
	b = append(b, `,"total":`...)
	b = strconv.AppendUint(b, total, 10)
	if truncated {
		b = append(b, `,"truncated":true`...)
	}
	return b
}

func appendMoment(b []byte, m *asOf) []byte {
	b = append(b, `,"as_of":{"size":`...)
	b = strconv.AppendUint(b, m.size, 10)
	b = append(b, `,"root":`...)
	b = appendHash(b, m.root)
	return append(b, '}')
}
