package query

import (
	"bufio"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"annals/internal/access"

	"github.com/go-json-experiment/json"
)

// TestEmbed: an embed token reads what it says, for whom it says, and no longer.
func TestEmbed(t *testing.T) {
	const app = "https://app.example.com"
	s, keys := behind(t, Options{Origins: []string{app}})
	s.publish("ws_a", `{"type":"t","actor":{"id":"u1"},"object":{"type":"app","id":"o1"}}`)
	s.publish("ws_a", `{"type":"t","actor":{"id":"u2"},"object":{"type":"app","id":"o2"}}`)
	s.settle()
	leaf, _, err := s.api.o.Ledger.Get(2)
	if err != nil {
		t.Fatal(err)
	}
	k, key := keys.key(t, access.Read, "ws_a")
	mint := func(body string) Embedded {
		t.Helper()
		s.token = key
		got := s.send("POST", "/v1/workspaces/ws_a/embed-tokens", body, "Content-Type", "application/json")
		var e Embedded
		if err := json.Unmarshal(got.body, &e); err != nil || got.status != http.StatusCreated {
			t.Fatalf("%v %d %s", err, got.status, got.body)
		}
		return e
	}
	all, user, object, page := mint(`{}`), mint(`{"user":"u1"}`), mint(`{"object":{"type":"app","id":"o1"}}`), mint(`{"origins":["`+app+`"],"expires_in":60}`)
	if in := time.Until(page.Expires); in > time.Minute || in < 0 {
		t.Errorf("it expires in %v", in)
	}
	const ws = "/v1/workspaces/ws_a"
	id := leaf.Entry.ULID.String()
	for path, who := range map[string]string{ // A: all, U: the user's, O: the object's
		"/timeline": "A", "/counts?by=kind": "A", "/records/" + id: "A", "/timeline?user=u1": "A",
		"/users/u1/timeline": "AU", "/users/u2/timeline": "A", "/users/u1/timeline?object=app/o1": "AU",
		"/objects/app/o1/history": "AO", "/objects/app/o2/history": "A", "/objects/apq/o1/history": "A", "/objects/app/o1/history?user=u1": "AO",
	} {
		for letter, e := range map[string]Embedded{"A": all, "U": user, "O": object} {
			s.token = e.Token
			got := s.do("GET", ws+path)
			want := http.StatusNotFound
			if strings.Contains(who, letter) {
				want = http.StatusOK
			}
			if got.status != want {
				t.Errorf("%s with %s: %d %s, want %d", path, letter, got.status, got.body, want)
			}
		}
	}
	for _, e := range []Embedded{all, user, object} {
		s.token = e.Token
		s.refused(http.StatusNotFound, "no_such_workspace", "GET", "/v1/workspaces/ws_b/users/u1/timeline")
		s.refused(http.StatusForbidden, "missing_scope", "GET", ws+"/entries")
		s.refused(http.StatusForbidden, "missing_scope", "GET", "/v1/access/keys")
		if got := s.send("POST", ws+"/embed-tokens", `{}`, "Content-Type", "application/json"); got.status == http.StatusCreated {
			t.Error("an embed token made another")
		}
		if got := s.send("POST", ws+"/records", `{"type":"t","actor":{"id":"u"}}`, "Content-Type", "application/json"); got.status != http.StatusForbidden {
			t.Errorf("recorded: %d", got.status)
		}
		s.refused(http.StatusBadRequest, "token_in_url", "GET", ws+"/timeline?user="+e.Token)
	}
	// Pages of other origins, and whoever names none.
	s.token = page.Token
	for origin, want := range map[string]int{app: 200, "": 401, "https://evil.example": 401, "null": 401} {
		if got := s.do("GET", ws+"/timeline", "Origin", origin); got.status != want {
			t.Errorf("from %q: %d, want %d", origin, got.status, want)
		}
	}
	// What is changed is not signed.
	claims, seal, _ := strings.Cut(strings.TrimPrefix(user.Token, "ane_"), ".")
	plain, err := base64.RawURLEncoding.DecodeString(claims)
	if err != nil {
		t.Fatal(err)
	}
	for _, forged := range []string{
		"ane_" + base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(plain), "ws_a", "ws_b", 1))) + "." + seal,
		"ane_" + claims + ".", "ane_" + claims, "ane_" + claims + "." + seal + "A", "ane_." + seal, "ane_", "ane_" + claims + "." + seal[:20], all.Token[:len(all.Token)-1],
	} {
		s.token = forged
		s.refused(http.StatusUnauthorized, "unauthenticated", "GET", ws+"/users/u1/timeline")
	}
	s.token = key
	for _, bad := range []string{
		`{"user":"u","object":{"type":"a","id":"b"}}`, `{"object":{"type":"a"}}`, `{"origins":["app.example.com"]}`, `{"origins":["https://app.example.com/"]}`,
		`{"expires_in":-1}`, `{"expires_in":86401}`, `{"workspace":"ws_b"}`, `[]`,
	} {
		s.send("POST", ws+"/embed-tokens", bad, "Content-Type", "application/json").problem(t, http.StatusUnprocessableEntity, "invalid_body")
	}
	// One is ended, and its stream; then all of the key's.
	r, err := http.NewRequestWithContext(t.Context(), "GET", s.url+ws+"/users/u1/tail", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+user.Token)
	res, err := s.client.Do(r)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%v %v", res, err)
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	lines.Scan()
	s.refused(http.StatusNotFound, "no_such_workspace", "DELETE", "/v1/workspaces/ws_b/embed-tokens/"+user.ID)
	s.refused(http.StatusBadRequest, "invalid_parameter", "DELETE", ws+"/embed-tokens/x")
	if got := s.do("DELETE", ws+"/embed-tokens/"+user.ID); got.status != http.StatusOK {
		t.Errorf("%d %s", got.status, got.body)
	}
	for lines.Scan() { // to its end, which only the revocation brings
	}
	s.token = user.Token
	s.refused(http.StatusUnauthorized, "unauthenticated", "GET", ws+"/users/u1/timeline")
	s.token = object.Token
	if got := s.do("GET", ws+"/objects/app/o1/history"); got.status != http.StatusOK {
		t.Errorf("another's: %d", got.status)
	}
	if _, err := keys.Revoke(k.ID, mustWorkspaces(t, access.Everywhere), "test", time.Now()); err != nil {
		t.Fatal(err)
	}
	s.refused(http.StatusUnauthorized, "unauthenticated", "GET", ws+"/objects/app/o1/history")
}
