package access

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"annals/internal/problem"

	"pgregory.net/rapid"
)

var now = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// disk is what a book was last saved as.
type disk struct {
	saved []byte
	fails error
}

func (d *disk) save(b []byte) error {
	if d.fails != nil {
		return d.fails
	}
	d.saved = bytes.Clone(b)
	return nil
}

func mustBook(t *testing.T, d *disk) *Book {
	t.Helper()
	b, err := NewBook(d.saved, d.save)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func workspaces(t testing.TB, names ...string) Workspaces {
	t.Helper()
	w, err := ParseWorkspaces(names)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func add(t *testing.T, b *Book, name string, names ...string) (Key, string) {
	t.Helper()
	k, token, err := b.Add(Request{Name: name, Scopes: Read | Record, Workspaces: workspaces(t, names...), Life: time.Hour}, now)
	if err != nil {
		t.Fatal(err)
	}
	return k, token
}

// TestBook: what a book says of a key it says again after a restart, and no saved
// byte is one of a key.
func TestBook(t *testing.T) {
	d := &disk{}
	b := mustBook(t, d)
	k, token := add(t, b, "one", "ws_b", "ws_a")
	other, _ := add(t, b, "two", "*")
	for range 2 {
		p, err := b.find(token, now)
		if err != nil || p.ID != k.ID || p.Subject != "one" || p.scopes() != Read|Record || p.Within(Read).String() != "ws_a, ws_b" {
			t.Fatalf("%+v %v", p, err)
		}
		if err := b.SaveUsed(); err != nil {
			t.Fatal(err)
		}
		b = mustBook(t, d)
	}
	if got := b.List(workspaces(t, "*")); len(got) != 2 || !got[0].LastUsed.Equal(now) || !got[1].LastUsed.IsZero() || got[1].ID != other.ID {
		t.Errorf("%+v", got)
	}
	if secret := token[21:]; bytes.Contains(d.saved, []byte(secret)) || bytes.Contains(d.saved, []byte(secret[:20])) {
		t.Error("the key is saved")
	}
	if _, err := b.find(token, now.Add(time.Hour)); err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("an hour later: %v", err)
	}
	if _, err := b.Revoke(k.ID, workspaces(t, "ws_a"), "test", now); !errors.Is(err, ErrNoSuchKey) {
		t.Errorf("revoked by who administers less: %v", err)
	}
	p, err := b.find(token, now)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := p.Alive(t.Context())
	defer cancel()
	if _, err := b.Revoke(k.ID, workspaces(t, "ws_a", "ws_b", "ws_c"), "test", now); err != nil {
		t.Fatal(err)
	}
	<-ctx.Done()
	for _, b := range []*Book{b, mustBook(t, d)} {
		if _, err := b.find(token, now); err == nil || !strings.Contains(err.Error(), "revoked") {
			t.Errorf("after its end: %v", err)
		}
	}
}

// TestBookKeepsWhatItCannotSave: what was not saved has not happened.
func TestBookKeepsWhatItCannotSave(t *testing.T) {
	d := &disk{}
	b := mustBook(t, d)
	k, token := add(t, b, "one", "*")
	d.fails = errors.New("the disk is full")
	if _, _, err := b.Add(Request{Name: "two", Scopes: Read, Workspaces: workspaces(t, "*"), Life: time.Hour}, now); !errors.Is(err, d.fails) {
		t.Errorf("added: %v", err)
	}
	if _, err := b.Revoke(k.ID, workspaces(t, "*"), "test", now); !errors.Is(err, d.fails) {
		t.Errorf("revoked: %v", err)
	}
	if _, err := b.find(token, now); err != nil || b.Len() != 1 {
		t.Errorf("%v, %d keys", err, b.Len())
	}
	if err := b.SaveUsed(); !errors.Is(err, d.fails) {
		t.Errorf("saved: %v", err)
	}
	d.fails = nil
	if err := b.SaveUsed(); err != nil || !bytes.Contains(d.saved, []byte(`"last_used"`)) {
		t.Errorf("%v %s", err, d.saved)
	}
}

// TestSavedIsReadStrictly breaks each part of a saved book.
func TestSavedIsReadStrictly(t *testing.T) {
	d := &disk{}
	b := mustBook(t, d)
	k, _ := add(t, b, "one", "ws_a")
	good := string(d.saved)
	for _, r := range [][2]string{
		{`"version": 1`, `"version": 2`},
		{`"name"`, `"nome"`},
		{`"read"`, `"reed"`},
		{`"ws_a"`, `"ws a"`},
		{`"ws_a"`, ``},
		{k.ID, k.ID[1:]},
		{k.ID, strings.Repeat("A", 16)},
		{`"sha256": "`, `"sha256": "0`},
		{`2026-11-30T13`, `2026-11-30T11`},
		{`"one"`, `""`},
	} {
		bad := strings.Replace(good, r[0], r[1], 1)
		if bad == good {
			t.Fatalf("%s is not there: %s", r[0], good)
		}
		if _, err := NewBook([]byte(bad), d.save); err == nil {
			t.Errorf("%s for %s was read", r[1], r[0])
		}
	}
	twice := good[:strings.LastIndex(good, "]")] + "," + good[strings.Index(good, "[")+1:]
	if _, err := NewBook([]byte(twice), d.save); err == nil {
		t.Error("a key that is there twice was read")
	}
}

// TestForm: a key has one spelling, and what is not quite one lets nobody in.
func TestForm(t *testing.T) {
	b := mustBook(t, &disk{})
	_, token := add(t, b, "one", "*")
	if len(token) != keyText || !isKey(token) {
		t.Fatal(token)
	}
	for i := range token {
		for _, c := range []byte{'!', 'A', 'f', '=', 0} {
			bent := token[:i] + string(c) + token[i+1:]
			if p, err := b.find(bent, now); bent != token && err == nil {
				t.Fatalf("%q let in %+v", bent, p)
			}
		}
	}
	for _, bad := range []string{"", "ann_", token[:len(token)-1], token + "A", token + "=", " " + token, strings.ToUpper(token), strings.TrimPrefix(token, "ann_")} {
		if _, err := b.find(bad, now); err == nil {
			t.Errorf("%q let somebody in", bad)
		}
	}
}

// TestAuthenticate goes through what an Authorization header can be.
func TestAuthenticate(t *testing.T) {
	b := mustBook(t, &disk{})
	_, token := add(t, b, "one", "*")
	var why error
	g := mustGate(t, Options{Keys: b, Now: func() time.Time { return now }, Refused: func(_ *http.Request, _ *Principal, err error) { why = err }})
	for _, c := range []struct {
		headers []string
		in      bool
	}{
		{[]string{"Bearer " + token}, true},
		{[]string{"bearer   " + token}, true},
		{nil, false},
		{[]string{""}, false},
		{[]string{token}, false},
		{[]string{"Bearer"}, false},
		{[]string{"Bearer "}, false},
		{[]string{"Basic " + token}, false},
		{[]string{"Bearer " + token, "Bearer " + token}, false},
		{[]string{"Bearer " + token + " x"}, false},
		{[]string{"Bearer " + token + ",x"}, false},
		{[]string{"Bearer " + token[:20]}, false},
		{[]string{"Bearer " + strings.Repeat("a", maxToken+1)}, false},
		{[]string{"Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0."}, false},
	} {
		why = nil
		r := &http.Request{Header: http.Header{"Authorization": c.headers}}
		p, err := g.Authenticate(r)
		if (err == nil) != c.in || (p != nil) != c.in || (why == nil) != c.in {
			t.Errorf("%q: %v, %v, refused: %v", c.headers, p, err, why)
		}
		if err != nil && (!problem.Is(err, problem.Unauthenticated) || strings.Contains(err.Error()+why.Error(), token[21:])) {
			t.Errorf("%q: %v", c.headers, err)
		}
	}
	var open *Gate
	if p, err := open.Authenticate(&http.Request{}); err != nil || p.Authorize(Admin, Everywhere) != nil {
		t.Errorf("development: %v %v", p, err)
	}
	// Whoever forgets to authenticate lets nobody in.
	if err := From(t.Context()).Authorize(Read, Anywhere); !problem.Is(err, problem.Unauthenticated) {
		t.Errorf("nobody: %v", err)
	}
}

// TestAuthorize compares the decision with its definition, for random tokens.
func TestAuthorize(t *testing.T) {
	names := []string{"ws_a", "ws_b", "ws_c", System}
	rapid.Check(t, func(t *rapid.T) {
		some := func(label string) []string {
			if rapid.Bool().Draw(t, "all "+label) {
				return []string{Everywhere}
			}
			return rapid.SliceOfNDistinct(rapid.SampledFrom(names), 1, 3, rapid.ID).Draw(t, label)
		}
		named := some("workspaces")
		w, err := ParseWorkspaces(named)
		if err != nil {
			t.Fatal(err)
		}
		mine := Scopes(rapid.Uint8Range(0, uint8(All)).Draw(t, "scopes"))
		p := &Principal{Grants: []Grant{{mine, w}}}
		anyOf := Scopes(rapid.Uint8Range(1, uint8(All)).Draw(t, "any of"))
		where := rapid.SampledFrom(append(names, Everywhere, Anywhere)).Draw(t, "where")
		has := false
		for _, n := range named {
			has = has || n == where || n == Everywhere
		}
		err = p.Authorize(anyOf, where)
		switch scope := mine&anyOf != 0; {
		case scope && (has || where == Anywhere):
			if err != nil {
				t.Fatal(err)
			}
		case scope && where != Everywhere:
			if !problem.Is(err, problem.NoSuchWorkspace) {
				t.Fatalf("%v", err)
			}
			if other := p.Authorize(anyOf, "ws_nobody_has"); other.Error() != err.Error() {
				t.Fatalf("%v and %v are told apart", err, other)
			}
		default:
			if !problem.Is(err, problem.MissingScope) {
				t.Fatalf("%v", err)
			}
		}
		other, err := ParseWorkspaces(some("others"))
		if err != nil {
			t.Fatal(err)
		}
		covers := true
		for _, n := range other.Names() {
			covers = covers && w.Name(n)
		}
		if w.Cover(other) != covers {
			t.Fatalf("%v covers %v: %v", w, other, !covers)
		}
	})
}

// TestBookIsShared: keys are found while others are minted and revoked.
func TestBookIsShared(t *testing.T) {
	b := mustBook(t, &disk{})
	_, token := add(t, b, "one", "*")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 200 {
				if _, err := b.find(token, now.Add(time.Duration(i)*time.Second)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range 50 {
		k, other, err := b.Add(Request{Name: fmt.Sprint(i), Scopes: Read, Workspaces: workspaces(t, "*"), Life: time.Hour}, now)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Revoke(k.ID, workspaces(t, "*"), "test", now); err != nil {
			t.Fatal(err)
		}
		if _, err := b.find(other, now); err == nil {
			t.Error("a revoked key let somebody in")
		}
		if err := b.SaveUsed(); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
}

func mustGate(t testing.TB, o Options) *Gate {
	t.Helper()
	g, err := NewGate(o)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// TestOutbox: each change is untold until it is told, over restarts, and a change that
// was told is not told again.
func TestOutbox(t *testing.T) {
	d := &disk{}
	b := mustBook(t, d)
	k, _ := add(t, b, "one", "*")
	<-b.Changed()
	is := func(want string) []Change {
		t.Helper()
		got := ""
		b = mustBook(t, d)
		changes := b.Untold()
		for _, c := range changes {
			if c.Key.ID != k.ID {
				t.Errorf("%+v", c)
			}
			got += map[bool]string{false: "minted ", true: "revoked "}[c.Revoked]
		}
		if got != want {
			t.Errorf("untold: %q, want %q", got, want)
		}
		return changes
	}
	minted := is("minted ")
	if _, err := b.Revoke(k.ID, workspaces(t, "*"), "somebody", now); err != nil {
		t.Fatal(err)
	}
	<-b.Changed()
	both := is("minted revoked ")
	if both[1].Key.RevokedBy != "somebody" {
		t.Errorf("%+v", both[1])
	}
	d.fails = errors.New("the disk is full")
	if err := b.Told(minted); !errors.Is(err, d.fails) {
		t.Errorf("%v", err)
	}
	d.fails = nil
	if err := b.Told(minted); err != nil {
		t.Fatal(err)
	}
	if err := b.Told(is("revoked ")); err != nil {
		t.Fatal(err)
	}
	is("")
}
