package natsconfig

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"annals/cmd/annals/internal/durable"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"
)

// CredsFile is where the credentials of a user are in operator mode, in the folder that
// was generated: a JWT and its seed, as every NATS client reads them.
func CredsFile(dir, name string) string { return filepath.Join(dir, credsFolder, name+".creds") }

const (
	credsFolder     = "creds"
	authorityFolder = "authority" // who makes accounts and users: no server needs it
)

// SecretFile is where a user's secret is.
func (o *Options) SecretFile(name string) string {
	if o.Operator {
		return CredsFile(o.Dir, name)
	}
	return SeedFile(o.Dir, name)
}

// authority makes the JWTs of operator mode: the operator's, which a server is told to
// trust, those of the accounts, which the operator signs, and the users'.
//
// What a user may do stands in the account, under a signing key that is that user's alone
// (a scope), and not in the user's own JWT. So it can be changed without anybody being
// given another, and whoever is left out of the account gets in no more: a JWT that was
// signed is good for ever else.
type authority struct {
	dir      string
	made     []string // the names of users that were not there
	accounts map[string]nkeys.KeyPair
}

// printOperator makes what is missing, and prints accounts.conf.
func (o *Options) printOperator() (text string, made []string, err error) {
	for _, folder := range []string{authorityFolder, credsFolder} {
		if err := durable.Dir(filepath.Join(o.Dir, folder)); err != nil {
			return "", nil, err
		}
	}
	a := &authority{dir: o.Dir, accounts: map[string]nkeys.KeyPair{}}
	defer a.wipe()
	all := o.accounts()
	for i := range all {
		if a.accounts[all[i].name], err = a.pair(all[i].name, nkeys.PrefixByteAccount); err != nil {
			return "", nil, err
		}
	}
	operator, err := a.pair("operator", nkeys.PrefixByteOperator)
	if err != nil {
		return "", nil, err
	}
	defer operator.Wipe()
	p := new(printer)
	p.WriteString(operatorHead)
	token, err := a.operator(operator)
	if err != nil {
		return "", nil, err
	}
	p.line(0, "operator: %s", token)
	p.line(0, "system_account: %s", a.public(accountSystem))
	p.line(0, "resolver: MEMORY")
	p.line(0, "resolver_preload {")
	for i := range all {
		if token, err = a.account(&all[i], operator); err != nil {
			return "", nil, fmt.Errorf("the account %s: %w", all[i].name, err)
		}
		p.line(1, "# %s", all[i].name)
		p.line(1, "%s: %s", a.public(all[i].name), token)
	}
	p.line(0, "}")
	return p.String(), a.made, nil
}

const operatorHead = `# Who can reach the stream, in operator mode, as annals nats-config wrote it: the JWTs of
# the operator and of the accounts. Write it anew rather than editing it: keys that are
# there stay. A running server takes it over with nats-server --signal reload.

`

// pair reads the pair of keys of the operator, or of an account, and makes it where
// there is none.
func (a *authority) pair(name string, prefix nkeys.PrefixByte) (nkeys.KeyPair, error) {
	path := filepath.Join(a.dir, authorityFolder, name+".nk")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return makePair(path, prefix)
	}
	if err != nil {
		return nil, err
	}
	defer clear(text)
	if err := private(path); err != nil {
		return nil, err
	}
	got, seed, err := nkeys.DecodeSeed(bytes.TrimSpace(text))
	if err != nil || got != prefix {
		return nil, fmt.Errorf("%s holds no seed of %s; bring it back: without it nobody who has credentials gets in", path, prefix)
	}
	defer clear(seed)
	return nkeys.FromSeed(bytes.TrimSpace(text))
}

// makePair makes a pair of keys and writes its seed; there is none where that fails.
func makePair(path string, prefix nkeys.PrefixByte) (nkeys.KeyPair, error) {
	pair, err := nkeys.CreatePair(prefix)
	if err != nil {
		return nil, err
	}
	seed, err := pair.Seed() // the pair's own
	if err == nil {
		text := append(bytes.Clone(seed), '\n')
		defer clear(text)
		err = durable.New(path, text) // mode 0600
	}
	if err != nil {
		pair.Wipe()
		return nil, err
	}
	return pair, nil
}

// private refuses a secret that others than its owner could read.
func private(path string) error {
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%s can be read by others than its owner: whoever did gets in by it. Remove it, and a new one is made; or `chmod 600` it, if nobody did", path)
	}
	return nil
}

func (a *authority) wipe() {
	for _, pair := range a.accounts {
		if pair != nil {
			pair.Wipe()
		}
	}
}

// public is the name of an account in operator mode.
func (a *authority) public(account string) string {
	public, _ := a.accounts[account].PublicKey() // a pair that was made or read has one
	return public
}

// operator returns the operator's JWT: always the one that was there, for a running
// server takes no other.
func (a *authority) operator(pair nkeys.KeyPair) (string, error) {
	public, err := pair.PublicKey()
	if err != nil {
		return "", err
	}
	path := filepath.Join(a.dir, authorityFolder, "operator.jwt")
	if text, err := os.ReadFile(path); err == nil {
		token := string(bytes.TrimSpace(text))
		c, err := jwt.DecodeOperatorClaims(token)
		if err != nil || c.Subject != public || c.SystemAccount != a.public(accountSystem) {
			return "", fmt.Errorf("%s is not the JWT of the operator whose seed is beside it; remove it, and start the servers anew with the one that is made", path)
		}
		return token, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	c := jwt.NewOperatorClaims(public)
	c.Name, c.SystemAccount = "annals", a.public(accountSystem)
	token, err := encode(c, pair)
	if err != nil {
		return "", err
	}
	return token, durable.New(path, []byte(token+"\n"))
}

// encode signs claims that hold together.
func encode(c jwt.Claims, by nkeys.KeyPair) (string, error) {
	found := jwt.CreateValidationResults()
	c.Validate(found)
	if errs := found.Errors(); len(errs) > 0 {
		return "", errors.Join(errs...)
	}
	return c.Encode(by)
}

// account returns an account's JWT.
func (a *authority) account(of *account, operator nkeys.KeyPair) (string, error) {
	c := jwt.NewAccountClaims(a.public(of.name))
	c.Name = of.name
	c.Limits.JetStreamLimits = of.limits
	for _, e := range of.exports {
		// Private: whoever imports it shows a token that this account has signed.
		export := &jwt.Export{Name: e.subject, Subject: jwt.Subject(e.subject), Type: jwt.Service, TokenReq: true}
		if e.many {
			export.ResponseType = jwt.ResponseTypeStream
		}
		c.Exports.Add(export)
	}
	for _, s := range of.imports {
		token, err := a.activation(of.name, s)
		if err != nil {
			return "", fmt.Errorf("the import of %s: %w", s.subject, err)
		}
		c.Imports.Add(&jwt.Import{
			Name: s.subject, Account: a.public(s.from), Subject: jwt.Subject(s.subject), LocalSubject: jwt.RenamingSubject(s.as), Type: jwt.Service, Token: token,
		})
	}
	for i := range of.users {
		scope, err := a.user(of.name, &of.users[i])
		if err != nil {
			return "", fmt.Errorf("the user %s: %w", of.users[i].name, err)
		}
		c.SigningKeys.AddScopedSigner(scope)
	}
	return encode(c, operator)
}

// activation lets an account import a service of another's.
func (a *authority) activation(to string, s service) (string, error) {
	c := jwt.NewActivationClaims(a.public(to))
	c.Name, c.ImportSubject, c.ImportType = s.subject, jwt.Subject(s.subject), jwt.Service
	return encode(c, a.accounts[s.from])
}

// user returns what a user may do, under the key by which the user's JWT is signed. It
// makes both where there are no credentials yet; that key signs no other, and is kept
// nowhere.
func (a *authority) user(account string, u *user) (*jwt.UserScope, error) {
	scope := jwt.NewUserScope()
	scope.Role, scope.Description = u.name, u.about
	scope.Template.Pub.Allow.Add(u.publish...)
	scope.Template.Sub.Allow.Add(u.subscribe...)
	if u.responds { // as allow_responses of the server's own language
		scope.Template.Resp = &jwt.ResponsePermission{MaxMsgs: 1, Expires: 2 * time.Minute}
	}
	path := CredsFile(a.dir, u.name)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		scope.Key, err = a.issue(account, u.name, path)
		return scope, err
	}
	if err != nil {
		return nil, err
	}
	defer clear(text)
	if err := private(path); err != nil {
		return nil, err
	}
	var c *jwt.UserClaims
	token, err := jwt.ParseDecoratedJWT(text)
	if err == nil {
		c, err = jwt.DecodeUserClaims(token)
	}
	if err != nil || c.IssuerAccount != a.public(account) {
		return nil, fmt.Errorf("%s holds no credentials of the account %s; bring them back, or remove it, and %s gets new ones", path, account, u.name)
	}
	scope.Key = c.Issuer
	return scope, nil
}

// issue makes a user's credentials, and returns the key that signed them.
func (a *authority) issue(account, name, path string) (signer string, err error) {
	by, err := nkeys.CreateAccount()
	if err != nil {
		return "", err
	}
	defer by.Wipe()
	pair, err := nkeys.CreateUser()
	if err != nil {
		return "", err
	}
	defer pair.Wipe()
	public, err := pair.PublicKey()
	if err != nil {
		return "", err
	}
	token, err := jwt.IssueUserJWT(by, a.public(account), public, name, 0)
	if err != nil {
		return "", err
	}
	seed, err := pair.Seed()
	if err != nil {
		return "", err
	}
	defer clear(seed)
	creds, err := jwt.FormatUserConfig(token, seed)
	if err != nil {
		return "", err
	}
	defer clear(creds)
	if err := durable.New(path, creds); err != nil { // mode 0600
		return "", err
	}
	a.made = append(a.made, name)
	return by.PublicKey()
}
