package query

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestTailEqualsTimeline listens with random filters while records pour in, from
// random beginnings, with queues of every size and a hub that is left behind: what
// each tail sends is what the page shows afterwards, in order, once each. Then it
// comes again from where it was cut off, again and again.
func TestTailEqualsTimeline(t *testing.T) {
	for name, o := range map[string]TailOptions{
		"roomy":        {},
		"small queues": {QueueEvents: 2, SlowAfter: time.Hour},
		"few bytes":    {QueueBytes: 700, Reading: 1, SlowAfter: time.Hour},
		"behind":       {Lag: 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o.Heartbeat = 5 * time.Millisecond
			s := serve(t, Options{Tail: o})
			random := rand.New(rand.NewPCG(1, 2))
			s.varied(random, 200)
			s.settle()
			var listening sync.WaitGroup
			written := make(chan string, 1)
			for n := range 12 {
				q := someFilter(random)
				begin := s.newest()
				listening.Go(func() { s.compare(q, begin, written, n%2 == 0) })
			}
			eventually(t, "those that stay are handed what comes", func() bool { return s.attached() >= 6 })
			for range 60 {
				s.varied(random, random.IntN(60))
				s.settle()
			}
			s.publish("ws", `{"id":"the last","type":"t","actor":{"id":"u"}}`)
			s.settle()
			written <- s.newest()
			listening.Wait()
			m := string(s.do("GET", "/metrics").body)
			if name != "roomy" && strings.Contains(m, "annals_tail_behind_total 0\n") {
				t.Error("nobody fell behind")
			}
		})
	}
}

// compare listens until the last record is there, and compares with the page. It
// leaves after some events where it is to, and comes again.
func (s *served) compare(q url.Values, begin string, written chan string, leaves bool) {
	random := rand.New(rand.NewPCG(3, 4))
	path := "/v1/workspaces/ws/tail?" + q.Encode()
	var got []string
	id, end := begin, ""
	for end == "" || id < end {
		e := s.open(path, lastEventID, id)
		for n := 1 + random.IntN(50); !leaves || n > 0; n-- {
			h, err := e.hear()
			if err != nil {
				s.t.Errorf("%s ends after %s: %v", path, e.last, err)
				return
			}
			switch h.event {
			case "record":
				got = append(got, h.data)
			case "":
			default:
				s.t.Errorf("%s: %+v", path, h)
				return
			}
			if end == "" {
				select {
				case end = <-written:
					written <- end
				default:
				}
			}
			if id = e.last; end != "" && id >= end {
				break
			}
		}
		e.close()
	}
	if want := since(s.shown("/v1/workspaces/ws/timeline?"+q.Encode()), begin); !slices.Equal(got, want) {
		s.t.Errorf("%s: %d records, want %d\n%s", path, len(got), len(want), firstDifference(got, want))
	}
}

func firstDifference(got, want []string) string {
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			return fmt.Sprintf("record %d is\n%s\nwant\n%s", i, got[i], want[i])
		}
	}
	return "one is the beginning of the other"
}

// varied publishes records, duplicates, conflicts and rejections, alone and in
// runs, to the workspace and to another.
func (s *served) varied(random *rand.Rand, n int) {
	for i := range n {
		id := len(s.stream.Messages)*1000 + i
		if random.IntN(5) == 0 {
			id = random.IntN(50) // a duplicate, or a conflict
		}
		body := fmt.Sprintf(`{"id":"v%d","producer":"p","type":%q,"actor":{"id":"u%d"},"object":{"type":"app","id":"a%d"},"linked":[{"type":"site","id":"s%d"}],`+
			`"outcome":%q,"source":"web","context":{"session_id":"s%d"},"dimensions":{"org":"o%d"},"data":%q}`,
			id, []string{"app.renamed", "app.created", "note.added", "x"}[random.IntN(4)], random.IntN(4), random.IntN(3), random.IntN(3),
			[]string{"success", "denied"}[random.IntN(2)], random.IntN(5), random.IntN(3), strings.Repeat("x", random.IntN(300)))
		if random.IntN(9) == 0 {
			body = body[:random.IntN(len(body))] // a rejection
		}
		s.publish([]string{"ws", "ws", "other"}[random.IntN(3)], body)
	}
}

// someFilter is what a listener may ask for.
func someFilter(random *rand.Rand) url.Values {
	q := url.Values{}
	for name, values := range map[string][]string{
		"user": {"u0", "u1", "nobody"}, "user!": {"u2"}, "object": {"app/a1", "site/s1", "app/"}, "type": {"app.renamed", "app.*", "x,note.added"}, "type!": {"x"},
		"kind": {"duplicate", "rejection", "record,conflict,duplicate,rejection"}, "outcome": {"denied"}, "session": {"s1"}, "dimension.org": {"o1"}, "dimension.org!": {"o2"},
		"with": {"sentence"}, "linked": {"site/s2"}, "occurred_since": {"2026-01-02T03:04:05.2Z"},
	} {
		if random.IntN(6) == 0 {
			q.Set(name, values[random.IntN(len(values))])
		}
	}
	return q
}

// TestHubReadsTheStore hands out entries that no longer stand in memory: they come
// without what is known of new ones, and are found out alike.
func TestHubReadsTheStore(t *testing.T) {
	s := serve(t, Options{})
	random := rand.New(rand.NewPCG(5, 6))
	s.varied(random, 400)
	s.settle()
	s = s.restart()
	filters, ears := []string{"", "user=u1"}, []*ear{}
	for range 20 {
		filters = append(filters, someFilter(random).Encode())
	}
	for _, f := range filters {
		ears = append(ears, s.open("/v1/workspaces/ws/tail?"+f))
	}
	eventually(t, "all are attached", func() bool { return s.attached() == len(ears) })
	h := s.api.hub
	h.mu.Lock()
	for l := range h.listeners {
		l.from = 2
	}
	h.mu.Unlock()
	if err := h.handOut(t.Context(), 2, s.api.o.Ledger.Head().Size); err != nil {
		t.Fatal(err)
	}
	for i, f := range filters {
		want := s.shown("/v1/workspaces/ws/timeline?" + f)
		var got []string
		for range want {
			got = append(got, ears[i].event().data)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %s", f, firstDifference(got, want))
		}
	}
	if h.keys.Actor.ID != "" || len(h.keys.Linked) != 0 || h.keys.Linked[:1][0].ID != "" {
		t.Errorf("it remembers %+v", h.keys)
	}
}
