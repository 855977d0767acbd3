package query

import (
	"context"

	"annals/projections"
)

// sheet is a page of what a request asks for: what the indexes say of it, in a view
// that whoever has the sheet closes.
type sheet struct {
	selected
	view   *projections.View
	moment *asOf
	q      projections.Query
}

// sheet looks a page up, behind the filter's cursor where there is one.
func (a *API) sheet(ctx context.Context, f *filter) (s *sheet, err error) {
	s = new(sheet)
	var after *projections.Position
	if s.view, s.moment, after, err = a.look(ctx, f); err != nil {
		return nil, err
	}
	var none bool
	s.q, none, err = a.question(s.view, f, s.moment.size)
	s.q.After = after
	if err == nil && !none {
		s.selected, err = a.selected(ctx, s.view, s.q)
	}
	if err != nil {
		_ = s.view.Close()
		return nil, err
	}
	return s, nil
}

// endAt ends the page where one of fewer records would, if it has more.
func (s *sheet) endAt(ctx context.Context, shown int) (err error) {
	if shown < len(s.Indexes) {
		s.q.Limit = shown
		s.Page, err = s.view.Page(ctx, s.q)
	}
	return err
}

// cut reports whether a bound on work ended the search or the count.
func (s *sheet) cut() bool { return s.Truncated || s.total.Truncated }

// next is the cursor behind the page, "" where nothing follows.
func (a *API) next(s *sheet, f *filter) string {
	if !s.More {
		return ""
	}
	p := position{size: s.moment.size, after: s.Last}
	if f.order == projections.ByRecorded {
		p.after.Occurred = 0
	}
	return a.cursors.seal(p, f)
}

// appendNext appends a cursor as a member, where there is one.
func appendNext(b []byte, cursor string) []byte {
	if cursor == "" {
		return b
	}
	b = append(b, `,"next_cursor":"`...)
	return append(append(b, cursor...), '"')
}
