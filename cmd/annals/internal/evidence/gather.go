package evidence

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"time"

	"annals/ledger/chain"
	"annals/ledger/proof"
	"annals/ledger/proof/pack"
	"annals/query/client"
)

// Wanted says what a pack is to hold.
type Wanted struct {
	Workspace string
	First     uint64  // position
	Last      *uint64 // position; nil: up to the signed head
	// Filter chooses the payloads, as it chooses what a timeline shows; nil: all there
	// are.
	Filter    *client.Filter
	Selection string // the same in words

	VKey, Maker string
	Created     time.Time
	Spool       string // a folder for what a pack is put together from
	// Progress, unless nil, is told how many of how many entries were fetched.
	Progress func(done, of uint64)
}

// Gather fetches what a pack holds. The contents read files in the spool, which is
// theirs as long as they are used.
func Gather(ctx context.Context, c *client.Client, w Wanted) (*pack.Contents, error) {
	for tries := mostErased; ; tries-- {
		contents, err := gather(ctx, c, w)
		if lost := (*missingError)(nil); !errors.As(err, &lost) || tries == 0 {
			return contents, err
		}
	}
}

// mostErased is how often everything is fetched again because something was erased
// meanwhile.
const mostErased = 3

// missingError says that a payload which was kept is not there, and that nothing which
// the checkpoint covers erased it.
type missingError struct {
	index uint64
	kind  chain.Kind
}

func (e *missingError) Error() string {
	return fmt.Sprintf("the server has no payload for %s entry %d, which was kept when it was recorded, and shows no erasure that says why: `annals verify --workspace` tells what else is wrong; a selection or a range without it can be packed", e.kind, e.index)
}

func gather(ctx context.Context, c *client.Client, w Wanted) (*pack.Contents, error) {
	s, err := Fetch(ctx, c, w.Workspace)
	if err != nil {
		return nil, err
	}
	last := s.End.Count - 1
	if w.Last != nil {
		last = *w.Last
	}
	switch {
	case last >= s.End.Count:
		return nil, beyond("the last one", last, s.End.Count)
	case w.First > last:
		return nil, fmt.Errorf("the range begins at position %d and ends at %d", w.First, last)
	}
	g := gathering{ctx: ctx, c: c, w: w, size: s.Checkpoint.Size, last: last}
	if w.Filter != nil {
		if err := g.choose(); err != nil {
			return nil, err
		}
	}
	g.take(s.Erasures)
	catalogues, err := settled(ctx, c, w.Workspace, s.Checkpoint.Size)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(w.Spool, pack.Entries)
	if err := g.spool(path); err != nil {
		return nil, err
	}
	return &pack.Contents{
		About: pack.About{
			Format: pack.Format, Origin: s.History.Origin, Ledger: s.History.Ledger, Workspace: w.Workspace, Tag: s.Answer.Tag,
			First: w.First, Last: last, Selection: w.Selection, Payloads: g.payloads, Created: w.Created.UTC().Format(time.RFC3339),
		},
		Checkpoint: []byte(s.Answer.Checkpoint), Keys: s.Keys, Head: s.Head,
		Lines:    func() iter.Seq2[proof.Line, error] { return spooled(path) },
		Erasures: g.effective(s.Erasures), Catalogues: catalogues,
		VKey: w.VKey, Maker: w.Maker,
	}, nil
}

// spooled iterates the lines in a file.
func spooled(path string) iter.Seq2[proof.Line, error] {
	return func(yield func(proof.Line, error) bool) {
		f, err := os.Open(path)
		if err != nil {
			yield(proof.Line{}, err)
			return
		}
		defer f.Close()
		for l, err := range pack.ReadLines(f) {
			if !yield(l, err) {
				return
			}
		}
	}
}

// gathering is the making of one pack.
type gathering struct {
	ctx  context.Context
	c    *client.Client
	w    Wanted
	size uint64 // of the checkpoint
	last uint64

	chosen   map[uint64]bool // by index; nil: all
	payloads uint64
	erased   []erasure
}

// erasure is a control entry that erased something of the workspace.
type erasure struct {
	chain.Erase
	by  uint64
	hit bool // something of the range
}

// take reads the erasures, as far as they are any: whether they are is judged with the
// rest.
func (g *gathering) take(lines []proof.Line) {
	for i := range lines {
		e, err := chain.ParseEntry(lines[i].Entry)
		if err != nil {
			continue
		}
		if erase, ok := e.Erases(); ok {
			g.erased = append(g.erased, erasure{Erase: erase, by: e.Index})
		}
	}
}

// effective are those of the erasures that took something of the range; and where one
// is an expiry, what governs it.
func (g *gathering) effective(lines []proof.Line) (out []proof.Line) {
	expired := slices.ContainsFunc(g.erased, func(e erasure) bool { return e.hit && e.Rule != chain.NoRef })
	for i := range lines {
		if e, err := chain.ParseEntry(lines[i].Entry); err == nil && expired && e.Kind == chain.KindControl &&
			e.Code >= uint16(chain.ControlRetention) && e.Code <= uint16(chain.ControlRelease) {
			out = append(out, lines[i])
			continue
		}
		if slices.ContainsFunc(g.erased, func(e erasure) bool { return e.hit && e.by == lines[i].Index }) {
			out = append(out, lines[i])
		}
	}
	return out
}

// gone returns the first erasure that covers an entry; nil where none does.
func (g *gathering) gone(e *chain.Entry) *uint64 {
	for i := range g.erased {
		by := &g.erased[i]
		if by.Covers(e.Index) || e.Kind == chain.KindDuplicate && e.Index < by.by && by.Covers(e.Ref) {
			by.hit = true
			return &by.by
		}
	}
	return nil
}

// choose asks the timeline which entries the filter finds, as of the checkpoint.
func (g *gathering) choose() error {
	q := client.Query{Filter: *g.w.Filter, Oldest: true, Limit: client.MaxLimit}
	q.AsOf = g.size
	for {
		chosen, err := g.asked(q)
		var refused *client.Problem
		if !errors.As(err, &refused) || refused.Code != "behind" {
			g.chosen = chosen
			return err
		}
		select { // the indexes are a moment behind the checkpoint
		case <-time.After(200 * time.Millisecond):
		case <-g.ctx.Done():
			return err
		}
	}
}

func (g *gathering) asked(q client.Query) (map[uint64]bool, error) {
	chosen := map[uint64]bool{}
	for {
		p, err := g.c.Timeline(g.ctx, g.w.Workspace, q)
		if err != nil {
			return nil, err
		}
		for i := range p.Items {
			chosen[p.Items[i].Index] = true
		}
		if p.NextCursor == "" {
			return chosen, nil
		}
		q.Cursor = p.NextCursor
	}
}

// spool fetches the lines of the range into a file.
func (g *gathering) spool(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(f)
	err = g.fetch(func(l *proof.Line) error { return pack.WriteLine(out, l) })
	return errors.Join(err, out.Flush(), f.Close())
}

// fetch hands on the lines of the range, in order, as a pack has them.
func (g *gathering) fetch(hand func(*proof.Line) error) error {
	for from := g.w.First; from <= g.last; from += client.MaxLimit {
		to := min(from+client.MaxLimit, g.last+1)
		page, err := g.page(from, to)
		if err != nil {
			return err
		}
		for i := range page {
			if err := hand(&page[i]); err != nil {
				return err
			}
		}
		if g.w.Progress != nil {
			g.w.Progress(to-g.w.First, g.last+1-g.w.First)
		}
	}
	return nil
}

// page fetches the lines of some positions, as a pack has them.
func (g *gathering) page(from, to uint64) ([]proof.Line, error) {
	page, err := g.fetched(from, to)
	for i := range page {
		if err == nil {
			err = g.settle(&page[i], from+uint64(i), g.chosen == nil || g.chosen[page[i].Index])
		}
	}
	return page, err
}

// fetched fetches the headers of some positions, and once more, with payloads and
// proofs, from the first that needs them to the last.
func (g *gathering) fetched(from, to uint64) ([]proof.Line, error) {
	if g.chosen == nil {
		return g.lines(client.Range{From: from, To: to, Payloads: true, Proofs: g.size})
	}
	page, err := g.lines(client.Range{From: from, To: to})
	if err != nil {
		return nil, err
	}
	low, high := to, from
	for i := range page {
		if at := from + uint64(i); g.chosen[page[i].Index] || at == g.w.First || at == g.last {
			low, high = min(low, at), at+1
		}
	}
	if low >= high {
		return page, nil
	}
	full, err := g.lines(client.Range{From: low, To: high, Payloads: true, Proofs: g.size})
	if err != nil {
		return nil, err
	}
	for i := range full {
		l := &page[low-from+uint64(i)]
		if !bytes.Equal(full[i].Entry, l.Entry) {
			return nil, fmt.Errorf("the server answered two different entries for position %d", low+uint64(i))
		}
		*l = full[i]
	}
	return page, nil
}

// settle leaves on a line what a pack has there.
func (g *gathering) settle(l *proof.Line, position uint64, chosen bool) error {
	e, err := chain.ParseEntry(l.Entry)
	if err != nil {
		e = chain.Entry{} // it is judged with the rest
	}
	gone := g.gone(&e)
	switch kept := e.Flags&chain.FlagRetained != 0 || e.Kind == chain.KindDuplicate && e.Code == chain.DuplicateSame; {
	case !chosen:
		l.Salt, l.Envelope, l.Body = nil, nil, nil
	case l.Body != nil:
		g.payloads++
	case gone != nil && kept:
		l.Gone = gone
	case kept:
		return &missingError{e.Index, e.Kind}
	}
	if l.Body == nil && position != g.w.First && position != g.last {
		l.Proof = nil
	}
	return nil
}

func (g *gathering) lines(r client.Range) ([]proof.Line, error) {
	var out []proof.Line
	for l, err := range Lines(g.ctx, g.c, g.w.Workspace, r) {
		if err != nil {
			return nil, err
		}
		out = append(out, l)
	}
	if want := r.To - r.From; uint64(len(out)) != want {
		return nil, fmt.Errorf("the server answered %d of the entries at the positions %d to %d, which its signed head counts", len(out), r.From, r.To-1)
	}
	return out, nil
}
