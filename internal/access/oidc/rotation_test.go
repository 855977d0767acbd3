package oidc

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// settle waits for a fetch under way.
func (p *provider) settle(v *Verifier) {
	v.keys.mu.Lock()
	running := v.keys.running
	v.keys.mu.Unlock()
	if running != nil {
		<-running
	}
}

// by is a good token by a key under an id.
func (p *provider) by(key any, id string) string {
	return signed(p.t, key, jose.RS256, `{"alg":"RS256","kid":"`+id+`"}`, string(payloadOf(p.token(nil))))
}

// TestRotation changes the provider's keys while many come in: nobody with a good
// token is kept out, and the key that is taken away lets nobody in any more.
func TestRotation(t *testing.T) {
	p := newProvider(t)
	v := p.verifier(Options{})
	check := func(token string) {
		if _, err := v.Verify(t.Context(), token); err != nil {
			t.Errorf("a good token: %v", err)
		}
	}
	const many = 32
	all := func(token string) {
		var wg sync.WaitGroup
		for range many {
			wg.Go(func() { check(token) })
		}
		wg.Wait()
	}
	old, young := p.by(rsaKey(), "rsa-1"), p.by(otherKey(), "rsa-2")
	all(old) // nobody knows a key yet: all wait for one fetch
	if n := p.fetches.Load(); n != 1 {
		t.Errorf("%d fetches for %d at once", n, many)
	}
	p.show(public("rsa-1", rsaKey().Public(), ""), public("rsa-2", otherKey().Public(), ""))
	p.advance(fetchPause)
	var wg sync.WaitGroup
	for i := range many {
		wg.Go(func() { check([]string{old, young}[i%2]) })
	}
	wg.Wait()
	if n := p.fetches.Load(); n != 2 {
		t.Errorf("%d fetches after the rotation, want 2", n)
	}
	// The old key goes. Whoever comes after a minute makes it be noticed.
	p.show(public("rsa-2", otherKey().Public(), ""))
	p.advance(refreshAfter + time.Second)
	all(young)
	p.settle(v)
	if _, err := v.Verify(t.Context(), p.by(rsaKey(), "rsa-1")); !errors.Is(err, errUnknownKey) {
		t.Errorf("a key that was taken away: %v", err)
	}
	all(young)
}

// TestFlood: tokens that name keys which nobody knows make the server ask once in
// ten seconds, and let in who is known meanwhile.
func TestFlood(t *testing.T) {
	p := newProvider(t)
	v := p.verifier(Options{})
	good := p.token(nil)
	for round := range 3 {
		var wg sync.WaitGroup
		for i := range 300 {
			token := good
			if i%10 != 0 {
				token = p.by(otherKey(), fmt.Sprint("x", round, i))
			}
			wg.Go(func() {
				if _, err := v.Verify(t.Context(), token); (err == nil) != (token == good) {
					t.Errorf("%v", err)
				}
			})
		}
		wg.Wait()
		p.settle(v)
		if n := int(p.fetches.Load()); n != round+1 {
			t.Fatalf("%d fetches in %d times ten seconds", n, round+1)
		}
		p.advance(fetchPause)
	}
}

// TestOutage: while the provider is away those with known keys are let in, for a
// day; nobody is where no key is known, and that is asked for again once it is back.
func TestOutage(t *testing.T) {
	p := newProvider(t)
	v := p.verifier(Options{})
	p.down.Store(true)
	for range 50 {
		if _, err := v.Verify(t.Context(), p.token(nil)); !errors.Is(err, errNoKeys) {
			t.Fatalf("no key is known: %v", err)
		}
	}
	if n := p.asked.Load(); n != 1 {
		t.Errorf("asked %d times while it was down, want once", n)
	}
	p.down.Store(false)
	p.advance(fetchPause)
	good := func(what string) {
		t.Helper()
		if _, err := v.Verify(t.Context(), p.token(nil)); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		p.settle(v)
	}
	good("it is back")
	p.down.Store(true)
	for range 20 {
		p.advance(time.Hour)
		good("it is away")
	}
	p.advance(5 * time.Hour)
	if _, err := v.Verify(t.Context(), p.token(nil)); !errors.Is(err, errNoKeys) {
		t.Errorf("away for more than a day: %v", err)
	}
	p.down.Store(false)
	p.advance(fetchPause)
	good("it is back again")
	// Another provider that answers in its place is none.
	other := "https://elsewhere.example.com"
	p.lies.Store(&other)
	p.advance(staleAfter + time.Hour)
	if _, err := v.Verify(t.Context(), p.token(nil)); !errors.Is(err, errNoKeys) || !strings.Contains(err.Error(), "discovery") {
		t.Errorf("another issuer's discovery: %v", err)
	}
}
