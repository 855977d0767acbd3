package natsconfig

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// preloaded is an account in accounts.conf: its name, and its JWT.
var preloaded = regexp.MustCompile(`(?m)^  (A[A-Z0-9]{55}): (\S+)$`)

// withoutScopes takes the permissions out of the accounts' JWTs, and signs them anew.
func withoutScopes(t *testing.T, dir, text string) string {
	t.Helper()
	seed, err := os.ReadFile(filepath.Join(dir, authorityFolder, "operator.nk"))
	if err != nil {
		t.Fatal(err)
	}
	operator, err := nkeys.FromSeed(bytes.TrimSpace(seed))
	if err != nil {
		t.Fatal(err)
	}
	taken := 0
	out := preloaded.ReplaceAllStringFunc(text, func(line string) string {
		parts := preloaded.FindStringSubmatch(line)
		c, err := jwt.DecodeAccountClaims(parts[2])
		if err != nil {
			t.Fatal(err)
		}
		for key, scope := range c.SigningKeys {
			bare := *scope.(*jwt.UserScope)
			bare.Template.Permissions = jwt.Permissions{}
			c.SigningKeys[key] = &bare
			taken++
		}
		token, err := c.Encode(operator)
		if err != nil {
			t.Fatal(err)
		}
		return "  " + parts[1] + ": " + token
	})
	if taken != len(may) {
		t.Fatalf("the permissions of %d users were taken out, want %d", taken, len(may))
	}
	return out
}

// reload has a server read its configuration again, as nats-server --signal reload does.
func (r *rig) reload(t *testing.T, o Options) {
	t.Helper()
	so, err := server.ProcessConfigFile(filepath.Join(o.Dir, "n1.conf"))
	if err != nil {
		t.Fatal(err)
	}
	so.NoLog, so.NoSigs = true, true
	if err := r.servers[0].ReloadOptions(so); err != nil {
		t.Fatal(err)
	}
}

// written is what run wrote, as a command that is run again would.
func (r *rig) written(o Options) Options {
	o.Dir, o.Nodes = r.dir, []Node{{Name: "n1"}}
	o.Listen, o.Store = strings.TrimPrefix(r.url, "nats://"), filepath.Join(r.dir, "store", "n1")
	return o
}

// TestEnded: who is ended in operator mode is out once the servers have read the
// configuration again, with the old credentials too; the others stay connected, and keep
// theirs. Somebody new gets in.
func TestEnded(t *testing.T) {
	o := everything()
	o.Operator = true
	r := run(t, o, 1, nil)
	r.stream(t)
	old, err := os.ReadFile(CredsFile(r.dir, "producer-ws_7"))
	if err != nil {
		t.Fatal(err)
	}
	gone := make(chan error, 1)
	kept := filepath.Join(t.TempDir(), "old.creds")
	if err := os.WriteFile(kept, old, 0o600); err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect(r.url, nats.UserCredentials(kept), nats.NoReconnect(), nats.ClosedHandler(func(nc *nats.Conn) { gone <- nc.LastError() }))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	others := map[string]*client{}
	for _, user := range []string{"ledger", "producer", "producer-ws_8", "operator"} {
		others[user] = r.connect(t, user)
	}
	if err := os.Remove(CredsFile(r.dir, "producer-ws_7")); err != nil {
		t.Fatal(err)
	}
	again := r.written(o)
	again.Workspaces = append(again.Workspaces, "ws_9")
	w, err := Write(again)
	if err != nil {
		t.Fatal(err)
	}
	if len(w.Seeds) != 2 {
		t.Errorf("new are %q, want producer-ws_7 and producer-ws_9", w.Seeds)
	}
	r.reload(t, again)
	select {
	case <-gone:
	case <-time.After(30 * time.Second):
		t.Error("who was ended is connected still")
	}
	if nc, err := nats.Connect(r.url, nats.UserCredentials(kept)); err == nil {
		nc.Close()
		t.Error("who was ended got in again")
	} else if !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("%v", err)
	}
	for user, c := range others {
		if err := c.Flush(); err != nil || c.Statistics.Reconnects > 0 {
			t.Errorf("%s: %v, %d reconnects", user, err, c.Statistics.Reconnects)
		}
	}
	for _, ws := range []string{"ws_7", "ws_9"} {
		if _, err := r.connect(t, "producer-"+ws).Request("activity."+ws+".x", []byte("{}"), 10*time.Second); err != nil {
			t.Errorf("%s: %v", ws, err)
		}
	}
}

// TestForgedCredentials: nobody makes themself a user, nor more of one, with what a user,
// an account or another operator has.
func TestForgedCredentials(t *testing.T) {
	o := everything()
	o.Operator = true
	r := run(t, o, 1, nil)
	claims := func(user string) *jwt.UserClaims {
		text, err := os.ReadFile(CredsFile(r.dir, user))
		if err != nil {
			t.Fatal(err)
		}
		token, err := jwt.ParseDecoratedJWT(text)
		if err != nil {
			t.Fatal(err)
		}
		c, err := jwt.DecodeUserClaims(token)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if c := claims("producer-ws_7"); !c.HasEmptyPermissions() {
		t.Errorf("the credentials say themselves what they are worth: %v", c)
	}
	mine, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	public, _ := mine.PublicKey()
	signer, err := nkeys.CreateAccount()
	if err != nil {
		t.Fatal(err)
	}
	tenant, ledger := claims("producer-ws_7"), claims("ledger")
	for name, forge := range map[string]func(c *jwt.UserClaims){
		"by a key of one's own, in the stream's account": func(c *jwt.UserClaims) { c.IssuerAccount = ledger.IssuerAccount },
		"by a key of one's own, in one's account":        func(c *jwt.UserClaims) { c.IssuerAccount = tenant.IssuerAccount },
		"by a key of one's own, as the account":          func(c *jwt.UserClaims) { c.IssuerAccount = "" },
	} {
		c := jwt.NewUserClaims(public)
		c.SetScoped(true)
		forge(c)
		token, err := c.Encode(signer)
		if err != nil {
			t.Fatal(err)
		}
		nc, err := nats.Connect(r.url, nats.UserJWT(func() (string, error) { return token, nil }, mine.Sign))
		if err == nil {
			nc.Close()
			t.Errorf("%s: got in", name)
		}
	}
	// Another's JWT without another's seed.
	text, err := os.ReadFile(CredsFile(r.dir, "ledger"))
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.ParseDecoratedJWT(text)
	if err != nil {
		t.Fatal(err)
	}
	if nc, err := nats.Connect(r.url, nats.UserJWT(func() (string, error) { return token, nil }, mine.Sign)); err == nil {
		nc.Close()
		t.Error("with the ledger's JWT and another seed: got in")
	}
}

// TestOperatorFiles: what is secret is its owner's alone, no server's file holds any of
// it, and what can't be gone on with is said.
func TestOperatorFiles(t *testing.T) {
	o := everything()
	o.Operator, o.Dir, o.Nodes, o.Listen, o.Store = true, t.TempDir(), []Node{{Name: "n1"}}, "127.0.0.1:4222", "/var/lib/nats"
	if _, err := Write(o); err != nil {
		t.Fatal(err)
	}
	var secrets []string
	for _, folder := range []string{authorityFolder, credsFolder} {
		files, err := os.ReadDir(filepath.Join(o.Dir, folder))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			path := filepath.Join(o.Dir, folder, f.Name())
			info, err := os.Stat(path)
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v %v", path, info.Mode(), err)
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			secrets = append(secrets, regexp.MustCompile(`S[OAU][A-Z0-9]{56}`).FindAllString(string(text), -1)...)
		}
	}
	if want := len(may) + len(o.accounts()) + 1; len(secrets) != want {
		t.Errorf("%d seeds, want %d", len(secrets), want)
	}
	accounts, err := os.ReadFile(filepath.Join(o.Dir, AccountsFile))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range secrets {
		if bytes.Contains(accounts, []byte(s)) {
			t.Errorf("%s holds a seed", AccountsFile)
		}
	}
	for name, c := range map[string]struct {
		spoil func() error
		want  string
	}{
		"credentials of another account": {func() error {
			text, err := os.ReadFile(CredsFile(o.Dir, "door"))
			return errors.Join(err, os.WriteFile(CredsFile(o.Dir, "producer"), text, 0o600))
		}, "holds no credentials of the account PRODUCERS"},
		"credentials that others read": {func() error { return os.Chmod(CredsFile(o.Dir, "ledger"), 0o644) }, "can be read by others"},
		"an account's seed lost":       {func() error { return os.Remove(filepath.Join(o.Dir, authorityFolder, "DOORS.nk")) }, "holds no credentials of the account DOORS"},
		"another operator's seed": {func() error {
			pair, err := nkeys.CreateOperator()
			if err != nil {
				return err
			}
			seed, err := pair.Seed()
			return errors.Join(err, os.WriteFile(filepath.Join(o.Dir, authorityFolder, "operator.nk"), seed, 0o600))
		}, "is not the JWT of the operator"},
		"no seed": {func() error {
			return os.WriteFile(filepath.Join(o.Dir, authorityFolder, "ANNALS.nk"), []byte("x"), 0o600)
		}, "holds no seed"},
	} {
		before := t.TempDir()
		if err := os.CopyFS(before, os.DirFS(o.Dir)); err != nil {
			t.Fatal(err)
		}
		if err := c.spoil(); err != nil {
			t.Fatal(err)
		}
		if _, err := Write(o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if err := errors.Join(os.RemoveAll(o.Dir), os.CopyFS(o.Dir, os.DirFS(before))); err != nil {
			t.Fatal(err)
		}
		for _, folder := range []string{authorityFolder, credsFolder} { // CopyFS gives them its own mode
			files, _ := filepath.Glob(filepath.Join(o.Dir, folder, "*"))
			for _, f := range files {
				if err := os.Chmod(f, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}
