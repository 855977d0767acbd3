package door

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
)

// TestEnd: many who ask for what the stream has not cost it two questions, not one
// each; and nobody is told of an end from before they asked.
func TestEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		last, asked, gate := uint64(5), 0, make(chan struct{})
		var failing error
		e := newEnd(func(context.Context) (uint64, error) {
			asked++
			<-gate
			return last, failing
		})
		var wg sync.WaitGroup
		reaches := func(sequence uint64, want bool) {
			wg.Go(func() {
				if got, err := e.reaches(t.Context(), sequence); got != want || !errors.Is(err, failing) {
					t.Errorf("message %d: %v, %v", sequence, got, err)
				}
			})
			synctest.Wait()
		}
		reaches(6, false) // asks
		for range 50 {
			reaches(7, true) // come while it does, and may have been acknowledged meanwhile
		}
		gate <- struct{}{}
		synctest.Wait()
		last = 7
		gate <- struct{}{}
		wg.Wait()
		if asked != 2 {
			t.Errorf("the stream was asked %d times", asked)
		}
		reaches(3, true) // known already
		wg.Wait()
		failing = errors.New("away")
		for range 50 {
			reaches(8, false)
		}
		gate <- struct{}{}
		gate <- struct{}{}
		wg.Wait()
		if asked != 4 {
			t.Errorf("the stream was asked %d times", asked)
		}
		// Who waits no longer is let go.
		reaches(9, false)
		ctx, cancel := context.WithCancel(t.Context())
		wg.Go(func() {
			if got, err := e.reaches(ctx, 9); got || !errors.Is(err, context.Canceled) {
				t.Errorf("%v, %v", got, err)
			}
		})
		synctest.Wait()
		cancel()
		synctest.Wait()
		gate <- struct{}{}
		wg.Wait()
	})
}

// TestRoom: places are given back, and none is taken twice.
func TestRoom(t *testing.T) {
	r := room{all: 3, each: 2}
	var release []func()
	for i, c := range []struct {
		name string
		ok   bool
	}{{"a", true}, {"a", true}, {"a", false}, {"b", true}, {"c", false}, {"b", false}} {
		f, ok := r.take(c.name)
		if ok != c.ok {
			t.Errorf("take %d, %s: %v", i, c.name, ok)
		}
		if ok {
			release = append(release, f)
		}
	}
	for _, f := range release {
		f()
	}
	if r.taken != 0 || len(r.by) != 0 {
		t.Errorf("%d taken, %v", r.taken, r.by)
	}
	if _, ok := r.take("c"); !ok {
		t.Error("no place where all were given back")
	}
}
