package keeper

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"annals/ledger/chain"
)

// TestExpireAsked: what is due is counted and stays; asked for, it goes though the
// keeper never looks by itself, and who asked hears of it when it is gone, not before.
func TestExpireAsked(t *testing.T) {
	s := newSite(t)
	s.now = time.Now()
	k := s.keeper()
	k.o.late = time.Nanosecond
	if err := k.Mark(t.Context()); err != nil { // the stream's time counts from here on
		t.Fatal(err)
	}
	s.fill(3) // entries 3 to 5
	s.retain(1)
	for time.Since(time.UnixMilli(s.ledger.Head().State.Millis)) <= time.Second {
		time.Sleep(10 * time.Millisecond) // of the stream's own clock, which nothing turns
	}
	s.now = time.Now()
	due := func(want string) {
		t.Helper()
		all, err := k.Due(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var got []uint64
		head := s.ledger.Head()
		for i, rule := range head.State.Rules() {
			if all[i].Rule != rule {
				t.Errorf("rule %d is that of entry %d, want %d", i, all[i].Rule.At, rule.At)
			}
			got = append(got, all[i].Entries)
		}
		if fmt.Sprint(got) != want || len(all) != len(got) {
			t.Errorf("due are %v, want %s", got, want)
		}
	}
	gone := func(want string) {
		t.Helper()
		if got := fmt.Sprint(s.gone()); got != want {
			t.Errorf("the payloads of %s are gone, want %s: %s", got, want, s.kinds(0))
		}
	}
	over := func(done <-chan struct{}) bool {
		select {
		case <-done:
			return true
		default:
			return false
		}
	}
	due("[0 3]")
	if err := k.expire(t.Context()); err != nil {
		t.Fatal(err)
	}
	gone("[]") // nobody asked

	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := k.Expire(cancelled); !errors.Is(err, context.Canceled) {
		t.Errorf("who does not wait hears %v", err)
	}
	first := k.expireAsked.join()
	broken := errors.New("no key")
	k.o.Signer = func(*chain.State) (chain.Signer, error) { return chain.Signer{}, broken }
	if err := k.expire(t.Context()); !errors.Is(err, broken) {
		t.Errorf("%v, want %v", err, broken)
	}
	second := k.expireAsked.join() // while that round is not over
	if over(first) {
		t.Error("it was said to be over when it had failed")
	}
	k.o.Signer = s.signs
	if err := k.expire(t.Context()); err != nil {
		t.Fatal(err)
	}
	gone("[3 4 5]")
	due("[0 0]")
	if !over(first) || over(second) {
		t.Errorf("the first round is over: %t, the second: %t", over(first), over(second))
	}
	if err := k.expire(t.Context()); err != nil || !over(second) {
		t.Errorf("the second round is over: %t, %v", over(second), err)
	}
}
