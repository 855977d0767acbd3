package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"annals/cmd/annals/internal/reconcile"
	"annals/ingest"
	"annals/ledger/chain"
	"annals/query/client"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
)

// TestReceiptsFromEndToEnd publishes with the SDK as a producer does, who keeps
// receipts; then an auditor with the key alone holds them against the running
// server, against its folder, and against another ledger.
func TestReceiptsFromEndToEnd(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s := mustServe(t, dir)
	key, _, status := annals(t, "keys", "public", "--data", dir)
	if status != 0 {
		t.Fatal(status)
	}
	key = strings.TrimSpace(key)

	nc, err := nats.Connect(s.nats)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	kept := filepath.Join(t.TempDir(), "receipts")
	receipts, err := ingest.NewReceipts(t.Context(), nc, ingest.ReceiptOptions{Dir: kept, First: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	p, err := ingest.NewPublisher(nc, ingest.PublisherOptions{Receipts: receipts})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 30 {
		record := fmt.Sprintf(`{"id":"e%d","type":"t","actor":{"id":"u"}}`, i/2) // each twice
		if i == 29 {
			record = `{"type":"t","actor":{"type":"user"}}`
		}
		if _, err := p.PublishAsync(t.Context(), "ws_7", chain.OwnType, []byte(record)); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := receipts.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := receipts.Close(t.Context()); err != nil {
		t.Fatal(err)
	}

	var report struct {
		Verdict reconcile.Verdict         `json:"verdict"`
		Counts  map[reconcile.Verdict]int `json:"counts"`
		Claims  []reconcile.Item          `json:"claims"`
	}
	run := func(want int, args ...string) {
		t.Helper()
		out, errs, status := annals(t, append([]string{"reconcile", "-o", "json", "--receipts", kept}, args...)...)
		if status != want {
			t.Fatalf("%q exits with %d, want %d\n%s%s", args, status, want, out, errs)
		}
		report.Counts, report.Claims = nil, nil
		if want == 1 || want == 2 {
			return
		}
		if err := json.Unmarshal([]byte(out), &report); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	run(0, "--url", s.url, "--key", key)
	refused := ""
	for _, i := range report.Claims {
		if !i.Receipt || i.Index == nil {
			t.Errorf("%+v", i)
		}
		if i.Kind == "rejection" {
			refused = i.ULID
		}
	}
	if report.Counts[reconcile.Satisfied] != 30 || refused == "" {
		t.Fatalf("%v, a refusal %q", report.Counts, refused)
	}

	// The refusal, proven; offline too, and by nobody else's key.
	text, errs, status := annals(t, "receipt", refused, "--workspace", "ws_7", "--url", s.url, "--key", key)
	if status != 0 || !strings.Contains(text, "recorded: the refusal of a record") || !strings.Contains(text, "missing_actor_id") {
		t.Errorf("%d %s%s", status, text, errs)
	}
	file := filepath.Join(t.TempDir(), "refusal.tlog-proof")
	text, _, _ = annals(t, "receipt", refused, "--workspace", "ws_7", "--url", s.url, "-o", "receipt")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if text, _, status := annals(t, "receipt", "--file", file, "--key", key, "-o", "json"); status != 0 || !strings.Contains(text, `"verified":true`) {
		t.Errorf("%d %s", status, text)
	}
	if text, _, status := annals(t, "receipt", "--file", file); status != 1 || !strings.Contains(text, "NOT VERIFIED") {
		t.Errorf("%d %s", status, text)
	}
	other := filepath.Join(t.TempDir(), "other")
	stranger := mustServe(t, other)
	strangers, _, _ := annals(t, "keys", "public", "--data", other)
	strangers = strings.TrimSpace(strangers)
	if text, _, status := annals(t, "receipt", "--file", file, "--key", strangers); status != 10 || !strings.Contains(text, "DOES NOT HOLD") {
		t.Errorf("%d %s", status, text)
	}
	run(10, "--url", stranger.url, "--key", strangers) // contradicted: signed by somebody else
	run(1, "--url", stranger.url, "--key", key)        // whose checkpoint is not by that key
	run(2, "--url", s.url, "--key", "nonsense")
	run(1, "--url", s.url, "--key", key, "--receipts", filepath.Join(kept, "none"))
	run(1, "--url", s.url, "--key", key, "--receipts", t.TempDir()) // no claims: nothing was held against anything

	// From Go.
	c, err := client.New(s.url, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if text, err := c.Receipt(t.Context(), "ws_7", refused, false); err != nil || len(text) == 0 {
		t.Error(err)
	}
	if hashes, size, err := c.Consistency(t.Context(), 3, 0); err != nil || size < 30 || len(hashes) == 0 {
		t.Error(hashes, size, err)
	}

	if err := s.terminate(); err != nil {
		t.Fatal(err)
	}
	run(0, "--data", dir, "--key", key)
	if report.Counts[reconcile.Satisfied] != 30 {
		t.Errorf("of the folder: %v", report.Counts)
	}
	run(1, "--data", dir, "--key", strangers)
}

// publishKept publishes records of ws_7, and keeps claims and receipts of them in a
// folder.
func publishKept(t *testing.T, s *server, kept string, records ...string) {
	t.Helper()
	nc, err := nats.Connect(s.nats)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	receipts, err := ingest.NewReceipts(t.Context(), nc, ingest.ReceiptOptions{Dir: kept, First: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	p, err := ingest.NewPublisher(nc, ingest.PublisherOptions{Receipts: receipts})
	if err != nil {
		t.Fatal(err)
	}
	for _, record := range records {
		if _, err := p.Publish(t.Context(), "ws_7", []byte(record)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(p.Close(t.Context()), receipts.Flush(t.Context()), receipts.Close(t.Context())); err != nil {
		t.Fatal(err)
	}
}

// TestReconcileErased holds claims of what was lawfully erased against the running
// server and against its folder: the producer is told to delete them, and nobody is
// accused.
func TestReconcileErased(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s := mustServe(t, dir)
	key, errs, status := annals(t, "keys", "public", "--data", dir)
	if status != 0 {
		t.Fatal(errs)
	}
	key = strings.TrimSpace(key)
	kept := filepath.Join(t.TempDir(), "receipts")
	const gone, stays = `{"id":"e1","type":"t","actor":{"type":"user","id":"gone"}}`, `{"id":"e2","type":"t","actor":{"type":"user","id":"stays"}}`
	publishKept(t, s, kept, gone, stays, gone)
	reconciledBy := func(args ...string) (r reconciled, code int) {
		t.Helper()
		out, errs, status := annals(t, append([]string{"reconcile", "-o", "json", "--receipts", kept, "--key", key}, args...)...)
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			t.Fatalf("%q: %d, %v: %s%s", args, status, err, out, errs)
		}
		return r, status
	}
	if r, status := reconciledBy("--url", s.url); status != 0 || r.Counts[reconcile.Satisfied] != 3 {
		t.Fatalf("before it is erased: %d %v", status, r.Counts)
	}
	if out, errs, status := annals(t, "erase", "--workspace", "ws_7", "--user", "gone", "--reason", "request", "--by", "Erin", "--yes", "--data", dir, "--url", s.url); status != 0 {
		t.Fatal(out, errs)
	}
	publishKept(t, s, kept, gone) // under an id that is used up: nothing is kept of it
	holds := func(how string, r reconciled, status int) {
		t.Helper()
		if status != 0 || r.Verdict != reconcile.Erased || r.Counts[reconcile.Erased] != 3 || r.Counts[reconcile.Satisfied] != 1 {
			t.Errorf("%s: %d %s %v", how, status, r.Verdict, r.Claims)
		}
		for _, item := range r.Claims {
			if item.Verdict == reconcile.Erased && (item.By == nil || !item.Receipt) {
				t.Errorf("%s: %+v", how, item)
			}
		}
	}
	// The receipt of the last one stands under a checkpoint that covers the erasure.
	r, status := reconciledBy("--url", s.url)
	holds("of the server", r, status)
	if err := s.terminate(); err != nil {
		t.Fatal(err)
	}
	r, status = reconciledBy("--data", dir)
	holds("of the folder", r, status)
}

// TestReconcileAcrossKeys holds receipts of before and after a change of keys
// against a folder whose server is stopped, with the old key and with the new.
func TestReconcileAcrossKeys(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s := mustServe(t, dir)
	kept := filepath.Join(t.TempDir(), "receipts")
	publish := func(id string) {
		t.Helper()
		publishKept(t, s, kept, fmt.Sprintf(`{"id":%q,"type":"t","actor":{"id":"u"}}`, id))
	}
	keys := map[string]bool{}
	public := func() string {
		t.Helper()
		out, errs, status := annals(t, "keys", "public", "--data", dir)
		if status != 0 {
			t.Fatal(errs)
		}
		keys[strings.TrimSpace(out)] = true
		return strings.TrimSpace(out)
	}
	first := public()
	publish("before")
	for i, change := range [][]string{{"rotate", "--role", "checkpoint"}, {"revoke"}} {
		if change[0] == "revoke" {
			list, _, _ := annals(t, "keys", "list", "--url", s.url)
			for line := range strings.Lines(list) {
				if f := strings.Fields(line); len(f) > 3 && f[0] == "checkpoint" && f[2] == "-" {
					change = append(change, "--key", f[3])
				}
			}
		}
		if out, errs, status := annals(t, append([]string{"keys", change[0], "--data", dir, "--url", s.url}, change[1:]...)...); status != 0 {
			t.Fatal(out, errs)
		}
		publish(fmt.Sprint("after ", i)) // its receipt is by the new key
		public()
	}
	if err := s.terminate(); err != nil {
		t.Fatal(err)
	}
	if len(keys) != 3 || !keys[first] {
		t.Fatalf("the keys were %v", keys)
	}
	for key := range keys {
		out, errs, status := annals(t, "reconcile", "--receipts", kept, "--data", dir, "--key", key, "-o", "json")
		var report reconciled
		if err := json.Unmarshal([]byte(out), &report); status != 0 || err != nil {
			t.Fatalf("with %s: %d %s%s", key, status, out, errs)
		}
		for _, item := range report.Claims {
			if !item.Receipt || item.Detail != "" { // judged by the receipt, and not around it
				t.Errorf("with %s: %+v", key, item)
			}
		}
		if report.Counts[reconcile.Satisfied] != 3 {
			t.Errorf("with %s: %v", key, report.Counts)
		}
	}
}
