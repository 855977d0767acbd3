package ingest_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"annals/ingest"
	"annals/ledger/chain"
)

// crowd publishes n records, each for a workspace of its own, from the from-th on.
func crowd(tb testing.TB, p *ingest.Publisher, from, n int) []*ingest.Pending {
	tb.Helper()
	var out []*ingest.Pending
	for i := from; i < from+n; i++ {
		r, err := p.PublishAsync(tb.Context(), fmt.Sprintf("ws_%d", i), chain.OwnType, fmt.Appendf(nil, `{"id":"%d"}`, i))
		if err != nil {
			tb.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}

func acknowledged(tb testing.TB, records []*ingest.Pending) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), time.Minute) // a test that waits for ever says nothing
	defer cancel()
	for i, r := range records {
		if _, err := r.Wait(ctx); err != nil {
			tb.Fatalf("record %d: %v", i, err)
		}
	}
}

// behind puts a message into the air, publishes, and lets the message land: what
// was published leaves together.
func (p *pier) behind(tb testing.TB, pub *ingest.Publisher, publish func()) {
	tb.Helper()
	first := crowd(tb, pub, 9000, 1)
	m := p.next(tb)
	publish()
	p.nothing(tb)
	p.take(tb, m, 1)
	acknowledged(tb, first)
}

// TestFewLeaveAlone: up to eight messages leave by themselves; more, or where the
// order is to be kept, as a batch.
func TestFewLeaveAlone(t *testing.T) {
	for _, c := range []struct {
		name        string
		n, flights  int
		alone, open bool
	}{
		{"one", 1, 0, true, false},
		{"eight", 8, 0, true, false},
		{"nine", 9, 0, false, true},
		{"one of one flight", 1, 1, true, false},
		{"two of one flight", 2, 1, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPier(t)
			pub := publisher(t, p.producer, ingest.PublisherOptions{MaxFlights: c.flights})
			var records []*ingest.Pending
			p.behind(t, pub, func() { records = crowd(t, pub, 0, c.n) })
			if c.open {
				m := p.next(t)
				if place(m) != "1" {
					t.Fatalf("%q came first", place(m))
				}
				p.nothing(t)
				p.answer(t, m, "")
			}
			for i := range c.n {
				switch {
				case c.alone:
					m := p.next(t)
					if place(m) != "" {
						t.Fatalf("%q came", place(m))
					}
					p.take(t, m, 1)
				case i > 0:
					want := strconv.Itoa(i + 1)
					if i == c.n-1 {
						want += "!"
					}
					m := p.next(t)
					if place(m) != want || m.Subject != fmt.Sprintf("activity.ws_%d._", i) {
						t.Fatalf("%q, %s came, want %q", place(m), m.Subject, want)
					}
					if i == c.n-1 {
						p.take(t, m, c.n)
					}
				}
			}
			acknowledged(t, records)
			ack, _ := records[c.n-1].Wait(t.Context())
			if ack.Sequence != p.sequence {
				t.Errorf("the last is acknowledged as %d, not %d", ack.Sequence, p.sequence)
			}
		})
	}
}

// TestVolley: how many messages leave by themselves follows from what the server
// takes for one, and for making a batch's place.
func TestVolley(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		place, sync time.Duration
		want        int
	}{
		{0, 0, 8},
		{0, ms, 8},
		{ms, 0, 8},
		{ms / 2, ms, 1},
		{ms, ms, 2},
		{3*ms - 1, ms, 3},
		{time.Hour, ms, 8},
	} {
		if got := ingest.Volley([]time.Duration{c.place}, []time.Duration{c.sync}); got != c.want {
			t.Errorf("a place takes %s, a message %s: %d leave by themselves, want %d", c.place, c.sync, got, c.want)
		}
	}
	steady := make([]time.Duration, 100)
	for i := range steady {
		steady[i] = ms
	}
	if got := ingest.Volley(append(steady, time.Hour), steady); got != 2 {
		t.Errorf("after one stall %d leave by themselves, want 2", got)
	}
	if got := ingest.Volley(append([]time.Duration{time.Second}, steady...), steady); got != 2 {
		t.Errorf("a hundred places after a slow one %d leave by themselves, want 2", got)
	}
}

// TestVolleyFollowsTheServer: two messages leave one by one, until batches' places
// were seen to be made sooner than one message is acknowledged.
func TestVolleyFollowsTheServer(t *testing.T) {
	p := newPier(t)
	pub := publisher(t, p.producer, ingest.PublisherOptions{})
	leave := func(n int) (batch bool) {
		var records []*ingest.Pending
		p.behind(t, pub, func() { records = crowd(t, pub, 0, n) })
		m := p.next(t)
		if batch = place(m) == "1"; batch {
			p.answer(t, m, "") // at once, where behind leaves its message waiting
		}
		for i := range n {
			if i > 0 {
				m = p.next(t)
			}
			switch {
			case !batch:
				p.take(t, m, 1)
			case i == n-1:
				p.take(t, m, n)
			}
		}
		acknowledged(t, records)
		return batch
	}
	if leave(2) {
		t.Fatal("two left as a batch, though none was seen before")
	}
	for tries := 1; ; tries++ { // a busy machine may take its time over a place
		if !leave(9) {
			t.Fatal("nine left one by one")
		}
		if leave(2) {
			return
		}
		if tries == 100 {
			t.Fatal("two still leave one by one")
		}
	}
}

// TestLateComersBoard: who publishes while the server makes room for a batch comes
// along, in the message of its workspace where that has not left.
func TestLateComersBoard(t *testing.T) {
	p := newPier(t)
	pub := publisher(t, p.producer, ingest.PublisherOptions{})
	var records []*ingest.Pending
	p.behind(t, pub, func() { records = crowd(t, pub, 0, 9) })
	opening := p.next(t)
	records = append(records, crowd(t, pub, 0, 20)...) // ws_0 has left, the next eight have not
	p.nothing(t)
	p.answer(t, opening, "")
	lines := 1
	var m *nats.Msg
	for n := 2; n <= 21; n++ {
		m = p.next(t)
		if want := strconv.Itoa(n); strings.TrimSuffix(place(m), "!") != want {
			t.Fatalf("%q came, want %s", place(m), want)
		}
		lines += 1 + bytes.Count(m.Data, []byte{'\n'})
	}
	if place(m) != "21!" || lines != 29 || m.Header.Get("Nats-Batch-Id") != opening.Header.Get("Nats-Batch-Id") {
		t.Fatalf("%q came last, of %d records", place(m), lines)
	}
	p.take(t, m, 21)
	acknowledged(t, records)
}

// TestABatchWaitsForThoseOfTheLast: a batch that is open waits until as many came
// back as the last one carried, but not for ever.
func TestABatchWaitsForThoseOfTheLast(t *testing.T) {
	p := newPier(t)
	pub := publisher(t, p.producer, ingest.PublisherOptions{})
	var patient atomic.Bool
	pub.HoldFor(func(time.Duration) time.Duration {
		if patient.Load() {
			return time.Hour
		}
		return 0
	})
	carry := func() int {
		for n := 1; ; {
			m := p.next(t)
			if n++; strings.HasSuffix(place(m), "!") {
				p.take(t, m, n)
				return n
			}
		}
	}
	var records []*ingest.Pending
	p.behind(t, pub, func() { records = crowd(t, pub, 0, 20) })
	p.answer(t, p.next(t), "")
	carry()
	acknowledged(t, records)

	p.behind(t, pub, func() { records = crowd(t, pub, 0, 9) })
	patient.Store(true)
	p.answer(t, p.next(t), "")
	p.nothing(t)
	// With the one that was in the air these make as many as the last batch carried.
	records = append(records, crowd(t, pub, 9, 10)...)
	if n := carry(); n != 19 {
		t.Errorf("%d came along of 19", n)
	}
	acknowledged(t, records)

	p.behind(t, pub, func() { records = crowd(t, pub, 0, 9) })
	patient.Store(false)
	p.answer(t, p.next(t), "")
	if n := carry(); n != 9 {
		t.Errorf("%d left of 9", n)
	}
	acknowledged(t, records)

	for took, want := range map[time.Duration]time.Duration{0: 0, 3 * time.Millisecond: 3 * time.Millisecond, time.Second: 5 * time.Millisecond} {
		if got := ingest.Hold(took); got != want {
			t.Errorf("after %s it waits %s, want %s", took, got, want)
		}
	}
}

// TestAFullFlightWaitsForNobody: what is enough for a whole flight leaves though the
// batch that it goes with was not answered yet.
func TestAFullFlightWaitsForNobody(t *testing.T) {
	p := newPier(t)
	pub := publisher(t, p.producer, ingest.PublisherOptions{})
	var records []*ingest.Pending
	p.behind(t, pub, func() { records = crowd(t, pub, 0, 9) })
	opening := p.next(t)
	for i := range 5 {
		r, err := pub.PublishAsync(t.Context(), fmt.Sprintf("big_%d", i), chain.OwnType, []byte(`{"id":"`+strings.Repeat("x", 250<<10)+`"}`))
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, r)
	}
	sent := 1
	for {
		m := p.next(t)
		if sent++; strings.HasSuffix(place(m), "!") {
			p.answer(t, opening, "") // late, and nobody minds
			p.take(t, m, sent)
			break
		}
	}
	for { // what did not fit in leaves by itself
		select {
		case m := <-p.came:
			p.take(t, m, 1)
			continue
		case <-records[len(records)-1].Done():
		}
		break
	}
	acknowledged(t, records)
}

// TestABatchThatCantBeOpened: its first message fares as all of it does. It is
// tried again as a whole where that may help, and else each message by itself.
func TestABatchThatCantBeOpened(t *testing.T) {
	for _, c := range []struct {
		name, answer string
		whole        bool
		patience     time.Duration // 0: longer than it takes
	}{
		{"not now", `{"error":{"code":429,"err_code":10210,"description":"too many"}}`, true, 0},
		{"unanswered", "", true, 3 * time.Second},
		{"never", `{"error":{"code":400,"err_code":10174,"description":"no batches"}}`, false, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPier(t)
			pub := publisher(t, p.producer, ingest.PublisherOptions{AckWait: c.patience})
			var records []*ingest.Pending
			p.behind(t, pub, func() { records = crowd(t, pub, 0, 9) })
			opening := p.next(t)
			if c.answer != "" {
				p.answer(t, opening, c.answer)
			}
			for i := range 9 {
				m, want := p.next(t), ""
				if c.whole {
					want = strconv.Itoa(i + 1)
				}
				if strings.TrimSuffix(place(m), "!") != want || m.Subject != fmt.Sprintf("activity.ws_%d._", i) {
					t.Fatalf("%q, %s came, want %q", place(m), m.Subject, want)
				}
				switch {
				case !c.whole:
					p.take(t, m, 1)
				case i == 8:
					p.take(t, m, 9)
				}
			}
			acknowledged(t, records)
		})
	}
}

// TestWhatIsSentAgainIsUnchanged: of a server that forgets every other answer, each
// try of a record has the bytes that were published, while the room that settled
// ones took is used again.
func TestWhatIsSentAgainIsUnchanged(t *testing.T) {
	p := newPier(t)
	pub := publisher(t, p.producer, ingest.PublisherOptions{AsIs: true, AckWait: 40 * time.Millisecond, MaxPending: 1 << 20})
	const n = 600
	rng := rand.New(rand.NewPCG(1, 2))
	published := make(map[string]int, n)
	done := make(chan error, 1)
	records := make([]string, n)
	for i := range records {
		records[i] = fmt.Sprintf(`{"id":"%d","x":"%s"}`, i, strings.Repeat(string(rune('a'+i%26)), rng.IntN(8<<10)))
		published[records[i]] = i % 30
	}
	go func() {
		var waiting []*ingest.Pending
		for i, record := range records {
			r, err := pub.PublishAsync(t.Context(), fmt.Sprintf("ws_%d", i%30), chain.OwnType, []byte(record))
			if err != nil {
				done <- err
				return
			}
			waiting = append(waiting, r)
		}
		for _, r := range waiting {
			if _, err := r.Wait(t.Context()); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	tries, size := map[string]int{}, 0
	for {
		var m *nats.Msg
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			again := 0
			for _, n := range tries {
				again += n - 1
			}
			if len(tries) != n || again == 0 {
				t.Errorf("%d of %d records came, %d times again", len(tries), n, again)
			}
			return
		case m = <-p.came:
		}
		for line := range bytes.SplitSeq(m.Data, []byte{'\n'}) {
			ws, ok := published[string(line)]
			if !ok || m.Subject != fmt.Sprintf("activity.ws_%d._", ws) {
				t.Fatalf("on %s came %.60q, which was not published there", m.Subject, line)
			}
			tries[string(line)]++
		}
		if size++; strings.TrimSuffix(place(m), "!") == "1" {
			size = 1
		}
		switch heard := rng.IntN(2) == 0; {
		case m.Reply == "" || !heard:
		case place(m) == "":
			p.take(t, m, 1)
		case strings.HasSuffix(place(m), "!"):
			p.take(t, m, size)
		default:
			p.answer(t, m, "")
		}
	}
}
