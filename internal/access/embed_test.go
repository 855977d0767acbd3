package access

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
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

// TestRevocationsAreTheirWorkspacesOwn: who revokes in one workspace, made up ids
// too, keeps no other from revoking and cuts no other's streams; and what is revoked
// twice is written down and ended once.
func TestRevocationsAreTheirWorkspacesOwn(t *testing.T) {
	d := &disk{}
	saves := 0
	b, err := NewBook(nil, func(text []byte) error {
		saves++
		return d.save(text)
	})
	if err != nil {
		t.Fatal(err)
	}
	stream := func(b *Book, workspace, id string) context.Context {
		t.Helper()
		ends, ok := b.embedAlive(&Embed{Workspace: workspace, ID: id})
		if !ok {
			t.Fatalf("the token %s of %s was revoked", id, workspace)
		}
		return ends
	}
	own, others := stream(b, "ws_a", "00000000000000aa"), stream(b, "ws_b", "00000000000000bb")
	madeUp := func(i int) string { return fmt.Sprintf("%016x", 1_000_000+i) }
	const most = 10 // one by one, the rest were before
	b.embeds["ws_a"] = map[string]time.Time{}
	for i := most; i < maxRevoked; i++ {
		b.embeds["ws_a"][madeUp(i)] = now.Add(MaxEmbedLife)
	}
	for i := range most {
		if err := b.RevokeEmbed("ws_a", madeUp(i), now); err != nil {
			t.Fatalf("after %d: %v", i, err)
		}
	}
	if own.Err() == nil || others.Err() != nil {
		t.Errorf("the streams of the workspace: %v, of another: %v", own.Err(), others.Err())
	}
	var full *InvalidError
	if err := b.RevokeEmbed("ws_a", "00000000000000aa", now); !errors.As(err, &full) {
		t.Errorf("one more than can be remembered: %v", err)
	}
	own, before := stream(b, "ws_a", "00000000000000aa"), saves
	if err := b.RevokeEmbed("ws_a", madeUp(0), now.Add(time.Hour)); err != nil || saves != before || own.Err() != nil {
		t.Errorf("revoked again: %v, written %d times more, streams: %v", err, saves-before, own.Err())
	}
	if err := b.RevokeEmbed("ws_b", "00000000000000bb", now); err != nil {
		t.Errorf("another workspace's: %v", err)
	}
	if own.Err() != nil || others.Err() == nil {
		t.Errorf("the streams of the full workspace: %v, of the other: %v", own.Err(), others.Err())
	}
	// A key's end is that of the streams where it could make tokens, and of no others.
	k, _ := add(t, b, "one", "ws_b")
	others = stream(b, "ws_b", "00000000000000cc")
	if _, err := b.Revoke(k.ID, workspaces(t, "*"), "test", now); err != nil {
		t.Fatal(err)
	}
	if own.Err() != nil || others.Err() == nil {
		t.Errorf("after a key of ws_b: the streams of ws_a: %v, of ws_b: %v", own.Err(), others.Err())
	}
	// A restart remembers all of them, each in its workspace.
	again := mustBook(t, d)
	if n := len(again.embeds["ws_a"]); n != maxRevoked || len(again.embeds["ws_b"]) != 1 {
		t.Errorf("after a restart: %d of ws_a, %d of ws_b", n, len(again.embeds["ws_b"]))
	}
	if err := again.RevokeEmbed("ws_a", "00000000000000aa", now.Add(MaxEmbedLife+time.Second)); err != nil {
		t.Errorf("a day later: %v", err)
	}
}

// TestRevocationsOverall: who may name any workspace fills no memory.
func TestRevocationsOverall(t *testing.T) {
	b := mustBook(t, &disk{})
	for ws := range maxRevokedOverall / maxRevoked {
		of := map[string]time.Time{}
		for i := range maxRevoked {
			of[fmt.Sprintf("%016x", i)] = now.Add(time.Hour)
		}
		b.embeds[fmt.Sprint("ws_", ws)] = of
	}
	var full *InvalidError
	if err := b.RevokeEmbed("ws_new", "00000000000000aa", now); !errors.As(err, &full) {
		t.Errorf("one more than can be remembered: %v", err)
	}
}

// TestEmbedTokensCostTheirMinter: however many embed tokens somebody makes, all of
// them together have what the token has that made them: tails, queries and requests.
// Another token's are its own.
func TestEmbedTokensCostTheirMinter(t *testing.T) {
	b := mustBook(t, &disk{})
	g := mustGate(t, Options{
		Keys: b, EmbedKey: []byte("0123456789abcdef0123456789abcdef"), Now: func() time.Time { return now },
		Limits: Limits{Tails: 3, Queries: 2, PerSecond: 1, Burst: 8},
	})
	enter := func(token string) (*Principal, error) {
		return g.Enter(httptest.NewRecorder(), &http.Request{Header: http.Header{"Authorization": {"Bearer " + token}}})
	}
	_, key := add(t, b, "one", "ws_a")
	_, other := add(t, b, "two", "ws_a")
	minter, err := enter(key)
	if err != nil {
		t.Fatal(err)
	}
	embedded := func() *Principal {
		t.Helper()
		_, token, err := g.Mint(minter, Embed{Workspace: "ws_a"}, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		p, err := enter(token)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	for w, most := range map[Work]int{Tail: 3, Query: 2} {
		for i := range most {
			if _, err := g.Begin(t.Context(), embedded(), w); err != nil {
				t.Fatalf("%d of %v: %v", i, w, err)
			}
		}
		if _, err := g.Begin(t.Context(), minter, w); !problem.Is(err, problem.TooManyAtOnce) {
			t.Errorf("the minter itself, one more of %v: %v", w, err)
		}
	}
	for _, w := range []Work{Tail, Query} {
		if _, err := g.Begin(t.Context(), embedded(), w); !problem.Is(err, problem.TooManyAtOnce) {
			t.Errorf("another embed token, one more of %v: %v", w, err)
		}
	}
	if _, err := enter(key); !problem.Is(err, problem.RateLimited) {
		t.Errorf("eight requests were made, by whomever: %v", err)
	}
	p, err := enter(other)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Begin(t.Context(), p, Tail); err != nil {
		t.Errorf("another token's own: %v", err)
	}
}
