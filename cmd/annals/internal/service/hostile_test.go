package service

import (
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"annals/internal/access"
	"annals/internal/access/oidc"
	"annals/internal/access/oidc/oidctest"
	"annals/internal/problem"
)

// besieged is a whole service over HTTPS, whose callers are a provider's.
type besieged struct {
	*Service
	t        *testing.T
	provider *oidctest.Provider
	client   *http.Client
}

func besiege(t *testing.T) *besieged {
	t.Helper()
	p := oidctest.New(t)
	p.Advance(time.Since(p.Now())) // streams end by the present
	authority := newAuthority(t)
	o := options(filepath.Join(t.TempDir(), "data"))
	o.TLS = authority.files()
	o.tokenTime = p.Now
	o.Access.OIDC = &oidc.Config{Issuer: p.URL, Audience: oidctest.Audience, Algorithms: []string{"RS256", "ES256"}, Grants: []oidc.Grant{
		{Claim: "groups", Value: "readers", Scopes: []string{"read", "record"}, Workspaces: []string{"ws_a"}},
	}}
	// All come from one address, and what is looked at is each token's own refusal.
	o.Access.Limits = access.Limits{PerSecond: 1e6, Refusals: 1e6, Queries: 1000, Overall: 1000}
	client := authority.client()
	transport := client.Transport.(*http.Transport)
	transport.DisableKeepAlives, transport.MaxIdleConnsPerHost = false, 64
	t.Cleanup(client.CloseIdleConnections)
	return &besieged{mustStart(t, o), t, p, client}
}

const reading = "GET /v1/workspaces/ws_a/timeline"

// doors are one of each kind: to read, to record, to listen.
var doors = []string{reading, "POST /v1/workspaces/ws_a/records?wait=recorded", "GET /v1/workspaces/ws_a/tail"}

// knock shows a token at a door. Of an answer that has no end it returns the beginning.
func (b *besieged) knock(door, token string) (res *http.Response, body string) {
	b.t.Helper()
	method, path, _ := strings.Cut(door, " ")
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.URL()+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	if method == http.MethodPost {
		r.Body = io.NopCloser(strings.NewReader(`{"type":"app.renamed","actor":{"type":"user","id":"usr_dana"}}`))
		r.Header.Set("Content-Type", "application/json")
	}
	r.Header.Set("Authorization", "Bearer "+token)
	if res, err = b.client.Do(r); err != nil {
		b.t.Error(err)
		return &http.Response{}, ""
	}
	defer res.Body.Close()
	if res.Header.Get("Content-Type") == "text/event-stream" {
		return res, ""
	}
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Error(err)
	}
	return res, string(text)
}

// good holds a good token to being let in, wherever it asks.
func (b *besieged) good(door, token string) {
	b.t.Helper()
	if res, body := b.knock(door, token); res.StatusCode != http.StatusOK {
		b.t.Errorf("%s, a good token: %d %s", door, res.StatusCode, body)
	}
}

// total is how many records the workspace has.
func (b *besieged) total() string {
	b.t.Helper()
	_, body := b.knock(reading, b.provider.Token(nil))
	_, after, _ := strings.Cut(body, `"total":`)
	n, _, _ := strings.Cut(after, ",")
	return n
}

// TestHostileTokens shows every hostile token to the doors of a whole service: each is
// refused at each as RFC 6750 has it, in an answer that says nothing of it, and costs no
// more memory than a bound; nothing is recorded, and nobody else is kept out.
func TestHostileTokens(t *testing.T) {
	b := besiege(t)
	for _, door := range doors {
		b.good(door, b.provider.Token(nil))
	}
	before := b.total()
	if before != "1" {
		t.Fatalf("%s records, want the one", before)
	}
	tokens := oidctest.Hostile(t, b.provider)
	fetched := b.provider.Fetches.Load()
	// What the service does beside, such as signing the ledger, allocates too.
	const most = 4 << 20
	var was, is runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&was)
	lived := was.HeapAlloc
	for name, token := range tokens {
		runtime.ReadMemStats(&was)
		for _, door := range doors {
			res, body := b.knock(door, token)
			if res.StatusCode != http.StatusUnauthorized || res.Header.Get("Content-Type") != problem.MediaType || !strings.HasPrefix(res.Header.Get("WWW-Authenticate"), "Bearer") ||
				!strings.Contains(body, `"code":"unauthenticated"`) {
				t.Errorf("%s, %s: %d %v %s", door, name, res.StatusCode, res.Header, body)
			}
			for part := range strings.SplitSeq(token, ".") {
				if len(part) > 16 && strings.Contains(body, part[:16]) {
					t.Errorf("%s, %s: the answer shows what was shown: %s", door, name, body)
				}
			}
		}
		runtime.ReadMemStats(&is)
		if n := is.TotalAlloc - was.TotalAlloc; n > most {
			t.Errorf("%s: %d bytes were allocated for a token of %d, shown three times", name, n, len(token))
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&is)
	if is.HeapAlloc > lived+most {
		t.Errorf("%d bytes are held after it, and were %d before", is.HeapAlloc, lived)
	}
	if n := b.provider.Fetches.Load() - fetched; n > 1 {
		t.Errorf("they made the service fetch keys %d times, and its clock stands", n)
	}
	if got := b.total(); got != before {
		t.Errorf("%s records, and there were %s", got, before)
	}
	for _, door := range doors {
		b.good(door, b.provider.Token(nil))
	}
}

// TestKeysRotateUnderLoad: the provider changes its keys while callers read, record and
// listen. Nobody with a good token is refused, and who shows keys that nobody knows makes
// the service ask once in ten seconds.
func TestKeysRotateUnderLoad(t *testing.T) {
	b := besiege(t)
	p := b.provider
	old, young := p.By(oidctest.RSAKey(), "rsa-1"), p.By(oidctest.OtherKey(), "rsa-2")
	const callers = 12
	load := func(tokens ...string) {
		var wg sync.WaitGroup
		for i := range callers {
			wg.Go(func() {
				for n := range 3 {
					b.good(doors[(i+n)%len(doors)], tokens[i%len(tokens)])
				}
			})
		}
		wg.Wait()
	}
	load(old)
	if n := p.Fetches.Load(); n != 1 {
		t.Errorf("%d fetches for %d callers", n, callers)
	}
	p.Show(oidctest.Public("rsa-1", oidctest.RSAKey().Public(), ""), oidctest.Public("rsa-2", oidctest.OtherKey().Public(), ""))
	p.Advance(10 * time.Second)
	load(old, young)
	if n := p.Fetches.Load(); n != 2 {
		t.Errorf("%d fetches after the rotation, want 2", n)
	}
	for round := range 2 {
		p.Advance(10 * time.Second)
		var wg sync.WaitGroup
		for i := range 60 {
			wg.Go(func() {
				if i%6 == 0 {
					b.good(doors[i%len(doors)], []string{old, young}[i/6%2])
					return
				}
				stranger := p.By(oidctest.OtherKey(), fmt.Sprint("x", round, i))
				if res, body := b.knock(doors[i%len(doors)], stranger); res.StatusCode != http.StatusUnauthorized {
					t.Errorf("a key that nobody knows: %d %s", res.StatusCode, body)
				}
			})
		}
		wg.Wait()
		if n := int(p.Fetches.Load()); n != 3+round {
			t.Errorf("%d fetches in %d times ten seconds", n, 3+round)
		}
	}
	// The old key goes: a minute later whoever comes makes it be noticed.
	p.Show(oidctest.Public("rsa-2", oidctest.OtherKey().Public(), ""))
	p.Advance(time.Minute + time.Second)
	load(young)
	eventually(t, "the old key lets nobody in", func() bool {
		res, _ := b.knock(reading, old)
		return res.StatusCode == http.StatusUnauthorized
	})
	load(young)
}
