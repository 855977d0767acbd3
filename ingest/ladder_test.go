package ingest_test

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"annals/ingest"
	"annals/ledger/chain"
)

// peers is a cluster as the NATS API shows it: servers that hold different
// messages, one of which leads. A real one that has lost a message on one server
// only can't be made to order.
type peers struct {
	mu      sync.Mutex
	leader  string
	offline []string
	stub
	led []string // who was asked to lead
	// stubborn is how often an election goes to the old leader all the same.
	stubborn int
}

// stub is what each server holds, by stream, name and sequence.
type stub map[string]map[uint64]string

func (p *peers) serve(t *testing.T) *nats.Conn {
	t.Helper()
	srv, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	go srv.Start()
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	if !srv.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server is not ready")
	}
	nc, err := nats.Connect(srv.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	answer := func(subject string, f func(m *nats.Msg) any) {
		_, err := nc.Subscribe(subject, func(m *nats.Msg) {
			p.mu.Lock()
			b, err := json.Marshal(f(m))
			p.mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			_ = m.Respond(b)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	answer("$JS.API.STREAM.INFO.*", p.info)
	answer("$JS.API.STREAM.MSG.GET.*", p.get)
	answer("$JS.API.STREAM.LEADER.STEPDOWN."+ingest.Stream, p.stepDown)
	return nc
}

func token(m *nats.Msg) string { return m.Subject[strings.LastIndexByte(m.Subject, '.')+1:] }

func refused(code int) any {
	return map[string]any{"error": map[string]any{"code": 404, "err_code": code, "description": "not found"}}
}

func (p *peers) info(m *nats.Msg) any {
	name := token(m)
	if name != ingest.Stream {
		if p.stub[name] == nil {
			return refused(10059)
		}
		of := ingest.Stream
		if name == "STRANGE" {
			of = "OTHER"
		}
		return map[string]any{"config": map[string]any{"name": name, "mirror": map[string]any{"name": of}}}
	}
	var others []map[string]any
	for _, name := range slices.Sorted(maps.Keys(p.stub)) {
		if name != p.leader && strings.HasPrefix(name, "n") {
			others = append(others, map[string]any{"name": name, "offline": slices.Contains(p.offline, name)})
		}
	}
	return map[string]any{
		"config": map[string]any{"name": name, "num_replicas": len(others) + 1}, "created": time.Unix(1, 0),
		"cluster": map[string]any{"leader": p.leader, "replicas": others},
	}
}

func (p *peers) get(m *nats.Msg) any {
	var request struct {
		Sequence uint64 `json:"seq"`
	}
	_ = json.Unmarshal(m.Data, &request)
	who := token(m)
	if who == ingest.Stream {
		who = p.leader
	}
	body, held := p.stub[who][request.Sequence]
	if !held {
		return refused(10037)
	}
	return map[string]any{"message": map[string]any{
		"subject": "activity.ws_1.a", "seq": request.Sequence, "data": []byte(body), "time": time.Unix(int64(request.Sequence), 0),
	}}
}

func (p *peers) stepDown(m *nats.Msg) any {
	var request struct {
		Placement struct {
			Preferred string `json:"preferred"`
		} `json:"placement"`
	}
	_ = json.Unmarshal(m.Data, &request)
	p.led = append(p.led, request.Placement.Preferred)
	if p.stubborn--; p.stubborn < 0 {
		p.leader = request.Placement.Preferred
	}
	return map[string]any{"success": true}
}

// message is what a server that has body at a sequence answers with.
func message(sequence uint64, body string) *chain.Message {
	return &chain.Message{Subject: "activity.ws_1.a", Body: []byte(body), Sequence: sequence, Time: time.Unix(int64(sequence), 0).UnixNano()}
}

func at(sequence uint64, body string) chain.Position {
	return chain.Position{Sequence: sequence, Digest: message(sequence, body).Digest()}
}

// TestClimb goes up the ladder rung by rung.
func TestClimb(t *testing.T) {
	const before, after = "before", "after"
	holed := map[uint64]string{3: before, 6: after}
	whole := map[uint64]string{3: before, 4: "four", 5: "five", 6: after}
	part := map[uint64]string{3: before, 4: "four", 6: after}
	other := map[uint64]string{3: before, 4: "FOUR", 5: "five", 6: "not after"}
	shifted := map[uint64]string{3: "not before", 4: "four"}
	bare := map[uint64]string{4: "four"}
	for _, c := range []struct {
		name     string
		cluster  stub
		offline  []string
		o        ingest.LadderOptions
		stubborn int
		want     string   // the bodies
		tried    []string // of the error, in order
		led      string
	}{
		{name: "the leader has it after all", cluster: stub{"n1": whole, "n2": holed}, o: ingest.LadderOptions{Step: true}, want: "four five"},
		{name: "alone", cluster: stub{"n1": holed}, o: ingest.LadderOptions{Step: true}, tried: []string{"leader n1 has not got it"}},
		{name: "the second peer", cluster: stub{"n1": holed, "n2": holed, "n3": whole}, o: ingest.LadderOptions{Step: true}, want: "four five", led: "n2 n3"},
		{name: "a part of it", cluster: stub{"n1": holed, "n2": part}, o: ingest.LadderOptions{Step: true}, want: "four", led: "n2"},
		{name: "an election that goes wrong", cluster: stub{"n1": holed, "n2": whole}, o: ingest.LadderOptions{Step: true}, stubborn: 2, want: "four five", led: "n2 n2 n2"},
		{name: "no stepping down", cluster: stub{"n1": holed, "n2": whole}, tried: []string{"leader n1", "not stepped down"}},
		{
			name: "offline", cluster: stub{"n1": holed, "n2": whole, "n3": holed}, offline: []string{"n2"}, o: ingest.LadderOptions{Step: true},
			tried: []string{"leader n1", "n2 is offline", "n3 has not got it"}, led: "n3",
		},
		{
			name: "a peer that wrote anew", cluster: stub{"n1": holed, "n2": other}, o: ingest.LadderOptions{Step: true},
			tried: []string{"leader n1", "n2 has a message there and is no copy of this stream: at sequence 6"}, led: "n2",
		},
		{
			name: "a peer of another past", cluster: stub{"n1": holed, "n2": shifted}, o: ingest.LadderOptions{Step: true},
			tried: []string{"leader n1", "no copy of this stream: at sequence 3"}, led: "n2",
		},
		{
			name: "a peer that can't be compared", cluster: stub{"n1": holed, "n2": bare}, o: ingest.LadderOptions{Step: true},
			tried: []string{"leader n1", "neither of the messages beside the hole"}, led: "n2",
		},
		{name: "the mirror", cluster: stub{"n1": holed, "n2": holed, "COPY": whole}, o: ingest.LadderOptions{Step: true, Mirror: "COPY"}, want: "four five", led: "n2"},
		{name: "the mirror has it not", cluster: stub{"n1": holed, "COPY": holed}, o: ingest.LadderOptions{Mirror: "COPY"}, tried: []string{"leader n1", "mirror COPY has not got it"}},
		{name: "a mirror of another stream", cluster: stub{"n1": holed, "STRANGE": whole}, o: ingest.LadderOptions{Mirror: "STRANGE"}, tried: []string{"leader n1", "STRANGE is no mirror"}},
		{name: "no such mirror", cluster: stub{"n1": holed}, o: ingest.LadderOptions{Mirror: "COPY"}, tried: []string{"leader n1", "mirror COPY: "}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := &peers{leader: "n1", stub: c.cluster, offline: c.offline, stubborn: c.stubborn}
			nc := p.serve(t)
			c.o.At = at(3, before)
			hole := &ingest.HoleError{Missing: 4, Next: 6, After: message(6, after).Digest()}
			got, err := ingest.Climb(t.Context(), nc, hole, c.o)
			if led := strings.Join(p.led, " "); led != c.led {
				t.Errorf("asked to lead: %q, want %q", led, c.led)
			}
			if c.want != "" {
				var bodies []string
				for i, m := range got {
					bodies = append(bodies, string(m.Body))
					if m.Digest() != message(4+uint64(i), bodies[i]).Digest() {
						t.Errorf("%+v is not the message that was published", m)
					}
				}
				if bodies := strings.Join(bodies, " "); err != nil || bodies != c.want {
					t.Fatalf("got %q, %v; want %q", bodies, err, c.want)
				}
				return
			}
			var still *ingest.HoleError
			if len(got) > 0 || !errors.As(err, &still) || still.Missing != 4 || still.Last() != 5 || still.After != hole.After {
				t.Fatalf("got %d messages, %v", len(got), err)
			}
			if len(still.Tried) != len(c.tried) {
				t.Fatalf("tried %q, want %q", still.Tried, c.tried)
			}
			for i, want := range c.tried {
				if !strings.Contains(still.Tried[i], want) || !strings.Contains(err.Error(), still.Tried[i]) {
					t.Errorf("tried %q, want %q, told as %v", still.Tried[i], want, err)
				}
			}
			for _, want := range []string{"4 to 5 are missing", "annals gap --first 4 --last 5"} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in %v", want, err)
				}
			}
		})
	}
}

// TestMirrorOfAServer: a real mirror keeps what was deleted, with its sequence and
// its time, to the byte.
func TestMirrorOfAServer(t *testing.T) {
	s := start(t)
	fill(t, s, 4)
	s.say(t, "activity.ws_1.b", "deleted")
	s.say(t, "activity.ws_1.b", "after")
	whole := read(t, reader(t, s.ledger, chain.Position{}), 6)
	_, err := s.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "COPY", Mirror: &jetstream.StreamSource{Name: ingest.Stream}})
	if err != nil {
		t.Fatal(err)
	}
	for copied := uint64(0); copied < 6; time.Sleep(10 * time.Millisecond) {
		st, err := s.js.Stream(t.Context(), "COPY")
		if err != nil {
			t.Fatal(err)
		}
		copied = st.CachedInfo().State.LastSeq
	}
	s.lose(t, 5)
	r := reader(t, s.ledger, chain.Position{})
	read(t, r, 4)
	hole := stopsWith[*ingest.HoleError](t, r)
	if hole.Missing != 5 || hole.Next != 6 || hole.After != whole[5].Digest() {
		t.Fatalf("got %+v", hole)
	}
	if _, err := ingest.Climb(t.Context(), s.ledger, hole, ingest.LadderOptions{At: r.Position(), Step: true}); !errors.As(err, new(*ingest.HoleError)) {
		t.Errorf("without the mirror: %v", err)
	}
	got, err := ingest.Climb(t.Context(), s.ledger, hole, ingest.LadderOptions{At: r.Position(), Step: true, Mirror: "COPY"})
	if err != nil || len(got) != 1 || got[0].Digest() != whole[4].Digest() {
		t.Errorf("the mirror gives %+v, %v", got, err)
	}
}

// lose deletes messages from the stream, as a damaged store does.
func (s *bench) lose(tb testing.TB, sequences ...uint64) {
	tb.Helper()
	st, err := s.js.Stream(tb.Context(), ingest.Stream)
	if err != nil {
		tb.Fatal(err)
	}
	for _, seq := range sequences {
		if err := st.DeleteMsg(tb.Context(), seq); err != nil {
			tb.Fatal(err)
		}
	}
}

// TestHoles: a hole is named whole, and no more than it.
func TestHoles(t *testing.T) {
	for _, c := range []struct {
		name       string
		lost       []uint64
		read       uint64 // what comes before
		first, end uint64
	}{
		{"one", []uint64{4}, 3, 4, 5},
		{"many", []uint64{4, 5, 6, 7}, 3, 4, 8},
		{"two holes", []uint64{4, 6}, 3, 4, 5},
		{"at the end", []uint64{9}, 8, 9, 10},
		{"many at the end", []uint64{7, 8, 9}, 6, 7, 10},
		{"all but the first", []uint64{2, 3, 4, 5, 6, 7, 8, 9}, 1, 2, 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			fill(t, s, 9)
			s.lose(t, c.lost...)
			r := reader(t, s.ledger, chain.Position{})
			read(t, r, c.read)
			hole := stopsWith[*ingest.HoleError](t, r)
			if hole.Missing != c.first || hole.Next != c.end || hole.After.IsZero() != (c.end > 9) {
				t.Errorf("got %+v, want %d up to %d", hole, c.first, c.end)
			}
			// Past the hole, which a signed gap stands for, reading goes on.
			next := reader(t, s.ledger, chain.Position{Sequence: hole.Last()})
			s.say(t, "activity.ws_1.a", "later")
			if _, err := next.Next(t.Context()); err != nil {
				t.Errorf("behind the hole: %v", err)
			}
		})
	}
}

// TestHoleWithin: where a consumer skips more than is missing, the hole is what the
// leader has not got, and no more.
func TestHoleWithin(t *testing.T) {
	s := start(t)
	at := fill(t, s, 3)
	fill(t, s, 5)
	last := s.say(t, "activity.ws_1.late", "x")
	st, err := s.js.Stream(t.Context(), ingest.Stream)
	if err != nil {
		t.Fatal(err)
	}
	c, err := st.CreateConsumer(t.Context(), jetstream.ConsumerConfig{
		FilterSubject: "activity.ws_1.late", AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.lose(t, 5)
	r := reader(t, s.ledger, at)
	if err := r.ReadThrough(c.CachedInfo().Name); err != nil {
		t.Fatal(err)
	}
	read(t, r, 4)
	if hole := stopsWith[*ingest.HoleError](t, r); hole.Missing != 5 || hole.Next != 6 {
		t.Errorf("got %+v, and %d is the next that the consumer brings", hole, last)
	}
}

// TestNoHole: a stream that grows while nobody looks has nothing overdue.
func TestNoHole(t *testing.T) {
	s := start(t)
	r := reader(t, s.ledger, fill(t, s, 2))
	for i := range uint64(3) {
		time.Sleep(250 * time.Millisecond)
		s.say(t, "activity.ws_1.a", "x")
		read(t, r, 3+i)
	}
}

func TestControlsBehind(t *testing.T) {
	s := start(t)
	for _, subject := range []string{"annals.control.gap", "annals.control.mark", "activity.w.a", "annals.control.gap", "annals.control.seed"} {
		s.say(t, subject, subject)
	}
	for _, c := range []struct {
		subject string
		behind  uint64
		want    []uint64
	}{
		{ingest.SubjectGap, 0, []uint64{1, 4}},
		{ingest.SubjectGap, 1, []uint64{4}},
		{ingest.SubjectGap, 4, nil},
		{ingest.RootControl + ".>", 0, []uint64{1, 2, 4, 5}},
		{ingest.RootControl + ".>", 99, nil},
	} {
		got, err := ingest.ControlsBehind(t.Context(), s.ledger, c.subject, c.behind)
		var at []uint64
		for _, m := range got {
			at = append(at, m.Sequence)
		}
		if err != nil || !slices.Equal(at, c.want) {
			t.Errorf("%s behind %d: %v, %v; want %v", c.subject, c.behind, at, err, c.want)
		}
	}
	if _, err := ingest.ControlsBehind(t.Context(), s.ledger, "activity.>", 0); err == nil {
		t.Error("records are no control messages")
	}
}
