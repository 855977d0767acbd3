package query

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"annals/ledger/chain"

	"github.com/go-json-experiment/json"
)

// questions is how many are asked of each model. They are asked in turn, by one client:
// the race detector, whose run is the short one, learns little from more of them.
func questions() int {
	if testing.Short() {
		return 240
	}
	return 1200
}

// history publishes n random messages over some weeks and reads them naively.
func (s *served) history(g guess, n int) {
	for range n {
		workspace := g.of([]string{"ws", "ws", "ws", "other"})
		switch g.IntN(20) {
		case 0:
			s.publish(workspace, `no record`)
		case 1:
			s.stream.Publish("vouched."+workspace+"._", `{"door":{"grade":"verified","producer":"d"},"record":`+g.record()+`}`)
		default:
			s.publish(workspace, g.record())
		}
		s.leap(time.Duration(g.Int64N(int64(4 * time.Hour))))
	}
}

// leap lets some time pass, at most a day, and marks it: a clock that leaps
// further than that beyond the last mark is not believed.
func (s *served) leap(d time.Duration) {
	s.stream.Now += int64(d)
	s.stream.Mark(0, chain.Hash{}, chain.Hash{})
}

// facts reads the entries from an index on, without the indexes' help.
func (s *served) facts(from uint64) []fact {
	s.t.Helper()
	l := s.api.o.Ledger
	names := map[string]string{}
	for _, name := range []string{"ws", "other", "_system"} {
		names[l.Tag(name).String()] = name
	}
	var facts []fact
	for leaf, err := range l.Leaves(context.Background(), from, l.Head().Size) {
		if err != nil {
			s.t.Fatal(err)
		}
		facts = append(facts, factOf(names[leaf.Entry.Workspace.String()], &leaf))
	}
	return facts
}

// answer is a whole timeline, as its pages say.
type answer struct {
	total     uint64
	size      uint64
	indexes   []uint64
	truncated bool
}

// follow walks a timeline to its end, and says what is wrong with its pages.
func (s *served) follow(workspace string, v url.Values) (a answer, err error) {
	path := "/v1/workspaces/" + workspace + "/timeline?"
	for n := 0; ; n++ {
		resp, err := s.client.Get(s.url + path + v.Encode())
		if err != nil {
			return a, err
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != 200 {
			return a, fmt.Errorf("page %d: %d %v %s", n, resp.StatusCode, err, body)
		}
		var p onePage
		if err := json.Unmarshal(body, &p); err != nil {
			return a, err
		}
		if n == 0 {
			a.total, a.size = p.Total, p.AsOf.Size
		}
		if n > 10_000 {
			return a, fmt.Errorf("the pages have no end: %v…", a.indexes[:min(len(a.indexes), 20)])
		}
		if p.AsOf.Size != a.size || p.Total != a.total && !p.Truncated && !a.truncated {
			return a, fmt.Errorf("page %d: %d as of %d, the first said %d as of %d", n, p.Total, p.AsOf.Size, a.total, a.size)
		}
		a.truncated = a.truncated || p.Truncated
		a.indexes = append(a.indexes, p.indexes()...)
		if p.NextCursor == "" {
			return a, nil
		}
		if len(p.Records) == 0 && !p.Truncated {
			return a, fmt.Errorf("page %d is empty, and not the last", n)
		}
		v.Set("cursor", p.NextCursor)
	}
}

// compare says where an answer differs from the naive reader's.
func (a *answer) compare(want []fact) error {
	if a.total != uint64(len(want)) && (!a.truncated || a.total > uint64(len(want))) {
		return fmt.Errorf("total %d, want %d", a.total, len(want))
	}
	for i := range want {
		if i >= len(a.indexes) || a.indexes[i] != want[i].index {
			return fmt.Errorf("place %d of %v, want %d", i, a.indexes, want[i].index)
		}
	}
	if len(a.indexes) > len(want) {
		return fmt.Errorf("%d entries, want %d", len(a.indexes), len(want))
	}
	return nil
}

// TestModel asks random questions, as of now and as of earlier, and compares each
// page with what a naive reading of the same records finds.
func TestModel(t *testing.T) {
	g := guess{rand.New(rand.NewPCG(3, 1))}
	s := serve(t, Options{})
	s.history(g, 600)
	s.settle()
	facts := s.facts(0)
	from, to := facts[0].recorded, facts[len(facts)-1].recorded.Add(time.Hour)
	found := 0
	for range questions() {
		q := g.question(from, to)
		v := q.parameters()
		size := uint64(len(facts))
		if g.chance(30) {
			size = g.Uint64N(size + 1)
			v.Set("as_of", strconv.FormatUint(size, 10))
		}
		want := q.find(facts, size)
		v.Set("limit", strconv.Itoa(max(1+g.IntN(60), len(want)/8)))
		a, err := s.follow(q.workspace, v)
		if err == nil {
			err = a.compare(want)
		}
		if err == nil && (a.truncated || a.size != size) {
			err = fmt.Errorf("as of %d, truncated %v", a.size, a.truncated)
		}
		if err != nil {
			v.Del("cursor")
			t.Fatalf("%s %s: %v", q.workspace, v.Encode(), err)
		}
		if len(want) > 0 {
			found++
		}
	}
	if found < questions()/4 {
		t.Errorf("only %d of %d questions find anything", found, questions())
	}
}

// TestModelUnderWrites walks pages while records pour in. Each walk shows the
// ledger as it stood at its first page, and asking as_of again shows the same.
func TestModelUnderWrites(t *testing.T) {
	g := guess{rand.New(rand.NewPCG(5, 1))}
	s := serve(t, Options{})
	s.history(g, 150)
	s.settle()
	past := s.facts(0)
	from, to := past[0].recorded, past[len(past)-1].recorded.Add(60*24*time.Hour)
	type walk struct {
		q *asked
		v url.Values
		a answer
	}
	walks := make(chan walk, 1<<12)
	done := make(chan struct{})
	var walked atomic.Int64
	var readers sync.WaitGroup
	for n := range uint64(3) {
		readers.Go(func() {
			g := guess{rand.New(rand.NewPCG(7, n))}
			for {
				select {
				case <-done:
					return
				default:
				}
				q := g.question(from, to)
				v := q.parameters()
				v.Set("limit", strconv.Itoa(5+g.IntN(30)))
				a, err := s.follow(q.workspace, v)
				v.Del("cursor")
				if err != nil {
					t.Errorf("%s %s: %v", q.workspace, v.Encode(), err)
					return
				}
				walked.Add(1)
				select {
				case walks <- walk{q, v, a}:
				default:
				}
			}
		})
	}
	for round := range int64(80) {
		s.history(g, 1+g.IntN(8))
		s.settle()
		for walked.Load() < round && !t.Failed() {
			time.Sleep(time.Millisecond)
		}
	}
	close(done)
	readers.Wait()
	close(walks)
	facts := s.facts(0)
	sizes := map[uint64]bool{}
	for w := range walks {
		sizes[w.a.size] = true
		if err := w.a.compare(w.q.find(facts, w.a.size)); err != nil {
			t.Fatalf("%s %s as of %d: %v", w.q.workspace, w.v.Encode(), w.a.size, err)
		}
		w.v.Set("as_of", strconv.FormatUint(w.a.size, 10))
		again, err := s.follow(w.q.workspace, w.v)
		if err == nil {
			err = again.compare(w.q.find(facts, w.a.size))
		}
		if err != nil {
			t.Fatalf("%s %s: %v", w.q.workspace, w.v.Encode(), err)
		}
	}
	if len(sizes) < 10 {
		t.Errorf("the walks saw the ledger at %d sizes only", len(sizes))
	}
}
