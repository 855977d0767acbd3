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
	"time"

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
		Lines: func() iter.Seq2[proof.Line, error] { return spooled(path) },
		VKey:  w.VKey, Maker: w.Maker,
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
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
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

// page fetches the lines of some positions: headers of all, and once more, with
// payloads and proofs, from the first that needs them to the last.
func (g *gathering) page(from, to uint64) ([]proof.Line, error) {
	if g.chosen == nil {
		full, err := g.lines(client.Range{From: from, To: to, Payloads: true, Proofs: g.size})
		for i := range full {
			g.settle(&full[i], from+uint64(i), true)
		}
		return full, err
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
		g.settle(l, low+uint64(i), g.chosen[l.Index])
	}
	return page, nil
}

// settle leaves on a line what a pack has there.
func (g *gathering) settle(l *proof.Line, position uint64, chosen bool) {
	if !chosen {
		l.Salt, l.Envelope, l.Body = nil, nil, nil
	}
	if l.Body != nil {
		g.payloads++
	} else if position != g.w.First && position != g.last {
		l.Proof = nil
	}
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
