package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"reflect"
	"sync"
	"testing"
	"time"

	"annals/activity"
	"annals/ledger"
	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
)

// busy is the golden stream and a few hundred messages after it: single records,
// lines, repeats, conflicts, frames and what is refused.
func busy() *chaintest.Stream {
	s := chaintest.Golden()
	r := rand.New(rand.NewPCG(5, 6))
	for i := range 300 {
		linked := fmt.Sprintf(`{"type":"app","linked":%d}`, i)
		body := fmt.Sprintf(`{"id":"b%d","producer":"test","type":"app.moved","actor":{"type":"user","id":"u\u00e9%d"},`+
			`"object":{"type":"app","id":"a%d"},"linked":[{"type":"station","id":"s1"},{"type":"team","id":"t%d"}],"data":%s}`,
			r.IntN(200), i%7, i%11, i%3, linked)
		switch r.IntN(4) {
		case 0:
			s.Publish("activity.ws_7._", body+"\n"+body+"\n{\n"+body[:len(body)-1]+` }`, "Content-Type", chain.NDJSON)
		case 1:
			s.Publish("vouched.ws_8._", `{"door":{"grade":"verified","producer":"crm"},"record":`+body+`}`)
		case 2:
			s.Publish("activity.ws_9.app.moved", body)
		case 3:
			s.Publish("activity.ws_9.app.renamed", body) // another type than the record's: refused
		}
	}
	return s
}

// sameLeaf says how two readings of one entry differ.
func sameLeaf(got, want *chain.Leaf) error {
	switch {
	case !bytes.Equal(got.Raw, want.Raw):
		return errors.New("other bytes")
	case !bytes.Equal(got.Entry.Append(nil), want.Entry.Append(nil)):
		return errors.New("another entry")
	case (got.Payload == nil) != (want.Payload == nil):
		return errors.New("one has a payload")
	case got.Payload != nil && !bytes.Equal(got.Payload.Append(nil), want.Payload.Append(nil)):
		return errors.New("another payload")
	case !bytes.Equal(got.Original, want.Original):
		return fmt.Errorf("original %q, stored %q", got.Original, want.Original)
	case !reflect.DeepEqual(got.Subject(), want.Subject()):
		return errors.New("another subject")
	}
	door, record := got.Record()
	wantDoor, wantRecord := want.Record()
	if !bytes.Equal(door, wantDoor) || !bytes.Equal(record, wantRecord) {
		return errors.New("another record")
	}
	if got.Keys == nil {
		return nil
	}
	var keys activity.Keys
	if bad := activity.Scan(record, &keys); bad != nil || fmt.Sprint(keys) != fmt.Sprint(*got.Keys) {
		return fmt.Errorf("keys %+v, the record's are %+v (%v)", *got.Keys, keys, bad)
	}
	return nil
}

// TestRecentLeavesAreTheStoredOnes follows a ledger while it is appended to, at
// every distance from its end: what comes from memory is what the store has, and
// no entry is left out or comes twice where one ends and the other begins.
func TestRecentLeavesAreTheStoredOnes(t *testing.T) {
	for _, held := range []int64{0, 40 << 10, 300 << 10, 64 << 20} {
		t.Run(fmt.Sprintf("held=%d", held), func(t *testing.T) {
			s := busy()
			l := create(t, s, ledger.Options{MaxBatch: 8, Pebble: small})
			defer l.Close()
			l.HoldAtMost(held)
			var appending sync.WaitGroup
			appending.Go(func() {
				r := anyOrder(3)
				for rest := s.Messages[2:]; len(rest) > 0; {
					n := min(1+r.IntN(5), len(rest))
					if err := l.Append(context.Background(), rest[:n]); err != nil {
						t.Error(err)
						return
					}
					rest = rest[n:]
					time.Sleep(time.Duration(r.IntN(300)) * time.Microsecond)
				}
				if err := l.Flush(context.Background()); err != nil {
					t.Error(err)
				}
			})
			recent, index, r := 0, uint64(0), anyOrder(4)
			follow := func(until uint64) {
				next, stop := iter.Pull2(l.StoredLeaves(t.Context(), index, until))
				defer stop()
				for leaf, err := range l.Leaves(t.Context(), index, until) {
					if err != nil {
						t.Fatal(err)
					}
					stored, err, _ := next()
					if err != nil {
						t.Fatal(err)
					}
					if leaf.Entry.Index != index {
						t.Fatalf("entry %d comes where %d must follow", leaf.Entry.Index, index)
					}
					if err := sameLeaf(&leaf, &stored); err != nil {
						t.Fatalf("entry %d (%s): %v", index, leaf.Entry.Kind, err)
					}
					if !leaf.Hash.IsZero() {
						recent++
						isRecord := leaf.Entry.Kind != chain.KindRejection && leaf.Entry.Kind != chain.KindControl
						if leaf.Hash != chain.LeafHash(stored.Raw) || (leaf.Keys != nil) != isRecord {
							t.Fatalf("entry %d (%s): hash %s, keys %v", index, leaf.Entry.Kind, leaf.Hash, leaf.Keys)
						}
					}
					index++
				}
				if index != until {
					t.Fatalf("it ended at %d of %d", index, until)
				}
			}
			for range 60 {
				head := l.Head()
				follow(index + uint64(r.IntN(int(head.Size-index)+1)))
				time.Sleep(time.Duration(r.IntN(500)) * time.Microsecond)
			}
			appending.Wait()
			follow(l.Head().Size)
			if held := l.Held(); held > 64<<20 || held < 0 {
				t.Fatalf("the ring weighs %d bytes", held)
			}
			if (held == 0) != (recent == 0) {
				t.Fatalf("%d entries from memory", recent)
			}
			t.Logf("%d of %d from memory", recent, index)
		})
	}
}

// TestRingHoldsNoMoreThanItsBound: the oldest appends make room, and one that is
// larger than the bound is not held.
func TestRingHoldsNoMoreThanItsBound(t *testing.T) {
	const bound = 64 << 10
	s := busy()
	l := create(t, s, ledger.Options{})
	defer l.Close()
	l.HoldAtMost(bound)
	for _, m := range s.Messages[2:] {
		if err := l.Append(t.Context(), []chain.Message{m}); err != nil {
			t.Fatal(err)
		}
		if err := l.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if held := l.Held(); held > bound {
			t.Fatalf("%d bytes are held, the bound is %d", held, bound)
		}
	}
	last := l.Head().Size - 1
	for leaf, err := range l.Leaves(t.Context(), last, last+1) {
		if err != nil || leaf.Hash.IsZero() {
			t.Fatalf("the last entry is not held: %v", err)
		}
	}
	l.HoldAtMost(0)
	s.Record("ws_7", "one more", `1`)
	if err := l.Append(t.Context(), s.Messages[len(s.Messages)-1:]); err != nil {
		t.Fatal(err)
	}
	if err := l.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if l.Held() != 0 {
		t.Fatal("it holds something all the same")
	}
	if _, _, err := l.Get(last + 1); err != nil {
		t.Fatal(err)
	}
}
