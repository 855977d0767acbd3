package oidc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	goidc "github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// How keys are kept.
const (
	fetchPause   = 10 * time.Second // between two fetches, however they went
	fetchTimeout = 5 * time.Second
	refreshAfter = time.Minute    // a provider shows a new key for so long before it signs by it
	staleAfter   = 24 * time.Hour // an outage lets in those with keys that are known
	maxDocument  = 1 << 20
)

// Errors of looking for a key.
var (
	errUnknownKey = errors.New("no key of the provider has signed it")
	errNoKeys     = errors.New("the provider's keys can't be had")
)

// keySet are the provider's keys. It is a [goidc.KeySet].
type keySet struct {
	issuer     string
	algorithms []jose.SignatureAlgorithm
	client     *http.Client
	now        func() time.Time

	mu      sync.Mutex
	keys    map[string][]jose.JSONWebKey // by key id
	fetched time.Time                    // when keys came last
	tried   time.Time                    // when they were last asked for
	running chan struct{}                // closed when the fetch under way has ended; nil: none is
	err     error                        // of the last fetch
}

// VerifySignature returns what a token says, where a key of the provider has signed
// it.
func (s *keySet) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	jws, err := jose.ParseSignedCompact(token, s.algorithms)
	if err != nil || len(jws.Signatures) != 1 {
		return nil, errNoToken
	}
	id := jws.Signatures[0].Header.KeyID
	keys, err := s.find(ctx, id)
	if err != nil {
		return nil, err
	}
	for i := range keys {
		// A key that says what it is for is for nothing else.
		if k := &keys[i]; k.Algorithm == "" || k.Algorithm == jws.Signatures[0].Header.Algorithm {
			if payload, err := jws.Verify(k); err == nil {
				return payload, nil
			}
		}
	}
	return nil, errUnknownKey
}

// find returns the keys with an id. Whoever brings one that is not known waits for
// the fetch that may show it, if there may be one now.
func (s *keySet) find(ctx context.Context, id string) ([]jose.JSONWebKey, error) {
	s.mu.Lock()
	age := s.now().Sub(s.fetched)
	found := s.keys[id]
	if s.keys == nil || age > staleAfter {
		found = nil
	}
	if found == nil || age > refreshAfter {
		s.fetch()
	}
	running := s.running
	s.mu.Unlock()
	if found != nil {
		return found, nil // what is fetched is for those who come next
	}
	if running != nil {
		select {
		case <-running:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keys == nil || s.now().Sub(s.fetched) > staleAfter {
		return nil, fmt.Errorf("%w: %w", errNoKeys, s.err)
	}
	if found = s.keys[id]; found == nil {
		return nil, errUnknownKey
	}
	return found, nil
}

// fetch begins to fetch, unless that was done a moment ago. Call it with s.mu held.
func (s *keySet) fetch() {
	if s.running != nil || !s.tried.IsZero() && s.now().Sub(s.tried) < fetchPause {
		return
	}
	s.tried = s.now()
	done := make(chan struct{})
	s.running = done
	go func() {
		// Nobody's in particular: whoever asked for it may go.
		ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
		defer cancel()
		keys, err := s.ask(ctx)
		s.mu.Lock()
		defer s.mu.Unlock()
		defer close(done)
		s.running, s.err = nil, err
		if err == nil {
			s.keys, s.fetched = keys, s.now()
		}
	}()
}

// ask fetches the discovery document (OpenID Connect Discovery 1.0, 4), and the keys
// that it names.
func (s *keySet) ask(ctx context.Context) (map[string][]jose.JSONWebKey, error) {
	provider, err := goidc.NewProvider(goidc.ClientContext(ctx, s.client), s.issuer)
	if err != nil {
		return nil, fmt.Errorf("discovery: %w", err)
	}
	var named struct {
		Keys string `json:"jwks_uri"`
	}
	if err := provider.Claims(&named); err != nil {
		return nil, fmt.Errorf("discovery: %w", err)
	}
	if u, err := url.Parse(named.Keys); err != nil || u.Scheme != "https" && !(u.Scheme == "http" && local(u.Hostname())) {
		return nil, errors.New("discovery: jwks_uri is no https URL")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, named.Keys, nil)
	if err != nil {
		return nil, err
	}
	res, err := s.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("its keys: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("its keys: %s: %w", res.Status, err)
	}
	return parseKeys(body)
}

// parseKeys reads a set of keys (RFC 7517, 5). What is no public key for signatures,
// or none that is known here, is passed over.
func parseKeys(body []byte) (map[string][]jose.JSONWebKey, error) {
	var set struct {
		Keys []jsontext.Value `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, errors.New("its keys are not strict JSON")
	}
	keys := map[string][]jose.JSONWebKey{}
	for _, text := range set.Keys {
		var k jose.JSONWebKey
		if k.UnmarshalJSON(text) != nil || !k.IsPublic() || !k.Valid() || k.Use != "" && k.Use != "sig" {
			continue
		}
		keys[k.KeyID] = append(keys[k.KeyID], k)
	}
	if len(keys) == 0 {
		return nil, errors.New("it shows no key for signatures")
	}
	return keys, nil
}

// bounded keeps an answer from being more than a document.
type bounded struct{ next http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := b.next.RoundTrip(r)
	if err == nil {
		res.Body = http.MaxBytesReader(nil, res.Body, maxDocument)
	}
	return res, err
}
