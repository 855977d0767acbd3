package service

import (
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"annals/cmd/annals/internal/peer"

	"github.com/go-json-experiment/json"
)

// TestPeersAlone: messages are given to who shows the token, and to nobody else.
func TestPeersAlone(t *testing.T) {
	o := options(filepath.Join(t.TempDir(), "data"))
	o.PeerToken = tokenFile(t, token)
	s := mustStart(t, o)
	genesis, _, err := s.ledger.Get(0)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, authorization, query string
		status                     int
		code                       string
	}{
		{"nobody", "", "epoch=0&first=1&last=2", 401, "wrong_token"},
		{"another token", "Bearer " + strings.Repeat("x", 32), "epoch=0&first=1&last=2", 401, "wrong_token"},
		{"a part of it", "Bearer " + token[:31], "epoch=0&first=1&last=2", 401, "wrong_token"},
		{"in another way", "Basic " + token, "epoch=0&first=1&last=2", 401, "wrong_token"},
		{"bare", token, "epoch=0&first=1&last=2", 401, "wrong_token"},
		{"in the query", "", "epoch=0&first=1&last=2&token=" + token, 400, "token_in_url"},
		{"no range", "Bearer " + token, "", 400, "invalid_parameter"},
		{"backwards", "Bearer " + token, "epoch=0&first=2&last=1", 400, "invalid_parameter"},
		{"no number", "Bearer " + token, "epoch=0&first=-1&last=1", 400, "invalid_parameter"},
		{"no such epoch", "Bearer " + token, "epoch=1&first=1&last=1", 404, "no_such_message"},
		{"what is to come", "Bearer " + token, "epoch=0&first=1000&last=1000", 404, "no_such_message"},
		{"a replica", "Bearer " + token, "epoch=0&first=1&last=2", 200, ""},
	} {
		status, body := askAs(t, s.URL()+peer.Path+"?"+c.query, c.authorization)
		if status != c.status || c.code != "" && !strings.Contains(body, `"code":"`+c.code+`"`) {
			t.Errorf("%s: %d %.200s", c.name, status, body)
		}
		if strings.Contains(body, token) {
			t.Errorf("%s: the answer tells the token", c.name)
		}
		if c.status != 200 {
			if strings.Contains(body, `"messages":`) {
				t.Errorf("%s: %.200s", c.name, body)
			}
			continue
		}
		var given peer.Given
		if err := json.Unmarshal([]byte(body), &given); err != nil || len(given.Messages) != 2 || given.Ledger != s.ledger.ID() || string(given.Messages[0].Body) != string(genesis.Payload.Body) {
			t.Errorf("%s: %v, %.200s", c.name, err, body)
		}
	}
	// Where there is no token there is no such path.
	mustClose(t, s)
	o.PeerToken = ""
	s = mustStart(t, o)
	if status, body := askAs(t, s.URL()+peer.Path+"?epoch=0&first=1&last=2", "Bearer "+token); status != 404 || !strings.Contains(body, "no_such_path") {
		t.Errorf("without a token: %d %s", status, body)
	}
	o.Peers = []string{"http://127.0.0.1:1"}
	if _, err := Start(t.Context(), o); err == nil || !strings.Contains(err.Error(), "--peer-token") {
		t.Errorf("peers without a token: %v", err)
	}
}

// askAs asks with an Authorization header.
func askAs(t *testing.T, where, authorization string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, where, nil)
	if err != nil {
		t.Fatal(err)
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}
