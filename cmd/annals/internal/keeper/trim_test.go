package keeper

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"annals/ingest"
	"annals/ledger"
	"annals/ledger/chain"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// trimming is a keeper that trims to a margin, at each step.
func (s *site) trimming(margin uint64, replicas ...string) *Keeper {
	k := s.keeper()
	trim := TrimOptions{Margin: margin, Replica: "a", Replicas: replicas, Every: time.Nanosecond, Projected: func() uint64 { return s.ledger.Head().Size }}
	k.o.Trim = &trim
	return k
}

// calm returns a site at which nothing is due: six messages are folded, a genesis,
// a seed, a mark, a record, a seed and a mark.
func calm(t *testing.T) *site {
	t.Helper()
	s := newSite(t)
	k := s.keeper()
	if err := k.Mark(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.fill(1)
	s.step(k)
	s.now = s.now.Add(time.Minute)
	s.step(k)
	if head := s.ledger.Head(); head.State.Sequence != 6 {
		t.Fatalf("%s", s.kinds(0))
	}
	return s
}

// fill publishes records and waits until they are folded.
func (s *site) fill(n int) {
	s.t.Helper()
	js, err := jetstream.New(s.nc)
	if err != nil {
		s.t.Fatal(err)
	}
	var last uint64
	for i := range n {
		ack, err := js.Publish(s.t.Context(), "activity.ws_7.app.renamed", fmt.Appendf(nil, `{"actor":{"id":"u"},"data":%d}`, i))
		if err != nil {
			s.t.Fatal(err)
		}
		last = ack.Sequence
	}
	s.wait(last)
}

func (s *site) wait(sequence uint64) {
	s.t.Helper()
	for head := s.ledger.Head(); head.State.Sequence < sequence; {
		var err error
		if head, err = s.ledger.Wait(s.t.Context(), head.Size); err != nil {
			s.t.Fatal(err)
		}
	}
}

// step takes one step a while later.
func (s *site) step(k *Keeper) {
	s.t.Helper()
	s.now = s.now.Add(time.Millisecond)
	if err := k.step(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

// first is the stream's first sequence.
func (s *site) first() uint64 {
	s.t.Helper()
	js, err := jetstream.New(s.nc)
	if err != nil {
		s.t.Fatal(err)
	}
	stream, err := js.Stream(s.t.Context(), ingest.Stream)
	if err != nil {
		s.t.Fatal(err)
	}
	return stream.CachedInfo().State.FirstSeq
}

func TestTrimDue(t *testing.T) {
	for _, c := range []struct {
		trimmed, size, margin uint64
		lines                 uint64 // entries in a message
		through               uint64
		due                   bool
	}{
		{0, 5, 10, 1, 0, false},
		{0, 11, 10, 1, 0, false},
		{0, 25, 10, 1, 15, false},
		{0, 26, 10, 1, 16, true},
		{0, 1000, 10, 1, 990, true},
		{990, 1005, 10, 1, 995, false},
		{990, 1016, 10, 1, 1006, true},
		{990, 1000, 10, 1, 990, false},
		{990, 900, 10, 1, 890, false}, // a replica that went back
		{0, 100_000 + 10_000, 100_000, 1, 0, false},
		{0, 100_000 + 10_001, 100_000, 1, 10_001, true},
		{0, 20, 0, 1, 19, true}, // the last one stays whatever was asked for
		{0, 300_000, 100_000, 1000, 200, true},
		{195, 305_000, 100_000, 1000, 205, false},
		{195, 306_000, 100_000, 1000, 206, false},
		{195, 311_000, 100_000, 1000, 211, true},
		{0, 10_000, 10, 1000, 9, false}, // the last message is not cut
		{0, 20_000, 10, 1000, 19, true},
	} {
		reaches := func(size uint64) (uint64, error) { return size / c.lines, nil }
		through, due, err := trimDue(c.trimmed, 0, stand{size: c.size, sequence: c.size / c.lines}, c.margin, reaches)
		if through != c.through || due != c.due || err != nil {
			t.Errorf("trimmed to %d, slowest at %d, margin %d: to %d, due %t (%v); want %d, %t", c.trimmed, c.size, c.margin, through, due, err, c.through, c.due)
		}
		// A later epoch counts from its own first entry: what stands before has no
		// message in its stream, though it has sequences, and larger ones.
		const begun = 1_000_000
		later := func(size uint64) (uint64, error) {
			if size <= begun {
				return 5 * begun, nil
			}
			return (size - begun) / c.lines, nil
		}
		through, due, err = trimDue(c.trimmed, begun, stand{size: begun + c.size, sequence: c.size / c.lines}, c.margin, later)
		if through != c.through || due != c.due || err != nil {
			t.Errorf("in a later epoch, trimmed to %d, slowest at %d, margin %d: to %d, due %t (%v); want %d, %t", c.trimmed, c.size, c.margin, through, due, err, c.through, c.due)
		}
	}
}

// TestTrimAlone: the trim stands in the ledger before a message goes; and an idle
// ledger doesn't trim its own trims away for ever.
func TestTrimAlone(t *testing.T) {
	s := calm(t)
	k := s.trimming(10)
	s.fill(30) // sequences 7 to 36
	s.step(k)
	if got := s.kinds(36); fmt.Sprint(got) != "[control 14]" {
		t.Fatalf("the ledger holds %s after the records, want a trim", got)
	}
	if trimmed, first := s.ledger.Head().State.Trimmed, s.first(); trimmed != 26 || first != 1 {
		t.Errorf("trimmed up to %d, and the stream begins at %d: want 26, and nothing gone yet", trimmed, first)
	}
	s.step(k)
	if first := s.first(); first != 27 {
		t.Errorf("the stream begins at %d, want 27", first)
	}
	for range 50 {
		s.now = s.now.Add(time.Minute)
		s.step(k)
	}
	if trims := strings.Count(fmt.Sprint(s.kinds(36)), "control 14"); trims != 1 {
		t.Errorf("%d trims of an idle ledger, want the one", trims)
	}
	if got := k.TrimStatus(); got.Trimmed != 26 || got.Removed != 26 || len(got.Held) != 0 {
		t.Errorf("the status is %+v", got)
	}
}

// TestTrimInNextEpoch: what a keeper remembers is of one stream. Where the ledger has
// gone on with another, it trims that one by what it finds there.
func TestTrimInNextEpoch(t *testing.T) {
	s := calm(t)
	s.fill(30)
	k := s.trimming(10)
	k.trimmer = trimmer{epoch: s.ledger.Head().State.Epoch + 1, removed: 5000, refused: 6000, next: s.now.Add(time.Second)}
	k.o.Trim.Every = time.Minute
	s.step(k)
	s.step(k)
	if trimmed, first := s.ledger.Head().State.Trimmed, s.first(); trimmed != 26 || first != 27 {
		t.Errorf("trimmed up to %d, and the stream begins at %d: want 26 and 27", trimmed, first)
	}
}

// TestTrimAfterCrash: a process that died after its trim was recorded, and before
// anything was removed, removes it when it is started again.
func TestTrimAfterCrash(t *testing.T) {
	s := calm(t)
	s.fill(30)
	s.step(s.trimming(10))
	if first := s.first(); first != 1 || s.ledger.Head().State.Trimmed != 26 {
		t.Fatalf("the stream begins at %d, trimmed up to %d", first, s.ledger.Head().State.Trimmed)
	}
	again := s.trimming(10)
	s.step(again)
	if first := s.first(); first != 27 {
		t.Errorf("the stream begins at %d, want 27", first)
	}
	if n := strings.Count(fmt.Sprint(s.kinds(0)), "control 14"); n != 1 {
		t.Errorf("%d trims, want the one", n)
	}
	// A stranger's stream is left alone.
	s.fill(30)
	s.step(s.trimming(10))
	stranger := s.trimming(10)
	stranger.o.Check = func(context.Context) error { return fmt.Errorf("forked") }
	if err := stranger.step(t.Context()); err == nil || !strings.Contains(err.Error(), "forked") || s.first() != 27 {
		t.Errorf("a stranger's stream: %v, begins at %d", err, s.first())
	}
}

// TestTrimWaitsForProjections: what the projections lack stays, to the message.
func TestTrimWaitsForProjections(t *testing.T) {
	s := calm(t)
	s.fill(30)
	js, err := jetstream.New(s.nc)
	if err != nil {
		t.Fatal(err)
	}
	line := `{"type":"app.renamed","actor":{"id":"u"}}`
	ack, err := js.PublishMsg(t.Context(), &nats.Msg{
		Subject: "activity.ws_7._", Data: []byte(strings.Repeat(line+"\n", 5)), Header: nats.Header{"Content-Type": {chain.NDJSON}},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.wait(ack.Sequence)
	k := s.trimming(1)
	for _, c := range []struct {
		projected, sequence, size uint64
		ok                        bool
	}{
		{0, 0, 0, false},
		{1, 1, 1, true},
		{20, 20, 20, true},
		{36, 36, 36, true},
		{37, 36, 36, true},
		{40, 36, 36, true},
		{41, 37, 41, true},
		{1000, 37, 41, true},
	} {
		k.o.Trim.Projected = func() uint64 { return c.projected }
		head := s.ledger.Head()
		got, ok, err := k.own(&head)
		if err != nil || ok != c.ok || ok && (got.sequence != c.sequence || got.size != c.size) {
			t.Errorf("%d projected: at %d with %d entries, %t (%v); want %d with %d", c.projected, got.sequence, got.size, ok, err, c.sequence, c.size)
		}
		if root, err := s.ledger.RootAt(got.size); ok && (err != nil || root != got.root) {
			t.Errorf("%d projected: another root (%v)", c.projected, err)
		}
	}
}

// TestNeverBeyondTheSlowest draws what replicas do: they fall behind, are silent,
// go back, lie about their root, change their minds about who there is. Whatever
// they do, the stream keeps everything from the margin before the slowest of them.
func TestNeverBeyondTheSlowest(t *testing.T) {
	const margin = 5
	s := calm(t)
	if err := ingest.EnsureReplicas(t.Context(), s.nc); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	names := []string{"a", "b", "c"}
	k := s.trimming(margin, names...)
	told := map[string]uint64{} // the last true word of each
	lied := ""
	tell := func(name string, size uint64, change func(*ingest.ReplicaPosition)) {
		t.Helper()
		root, err := s.ledger.RootAt(size)
		if err != nil {
			t.Fatal(err)
		}
		reaches, err := k.o.Ledger.ReachedAt(size)
		if err != nil {
			t.Fatal(err)
		}
		p := ingest.ReplicaPosition{Name: name, Ledger: s.ledger.ID(), Sequence: reaches, Size: size, Root: root, Replicas: names}
		if change != nil {
			change(&p)
			lied = name
		} else {
			told[name] = p.Sequence
			if lied == name {
				lied = ""
			}
		}
		if err := ingest.TellReplica(t.Context(), s.nc, p); err != nil {
			t.Fatal(err)
		}
	}
	trims, before := 0, uint64(1)
	for range 600 {
		size := s.ledger.Head().Size
		name := names[1+r.IntN(2)]
		switch r.IntN(10) {
		case 0, 1:
			s.fill(1 + r.IntN(30))
		case 2, 3, 4, 5:
			tell(name, size, nil)
		case 6:
			tell(name, size-uint64(r.IntN(int(min(size-1, 40)))), nil)
		case 7:
			tell(name, size, func(p *ingest.ReplicaPosition) { p.Replicas = []string{"a", name, "z"} })
		case 8:
			tell(name, size, func(p *ingest.ReplicaPosition) { p.Sequence += uint64(1 + r.IntN(100)) })
		case 9:
			s.now = s.now.Add(silence / 2)
		}
		s.step(k)
		s.step(k)
		first := s.first()
		slowest := s.ledger.Head().State.Sequence
		for _, name := range names[1:] {
			slowest = min(slowest, told[name])
		}
		if first > before {
			trims++
			if lied != "" {
				t.Fatalf("trimmed though replica %s lies", lied)
			}
			if first > slowest+1-margin {
				t.Fatalf("the stream begins at %d, though the slowest replica stands at %d and the margin is %d", first, slowest, margin)
			}
		}
		before = first
	}
	if trims < 5 {
		t.Errorf("%d trims: the property was hardly tried", trims)
	}
	t.Logf("%d trims of %d messages", trims, s.ledger.Head().State.Sequence)
	// Another history ends all trimming, for good.
	tell("b", s.ledger.Head().Size, func(p *ingest.ReplicaPosition) { p.Root[0] ^= 1 })
	s.step(k)
	s.fill(100)
	tell("c", s.ledger.Head().Size, nil)
	tell("b", s.ledger.Head().Size, nil)
	trimmed := s.ledger.Head().State.Trimmed
	s.step(k)
	s.step(k)
	if now := s.ledger.Head().State.Trimmed; now != trimmed {
		t.Errorf("trimmed from %d to %d though a replica has shown another history", trimmed, now)
	}
	if held := strings.Join(k.TrimStatus().Held, "; "); !strings.Contains(held, "two histories") {
		t.Errorf("held back by %q", held)
	}
}

// TestHeld: why nothing is trimmed is said in words that tell what to do.
func TestHeld(t *testing.T) {
	s := calm(t)
	s.fill(50)
	k := s.trimming(5, "a", "b")
	head := s.ledger.Head()
	word := ingest.ReplicaPosition{Name: "b", Ledger: s.ledger.ID(), Sequence: head.State.Sequence, Size: head.Size, Root: head.Root, Replicas: []string{"a", "b"}}
	for _, c := range []struct {
		name   string
		change func(*ingest.ReplicaPosition)
		later  time.Duration
		want   string
	}{
		{"another ledger", func(p *ingest.ReplicaPosition) { p.Ledger[0] ^= 1 }, 0, "replica b is of another ledger"},
		{"another epoch", func(p *ingest.ReplicaPosition) { p.Epoch = 1 }, 0, "replica b is in epoch 1, this one in 0"},
		{"other replicas", func(p *ingest.ReplicaPosition) { p.Replicas = []string{"b", "c"} }, 0, "give all of them the same --replicas"},
		{"ahead of this one", func(p *ingest.ReplicaPosition) { p.Size += 100 }, 0, "which can't judge that yet"},
		{"a name that isn't named", func(p *ingest.ReplicaPosition) { p.Name = "c" }, 0, "replica c says where it stands and is not named"},
		{"garbage", func(p *ingest.ReplicaPosition) { *p = ingest.ReplicaPosition{Name: "b"} }, 0, "can't be read"},
		{"silence", nil, 2 * silence, "has said nothing for 2m0s"},
	} {
		k.trimmer = trimmer{}
		s.step(k)
		p := word
		if c.change != nil {
			c.change(&p)
		}
		if err := ingest.TellReplica(t.Context(), s.nc, p); err != nil {
			t.Fatal(err)
		}
		for range 1 + int(c.later/silence) {
			s.step(k)
			s.now = s.now.Add(silence)
		}
		if held := strings.Join(k.TrimStatus().Held, "; "); !strings.Contains(held, c.want) {
			t.Errorf("%s: held back by %q, want %q", c.name, held, c.want)
		}
		if s.ledger.Head().State.Trimmed != 0 && c.change != nil {
			t.Fatalf("%s: trimmed up to %d", c.name, s.ledger.Head().State.Trimmed)
		}
		js, err := jetstream.New(s.nc)
		if err != nil {
			t.Fatal(err)
		}
		stream, err := js.Stream(t.Context(), ingest.ReplicaStream)
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.Purge(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestGoneBack: a word that is behind the one before it, and can't be judged, does
// not leave the one before it in force.
func TestGoneBack(t *testing.T) {
	s := calm(t)
	s.fill(50)
	k := s.trimming(50, "a", "b")
	head := s.ledger.Head()
	word := ingest.ReplicaPosition{Name: "b", Ledger: s.ledger.ID(), Sequence: head.State.Sequence, Size: head.Size, Root: head.Root, Replicas: []string{"a", "b"}}
	s.step(k)
	for _, c := range []struct{ sequence, size uint64 }{{head.State.Sequence, head.Size}, {10, 1 << 40}} {
		word.Sequence, word.Size = c.sequence, c.size
		if err := ingest.TellReplica(t.Context(), s.nc, word); err != nil {
			t.Fatal(err)
		}
		s.step(k)
	}
	s.fill(50)
	s.step(k)
	if held := strings.Join(k.TrimStatus().Held, "; "); !strings.Contains(held, "has gone back") || s.ledger.Head().State.Trimmed != 0 {
		t.Errorf("held back by %q, trimmed up to %d", held, s.ledger.Head().State.Trimmed)
	}
}

// TestGoneBackWithin: nor does a word that is behind the one before it and agrees
// with this ledger: two processes may speak under one name, and what the further
// one lets go the other has not folded.
func TestGoneBackWithin(t *testing.T) {
	s := calm(t)
	if err := ingest.EnsureReplicas(t.Context(), s.nc); err != nil {
		t.Fatal(err)
	}
	s.fill(20)
	k := s.trimming(5, "a", "b")
	early := s.ledger.Head()
	s.fill(50)
	for _, head := range []ledger.Head{s.ledger.Head(), early} {
		word := ingest.ReplicaPosition{Name: "b", Ledger: s.ledger.ID(), Sequence: head.State.Sequence, Size: head.Size, Root: head.Root, Replicas: []string{"a", "b"}}
		if err := ingest.TellReplica(t.Context(), s.nc, word); err != nil {
			t.Fatal(err)
		}
		s.step(k)
	}
	trimmed := s.ledger.Head().State.Trimmed
	s.fill(50)
	s.step(k)
	if held := strings.Join(k.TrimStatus().Held, "; "); !strings.Contains(held, "has gone back") || s.ledger.Head().State.Trimmed != trimmed {
		t.Errorf("held back by %q, trimmed up to %d and then %d", held, trimmed, s.ledger.Head().State.Trimmed)
	}
}

// TestTwoReplicas: each checks the other, one of them trims, both agree.
func TestTwoReplicas(t *testing.T) {
	s := calm(t)
	s.fill(40)
	a, b := s.trimming(5, "a", "b"), s.trimming(5, "a", "b")
	b.o.Trim.Replica = "b" // of the same ledger: what differs is who speaks
	for range 4 {
		s.step(a)
		s.step(b)
	}
	if n := strings.Count(fmt.Sprint(s.kinds(0)), "control 14"); n != 1 || s.first() != s.ledger.Head().State.Trimmed+1 {
		t.Errorf("%d trims, the stream begins at %d, trimmed up to %d", n, s.first(), s.ledger.Head().State.Trimmed)
	}
	for leaf, err := range s.ledger.Leaves(t.Context(), 0, s.ledger.Head().Size) {
		if err != nil {
			t.Fatal(err)
		}
		if leaf.Entry.Kind != chain.KindControl || leaf.Entry.Code != uint16(chain.ControlTrim) {
			continue
		}
		c, err := leaf.Entry.Control()
		if err != nil {
			t.Fatal(err)
		}
		trim, err := chain.ParseTrim(c.Statement.Body)
		if err != nil || len(trim.Replicas) != 2 || trim.Least() != 46 || trim.Through != 41 {
			t.Errorf("the trim is %+v (%v)", trim, err)
		}
	}
}
