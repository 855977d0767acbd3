package natscontext

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
)

// place puts a context where the nats command line keeps them.
func place(t *testing.T, name, content string) {
	t.Helper()
	config := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", config)
	dir := filepath.Join(config, "nats", "context")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".json"), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func applied(t *testing.T, opts []nats.Option) *nats.Options {
	t.Helper()
	o := nats.GetDefaultOptions()
	for _, opt := range opts {
		if err := opt(&o); err != nil {
			t.Fatal(err)
		}
	}
	return &o
}

func TestResolve(t *testing.T) {
	creds := filepath.Join(t.TempDir(), "a.creds")
	if err := os.WriteFile(creds, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	place(t, "production", `{"description":"","url":"nats://n1:4222,nats://n2:4222","token":"","user":"annals","password":"p w",
		"creds":"","nkey":"","cert":"","key":"","ca":"","nsc":"","jetstream_domain":"","inbox_prefix":"_INBOX.annals","color_scheme":"","tls_first":false}`)
	url, opts, err := Target{Context: "production"}.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	o := applied(t, opts)
	if url != "nats://n1:4222,nats://n2:4222" || o.User != "annals" || o.Password != "p w" || o.InboxPrefix != "_INBOX.annals" {
		t.Errorf("url %s, user %s, inbox %s", url, o.User, o.InboxPrefix)
	}
	// What is said explicitly wins.
	url, opts, err = Target{Context: "production", URL: "nats://n3", Creds: creds}.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	if o = applied(t, opts); url != "nats://n3" || o.User != "" || o.UserJWT == nil {
		t.Errorf("url %s, user %q, credentials %v", url, o.User, o.UserJWT != nil)
	}
	url, opts, err = Target{URL: "nats://plain"}.Resolve()
	if err != nil || url != "nats://plain" || len(opts) != 0 {
		t.Errorf("%s, %d options, %v", url, len(opts), err)
	}
}

func TestResolveRefuses(t *testing.T) {
	for content, want := range map[string]string{
		`{"url":"nats://n1","nsc":"nsc://operator/account/user"}`: "sets nsc",
		`{"url":"nats://n1","jetstream_domain":"hub"}`:            "sets jetstream_domain",
		`{"url":"nats://n1","user_jwt":"eyJ"}`:                    "sets user_jwt",
		`{"url":"nats://n1","url":"nats://n2"}`:                   "does not parse",
		`{"user":"annals"}`:                                       "names no server",
		`{"url":"nats://n1","creds":"/no/such.creds"}`:            "credentials file",
		`{"url":"nats://n1","nkey":"/no/such.nk"}`:                "nkey file",
	} {
		place(t, "c", content)
		if _, _, err := (Target{Context: "c"}).Resolve(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", content, err, want)
		}
	}
	if _, _, err := (Target{Context: "nosuch"}).Resolve(); err == nil || !strings.Contains(err.Error(), "no NATS context") {
		t.Errorf("no such context: %v", err)
	}
}
