package access

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"annals/internal/problem"
)

// TestEmbedEnds: by its time, by that of who made it, and by its revocation, which a
// restart remembers for as long as any token lives.
func TestEmbedEnds(t *testing.T) {
	d := &disk{}
	b := mustBook(t, d)
	at := now
	o := Options{Keys: b, EmbedKey: []byte("0123456789abcdef0123456789abcdef"), Now: func() time.Time { return at }}
	g := mustGate(t, o)
	_, key := add(t, b, "one", "ws_a") // for an hour
	authenticate := func(g *Gate, token string) (*Principal, error) {
		return g.Authenticate(&http.Request{Header: http.Header{"Authorization": {"Bearer " + token}}})
	}
	p, err := authenticate(g, key)
	if err != nil {
		t.Fatal(err)
	}
	mint := func(life time.Duration) (Embed, string) {
		t.Helper()
		e, token, err := g.Mint(p, Embed{Workspace: "ws_a"}, life)
		if err != nil {
			t.Fatal(err)
		}
		return e, token
	}
	_, short := mint(time.Minute)
	long, tooLong := mint(24 * time.Hour)
	if long.Expires != now.Add(time.Hour).Unix() {
		t.Errorf("it outlives the key: %+v", long)
	}
	is := func(g *Gate, token string, ok bool) {
		t.Helper()
		if _, err := authenticate(g, token); (err == nil) != ok || err != nil && !problem.Is(err, problem.Unauthenticated) {
			t.Errorf("at %s: %v", at, err)
		}
	}
	is(g, short, true)
	at = now.Add(time.Minute)
	is(g, short, false)
	is(g, tooLong, true)
	other := o
	other.EmbedKey = []byte("another key")
	is(mustGate(t, other), tooLong, false)
	other.EmbedKey = nil
	is(mustGate(t, other), tooLong, false)

	d.fails = errors.New("the disk is full")
	if err := b.RevokeEmbed("ws_a", long.ID, at); !errors.Is(err, d.fails) {
		t.Errorf("%v", err)
	}
	d.fails = nil
	is(g, tooLong, true)
	if err := b.RevokeEmbed("ws_b", long.ID, at); err != nil {
		t.Fatal(err)
	}
	is(g, tooLong, true) // another workspace's
	if err := b.RevokeEmbed("ws_a", long.ID, at); err != nil {
		t.Fatal(err)
	}
	is(g, tooLong, false)
	other = o
	other.Keys = mustBook(t, d)
	is(mustGate(t, other), tooLong, false)
	if err := b.RevokeEmbed("ws_a", "0011223344556677", at.Add(MaxEmbedLife+time.Second)); err != nil {
		t.Fatal(err)
	}
	if n := len(b.embeds); n != 1 {
		t.Errorf("%d are remembered after a day", n)
	}
}
