package service

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"annals/cmd/annals/internal/accessfile"
	"annals/cmd/annals/internal/client"
	"annals/cmd/annals/internal/durable"
	"annals/internal/access"
	"annals/ledger/proof"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
)

// asking is a client of a service.
func asking(t *testing.T, s *Service) *client.Client {
	t.Helper()
	c, err := client.New(s.URL(), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// giveAccess makes a key for everything in a folder whose service is stopped.
func giveAccess(t *testing.T, data string) (id, token string) {
	t.Helper()
	if err := durable.Dir(filepath.Dir(accessfile.Path(data))); err != nil {
		t.Fatal(err)
	}
	book, err := accessfile.LoadOrNew(data)
	if err != nil {
		t.Fatal(err)
	}
	everywhere, err := access.ParseWorkspaces([]string{access.Everywhere})
	if err != nil {
		t.Fatal(err)
	}
	k, token, err := book.Add(access.Request{Name: "test", Scopes: access.All, Workspaces: everywhere, Life: time.Hour}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return k.ID, token
}

func askWith(t *testing.T, s *Service, path, token string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// TestAccessFromTheFirstStart: keys may be made before there is a ledger, what was
// used last survives a restart, and a file that doesn't parse lets nobody in.
func TestAccessFromTheFirstStart(t *testing.T) {
	o := options(filepath.Join(t.TempDir(), "data"))
	id, token := giveAccess(t, o.Data)
	s := mustStart(t, o)
	if status, body := askWith(t, s, "/v1/workspaces/ws_7/timeline", ""); status != http.StatusUnauthorized {
		t.Errorf("without a token: %d %s", status, body)
	}
	if status, body := askWith(t, s, "/v1/workspaces/ws_7/timeline", token); status != http.StatusOK {
		t.Errorf("%d %s", status, body)
	}
	if status, body := askWith(t, s, "/readyz", ""); status != http.StatusOK {
		t.Errorf("readyz without a token: %d %s", status, body)
	}
	mustClose(t, s)
	s = mustStart(t, o)
	if status, body := askWith(t, s, "/v1/access/keys", token); status != http.StatusOK || !strings.Contains(body, `"last_used"`) || !strings.Contains(body, id) {
		t.Errorf("%d %s", status, body)
	}
	mustClose(t, s)
	for _, broken := range []string{"", "{}", `{"version":2,"keys":[]}`, `{"version":1,"keys":[{}]}`, `{"version":1,"keys":[],"more":1}`} {
		if err := os.WriteFile(accessfile.Path(o.Data), []byte(broken), 0o600); err != nil {
			t.Fatal(err)
		}
		if s, err := Start(t.Context(), o); err == nil || !strings.Contains(err.Error(), "does not parse") {
			t.Errorf("%q: %v, %v", broken, s, err)
		}
	}
}

// TestNobodyElse: without access the service listens on the loopback alone, and
// refuses before it makes anything.
func TestNobodyElse(t *testing.T) {
	for _, listen := range []string{"0.0.0.0:0", ":0", "[::]:0"} {
		o := options(filepath.Join(t.TempDir(), "data"))
		o.Listen = listen
		if s, err := Start(t.Context(), o); err == nil || !strings.Contains(err.Error(), "annals access add") {
			t.Errorf("--listen %s: %v, %v", listen, s, err)
		}
		o = options(o.Data)
		o.NATSListen = listen
		if s, err := Start(t.Context(), o); err == nil || !strings.Contains(err.Error(), "lets any client publish") {
			t.Errorf("--nats-listen %s: %v, %v", listen, s, err)
		}
		if _, err := os.Stat(o.Data); err == nil {
			t.Error("a folder was made")
		}
	}
}

// TestGradeIsFound: what the door knows of who acted is committed to, and found.
func TestGradeIsFound(t *testing.T) {
	o := options(filepath.Join(t.TempDir(), "data"))
	_, token := giveAccess(t, o.Data)
	s := mustStart(t, o)
	record := func(actor string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL()+"/v1/workspaces/ws_7/records?wait=recorded",
			strings.NewReader(`{"type":"app.renamed","actor":{"id":"`+actor+`"}}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Fatal(res.Status)
		}
	}
	record("test") // the key's subject
	record("usr_dana")
	for grade, actor := range map[string]string{"verified": `"id":"test"`, "asserted": `"id":"usr_dana"`} {
		status, body := askWith(t, s, "/v1/workspaces/ws_7/timeline?grade="+grade, token)
		if status != http.StatusOK || !strings.Contains(body, actor) || !strings.Contains(body, `"total":1`) || !strings.Contains(body, `"producer":"test"`) || strings.Contains(body, token) {
			t.Errorf("%s: %d %s", grade, status, body)
		}
	}
}

// TestAskedOnNATS: with access, who asks on NATS without knowing what was published
// is shown nothing of it; without, the entry alone.
func TestAskedOnNATS(t *testing.T) {
	for _, guarded := range []bool{false, true} {
		o := options(filepath.Join(t.TempDir(), "data"))
		if guarded {
			giveAccess(t, o.Data)
		}
		s := mustStart(t, o)
		nc, err := nats.Connect(s.NATSURL())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		ask := func(subject, body string) string {
			t.Helper()
			m, err := nc.Request(subject, []byte(body), 20*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			return string(m.Data)
		}
		record := recordNamed("asked")
		var recorded struct{ Items []struct{ Sequence uint64 } }
		if err := json.Unmarshal([]byte(ask("annals.api.record.ws_7", record)), &recorded, json.MatchCaseInsensitiveNames(true)); err != nil || len(recorded.Items) != 1 {
			t.Fatalf("%v %+v", err, recorded)
		}
		request := fmt.Sprintf(`{"sequence":%d`, recorded.Items[0].Sequence)
		stranger := ask("annals.api.receipt.ws_7", request+"}")
		if strings.Contains(stranger, "no_such_record") != guarded {
			t.Errorf("access %t, a stranger: %s", guarded, stranger)
		}
		knowing := ask("annals.api.receipt.ws_7", request+fmt.Sprintf(`,"sha256":"%x"}`, sha256.Sum256([]byte(record))))
		if _, err := proof.ParseReceipt([]byte(knowing)); err != nil {
			t.Errorf("access %t, who knows it: %v: %s", guarded, err, knowing)
		}
		mustClose(t, s)
	}
}
