package service

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"annals/cmd/annals/internal/accessfile"
	"annals/internal/access"
)

// authority signs certificates for tests.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	n    int64
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.key = newKey(t)
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (a *authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

// issue makes a certificate for this machine, with names besides, and its key.
func (a *authority) issue(uris ...string) (cert, key []byte) {
	a.t.Helper()
	a.n++
	template := &x509.Certificate{
		SerialNumber: big.NewInt(100 + a.n), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		Subject:     pkix.Name{CommonName: "svc_common"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, u := range uris {
		parsed, err := url.Parse(u)
		if err != nil {
			a.t.Fatal(err)
		}
		template.URIs = append(template.URIs, parsed)
	}
	k := newKey(a.t)
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &k.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		a.t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
}

// files is such a certificate in files.
func (a *authority) files() accessfile.TLS {
	a.t.Helper()
	cert, key := a.issue()
	dir := a.t.TempDir()
	in := accessfile.TLS{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	for path, text := range map[string][]byte{in.Cert: cert, in.Key: key} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
	return in
}

func (a *authority) client(pairs ...tls.Certificate) *http.Client {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: pairs}}}
}

func (a *authority) pair(uris ...string) tls.Certificate {
	a.t.Helper()
	pair, err := tls.X509KeyPair(a.issue(uris...))
	if err != nil {
		a.t.Fatal(err)
	}
	return pair
}

// TestTLS: HTTPS by files that change while the server runs, and clients that get in
// by certificate.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	servers, clients := newAuthority(t), newAuthority(t)
	cert, key := servers.issue()
	o := options(filepath.Join(t.TempDir(), "data"))
	o.TLS = accessfile.TLS{Cert: write("cert.pem", cert), Key: write("key.pem", key), ClientCA: write("ca.pem", clients.pem())}
	o.Access.Certificates = []access.Certificate{
		{Identity: "uri:spiffe://example.com/billing", Subject: "svc_billing", Scopes: []string{"read"}, Workspaces: []string{"ws_7"}},
		{Identity: "uri:spiffe://example.com/two", Scopes: []string{"read"}, Workspaces: []string{"*"}},
	}
	o.Logger = slog.New(slog.DiscardHandler)
	_, token := giveAccess(t, o.Data)
	s := mustStart(t, o)
	if !strings.HasPrefix(s.URL(), "https://127.0.0.1:") {
		t.Fatal(s.URL())
	}
	ask := func(c *http.Client, path, token string) (*http.Response, error) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		res, err := c.Do(r)
		if err == nil {
			_, _ = io.Copy(io.Discard, res.Body)
			res.Body.Close()
		}
		return res, err
	}
	const timeline, other = "/v1/workspaces/ws_7/timeline", "/v1/workspaces/ws_8/timeline"
	is := func(what string, want int, c *http.Client, path, token string) *http.Response {
		t.Helper()
		res, err := ask(c, path, token)
		if err != nil || res.StatusCode != want {
			t.Fatalf("%s: %v %v, want %d", what, res, err, want)
		}
		return res
	}
	res := is("a token", http.StatusOK, servers.client(), timeline, token)
	if res.Header.Get("Strict-Transport-Security") == "" || res.ProtoMajor != 1 {
		t.Errorf("%s %v", res.Proto, res.Header)
	}
	is("nothing", http.StatusUnauthorized, servers.client(), timeline, "")
	billing := servers.client(clients.pair("spiffe://example.com/billing"))
	is("a certificate", http.StatusOK, billing, timeline, "")
	is("a certificate, another workspace", http.StatusNotFound, billing, other, "")
	is("a certificate and a token", http.StatusOK, billing, other, token)
	is("a certificate and a bad token", http.StatusUnauthorized, billing, timeline, "ann_x")
	is("a certificate with a common name alone", http.StatusUnauthorized, servers.client(clients.pair()), timeline, "")
	is("a certificate of a stranger", http.StatusUnauthorized, servers.client(clients.pair("spiffe://example.com/stranger")), timeline, "")
	is("a certificate with two names", http.StatusUnauthorized, servers.client(clients.pair("spiffe://example.com/billing", "spiffe://example.com/two")), timeline, "")
	if res, err := ask(servers.client(servers.pair("spiffe://example.com/billing")), timeline, ""); err == nil && res.StatusCode != http.StatusUnauthorized {
		t.Errorf("a certificate that another authority signed: %v", res.Status)
	}
	// Between the two writes certificate and key don't fit: what was there goes on.
	successors := newAuthority(t)
	cert, key = successors.issue()
	write("cert.pem", cert)
	is("half replaced", http.StatusOK, servers.client(), timeline, token)
	write("key.pem", key)
	for {
		if res, err := ask(successors.client(), timeline, token); err == nil && res.StatusCode == http.StatusOK {
			break
		}
	}
	if _, err := ask(servers.client(), timeline, token); err == nil {
		t.Error("the old certificate is served still")
	}
	if res, err := http.Get(strings.Replace(s.URL(), "https", "http", 1) + "/healthz"); err == nil {
		res.Body.Close()
		if res.StatusCode == http.StatusOK {
			t.Error("plain HTTP is answered too")
		}
	}
}
