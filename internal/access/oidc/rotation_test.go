package oidc

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"annals/internal/access/oidc/oidctest"
)

// settle waits for a fetch under way.
func settle(v *Verifier) {
	v.keys.mu.Lock()
	running := v.keys.running
	v.keys.mu.Unlock()
	if running != nil {
		<-running
	}
}

// TestRotation changes the provider's keys while many come in: nobody with a good
// token is kept out, and the key that is taken away lets nobody in any more.
func TestRotation(t *testing.T) {
	p := oidctest.New(t)
	v := verifier(t, p, Options{})
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
	old, young := p.By(oidctest.RSAKey(), "rsa-1"), p.By(oidctest.OtherKey(), "rsa-2")
	all(old) // nobody knows a key yet: all wait for one fetch
	if n := p.Fetches.Load(); n != 1 {
		t.Errorf("%d fetches for %d at once", n, many)
	}
	p.Show(oidctest.Public("rsa-1", oidctest.RSAKey().Public(), ""), oidctest.Public("rsa-2", oidctest.OtherKey().Public(), ""))
	p.Advance(fetchPause)
	var wg sync.WaitGroup
	for i := range many {
		wg.Go(func() { check([]string{old, young}[i%2]) })
	}
	wg.Wait()
	if n := p.Fetches.Load(); n != 2 {
		t.Errorf("%d fetches after the rotation, want 2", n)
	}
	// The old key goes. Whoever comes after a minute makes it be noticed.
	p.Show(oidctest.Public("rsa-2", oidctest.OtherKey().Public(), ""))
	p.Advance(refreshAfter + time.Second)
	all(young)
	settle(v)
	if _, err := v.Verify(t.Context(), p.By(oidctest.RSAKey(), "rsa-1")); !errors.Is(err, errUnknownKey) {
		t.Errorf("a key that was taken away: %v", err)
	}
	all(young)
}

// TestFlood: tokens that name keys which nobody knows make the server ask once in
// ten seconds, and let in who is known meanwhile.
func TestFlood(t *testing.T) {
	p := oidctest.New(t)
	v := verifier(t, p, Options{})
	good := p.Token(nil)
	for round := range 3 {
		var wg sync.WaitGroup
		for i := range 300 {
			token := good
			if i%10 != 0 {
				token = p.By(oidctest.OtherKey(), fmt.Sprint("x", round, i))
			}
			wg.Go(func() {
				if _, err := v.Verify(t.Context(), token); (err == nil) != (token == good) {
					t.Errorf("%v", err)
				}
			})
		}
		wg.Wait()
		settle(v)
		if n := int(p.Fetches.Load()); n != round+1 {
			t.Fatalf("%d fetches in %d times ten seconds", n, round+1)
		}
		p.Advance(fetchPause)
	}
}

// TestOutage: while the provider is away those with known keys are let in, for a
// day; nobody is where no key is known, and that is asked for again once it is back.
func TestOutage(t *testing.T) {
	p := oidctest.New(t)
	v := verifier(t, p, Options{})
	p.Down.Store(true)
	for range 50 {
		if _, err := v.Verify(t.Context(), p.Token(nil)); !errors.Is(err, errNoKeys) {
			t.Fatalf("no key is known: %v", err)
		}
	}
	if n := p.Asked.Load(); n != 1 {
		t.Errorf("asked %d times while it was down, want once", n)
	}
	p.Down.Store(false)
	p.Advance(fetchPause)
	good := func(what string) {
		t.Helper()
		if _, err := v.Verify(t.Context(), p.Token(nil)); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		settle(v)
	}
	good("it is back")
	p.Down.Store(true)
	for range 20 {
		p.Advance(time.Hour)
		good("it is away")
	}
	p.Advance(5 * time.Hour)
	if _, err := v.Verify(t.Context(), p.Token(nil)); !errors.Is(err, errNoKeys) {
		t.Errorf("away for more than a day: %v", err)
	}
	p.Down.Store(false)
	p.Advance(fetchPause)
	good("it is back again")
	// Another provider that answers in its place is none.
	other := "https://elsewhere.example.com"
	p.Lies.Store(&other)
	p.Advance(staleAfter + time.Hour)
	if _, err := v.Verify(t.Context(), p.Token(nil)); !errors.Is(err, errNoKeys) || !strings.Contains(err.Error(), "discovery") {
		t.Errorf("another issuer's discovery: %v", err)
	}
}
