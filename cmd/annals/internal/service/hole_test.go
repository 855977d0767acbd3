package service

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"annals/cmd/annals/internal/audit"
	"annals/cmd/annals/internal/control"
	"annals/ingest"
	"annals/ingest/broker"
	"annals/ledger"
	"annals/ledger/chain"
	"annals/ledger/proof"
	"annals/query/client"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// holed prepares a service's stream: n records are published while the service is
// stopped, and then messages are deleted from the stream, as a damaged store loses
// them. It returns the sequence of the first of the records.
func holed(t *testing.T, o Options, n int, lose func(first uint64) []uint64) uint64 {
	t.Helper()
	s := mustStart(t, o)
	mustClose(t, s)
	var first uint64
	onStream(t, o, func(nc *nats.Conn) {
		js, err := jetstream.New(nc)
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			body := recordNamed(fmt.Sprintf("r%d", i))
			m := &nats.Msg{Subject: "activity.ws_7.app.renamed", Data: []byte(body), Header: nats.Header{}}
			if i%3 == 1 { // of several records
				m.Subject = "activity.ws_7._"
				m.Data = []byte(recordNamed(fmt.Sprintf("r%d.0", i)) + "\n" + recordNamed(fmt.Sprintf("r%d.1", i)) + "\n")
				m.Header["Content-Type"] = []string{chain.NDJSON}
			}
			ack, err := js.PublishMsg(t.Context(), m)
			if err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				first = ack.Sequence
			}
		}
		deleteMessages(t, nc, lose(first)...)
	})
	return first
}

// onStream opens a stopped service's stream.
func onStream(t *testing.T, o Options, f func(*nats.Conn)) {
	t.Helper()
	b, err := broker.Start(broker.Options{StoreDir: filepath.Join(o.Data, "jetstream")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}()
	nc, err := b.Connect()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	f(nc)
}

func deleteMessages(t *testing.T, nc *nats.Conn, sequences ...uint64) {
	t.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	st, err := js.Stream(t.Context(), ingest.Stream)
	if err != nil {
		t.Fatal(err)
	}
	for _, sequence := range sequences {
		if err := st.DeleteMsg(t.Context(), sequence); err != nil {
			t.Fatal(err)
		}
	}
}

// atHole waits until a service stands at a hole.
func atHole(t *testing.T, s *Service) *control.Standing {
	t.Helper()
	var at *control.Standing
	eventually(t, "at the hole", func() bool {
		var err error
		if at, err = control.Look(t.Context(), asking(t, s)); err != nil {
			t.Fatal(err)
		}
		return at.Hole != nil
	})
	return at
}

// operator signs for a service's ledger.
func operator(t *testing.T, s *Service) chain.Signer {
	t.Helper()
	head := s.ledger.Head()
	signer, err := s.keys.Signer(&head.State, chain.RoleOperator)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// sealGap signs the gap that a server says it needs.
func sealGap(t *testing.T, s *Service, at *control.Standing) []byte {
	t.Helper()
	return chain.SealGap(at.Ledger, at.Control, at.Size, at.Root,
		chain.GapNotice{Epoch: at.Epoch, First: at.Hole.First, Last: at.Hole.Last}, "", operator(t, s))
}

// entriesOf lists what a ledger holds from an index on: kind, code and sequence.
func entriesOf(t *testing.T, l *ledger.Ledger, from uint64) (out []string) {
	t.Helper()
	for leaf, err := range l.Leaves(t.Context(), from, l.Head().Size) {
		if err != nil {
			t.Fatal(err)
		}
		e := &leaf.Entry
		switch what := e.Kind.String(); {
		case e.Kind == chain.KindControl:
			out = append(out, chain.ControlType(e.Code).String())
		default:
			out = append(out, fmt.Sprintf("%s %d", what, e.Sequence))
		}
	}
	return out
}

// clean audits a service's ledger.
func clean(t *testing.T, s *Service) {
	t.Helper()
	src := s.ledger.Source()
	defer src.Close()
	report, err := audit.Run(t.Context(), src, audit.Options{})
	if err != nil || report.Verdict != proof.Clean {
		t.Errorf("the audit says %v, %v", report, err)
	}
}

// TestHole: a service waits at a hole with its reads served, says what is missing,
// and goes on once an operator's signed gap is in the stream.
func TestHole(t *testing.T) {
	for _, c := range []struct {
		name string
		lose []uint64 // counted from the first record
		last uint64
	}{
		{"one", []uint64{2}, 2},
		{"many", []uint64{2, 3, 4}, 4},
		{"one of several records", []uint64{1}, 1},
		{"at the end", []uint64{7, 8}, 8},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := options(filepath.Join(t.TempDir(), "data"))
			o.holeRetry = 50 * time.Millisecond
			first := holed(t, o, 9, func(first uint64) (out []uint64) {
				for _, n := range c.lose {
					out = append(out, first+n)
				}
				return out
			})
			s := mustStart(t, o)
			at := atHole(t, s)
			want := control.Hole{First: first + c.lose[0], Last: first + c.last, Size: at.Size, Root: at.Root}
			if *at.Hole != want || at.State != "waiting" || !strings.Contains(at.Error, "annals gap --first") || at.Sequence != want.First-1 {
				t.Fatalf("got %+v, %+v; want the hole %+v", at, at.Hole, want)
			}
			if err := s.Ready(t.Context()); !errors.As(err, new(*ingest.HoleError)) {
				t.Errorf("ready at a hole: %v", err)
			}
			if err := s.pump.whole(t.Context()); !errors.As(err, new(*ingest.HoleError)) {
				t.Errorf("a keeper would sign at a hole: %v", err)
			}
			// A record behind the hole is not waited for.
			if status, body := post(t, s, "behind"); status != http.StatusServiceUnavailable || !strings.Contains(body, "recording_stopped") {
				t.Errorf("recording at a hole: %d %s", status, body)
			}
			at = atHole(t, s)
			size := at.Size
			answer, err := control.Submit(t.Context(), asking(t, s), sealGap(t, s, at))
			if err != nil {
				t.Fatal(err)
			}
			eventually(t, "ready again", func() bool { return s.Ready(t.Context()) == nil })
			if status, body := post(t, s, "after"); status != http.StatusOK {
				t.Errorf("recording after the gap: %d %s", status, body)
			}
			got := entriesOf(t, s.ledger, size)
			if got[0] != fmt.Sprintf("gap %d", want.First) || !slices.Contains(got, "gap") || slices.ContainsFunc(got, func(e string) bool { return strings.HasPrefix(e, "rejection") }) {
				t.Errorf("the ledger goes on with %q", got)
			}
			if answer.Status != control.Recorded {
				t.Errorf("the answer was %+v", answer)
			}
			clean(t, s)
			root, size := s.ledger.Head().Root, s.ledger.Head().Size
			mustClose(t, s)
			replica(t, o, size, root)
		})
	}
}

// replica folds a service's stream anew and compares.
func replica(t *testing.T, o Options, size uint64, root chain.Hash) {
	t.Helper()
	onStream(t, o, func(nc *nats.Conn) {
		l := foldAnew(t, nc, size)
		defer func() {
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		}()
		got, err := l.RootAt(size)
		if err != nil || got != root {
			t.Errorf("another replica has root %s at %d (%v), want %s", got, size, err, root)
		}
	})
}

// foldAnew folds a stream into a ledger of its own until it has a size.
func foldAnew(t *testing.T, nc *nats.Conn, size uint64) *ledger.Ledger {
	t.Helper()
	p := pumpAnew(t, nc, "")
	defer p.stop()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for head := p.ledger.Head(); head.Size < size; {
		var err error
		if head, err = p.ledger.Wait(ctx, head.Size); err != nil {
			t.Fatalf("another replica stands at %d: %v (%v)", head.Size, err, p.stopped())
		}
	}
	return p.ledger
}

// pumpAnew begins to fold a stream into a ledger of its own.
func pumpAnew(t *testing.T, nc *nats.Conn, mirror string) *pump {
	t.Helper()
	o := options(filepath.Join(t.TempDir(), "replica"))
	o.defaults()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	s := &Service{o: o, line: &line{nc: nc}}
	r, err := ingest.OpenReader(ctx, nc, ingest.ReaderOptions{MaxMessages: 2})
	if err != nil {
		t.Fatal(err)
	}
	var first []chain.Message
	for len(first) < 2 {
		more, err := r.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		first = append(first, more...)
	}
	r.Close()
	if s.ledger, err = ledger.Create(filepath.Join(o.Data, "ledger"), first[0], first[1], s.ledgerOptions()); err != nil {
		t.Fatal(err)
	}
	p := &pump{
		ledger: s.ledger, nc: nc, mirror: mirror, log: o.Logger, fatal: o.Fatal,
		own:    func() ingest.Identity { return ingest.Identity{Name: ingest.Stream} },
		opened: make(chan struct{}), done: make(chan struct{}), nudged: make(chan struct{}, 1), holeRetry: 20 * time.Millisecond,
	}
	p.reopen()
	running, stop := context.WithCancel(context.Background())
	p.cancel = stop
	p.ended, p.end = context.WithCancelCause(context.Background())
	go p.run(running)
	return p
}

// submit posts a body as a control message, and returns the status and the code.
func submit(t *testing.T, s *Service, kind string, body []byte) (int, string, string) {
	t.Helper()
	res, err := http.Post(s.URL()+control.Path, kind, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var p struct{ Code, Detail string }
	_ = json.Unmarshal(b, &p)
	return res.StatusCode, p.Code, p.Detail
}

// TestWrongGaps: what an operator did not sign, or signed for something else, is
// refused, and publishes nothing.
func TestWrongGaps(t *testing.T) {
	o := options(filepath.Join(t.TempDir(), "data"))
	o.holeRetry = time.Hour // nothing but a gap mends it
	first := holed(t, o, 6, func(first uint64) []uint64 { return []uint64{first + 2, first + 3} })
	s := mustStart(t, o)
	at := atHole(t, s)
	op := operator(t, s)
	head := s.ledger.Head()
	other, err := s.keys.Signer(&head.State, chain.RoleLedger)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := chain.NewSigner(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	right := chain.GapNotice{First: at.Hole.First, Last: at.Hole.Last}
	gap := func(change func(number, size *uint64, root *chain.Hash, g *chain.GapNotice), signers ...chain.Signer) []byte {
		number, size, root, g := at.Control, at.Size, at.Root, right
		change(&number, &size, &root, &g)
		return chain.SealGap(at.Ledger, number, size, root, g, "", signers...)
	}
	none := func(*uint64, *uint64, *chain.Hash, *chain.GapNotice) {}
	flipped := gap(none, op)
	flipped[60] ^= 1
	for _, c := range []struct {
		name   string
		kind   string
		body   []byte
		status int
		code   string
		detail string
	}{
		{"nothing", "application/octet-stream", nil, 422, "control_refused", ""},
		{"no control message", "application/octet-stream", []byte("gap, please"), 422, "control_refused", ""},
		{"as JSON", "application/json", gap(none, op), 415, "unsupported_media_type", ""},
		{"too large", "application/octet-stream", make([]byte, chain.MaxBody+1), 413, "body_too_large", ""},
		{"unsigned", "", gap(none), 422, "control_refused", "signature"},
		{"another key of the ledger", "", gap(none, other), 422, "control_refused", "signature"},
		{"a stranger's key", "", gap(none, stranger), 422, "control_refused", "signature"},
		{"a bit flipped", "", flipped, 422, "control_refused", ""},
		{"one less", "", gap(func(_, _ *uint64, _ *chain.Hash, g *chain.GapNotice) { g.Last-- }, op), 422, "control_refused", "missing are"},
		{"one more, which is held", "", gap(func(_, _ *uint64, _ *chain.Hash, g *chain.GapNotice) { g.Last++ }, op), 422, "control_refused", "missing are"},
		{"begins later", "", gap(func(_, _ *uint64, _ *chain.Hash, g *chain.GapNotice) { g.First++ }, op), 422, "control_refused", ""},
		{"what is folded", "", gap(func(_, _ *uint64, _ *chain.Hash, g *chain.GapNotice) { g.First, g.Last = first, first }, op), 422, "control_refused", ""},
		{"another root", "", gap(func(_, _ *uint64, root *chain.Hash, _ *chain.GapNotice) { root[0] ^= 1 }, op), 422, "control_refused", "root"},
		{"another size", "", gap(func(_, size *uint64, _ *chain.Hash, _ *chain.GapNotice) { *size-- }, op), 422, "control_refused", ""},
		{"another epoch", "", gap(func(_, _ *uint64, _ *chain.Hash, g *chain.GapNotice) { g.Epoch++ }, op), 422, "control_refused", ""},
		{"a number that was used", "", gap(func(number, _ *uint64, _ *chain.Hash, _ *chain.GapNotice) { *number-- }, op), 409, "control_raced", "sign the statement anew"},
		{"a number to come", "", gap(func(number, _ *uint64, _ *chain.Hash, _ *chain.GapNotice) { *number++ }, op), 409, "control_raced", "sign the statement anew"},
		{"a mark", "", chain.SealMark(at.Ledger, at.Control, at.Size, at.Root, chain.Mark{}, other), 422, "control_refused", "not published this way"},
	} {
		t.Run(c.name, func(t *testing.T) {
			kind := c.kind
			if kind == "" {
				kind = "application/octet-stream"
			}
			status, code, detail := submit(t, s, kind, c.body)
			if status != c.status || code != c.code || !strings.Contains(detail, c.detail) {
				t.Errorf("got %d %s: %s; want %d %s with %q", status, code, detail, c.status, c.code, c.detail)
			}
		})
	}
	if now := atHole(t, s); now.Control != at.Control || now.Size != at.Size {
		t.Errorf("something was published: %+v, was %+v", now, at)
	}
	if _, err := control.Submit(t.Context(), asking(t, s), gap(none, op)); err != nil {
		t.Fatal(err)
	}
	// Where nothing is missing nothing is admitted, not even what is to come.
	eventually(t, "ready again", func() bool { return s.Ready(t.Context()) == nil })
	if at, err = control.Look(t.Context(), asking(t, s)); err != nil {
		t.Fatal(err)
	}
	for _, first := range []uint64{right.First, at.Sequence + 1} {
		var p *client.Problem
		body := chain.SealGap(at.Ledger, at.Control, at.Size, at.Root, chain.GapNotice{First: first, Last: first}, "", op)
		if _, err := control.Submit(t.Context(), asking(t, s), body); !errors.As(err, &p) || p.Code != "control_refused" {
			t.Errorf("a gap where nothing is missing: %v", err)
		}
	}
}
