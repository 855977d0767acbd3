package door_test

import (
	"testing"
	"time"

	"annals/ingest/door"
	"annals/internal/access"
)

// TestRate: a token that posts too often is told when to come again, nothing of what
// it sent is published, and another's token records on.
func TestRate(t *testing.T) {
	book, err := access.NewBook(nil, func([]byte) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	everywhere, err := access.ParseWorkspaces([]string{access.Everywhere})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	token := func(name string) string {
		_, token, err := book.Add(access.Request{Name: name, Scopes: access.Record, Workspaces: everywhere, Life: time.Hour, By: "test"}, at)
		if err != nil {
			t.Fatal(err)
		}
		return "Bearer " + token
	}
	one, two := token("one"), token("two")
	s := &stream{}
	d := open(t, door.Options{Publish: s.publish, Await: s.await, AckTimeout: time.Second, Access: mustGate(t, access.Options{
		Keys: book, Limits: access.Limits{PerSecond: 1, Burst: 2}, Now: func() time.Time { return at },
	})})
	post := func(token string, status, published int) answer {
		t.Helper()
		a := d.post(records, "["+good+","+good+"]", "Authorization", token)
		if a.status != status || len(s.frames) != published {
			t.Fatalf("%d, %d published, want %d and %d: %s", a.status, len(s.frames), status, published, a.raw)
		}
		return a
	}
	post(one, 202, 2)
	post(one, 202, 4)
	a := post(one, 429, 4)
	if a.Code != "rate_limited" || len(a.Items) != 0 || a.header.Get("Retry-After") != "1" ||
		a.header.Get("RateLimit") != `"token";r=0;t=2` || a.header.Get("RateLimit-Policy") != `"token";q=2;w=2` {
		t.Errorf("%v %s", a.header, a.raw)
	}
	post(two, 202, 6)
	at = at.Add(time.Second)
	post(one, 202, 8)
	post(one, 429, 8)
}
