package tsa

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"annals/cmd/annals/internal/tsa/tsatest"
	"annals/ledger/proof"

	"github.com/digitorus/timestamp"
)

var text = []byte("annals.example/test\n7\nq6Dpcr9rwKLB0Sbo0Pe8q8oxW4GCuKcCRIqKmUjVSf8=\n")

// TestAsk has an authority answer in each way that is wrong, and in the right one.
func TestAsk(t *testing.T) {
	good := tsatest.New(t, tsatest.Certificate{})
	past := tsatest.New(t, tsatest.Certificate{From: time.Now().Add(-48 * time.Hour), To: time.Now().Add(-24 * time.Hour)})
	other := tsatest.New(t, tsatest.Certificate{Usage: x509.ExtKeyUsageCodeSigning})
	none := tsatest.New(t, tsatest.Certificate{None: true})
	for _, c := range []struct {
		name   string
		from   *tsatest.Authority
		way    tsatest.Way
		roots  *x509.CertPool
		policy asn1.ObjectIdentifier
		want   string // in the error; "": none
	}{
		{"as it should be", good, tsatest.Way{}, good.Roots, nil, ""},
		{"under the policy", good, tsatest.Way{}, good.Roots, asn1.ObjectIdentifier{1, 2, 3}, ""},
		{"without roots", good, tsatest.Way{}, nil, nil, ""},
		{"another's roots", good, tsatest.Way{}, past.Roots, nil, "not one of those that are trusted"},
		{"an expired certificate", past, tsatest.Way{}, past.Roots, nil, "outside of certificate validity"},
		{"a certificate for something else", other, tsatest.Way{}, other.Roots, nil, "not for timestamps alone"},
		{"a certificate for anything", none, tsatest.Way{}, none.Roots, nil, "not for timestamps alone"},
		{"another imprint", good, tsatest.Way{Before: func(r *timestamp.Request) { r.HashedMessage = make([]byte, 32) }}, good.Roots, nil, "it is over 0000"},
		{"another hash", good, tsatest.Way{Token: func(t *timestamp.Timestamp) { t.HashAlgorithm, t.HashedMessage = crypto.SHA512, make([]byte, 64) }}, good.Roots, nil, "and SHA-256 was asked for"},
		{"another nonce", good, tsatest.Way{Before: func(r *timestamp.Request) { r.Nonce = big.NewInt(7) }}, good.Roots, nil, "the nonce is not the one"},
		{"no nonce", good, tsatest.Way{Before: func(r *timestamp.Request) { r.Nonce = nil }}, good.Roots, nil, "the nonce is not the one"},
		{"another policy", good, tsatest.Way{Before: func(r *timestamp.Request) { r.TSAPolicyOID = nil }}, good.Roots, asn1.ObjectIdentifier{1, 2, 3}, "under the policy"},
		{"no certificate", good, tsatest.Way{Token: func(t *timestamp.Timestamp) { t.AddTSACertificate = false }}, good.Roots, nil, "without its signer's certificate"},
		{"a flipped signature", good, tsatest.Way{Answer: func(b []byte) []byte { b[len(b)-3] ^= 1; return b }}, good.Roots, nil, "answered no token"},
		{"refused", good, tsatest.Way{Answer: func([]byte) []byte {
			b, _ := timestamp.CreateErrorResponse(timestamp.Rejection, timestamp.UnacceptedPolicy)
			return b
		}}, good.Roots, nil, "the request is rejected"},
		{"nothing", good, tsatest.Way{Answer: func([]byte) []byte { return nil }}, good.Roots, nil, "answered no token"},
		{"a page", good, tsatest.Way{Answer: func([]byte) []byte { return []byte("<html>") }}, good.Roots, nil, "answered no token"},
		{"too much", good, tsatest.Way{Answer: func(b []byte) []byte { return append(b, make([]byte, 1<<20)...) }}, good.Roots, nil, "it answered more than"},
		{"another status", good, tsatest.Way{HTTP: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }}, good.Roots, nil, "it answered 503"},
	} {
		c.from.Do(c.way)
		a := Authority{URL: c.from.URL, Roots: c.roots, Policy: c.policy}
		token, at, err := a.Ask(t.Context(), text)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		case c.want == "":
			if got, err := Judge(c.from.Roots)(text, token); err != nil || !got.Equal(at) {
				t.Errorf("%s: judged %v, %v; told %v", c.name, got, err, at)
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	good.Do(tsatest.Way{HTTP: func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		cancel()
		<-r.Context().Done()
	}})
	a := Authority{URL: good.URL}
	if _, _, err := a.Ask(ctx, text); !errors.Is(err, context.Canceled) {
		t.Errorf("a slow one: %v", err)
	}
	a.URL = "http://127.0.0.1:1"
	if _, _, err := a.Ask(t.Context(), text); err == nil {
		t.Error("one that is down answers")
	}
}

// TestJudge judges tokens as an auditor does: by roots, at the time that they give.
func TestJudge(t *testing.T) {
	then := time.Now()
	a := tsatest.New(t, tsatest.Certificate{})
	imprint := Imprint(text)
	token := a.Token(t, imprint[:], then)
	if at, err := Judge(a.Roots)(text, token); err != nil || at.Unix() != then.Unix() {
		t.Errorf("%v, %v", at, err)
	}
	early := then.Add(-36 * time.Hour) // before the certificate was valid
	if at, err := Judge(a.Roots)(text, a.Token(t, imprint[:], early)); !errors.Is(err, proof.ErrUnproven) || at.Unix() != early.Unix() {
		t.Errorf("a token from before its certificate: %v, %v", at, err)
	}
	if at, err := Judge(nil)(text, token); !errors.Is(err, proof.ErrUnproven) || at.Unix() != then.Unix() {
		t.Errorf("without roots: %v, %v", at, err)
	}
	if _, err := Judge(a.Roots)([]byte("another text"), token); err == nil || errors.Is(err, proof.ErrUnproven) {
		t.Errorf("over another text: %v", err)
	}
	for i := range token {
		b := append([]byte{}, token...)
		b[i] ^= 1
		at, err := Judge(a.Roots)(text, b)
		if err == nil && at.Unix() != then.Unix() {
			t.Fatalf("byte %d changed: another time is proven, %s", i, at)
		}
	}
	for i := range 64 {
		if _, err := Judge(a.Roots)(text, token[:len(token)*i/64]); err == nil || errors.Is(err, proof.ErrUnproven) {
			t.Fatalf("cut to %d of 64: %v", i, err)
		}
	}
	if _, err := Judge(a.Roots)(text, append(append([]byte{}, token...), 0)); err == nil || errors.Is(err, proof.ErrUnproven) {
		t.Errorf("with a byte behind it: %v", err)
	}
}

// TestStamperRetries has an authority be down for a day.
func TestStamperRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		size := uint64(10)
		var tried []time.Time
		s := Stamper{
			Every: time.Hour, Logger: slog.New(slog.DiscardHandler),
			Authority: Authority{URL: "http://tsa.invalid", Client: &http.Client{Transport: refusing(func() { tried = append(tried, time.Now()) })}},
			Next: func(_ context.Context, after uint64) (proof.Checkpoint, error) {
				if after > 0 {
					t.Errorf("it waits for more than %d entries, and none is stamped", after)
				}
				return proof.Checkpoint{Origin: "o", Size: size}, nil
			},
		}
		done := make(chan struct{})
		go func() { s.Run(ctx); close(done) }()
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if n := len(tried); n < 24*6 || n > 24*6+12 {
			t.Errorf("asked %d times in a day, want one each ten minutes", n)
		}
		if first := tried[1].Sub(tried[0]); first != firstRetry {
			t.Errorf("asked again after %s", first)
		}
		cancel()
		<-done
	})
}

type refusing func()

func (r refusing) RoundTrip(*http.Request) (*http.Response, error) {
	r()
	return nil, errors.New("down")
}

// TestFlags reads policies and roots, and refuses what is none.
func TestFlags(t *testing.T) {
	for text, ok := range map[string]bool{"": true, "1.2.3": true, "1.3.6.1.4.1.99999.1": true, "1": false, "a": false, "1..2": false, "01.2": false, "9.2": false, "-1.2": false} {
		if _, err := ParsePolicy(text); (err == nil) != ok {
			t.Errorf("policy %q: %v", text, err)
		}
	}
	for url, ok := range map[string]bool{"http://a": true, "https://a/b?c": true, "": false, "a": false, "ftp://a": false, "http://u:p@a": false} {
		if err := (&Authority{URL: url}).Check(); (err == nil) != ok {
			t.Errorf("URL %q: %v", url, err)
		}
	}
	a := tsatest.New(t, tsatest.Certificate{})
	for name, c := range map[string]struct {
		b  []byte
		ok bool
	}{"one": {a.PEM, true}, "two": {append(append([]byte{}, a.PEM...), a.PEM...), true}, "none": {nil, false}, "text": {[]byte("x"), false}} {
		path := filepath.Join(t.TempDir(), "roots.pem")
		if err := os.WriteFile(path, c.b, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Roots(path); (err == nil) != c.ok {
			t.Errorf("roots, %s: %v", name, err)
		}
	}
	if _, err := Roots(filepath.Join(t.TempDir(), "absent")); err == nil {
		t.Error("a file that is not there holds roots")
	}
}
