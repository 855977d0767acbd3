package oidctest

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
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
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

// Hostile is every token that must let nobody in, by what is wrong with it. All but
// that is as in a good one.
func Hostile(t testing.TB, p *Provider) map[string]string {
	t.Helper()
	const head = `{"alg":"RS256","kid":"rsa-1","typ":"JWT"}`
	good := p.Token(nil)
	plain := p.Text(nil)
	parts := strings.Split(good, ".")
	der, err := x509.MarshalPKIXPublicKey(RSAKey().Public())
	if err != nil {
		t.Fatal(err)
	}
	pkcs1 := x509.MarshalPKCS1PublicKey(&RSAKey().PublicKey)
	pemText := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	now := p.Now().Unix()
	var packed bytes.Buffer
	z, err := flate.NewWriter(&packed, 9)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = z.Write([]byte(plain))
	_ = z.Close()
	open := strings.TrimSuffix(plain, "}")
	out := map[string]string{
		"another's key":                 Signed(t, OtherKey(), jose.RS256, head, plain),
		"another's key, no kid":         Signed(t, OtherKey(), jose.RS256, `{"alg":"RS256"}`, plain),
		"PS256, not configured":         Signed(t, RSAKey(), jose.PS256, `{"alg":"PS256","kid":"rsa-1"}`, plain),
		"RS256 with the EC key's id":    p.Sign(`{"alg":"RS256","kid":"ec-1"}`, plain),
		"ES256 with the RSA key's id":   Signed(t, ECKey(), jose.ES256, `{"alg":"ES256","kid":"rsa-1"}`, plain),
		"ES256 of zeros":                b64(`{"alg":"ES256","kid":"ec-1"}`) + "." + b64(plain) + "." + b64(strings.Repeat("\x00", 64)),
		"HS256 with the public key PEM": Signed(t, pemText, jose.HS256, `{"alg":"HS256","kid":"rsa-1"}`, plain),
		"HS256 with the public key DER": Signed(t, der, jose.HS256, `{"alg":"HS256","kid":"rsa-1"}`, plain),
		"HS256 with PKCS 1":             Signed(t, pkcs1, jose.HS256, `{"alg":"HS256","kid":"rsa-1"}`, plain),
		"HS256 with nothing":            Signed(t, []byte{}, jose.HS256, `{"alg":"HS256","kid":"rsa-1"}`, plain),
		"HS256 as RS256":                Signed(t, pemText, jose.HS256, head, plain),
		"alg twice":                     p.Sign(`{"alg":"none","alg":"RS256","kid":"rsa-1"}`, plain),
		"ALG besides":                   p.Sign(`{"ALG":"RS256","kid":"rsa-1"}`, plain),
		"no alg":                        p.Sign(`{"kid":"rsa-1"}`, plain),
		"alg of another type":           p.Sign(`{"alg":["RS256"],"kid":"rsa-1"}`, plain),
		"rs256":                         p.Sign(`{"alg":"rs256","kid":"rsa-1"}`, plain),
		"b64 false":                     p.Sign(`{"alg":"RS256","kid":"rsa-1","b64":false}`, plain),
		"b64 false, critical":           p.Sign(`{"alg":"RS256","kid":"rsa-1","b64":false,"crit":["b64"]}`, plain),
		"crit unknown":                  p.Sign(`{"alg":"RS256","kid":"rsa-1","crit":["exp2"],"exp2":1}`, plain),
		"crit empty":                    p.Sign(`{"alg":"RS256","kid":"rsa-1","crit":[]}`, plain),
		"kid climbs":                    p.Sign(`{"alg":"RS256","kid":"../../../../etc/passwd"}`, plain),
		"kid null device":               Signed(t, []byte{}, jose.HS256, `{"alg":"HS256","kid":"/dev/null"}`, plain),
		"kid SQL":                       p.Sign(`{"alg":"RS256","kid":"x' UNION SELECT 'k"}`, plain),
		"kid with a zero byte":          p.Sign(`{"alg":"RS256","kid":"rsa-1\u0000"}`, plain),
		"kid huge":                      p.Sign(`{"alg":"RS256","kid":"`+strings.Repeat("k", 4000)+`"}`, plain),
		"kid a number":                  p.Sign(`{"alg":"RS256","kid":1}`, plain),
		"kid of nobody":                 p.Sign(`{"alg":"RS256","kid":"rsa-9"}`, plain),
		"jku":                           p.Sign(`{"alg":"RS256","kid":"rsa-1","jku":"http://127.0.0.1:1/keys"}`, plain),
		"jwk of its own":                Signed(t, OtherKey(), jose.RS256, `{"alg":"RS256","jwk":`+jwkOf(t)+`}`, plain),
		"x5u":                           p.Sign(`{"alg":"RS256","kid":"rsa-1","x5u":"http://127.0.0.1:1/c"}`, plain),
		"x5c":                           p.Sign(`{"alg":"RS256","kid":"rsa-1","x5c":["AAAA"]}`, plain),
		"zip":                           p.Sign(`{"alg":"RS256","kid":"rsa-1","zip":"DEF"}`, packed.String()),
		"nested":                        p.Sign(`{"alg":"RS256","kid":"rsa-1","cty":"JWT"}`, good),
		"typ of another":                p.Sign(`{"alg":"RS256","kid":"rsa-1","typ":"logout+jwt"}`, plain),
		"header no object":              p.Sign(`[]`, plain),
		"header with something behind":  p.Sign(head+`{}`, plain),
		"iss missing":                   p.Token(map[string]any{"iss": nil}),
		"iss of another":                p.Token(map[string]any{"iss": "https://id.example.com"}),
		"iss with a slash more":         p.Token(map[string]any{"iss": p.URL + "/"}),
		"iss in capitals":               p.Token(map[string]any{"iss": strings.ToUpper(p.URL)}),
		"iss an array":                  p.Token(map[string]any{"iss": []string{p.URL}}),
		"aud missing":                   p.Token(map[string]any{"aud": nil}),
		"aud of another":                p.Token(map[string]any{"aud": "annals"}),
		"aud empty":                     p.Token(map[string]any{"aud": []string{}}),
		"aud a number in it":            p.Token(map[string]any{"aud": []any{Audience, 1}}),
		"aud an object":                 p.Token(map[string]any{"aud": map[string]any{Audience: true}}),
		"sub missing":                   p.Token(map[string]any{"sub": nil}),
		"sub empty":                     p.Token(map[string]any{"sub": ""}),
		"sub a number":                  p.Token(map[string]any{"sub": 7}),
		"sub too long":                  p.Token(map[string]any{"sub": strings.Repeat("s", 129)}),
		"sub with a line feed":          p.Token(map[string]any{"sub": "a\nb"}),
		"expired":                       p.Token(map[string]any{"exp": now - 1}),
		"expires now":                   p.Token(map[string]any{"exp": now}),
		"exp missing":                   p.Token(map[string]any{"exp": nil}),
		"exp a text":                    p.Token(map[string]any{"exp": fmt.Sprint(now + 600)}),
		"exp null":                      p.Sign(head, strings.Replace(plain, fmt.Sprint(`"exp":`, now+600), `"exp":null`, 1)),
		"exp beyond numbers":            p.Sign(head, strings.Replace(plain, fmt.Sprint(`"exp":`, now+600), `"exp":1e400`, 1)),
		"exp far beyond time":           p.Token(map[string]any{"exp": 1e300}),
		"exp negative":                  p.Token(map[string]any{"exp": -1}),
		"not yet valid":                 p.Token(map[string]any{"nbf": now + 61}),
		"nbf missing":                   p.Token(map[string]any{"nbf": nil}),
		"nbf a text":                    p.Token(map[string]any{"nbf": "0"}),
		"issued tomorrow":               p.Token(map[string]any{"iat": now + 86400}),
		"act without sub":               p.Token(map[string]any{"act": map[string]any{}}),
		"sub twice":                     p.Sign(head, open+`,"sub":"usr_root"}`),
		"groups twice":                  p.Sign(head, open+`,"groups":["readers"]}`),
		"act twice":                     p.Sign(head, open+`,"act":{"sub":"a","sub":"b"}}`),
		"claims not UTF-8":              p.Sign(head, open+`,"x":"`+"\xff"+`"}`),
		"lone surrogate":                p.Sign(head, open+`,"x":"\ud800"}`),
		"claims no object":              p.Sign(head, `"`+plain[:0]+`"`),
		"claims with something behind":  p.Sign(head, plain+"x"),
		"signature missing":             parts[0] + "." + parts[1] + ".",
		"signature left out":            parts[0] + "." + parts[1],
		"signature cut":                 good[:len(good)-8],
		"signature of another token":    parts[0] + "." + b64(p.Text(map[string]any{"sub": "usr_root"})) + "." + parts[2],
		"signature padded":              good + "=",
		"a part more":                   good + "." + parts[2],
		"five parts":                    "a.b.c.d.e",
		"only dots":                     "..",
		"sixteen thousand dots":         strings.Repeat(".", 16_000),
		"sixty thousand dots":           strings.Repeat(".", 60_000),
		"oversized":                     p.Token(map[string]any{"x": strings.Repeat("x", 16_000)}),
		"standard base64":               strings.ReplaceAll(base64.StdEncoding.EncodeToString([]byte(head)), "=", "") + "." + base64.StdEncoding.EncodeToString([]byte(plain+"  ")) + "." + parts[2],
		"JSON serialisation":            `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`,
		"nested objects":                p.Sign(head, open+`,"x":`+strings.Repeat(`{"a":`, 2000)+`1`+strings.Repeat(`}`, 2000)+`}`)[:12_000],
	}
	for _, none := range []string{"none", "None", "NONE", "nOnE", "NoNe", ""} {
		h := fmt.Sprintf(`{"alg":%q,"kid":"rsa-1"}`, none)
		out["alg "+none+", no signature"] = b64(h) + "." + b64(plain) + "."
		out["alg "+none+", signed"] = p.Sign(h, plain)
	}
	for _, alg := range []string{"RS512", "ES384", "EdDSA", "HS512", "RSA-OAEP", "dir", "RSASSA", "RS256 ", "R\u0053256\u0000"} {
		out["alg "+alg] = p.Sign(fmt.Sprintf(`{"alg":%q,"kid":"rsa-1"}`, alg), plain)
	}
	return out
}

// jwkOf is OtherKey's public half, as an attacker would bring it along.
func jwkOf(t testing.TB) string {
	k := Public("rsa-1", OtherKey().Public(), "")
	b, err := k.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
