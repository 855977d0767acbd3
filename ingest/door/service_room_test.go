package door_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"annals/ingest/door"
	"annals/ledger/chain"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
)

// answers collects the answers to requests that are sent without waiting.
func (s *replying) answers(n int, subject, body string) *nats.Subscription {
	s.t.Helper()
	inbox := s.producer.NewInbox()
	sub, err := s.producer.SubscribeSync(inbox)
	if err != nil {
		s.t.Fatal(err)
	}
	for range n {
		if err := s.producer.PublishRequest(subject, inbox, []byte(body)); err != nil {
			s.t.Fatal(err)
		}
	}
	return sub
}

// code is that of the next answer; "": it went well.
func code(t *testing.T, sub *nats.Subscription) string {
	t.Helper()
	m, err := sub.NextMsg(20 * time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return m.Header.Get(micro.ErrorCodeHeader)
}

// TestReceiptsThatNeverCome: requests for messages that the stream has not are
// answered at once, however many there are.
func TestReceiptsThatNeverCome(t *testing.T) {
	s := reply(t)
	const n = 1000
	sub := s.answers(n, door.SubjectReceipt+".ws_7", `{"sequence":1000000000}`)
	for range n {
		if got := code(t, sub); got != "no_such_record" && got != "too_many_requests" {
			t.Fatalf("a message that the stream has not: %q", got)
		}
	}
	if got := code(t, s.answers(1, door.SubjectReceipt+".ws_7", `{"sequence":1000000000}`)); got != "no_such_record" {
		t.Errorf("a message that the stream has not: %q", got)
	}
}

// TestPlacesForReceipts: a workspace whose receipts are waited for takes no other's
// places, and nobody's who records.
func TestPlacesForReceipts(t *testing.T) {
	s := reply(t)
	s.service.Close()
	await := s.options.Await
	stuck := make(chan struct{})
	const held = 2 // a message that the stream has, and that seems not to be folded
	s.options.Await = func(ctx context.Context, sequence uint64, place uint16) (chain.Receipt, error) {
		if sequence != held {
			return await(ctx, sequence, place)
		}
		if ctx.Err() == nil {
			stuck <- struct{}{}
		}
		<-ctx.Done()
		return chain.Receipt{}, ctx.Err()
	}
	s.fold = time.Hour
	s.serve()
	ask := fmt.Sprintf(`{"sequence":%d}`, held)
	sub := s.answers(door.MaxReceiptsOfOne+10, door.SubjectReceipt+".ws_7", ask)
	for range door.MaxReceiptsOfOne {
		<-stuck
	}
	for range 10 {
		if got := code(t, sub); got != "too_many_requests" {
			t.Errorf("beyond the workspace's places: %q", got)
		}
	}
	recorded := s.post(door.SubjectRecord+".ws_7", `{"id":"r","type":"t","actor":{"id":"u"}}`, door.HeaderWait, "receipt")
	if recorded.Receipt == "" {
		t.Errorf("recording beside them: %+v", recorded)
	}
	if _, p := s.request(door.SubjectReceipt+".ws_8", fmt.Sprintf(`{"sequence":%d}`, *recorded.Sequence)); p == nil || p.Code != "no_such_record" {
		t.Errorf("another workspace's receipt: %v", p)
	}
	// A place that is given back is somebody else's.
	s.service.Close()
	s.serve()
	if _, p := s.request(door.SubjectReceipt+".ws_7", fmt.Sprintf(`{"sequence":%d}`, *recorded.Sequence)); p != nil {
		t.Error(p)
	}
}

// TestFoldTimeout: a message that is not folded in time is waited for no longer.
func TestFoldTimeout(t *testing.T) {
	s := reply(t)
	s.service.Close()
	s.options.Await = func(ctx context.Context, _ uint64, _ uint16) (chain.Receipt, error) {
		<-ctx.Done()
		return chain.Receipt{}, ctx.Err()
	}
	s.fold = time.Millisecond
	s.serve()
	for range 2 * door.MaxReceiptsOfOne { // one after the other: each gives its place back
		if _, p := s.request(door.SubjectReceipt+".ws_7", `{"sequence":1}`); p == nil || p.Code != "not_yet_recorded" {
			t.Fatalf("%v", p)
		}
	}
	s.service.Close()
	s.options.Await = func(context.Context, uint64, uint16) (chain.Receipt, error) {
		return chain.Receipt{}, errors.New("a hole")
	}
	s.fold = 0 // the stream is asked too, and may take its time
	s.serve()
	if _, p := s.request(door.SubjectReceipt+".ws_7", `{"sequence":1}`); p == nil || p.Code != "recording_stopped" {
		t.Errorf("%v", p)
	}
}
