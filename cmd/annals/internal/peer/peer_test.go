package peer

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"annals/ledger/chain/chaintest"

	"github.com/go-json-experiment/json"
)

const secret = "0123456789abcdef0123456789abcdef"

// TestReadToken: a token that others can read, or could guess, is none.
func TestReadToken(t *testing.T) {
	for _, c := range []struct {
		name, text string
		mode       os.FileMode
		want       string // "": it is one
	}{
		{"one line", secret + "\n", 0o600, ""},
		{"without its end", secret, 0o400, ""},
		{"the longest", strings.Repeat("a", mostToken) + "\n", 0o600, ""},
		{"too long", strings.Repeat("a", mostToken+1), 0o600, "one line of"},
		{"much too long", strings.Repeat("a", 1<<20), 0o600, "one line of"},
		{"short", secret[1:] + "\n", 0o600, "one line of"},
		{"empty", "", 0o600, "one line of"},
		{"two lines", secret + "\n" + secret + "\n", 0o600, "one line of"},
		{"a blank", secret + " \n", 0o600, "one line of"},
		{"CR LF", secret + "\r\n", 0o600, "one line of"},
		{"no ASCII", secret + "\u00e9\n", 0o600, "one line of"},
		{"for the group", secret, 0o640, "chmod 600"},
		{"for all", secret, 0o604, "chmod 600"},
	} {
		path := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, c.mode); err != nil {
			t.Fatal(err)
		}
		token, err := ReadToken(path)
		if c.want == "" && (err != nil || !token.Is(strings.TrimSpace(c.text))) || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), secret[1:]) {
			t.Errorf("%s: the error tells the token: %v", c.name, err)
		}
	}
	if _, err := ReadToken(t.TempDir()); err == nil || !strings.Contains(err.Error(), "no file") {
		t.Errorf("a folder: %v", err)
	}
	if _, err := ReadToken(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("no file is a token")
	}
}

// TestTokenIsSecret: a token is compared whole, prints as nothing, and none is no
// token that anybody could show.
func TestTokenIsSecret(t *testing.T) {
	token := Token{secret}
	for _, shown := range []string{"", secret[1:], secret + "x", strings.ToUpper(secret), " " + secret} {
		if token.Is(shown) {
			t.Errorf("%q passes for the token", shown)
		}
	}
	if (Token{}).Is("") {
		t.Error("nothing passes where there is no token")
	}
	for _, printed := range []string{fmt.Sprint(token), fmt.Sprintf("%+v %#v %s", token, token, token), fmt.Sprintf("%+v", Options{Token: token})} {
		if strings.Contains(printed, secret) {
			t.Errorf("it prints as %s", printed)
		}
	}
}

// TestNew: a peer whose line others could read is not asked.
func TestNew(t *testing.T) {
	for where, ok := range map[string]bool{
		"https://b.example.com": true, "https://b.example.com/annals/": true, "http://127.0.0.1:8080": true, "http://[::1]:8080": true, "http://localhost:8080": true,
		"http://b.example.com": false, "http://10.0.0.7:8080": false, "http://127.0.0.1.example.com": false,
		"b.example.com": false, "": false, "file:///data": false, "/data": false, "https://": false, "https://u:p@b.example.com": false, "https://b.example.com?x=1": false,
	} {
		p, err := New(where, Token{secret})
		if (err == nil) != ok {
			t.Errorf("%q: %v", where, err)
		}
		if err == nil {
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestMessageSurvives: what a message is told by comes through, whatever bytes it is of.
func TestMessageSurvives(t *testing.T) {
	s := chaintest.Golden()
	s.Publish("activity.ws_7.\xff\xfe", "\xff\x00{}", "ce-\xff", "\xfe", "ce-id", "1", "ce-id", "2", "traceparent", "x")
	s.Publish("annals.control.\xff", strings.Repeat("\xff", 1000))
	for i := range s.Messages {
		m := &s.Messages[i]
		out := messageOf(m)
		body, err := json.Marshal(&Given{Messages: []Message{out}})
		if err != nil {
			t.Fatal(err)
		}
		var in Given
		if err := json.Unmarshal(body, &in); err != nil {
			t.Fatal(err)
		}
		got := in.Messages[0].message()
		if _, typed := m.Header["Content-Type"]; typed != got.Rebuilt || typed != got.Digest().IsZero() {
			t.Errorf("message %d: its digest is %s", m.Sequence, got.Digest())
		}
		got.Rebuilt = false // to be compared all the same
		if got.Digest() != m.Digest() {
			t.Errorf("message %d became another: %+v", m.Sequence, got)
		}
	}
}
