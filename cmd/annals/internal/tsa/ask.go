package tsa

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"annals/ledger/chain"
	"annals/ledger/proof"

	"github.com/digitorus/timestamp"
)

// Authority is a timestamp authority that is asked over HTTP (RFC 3161, 3.4).
type Authority struct {
	URL    string
	Policy asn1.ObjectIdentifier // that is asked for; nil: the authority's own
	Roots  *x509.CertPool        // that its tokens have to lead to; nil: what it says is taken, and left to auditors
	Client *http.Client          // nil: one that waits half a minute
}

// patience is how long an answer is waited for. Nothing else waits meanwhile.
const patience = 30 * time.Second

// Check refuses what can't be an authority's address.
func (a *Authority) Check() error {
	u, err := url.Parse(a.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil {
		return fmt.Errorf("--tsa is the URL of a timestamp authority, http:// or https://, not %q", a.URL)
	}
	return nil
}

// ParsePolicy reads a policy's object identifier, such as 1.2.3.4.
func ParsePolicy(text string) (asn1.ObjectIdentifier, error) {
	if text == "" {
		return nil, nil
	}
	var oid asn1.ObjectIdentifier
	for part := range strings.SplitSeq(text, ".") {
		n, err := strconv.ParseUint(part, 10, 31)
		if err != nil || part != strconv.FormatUint(n, 10) {
			return nil, fmt.Errorf("--tsa-policy is an object identifier such as 1.2.3.4, not %q", text)
		}
		oid = append(oid, int(n))
	}
	if _, err := asn1.Marshal(oid); err != nil {
		return nil, fmt.Errorf("--tsa-policy is an object identifier such as 1.2.3.4, not %q", text)
	}
	return oid, nil
}

// Ask asks for a token over a checkpoint's text, and checks all of it: that it answers
// this request, over this text, under the policy, signed by whom the roots certify.
func (a *Authority) Ask(ctx context.Context, text []byte) (token []byte, at time.Time, err error) {
	var random [16]byte
	if _, err := rand.Read(random[:]); err != nil {
		return nil, at, err
	}
	imprint := Imprint(text)
	request := timestamp.Request{
		HashAlgorithm: crypto.SHA256, HashedMessage: imprint[:], Certificates: true,
		TSAPolicyOID: a.Policy, Nonce: new(big.Int).SetBytes(random[:]),
	}
	der, err := request.Marshal()
	if err != nil {
		return nil, at, err
	}
	answer, err := a.post(ctx, der)
	if err != nil {
		return nil, at, fmt.Errorf("the timestamp authority %s: %w", a.URL, err)
	}
	t, err := parseAnswer(answer)
	if err != nil {
		return nil, at, fmt.Errorf("the timestamp authority %s answered no token: %w", a.URL, err)
	}
	wrong := func(err error) ([]byte, time.Time, error) {
		return nil, at, fmt.Errorf("the timestamp authority %s answered a token that is not to be used: %w", a.URL, err)
	}
	read, err := read(text, t.RawToken)
	switch {
	case err != nil:
		return wrong(err)
	case read.Nonce == nil || read.Nonce.Cmp(request.Nonce) != 0:
		return wrong(errors.New("it answers another request: the nonce is not the one that was sent"))
	case a.Policy != nil && !read.Policy.Equal(a.Policy):
		return wrong(fmt.Errorf("it was made under the policy %s, and %s was asked for", read.Policy, a.Policy))
	case len(t.RawToken) > chain.MaxToken:
		return wrong(fmt.Errorf("it has %d bytes, and a statement holds %d", len(t.RawToken), chain.MaxToken))
	}
	if err := trusted(read, t.RawToken, a.Roots); err != nil && (a.Roots != nil || !errors.Is(err, proof.ErrUnproven)) {
		return wrong(err)
	}
	return t.RawToken, read.Time, nil
}

func (a *Authority) post(ctx context.Context, der []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, a.URL, bytes.NewReader(der))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/timestamp-query")
	client := a.Client
	if client == nil {
		client = http.DefaultClient
	}
	r, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answered %s", r.Status)
	}
	b, err := io.ReadAll(io.LimitReader(r.Body, 2*chain.MaxToken+1))
	if err == nil && len(b) > 2*chain.MaxToken {
		err = fmt.Errorf("it answered more than %d bytes", 2*chain.MaxToken)
	}
	return b, err
}
