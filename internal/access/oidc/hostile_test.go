package oidc

import (
	"bytes"
	"compress/flate"
	"crypto"
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"
)

// signature signs a token's first two parts.
func signature(t testing.TB, key any, algorithm jose.SignatureAlgorithm, input string) []byte {
	t.Helper()
	sum := sha256.Sum256([]byte(input))
	var sig []byte
	var err error
	switch k := key.(type) {
	case *rsa.PrivateKey:
		if algorithm == jose.PS256 {
			sig, err = rsa.SignPSS(rand.Reader, k, crypto.SHA256, sum[:], nil)
		} else {
			sig, err = rsa.SignPKCS1v15(rand.Reader, k, crypto.SHA256, sum[:])
		}
	case *ecdsa.PrivateKey:
		r, s, e := ecdsa.Sign(rand.Reader, k, sum[:])
		if err = e; err == nil {
			sig = make([]byte, 64)
			r.FillBytes(sig[:32])
			s.FillBytes(sig[32:])
		}
	case []byte:
		m := hmac.New(sha256.New, k)
		m.Write([]byte(input))
		sig = m.Sum(nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// hostile is every token that must let nobody in, by what is wrong with it. All but
// that is as in a good one.
func hostile(t testing.TB, p *provider) map[string]string {
	t.Helper()
	const head = `{"alg":"RS256","kid":"rsa-1","typ":"JWT"}`
	text := func(changes map[string]any) string {
		b, err := json.Marshal(p.claims(changes))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	good := p.token(nil)
	plain := text(nil)
	parts := strings.Split(good, ".")
	der, err := x509.MarshalPKIXPublicKey(rsaKey().Public())
	if err != nil {
		t.Fatal(err)
	}
	pkcs1 := x509.MarshalPKCS1PublicKey(&rsaKey().PublicKey)
	pemText := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	now := p.now().Unix()
	var packed bytes.Buffer
	z, err := flate.NewWriter(&packed, 9)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = z.Write([]byte(plain))
	_ = z.Close()
	open := strings.TrimSuffix(plain, "}")
	out := map[string]string{
		"another's key":                 signed(t, otherKey(), jose.RS256, head, plain),
		"another's key, no kid":         signed(t, otherKey(), jose.RS256, `{"alg":"RS256"}`, plain),
		"PS256, not configured":         signed(t, rsaKey(), jose.PS256, `{"alg":"PS256","kid":"rsa-1"}`, plain),
		"RS256 with the EC key's id":    p.sign(`{"alg":"RS256","kid":"ec-1"}`, plain),
		"ES256 with the RSA key's id":   signed(t, ecKey(), jose.ES256, `{"alg":"ES256","kid":"rsa-1"}`, plain),
		"ES256 of zeros":                b64(`{"alg":"ES256","kid":"ec-1"}`) + "." + b64(plain) + "." + b64(strings.Repeat("\x00", 64)),
		"HS256 with the public key PEM": signed(t, pemText, jose.HS256, `{"alg":"HS256","kid":"rsa-1"}`, plain),
		"HS256 with the public key DER": signed(t, der, jose.HS256, `{"alg":"HS256","kid":"rsa-1"}`, plain),
		"HS256 with PKCS 1":             signed(t, pkcs1, jose.HS256, `{"alg":"HS256","kid":"rsa-1"}`, plain),
		"HS256 with nothing":            signed(t, []byte{}, jose.HS256, `{"alg":"HS256","kid":"rsa-1"}`, plain),
		"HS256 as RS256":                signed(t, pemText, jose.HS256, head, plain),
		"alg twice":                     p.sign(`{"alg":"none","alg":"RS256","kid":"rsa-1"}`, plain),
		"ALG besides":                   p.sign(`{"ALG":"RS256","kid":"rsa-1"}`, plain),
		"no alg":                        p.sign(`{"kid":"rsa-1"}`, plain),
		"alg of another type":           p.sign(`{"alg":["RS256"],"kid":"rsa-1"}`, plain),
		"rs256":                         p.sign(`{"alg":"rs256","kid":"rsa-1"}`, plain),
		"b64 false":                     p.sign(`{"alg":"RS256","kid":"rsa-1","b64":false}`, plain),
		"b64 false, critical":           p.sign(`{"alg":"RS256","kid":"rsa-1","b64":false,"crit":["b64"]}`, plain),
		"crit unknown":                  p.sign(`{"alg":"RS256","kid":"rsa-1","crit":["exp2"],"exp2":1}`, plain),
		"crit empty":                    p.sign(`{"alg":"RS256","kid":"rsa-1","crit":[]}`, plain),
		"kid climbs":                    p.sign(`{"alg":"RS256","kid":"../../../../etc/passwd"}`, plain),
		"kid null device":               signed(t, []byte{}, jose.HS256, `{"alg":"HS256","kid":"/dev/null"}`, plain),
		"kid SQL":                       p.sign(`{"alg":"RS256","kid":"x' UNION SELECT 'k"}`, plain),
		"kid with a zero byte":          p.sign(`{"alg":"RS256","kid":"rsa-1\u0000"}`, plain),
		"kid huge":                      p.sign(`{"alg":"RS256","kid":"`+strings.Repeat("k", 4000)+`"}`, plain),
		"kid a number":                  p.sign(`{"alg":"RS256","kid":1}`, plain),
		"kid of nobody":                 p.sign(`{"alg":"RS256","kid":"rsa-9"}`, plain),
		"jku":                           p.sign(`{"alg":"RS256","kid":"rsa-1","jku":"http://127.0.0.1:1/keys"}`, plain),
		"jwk of its own":                signed(t, otherKey(), jose.RS256, `{"alg":"RS256","jwk":`+jwkOf(t)+`}`, plain),
		"x5u":                           p.sign(`{"alg":"RS256","kid":"rsa-1","x5u":"http://127.0.0.1:1/c"}`, plain),
		"x5c":                           p.sign(`{"alg":"RS256","kid":"rsa-1","x5c":["AAAA"]}`, plain),
		"zip":                           p.sign(`{"alg":"RS256","kid":"rsa-1","zip":"DEF"}`, packed.String()),
		"nested":                        p.sign(`{"alg":"RS256","kid":"rsa-1","cty":"JWT"}`, good),
		"typ of another":                p.sign(`{"alg":"RS256","kid":"rsa-1","typ":"logout+jwt"}`, plain),
		"header no object":              p.sign(`[]`, plain),
		"header with something behind":  p.sign(head+`{}`, plain),
		"iss missing":                   p.token(map[string]any{"iss": nil}),
		"iss of another":                p.token(map[string]any{"iss": "https://id.example.com"}),
		"iss with a slash more":         p.token(map[string]any{"iss": p.url + "/"}),
		"iss in capitals":               p.token(map[string]any{"iss": strings.ToUpper(p.url)}),
		"iss an array":                  p.token(map[string]any{"iss": []string{p.url}}),
		"aud missing":                   p.token(map[string]any{"aud": nil}),
		"aud of another":                p.token(map[string]any{"aud": "annals"}),
		"aud empty":                     p.token(map[string]any{"aud": []string{}}),
		"aud a number in it":            p.token(map[string]any{"aud": []any{audience, 1}}),
		"aud an object":                 p.token(map[string]any{"aud": map[string]any{audience: true}}),
		"sub missing":                   p.token(map[string]any{"sub": nil}),
		"sub empty":                     p.token(map[string]any{"sub": ""}),
		"sub a number":                  p.token(map[string]any{"sub": 7}),
		"sub too long":                  p.token(map[string]any{"sub": strings.Repeat("s", 129)}),
		"sub with a line feed":          p.token(map[string]any{"sub": "a\nb"}),
		"expired":                       p.token(map[string]any{"exp": now - 1}),
		"expires now":                   p.token(map[string]any{"exp": now}),
		"exp missing":                   p.token(map[string]any{"exp": nil}),
		"exp a text":                    p.token(map[string]any{"exp": fmt.Sprint(now + 600)}),
		"exp null":                      p.sign(head, strings.Replace(plain, fmt.Sprint(`"exp":`, now+600), `"exp":null`, 1)),
		"exp beyond numbers":            p.sign(head, strings.Replace(plain, fmt.Sprint(`"exp":`, now+600), `"exp":1e400`, 1)),
		"exp far beyond time":           p.token(map[string]any{"exp": 1e300}),
		"exp negative":                  p.token(map[string]any{"exp": -1}),
		"not yet valid":                 p.token(map[string]any{"nbf": now + 61}),
		"nbf missing":                   p.token(map[string]any{"nbf": nil}),
		"nbf a text":                    p.token(map[string]any{"nbf": "0"}),
		"issued tomorrow":               p.token(map[string]any{"iat": now + 86400}),
		"act without sub":               p.token(map[string]any{"act": map[string]any{}}),
		"sub twice":                     p.sign(head, open+`,"sub":"usr_root"}`),
		"groups twice":                  p.sign(head, open+`,"groups":["readers"]}`),
		"act twice":                     p.sign(head, open+`,"act":{"sub":"a","sub":"b"}}`),
		"claims not UTF-8":              p.sign(head, open+`,"x":"`+"\xff"+`"}`),
		"lone surrogate":                p.sign(head, open+`,"x":"\ud800"}`),
		"claims no object":              p.sign(head, `"`+plain[:0]+`"`),
		"claims with something behind":  p.sign(head, plain+"x"),
		"signature missing":             parts[0] + "." + parts[1] + ".",
		"signature left out":            parts[0] + "." + parts[1],
		"signature cut":                 good[:len(good)-8],
		"signature of another token":    parts[0] + "." + b64(text(map[string]any{"sub": "usr_root"})) + "." + parts[2],
		"signature padded":              good + "=",
		"a part more":                   good + "." + parts[2],
		"five parts":                    "a.b.c.d.e",
		"only dots":                     "..",
		"sixteen thousand dots":         strings.Repeat(".", 16_000),
		"sixty thousand dots":           strings.Repeat(".", 60_000),
		"oversized":                     p.token(map[string]any{"x": strings.Repeat("x", 16_000)}),
		"standard base64":               strings.ReplaceAll(base64.StdEncoding.EncodeToString([]byte(head)), "=", "") + "." + base64.StdEncoding.EncodeToString([]byte(plain+"  ")) + "." + parts[2],
		"JSON serialisation":            `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`,
		"nested objects":                p.sign(head, open+`,"x":`+strings.Repeat(`{"a":`, 2000)+`1`+strings.Repeat(`}`, 2000)+`}`)[:12_000],
	}
	for _, none := range []string{"none", "None", "NONE", "nOnE", "NoNe", ""} {
		h := fmt.Sprintf(`{"alg":%q,"kid":"rsa-1"}`, none)
		out["alg "+none+", no signature"] = b64(h) + "." + b64(plain) + "."
		out["alg "+none+", signed"] = p.sign(h, plain)
	}
	for _, alg := range []string{"RS512", "ES384", "EdDSA", "HS512", "RSA-OAEP", "dir", "RSASSA", "RS256 ", "R\u0053256\u0000"} {
		out["alg "+alg] = p.sign(fmt.Sprintf(`{"alg":%q,"kid":"rsa-1"}`, alg), plain)
	}
	return out
}

// jwkOf is otherKey's public half, as an attacker would bring it along.
func jwkOf(t testing.TB) string {
	k := public("rsa-1", otherKey().Public(), "")
	b, err := k.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestHostile shows each hostile token to a door, over HTTP.
func TestHostile(t *testing.T) {
	p := newProvider(t)
	srv := door(t, p.verifier(Options{}))
	for _, good := range []string{
		p.token(nil),
		p.token(map[string]any{"aud": []string{"others", audience}, "exp": float64(p.now().Unix()) + 600.5}),
		p.sign(`{"alg":"RS256","kid":"rsa-1","typ":"at+jwt","x5t":"AAAA"}`, string(payloadOf(p.token(nil)))),
		signed(t, ecKey(), jose.ES256, `{"alg":"ES256","kid":"ec-1"}`, string(payloadOf(p.token(nil)))),
	} {
		if got := knock(t, srv, good); got != http.StatusOK {
			t.Fatalf("a good token: %d", got)
		}
	}
	tokens := hostile(t, p)
	if len(tokens) < 60 {
		t.Errorf("only %d hostile tokens", len(tokens))
	}
	fetched := p.fetches.Load()
	began := time.Now()
	for name, token := range tokens {
		if got := knock(t, srv, token); got != http.StatusUnauthorized {
			t.Errorf("%s: %d, want 401", name, got)
		}
	}
	t.Logf("%d hostile tokens, %v each", len(tokens), time.Since(began)/time.Duration(len(tokens)))
	if n := p.fetches.Load() - fetched; n > 1 {
		t.Errorf("they made the server fetch keys %d times", n)
	}
	// What doesn't fit into a header is refused before it is looked at.
	if got := knock(t, srv, strings.Repeat(".", 1_100_000)); got != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a million dots: %d", got)
	}
	if got := knock(t, srv, p.token(nil)); got != http.StatusOK {
		t.Errorf("a good token afterwards: %d", got)
	}
}

// TestErrorsQuoteNothing: what is said of a bad token holds nothing of it.
func TestErrorsQuoteNothing(t *testing.T) {
	p := newProvider(t)
	v := p.verifier(Options{})
	for name, token := range hostile(t, p) {
		_, err := v.Verify(t.Context(), token)
		if err == nil {
			t.Errorf("%s: let in", name)
			continue
		}
		for _, secret := range []string{"usr_", "readers", "passwd", "example.com", "UNION", p.url} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// FuzzParse: parse never panics, and what it takes go-jose takes apart too.
func FuzzParse(f *testing.F) {
	p := newProvider(f)
	f.Add(p.token(nil))
	for _, token := range hostile(f, p) {
		f.Add(token)
	}
	algorithms := []string{"RS256", "ES256"}
	f.Fuzz(func(t *testing.T, token string) {
		if _, _, err := parse(token, algorithms); err != nil {
			return
		}
		if _, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.RS256, jose.ES256}); err != nil {
			t.Errorf("%q: %v", token, err)
		}
	})
}
