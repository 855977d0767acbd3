package access

import (
	"fmt"
	"net/http/httptest"
	"testing"

	"annals/internal/problem"
)

// TestAnonymous: who bears nothing has limits by address, and a token that is no good
// is not nothing.
func TestAnonymous(t *testing.T) {
	g, err := NewGate(Options{Limits: Limits{PerSecond: 1, Burst: 2}})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("POST", "/", nil)
	if Bears(r) {
		t.Error("a bare request bears something")
	}
	enter := func(address string) error {
		r.RemoteAddr = address
		p, err := g.EnterAnonymous(httptest.NewRecorder(), r)
		if err == nil && p.Authorize(All, Anywhere) == nil {
			t.Error("nobody has scopes")
		}
		return err
	}
	for i, want := range []bool{true, true, false} {
		if err := enter("192.0.2.1:1"); (err == nil) != want || err != nil && !problem.Is(err, problem.RateLimited) {
			t.Errorf("request %d: %v", i, err)
		}
	}
	if err := enter("192.0.2.2:1"); err != nil {
		t.Errorf("another address: %v", err)
	}
	for i, want := range []bool{true, true, false} {
		if err := enter(fmt.Sprintf("[2001:db8::%d]:1", i)); (err == nil) != want {
			t.Errorf("address %d of a network: %v", i, err)
		}
	}
	for _, header := range []string{"", "nonsense", "Bearer "} {
		r.Header.Set("Authorization", header)
		if !Bears(r) {
			t.Errorf("%q passes for nothing", header)
		}
	}
	if p, err := (*Gate)(nil).EnterAnonymous(httptest.NewRecorder(), r); err != nil || p != developer {
		t.Errorf("development: %v, %v", p, err)
	}
}
