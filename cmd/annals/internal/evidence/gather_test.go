package evidence

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"annals/ledger"
	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
	"annals/ledger/proof"
	"annals/ledger/proof/pack"
	"annals/ledger/proof/prooftest"
	"annals/projections"
	"annals/query"
	"annals/query/client"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// site is a server whose checkpoints and heads are signed.
type site struct {
	t           *testing.T
	stream      *chaintest.Stream
	ledger      *ledger.Ledger
	projections *projections.Live
	client      *client.Client
	size        uint64
	note        []byte
	asked       atomic.Int32
	between     func() // before each request
}

func newSite(t *testing.T) *site {
	s := &site{t: t, stream: chaintest.NewKeyed("evidence"), between: func() {}}
	var err error
	if s.ledger, err = ledger.Create("ledger", s.stream.Messages[0], s.stream.Messages[1], ledger.Options{FS: vfs.NewMem(), CacheSize: 16 << 20}); err != nil {
		t.Fatal(err)
	}
	if s.projections, err = projections.OpenLive("projections", s.ledger.ID(), projections.Options{FS: vfs.NewMem()}); err != nil {
		t.Fatal(err)
	}
	api := query.New(query.Options{
		Ledger: s.ledger, Projections: s.projections,
		Checkpoint:      func() (uint64, []byte) { return s.size, s.note },
		AwaitCheckpoint: func(context.Context, uint64) ([]byte, error) { s.sign(); return s.note, nil },
		SignHead: func(text []byte) ([]byte, error) {
			return prooftest.SignAs(string(text), s.stream.Settled.Origin, "heads"), nil
		},
	})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		s.between()
		api.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		server.Close()
		if err := errors.Join(s.projections.Close(), s.ledger.Close()); err != nil {
			t.Error(err)
		}
	})
	if s.client, err = client.New(server.URL, client.Options{}); err != nil {
		t.Fatal(err)
	}
	return s
}

// settle records and indexes what the stream holds.
func (s *site) settle() {
	ctx := context.Background()
	err := errors.Join(s.ledger.Append(ctx, s.stream.Messages[s.ledger.Position().Sequence:]), s.ledger.Flush(ctx))
	from, _ := s.projections.Cursor()
	if err = errors.Join(err, s.projections.Fold(s.ledger.Leaves(ctx, from, s.ledger.Head().Size))); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) sign() {
	head := s.ledger.Head()
	c := proof.Checkpoint{Origin: s.stream.Settled.Origin, Size: head.Size, Root: head.Root}
	s.size, s.note = head.Size, prooftest.SignAs(c.Text(), c.Origin, "checkpoint")
}

func (s *site) fill(messages int) {
	for i := range messages {
		lines := make([]string, 100)
		for j := range lines {
			lines[j] = fmt.Sprintf(`{"id":"%d.%d","type":"t","actor":{"id":"u%d"}}`, i, j, (i*100+j)%700)
		}
		s.stream.Publish("activity.ws_7._", strings.Join(lines, "\n"), "Content-Type", "application/x-ndjson")
		s.stream.Publish("activity.other._", lines[0])
	}
	s.settle()
	s.sign()
}

// gather makes a pack, and holds it to what was wanted.
func (s *site) gather(w Wanted) *pack.Contents {
	s.t.Helper()
	w.Workspace, w.Spool, w.Created, w.Maker = "ws_7", s.t.TempDir(), time.Unix(1_800_000_000, 0), "a test"
	w.VKey = prooftest.VKeyOf(s.stream.Settled.Origin, "checkpoint")
	c, err := Gather(s.t.Context(), s.client, w)
	if err != nil {
		s.t.Fatal(err)
	}
	r, err := c.Verify(s.t.Context())
	if err != nil || r.Verdict != proof.Clean {
		s.t.Fatalf("%v %+v", err, r)
	}
	var b bytes.Buffer
	if err := pack.Write(&b, c, &r); err != nil {
		s.t.Fatal(err)
	}
	p, err := pack.Open(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		s.t.Fatal(err)
	}
	if r, err := p.Verify(s.t.Context(), w.VKey); err != nil || r.Verdict != proof.Clean {
		s.t.Fatalf("%v %+v", err, r)
	}
	return c
}

// TestGather packs ranges and selections of a chain that is longer than an answer.
func TestGather(t *testing.T) {
	s := newSite(t)
	s.fill(25)
	last := func(n uint64) *uint64 { return &n }
	user := func(ids ...string) *client.Filter {
		return &client.Filter{Where: []client.Condition{client.Is(client.User, ids...)}}
	}
	for name, c := range map[string]struct {
		wanted   Wanted
		payloads uint64
		lines    uint64
	}{
		"everything":       {Wanted{}, 2500, 2500},
		"a range":          {Wanted{First: 990, Last: last(1010)}, 21, 21},
		"one":              {Wanted{First: 7, Last: last(7)}, 1, 1},
		"a user":           {Wanted{Filter: user("u5")}, 4, 2500},
		"users":            {Wanted{Filter: user("u0", "u699")}, 7, 2500},
		"a user, a range":  {Wanted{Filter: user("u5"), First: 6, Last: last(1405)}, 2, 1400},
		"nobody":           {Wanted{Filter: user("nobody")}, 0, 2500},
		"nobody, one line": {Wanted{Filter: user("nobody"), First: 3, Last: last(3)}, 0, 1},
	} {
		got := s.gather(c.wanted)
		n := uint64(0)
		for l, err := range got.Lines() {
			if err != nil {
				t.Fatal(err)
			}
			ends := n == 0 || n == c.lines-1
			if (l.Proof != nil) != (ends || l.Body != nil) {
				t.Fatalf("%s: line %d: a proof %v, a payload %v", name, n, l.Proof != nil, l.Body != nil)
			}
			n++
		}
		if n != c.lines || got.About.Payloads != c.payloads {
			t.Errorf("%s: %d lines, %d payloads, want %d and %d", name, n, got.About.Payloads, c.lines, c.payloads)
		}
	}
	for name, w := range map[string]Wanted{"beyond the end": {Last: last(2500)}, "backwards": {First: 5, Last: last(4)}, "from beyond": {First: 2500}} {
		w.Workspace, w.Spool = "ws_7", t.TempDir()
		if _, err := Gather(t.Context(), s.client, w); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestGatherBesideWrites packs while the ledger grows, and signs, between any two
// requests; and while its indexes are behind.
func TestGatherBesideWrites(t *testing.T) {
	s := newSite(t)
	s.fill(3)
	n := 0
	s.between = func() {
		if n++; n%3 == 0 {
			s.stream.Publish("activity.ws_7._", fmt.Sprintf(`{"id":"late %d","type":"t","actor":{"id":"u5"}}`, n))
			s.settle()
			s.sign()
		}
	}
	for range 5 {
		s.gather(Wanted{Filter: &client.Filter{Where: []client.Condition{client.Is(client.User, "u5")}}})
	}
	s.between = func() {
		s.stream.Publish("activity.ws_7._", `{"type":"t","actor":{"id":"u5"}}`)
		s.settle()
		s.sign()
	}
	if _, err := Fetch(t.Context(), s.client, "ws_7"); err == nil || s.asked.Load() < 2*mostTries {
		t.Errorf("a server that signs faster than it answers: %v", err)
	}
}

// TestGatherFromALiar: what a server answers differently the second time is not
// packed.
func TestGatherFromALiar(t *testing.T) {
	s := newSite(t)
	s.fill(1)
	api := s.client
	liar := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a, err := api.Do(r.Context(), r.Method, r.URL.RequestURI(), nil)
		if err != nil {
			t.Error(err)
			return
		}
		if strings.Contains(r.URL.RawQuery, "with=payloads") {
			var out bytes.Buffer
			for raw := range bytes.Lines(a.Body) {
				l, err := proof.ParseLine(raw)
				if err != nil {
					t.Error(err)
				}
				l.Entry[100]++
				_ = pack.WriteLine(&out, &l)
			}
			a.Body = out.Bytes()
		}
		w.WriteHeader(a.Status)
		_, _ = w.Write(a.Body)
	}))
	defer liar.Close()
	c, err := client.New(liar.URL, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := Wanted{Workspace: "ws_7", Spool: t.TempDir(), Filter: &client.Filter{Where: []client.Condition{client.Is(client.User, "u5")}}}
	if _, err := Gather(t.Context(), c, w); err == nil || !strings.Contains(err.Error(), "two different entries") {
		t.Errorf("%v", err)
	}
	w.Filter, w.Spool, w.VKey = nil, t.TempDir(), prooftest.VKeyOf(s.stream.Settled.Origin, "checkpoint")
	contents, err := Gather(t.Context(), c, w)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := contents.Verify(t.Context()); err != nil || r.Verdict != proof.AlteredEntry {
		t.Errorf("%v %+v", err, r)
	}
}

// ledgerHead is the ledger that a statement speaks of.
type ledgerHead struct {
	size uint64
	root chain.Hash
}

// erase has entries of ws_7 erased, and says by which entry.
func (s *site) erase(indexes ...uint64) uint64 {
	s.t.Helper()
	return s.destroy(func(head *ledgerHead, e chain.Erase) { s.stream.Erase(head.size, head.root, e, "by Erin") }, indexes...)
}

// destroy has entries of ws_7 destroyed by what is published, and says by which entry.
func (s *site) destroy(publish func(head *ledgerHead, e chain.Erase), indexes ...uint64) uint64 {
	s.t.Helper()
	s.settle()
	head := s.ledger.Head()
	e := chain.Erase{
		Role: chain.RoleOperator, Reason: chain.EraseRequest, Rule: chain.NoRef, Workspace: s.ledger.Tag("ws_7"), Parts: 1,
		Ranges: chain.Ranges(slices.Values(indexes)),
	}
	var err error
	e.Leaves, err = chain.SelectionHash(s.ledger.ID(), e.Workspace, e.Ranges, func(index uint64) (chain.Hash, error) {
		_, hash, err := s.ledger.Get(index)
		return hash, err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	e.Selection = e.Leaves
	publish(&ledgerHead{head.Size, head.Root}, e)
	s.settle()
	s.sign()
	return s.ledger.Head().Size - 1
}

// TestGatherErased packs what was erased as such, and what is erased while it packs.
func TestGatherErased(t *testing.T) {
	s := newSite(t)
	s.fill(2)
	by := s.erase(5, 6, 90)
	count := func(c *pack.Contents) (gone []uint64) {
		for l, err := range c.Lines() {
			if err != nil {
				t.Fatal(err)
			}
			if l.Gone != nil {
				gone = append(gone, l.Index)
				if *l.Gone != by && l.Index != 20 {
					t.Errorf("entry %d is gone by %d, not %d", l.Index, *l.Gone, by)
				}
			}
		}
		return gone
	}
	last := uint64(60)
	whole := s.gather(Wanted{})
	if gone := count(whole); !slices.Equal(gone, []uint64{5, 6, 90}) || len(whole.Erasures) != 1 || whole.About.Payloads != 197 {
		t.Errorf("gone %v, %d erasures, %d payloads", gone, len(whole.Erasures), whole.About.Payloads)
	}
	if part := s.gather(Wanted{Last: &last}); !slices.Equal(count(part), []uint64{5, 6}) {
		t.Errorf("of a part: gone %v", count(part))
	}
	first := uint64(150)
	if none := s.gather(Wanted{First: first}); len(none.Erasures) > 0 || len(count(none)) > 0 {
		t.Error("a range of which nothing was erased holds an erasure")
	}
	nobody := &client.Filter{Where: []client.Condition{client.Is(client.User, "nobody")}}
	if headers := s.gather(Wanted{Filter: nobody}); len(headers.Erasures) != 1 || len(count(headers)) > 0 {
		t.Error("headers alone say that payloads are gone that nobody asked for, or don't say by what")
	}
	asked := 0
	s.between = func() {
		if asked++; asked == 4 { // head, keys and erasures were answered
			s.between = func() {}
			s.erase(20)
		}
	}
	if c := s.gather(Wanted{Last: &last}); len(c.Erasures) != 2 {
		t.Errorf("what was erased meanwhile: %d erasures", len(c.Erasures))
	}
}
