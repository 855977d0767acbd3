package door_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"annals/ingest"
	"annals/ledger/chain"
	"annals/ledger/proof"

	"github.com/nats-io/nats.go/jetstream"
)

func (s *replying) keep(o ingest.ReceiptOptions) *ingest.Receipts {
	s.t.Helper()
	if o.First == 0 {
		o.First = time.Millisecond
	}
	r, err := ingest.NewReceipts(s.t.Context(), s.producer, o)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if err := r.Close(context.Background()); err != nil && !errors.Is(err, ingest.ErrOutstanding) {
			s.t.Error(err)
		}
	})
	return r
}

func (s *replying) publishKeeping(r *ingest.Receipts, n int, format string) {
	s.t.Helper()
	p, err := ingest.NewPublisher(s.producer, ingest.PublisherOptions{Receipts: r})
	if err != nil {
		s.t.Fatal(err)
	}
	for i := range n {
		if _, err := p.PublishAsync(s.t.Context(), "ws_7", chain.OwnType, fmt.Appendf(nil, format, i)); err != nil {
			s.t.Fatal(err)
		}
	}
	if err := p.Close(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

func (s *replying) flush(r *ingest.Receipts) {
	s.t.Helper()
	ctx, done := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer done()
	if err := r.Flush(ctx); err != nil {
		s.t.Fatal(err, r.Stats())
	}
}

// check holds what is kept to what was published; payloads says whether they are
// in the receipts.
func (s *replying) check(kept iter.Seq2[ingest.KeptClaim, error], n int, format string, payloads bool) {
	t := s.t
	t.Helper()
	seen := map[string]bool{}
	for k, err := range kept {
		if err != nil {
			t.Fatal(err)
		}
		number := strings.TrimPrefix(k.ID, "k")
		body := strings.ReplaceAll(format, "%d", number)
		r, err := proof.ParseReceipt(k.Receipt)
		if err != nil || !k.Of([]byte(body)) || k.Workspace != "ws_7" || k.Stream != ingest.Stream {
			t.Fatalf("%+v: %v", k.Claim, err)
		}
		if r.Entry.Sequence != k.Sequence || r.Entry.Place != k.Place || (r.Payload != nil) != payloads {
			t.Fatalf("%+v has the receipt of %d/%d, payload %v", k.Claim, r.Entry.Sequence, r.Entry.Place, r.Payload != nil)
		}
		if !payloads {
			header := map[string][]string(nil)
			if r.Entry.Count > 1 {
				header = map[string][]string{"Content-Type": {chain.NDJSON}}
			}
			if r, err = r.WithPayload(chain.Envelope("activity.ws_7._", header), []byte(body)); err != nil {
				t.Fatal(err)
			}
		}
		c, err := proof.ParseCheckpoint(r.Checkpoint)
		if err != nil {
			t.Fatal(err)
		}
		if err := proof.CheckInclusion(c.Size, c.Root, r.Index, chain.LeafHash(r.Raw), r.Hashes); err != nil {
			t.Fatal(err)
		}
		seen[k.ID] = true
	}
	if len(seen) != n {
		t.Fatalf("%d of %d are kept", len(seen), n)
	}
}

const keptRecord = `{"id":"k%d","type":"t","actor":{"id":"u"}}`

// TestKeeping publishes with the SDK, which keeps claims and receipts, in a folder
// and in a bucket, with payloads and without.
func TestKeeping(t *testing.T) {
	s := reply(t)
	dir := t.TempDir()
	r := s.keep(ingest.ReceiptOptions{Dir: dir})
	s.publishKeeping(r, 60, keptRecord)
	s.flush(r)
	s.check(ingest.ReadReceipts(dir), 60, keptRecord, false)
	if st := r.Stats(); st.Claims != 60 || st.Receipts != 60 || st.Pending != 0 || st.Dropped != 0 {
		t.Errorf("%+v", st)
	}
	if b, err := os.ReadFile(onlyFile(t, dir, "*.jsonl")); err != nil || strings.Contains(string(b), "actor") {
		t.Errorf("%v: claims hold records:\n%s", err, b)
	}

	js, err := jetstream.New(s.own)
	if err != nil {
		t.Fatal(err)
	}
	bucket, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "receipts"})
	if err != nil {
		t.Fatal(err)
	}
	const again = `{"id":"k%d", "type":"t","actor":{"id":"u"}}` // conflicts
	r = s.keep(ingest.ReceiptOptions{Bucket: bucket, Payloads: true})
	s.publishKeeping(r, 20, again)
	s.flush(r)
	s.check(ingest.ReadReceiptBucket(t.Context(), bucket), 20, again, true)

	if _, err := ingest.NewReceipts(t.Context(), s.producer, ingest.ReceiptOptions{}); err == nil {
		t.Error("kept nowhere")
	}
	if _, err := ingest.NewReceipts(t.Context(), s.producer, ingest.ReceiptOptions{Dir: dir, Bucket: bucket}); err == nil {
		t.Error("kept twice")
	}
}

func onlyFile(t *testing.T, dir, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	return found[0]
}

// TestKeepingAlone: nobody answers for receipts. Publishing goes on, the claims are
// kept, and the next start asks again.
func TestKeepingAlone(t *testing.T) {
	s := reply(t)
	s.service.Close()
	dir := t.TempDir()
	r := s.keep(ingest.ReceiptOptions{Dir: dir, Pending: 30, Patience: 50 * time.Millisecond})
	s.publishKeeping(r, 40, keptRecord)
	s.flush(r) // all are given up
	if st := r.Stats(); st.Claims != 40 || st.Receipts != 0 || st.GivenUp != 40 {
		t.Errorf("%+v", st)
	}
	if err := r.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for k, err := range ingest.ReadReceipts(dir) {
		if err != nil || k.Receipt != nil {
			t.Fatalf("%+v %v", k, err)
		}
	}
	s.serve()
	again := s.keep(ingest.ReceiptOptions{Dir: dir})
	s.flush(again)
	s.check(ingest.ReadReceipts(dir), 40, keptRecord, false)

	// Where there is no room, publishing doesn't wait either.
	small := s.keep(ingest.ReceiptOptions{Dir: t.TempDir(), Room: 1})
	s.publishKeeping(small, 10, keptRecord)
	if st := small.Stats(); st.Dropped != 10 || st.Claims != 0 {
		t.Errorf("%+v", st)
	}
}

// TestKeepingClosed: who closes at once, as a command does that publishes one record,
// has its receipts all the same, or is told how many it has not.
func TestKeepingClosed(t *testing.T) {
	s := reply(t)
	dir := t.TempDir()
	r := s.keep(ingest.ReceiptOptions{Dir: dir, First: 50 * time.Millisecond})
	s.publishKeeping(r, 20, keptRecord)
	if err := r.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.check(ingest.ReadReceipts(dir), 20, keptRecord, false)
	if err := r.Close(t.Context()); err != nil {
		t.Errorf("closed again: %v", err)
	}

	s.service.Close()
	const others = `{"id":"k%d","type":"other","actor":{"id":"u"}}`
	ended, end := context.WithCancel(t.Context())
	end()
	for name, c := range map[string]struct {
		linger time.Duration
		ctx    context.Context
	}{
		"a moment": {20 * time.Millisecond, t.Context()},
		"no time":  {-1, t.Context()},
		"no more":  {time.Hour, ended},
	} {
		dir := t.TempDir()
		r := s.keep(ingest.ReceiptOptions{Dir: dir, Linger: c.linger})
		s.publishKeeping(r, 7, others)
		for r.Stats().Claims < 7 { // so that the writing is not what is late
			time.Sleep(time.Millisecond)
		}
		err := r.Close(c.ctx)
		if !errors.Is(err, ingest.ErrOutstanding) || !strings.Contains(err.Error(), "7 claims") {
			t.Errorf("%s: %v", name, err)
		}
		n := 0
		for k, err := range ingest.ReadReceipts(dir) {
			if n++; err != nil || k.Receipt != nil {
				t.Fatalf("%s: %+v %v", name, k, err)
			}
		}
		if n != 7 {
			t.Errorf("%s: %d claims are kept", name, n)
		}
	}
}

// TestReadReceipts: what a crash left of a line is no claim, and nothing else is
// passed over.
func TestReadReceipts(t *testing.T) {
	const good = `{"stream":"ANNALS","sequence":7,"place":0,"workspace":"ws_7","sha256":"` +
		`e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","at":"2026-01-01T00:00:00Z"}`
	for name, c := range map[string]struct {
		lines string
		n     int
		bad   bool
	}{
		"none":            {"", 0, false},
		"two":             {good + "\n" + good + "\n", 2, false},
		"cut short":       {good + "\n" + good[:40], 1, false},
		"nonsense":        {good + "\nnonsense\n", 1, true},
		"another member":  {strings.Replace(good, `"place"`, `"plaice"`, 1) + "\n", 0, true},
		"a short digest":  {strings.Replace(good, "e3b0", "e3", 1) + "\n", 0, true},
		"an upper digest": {strings.Replace(good, "e3b0", "E3B0", 1) + "\n", 0, true},
		"no workspace":    {strings.Replace(good, "ws_7", "", 1) + "\n", 0, true},
		"a path":          {strings.Replace(good, "ws_7", "../x", 1) + "\n", 0, true},
		"no sequence":     {strings.Replace(good, ":7,", ":0,", 1) + "\n", 0, true},
		"endless":         {strings.Repeat("x", 40<<10), 0, true},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "claims-1.jsonl"), []byte(c.lines), 0o600); err != nil {
			t.Fatal(err)
		}
		n, failed := 0, false
		for _, err := range ingest.ReadReceipts(dir) {
			if failed = err != nil; failed {
				break
			}
			n++
		}
		if n != c.n || failed != c.bad {
			t.Errorf("%s: %d claims, failed %v; want %d, %v", name, n, failed, c.n, c.bad)
		}
	}
	for _, err := range ingest.ReadReceipts(filepath.Join(t.TempDir(), "none")) {
		if !errors.Is(err, os.ErrNotExist) {
			t.Error(err)
		}
	}
}
