// Package tsatest is a timestamp authority (RFC 3161) for tests, with a certificate
// authority of its own.
//
// The rule it exists for: it answers as a real one does, and lies, stalls or fails just
// as a test asks it to.
package tsatest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/digitorus/timestamp"
)

// Policy is the authority's own.
var Policy = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}

// Way is how an authority answers.
type Way struct {
	Before func(r *timestamp.Request)   // changes what was asked for
	Token  func(t *timestamp.Timestamp) // changes what is signed
	Answer func(der []byte) []byte      // changes what is sent
	HTTP   http.HandlerFunc             // answers instead
}

// Authority is an authority that a server of its own answers for.
type Authority struct {
	URL   string
	Roots *x509.CertPool
	PEM   []byte // the roots
	Asked atomic.Int32

	way    atomic.Pointer[Way]
	signer *x509.Certificate
	key    *ecdsa.PrivateKey
}

// Certificate says what the signer's certificate is like.
type Certificate struct {
	From, To time.Time // zero: around now
	Usage    x509.ExtKeyUsage
	None     bool // for no usage at all
}

// New starts an authority; it ends with the test.
func New(t testing.TB, c Certificate) *Authority {
	t.Helper()
	a := &Authority{Roots: x509.NewCertPool()}
	a.Do(Way{})
	if c.From.IsZero() {
		c.From, c.To = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	}
	if c.Usage == 0 {
		c.Usage = x509.ExtKeyUsageTimeStamping
	}
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a test's root"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-100 * 24 * time.Hour), NotAfter: time.Now().Add(100 * 24 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	rootKey := newKey(t)
	issued, der := issue(t, root, root, rootKey, rootKey)
	a.Roots.AddCert(issued)
	a.PEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "a test's timestamps"},
		NotBefore: c.From, NotAfter: c.To, KeyUsage: x509.KeyUsageDigitalSignature,
	}
	if !c.None {
		leaf.ExtKeyUsage = []x509.ExtKeyUsage{c.Usage}
	}
	a.key = newKey(t)
	a.signer, _ = issue(t, leaf, issued, a.key, rootKey)
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	a.URL = server.URL
	return a
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func issue(t testing.TB, c, by *x509.Certificate, key, byKey *ecdsa.PrivateKey) (*x509.Certificate, []byte) {
	der, err := x509.CreateCertificate(rand.Reader, c, by, &key.PublicKey, byKey)
	if err != nil {
		t.Fatal(err)
	}
	out, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return out, der
}

// Do has the authority answer in another way from now on.
func (a *Authority) Do(w Way) { a.way.Store(&w) }

// ServeHTTP implements [http.Handler].
func (a *Authority) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.Asked.Add(1)
	way := a.way.Load()
	if way.HTTP != nil {
		way.HTTP(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	request, err := timestamp.ParseRequest(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if way.Before != nil {
		way.Before(request)
	}
	answer, err := a.answer(request, way)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if way.Answer != nil {
		answer = way.Answer(answer)
	}
	w.Header().Set("Content-Type", "application/timestamp-reply")
	_, _ = w.Write(answer)
}

func (a *Authority) answer(r *timestamp.Request, way *Way) ([]byte, error) {
	t := &timestamp.Timestamp{
		HashAlgorithm: r.HashAlgorithm, HashedMessage: r.HashedMessage, Time: time.Now(), Nonce: r.Nonce,
		Policy: Policy, AddTSACertificate: r.Certificates,
	}
	if r.TSAPolicyOID != nil {
		t.Policy = r.TSAPolicyOID
	}
	if way.Token != nil {
		way.Token(t)
	}
	return t.CreateResponseWithOpts(a.signer, a.key, crypto.SHA256)
}

// Token is a token of the authority's over an imprint.
func (a *Authority) Token(t testing.TB, imprint []byte, at time.Time) []byte {
	t.Helper()
	der, err := a.answer(&timestamp.Request{HashAlgorithm: crypto.SHA256, HashedMessage: imprint, Certificates: true}, &Way{Token: func(t *timestamp.Timestamp) { t.Time = at }})
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := timestamp.ParseResponse(der)
	if err != nil {
		t.Fatal(err)
	}
	return parsed.RawToken
}
