package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"annals/cmd/annals/internal/client"
	"annals/ledger/proof/tiles"
)

// serverAt is the client of the server that --url names.
func (a *app) serverAt(url string) (*client.Client, error) {
	token, err := a.token()
	if err != nil {
		return nil, err
	}
	o := client.Options{Token: token}
	transport, err := a.transport()
	if err != nil {
		return nil, err
	}
	if transport != nil {
		o.HTTP = &http.Client{Timeout: 2 * time.Minute, Transport: transport}
	}
	c, err := client.New(url, o)
	if err != nil {
		return nil, &usageError{err}
	}
	return c, nil
}

// placeAt is the server, or the folder, that --url names, as an audit reads it.
func (a *app) placeAt(url string) (*tiles.Place, error) {
	token, err := a.token()
	if err != nil {
		return nil, err
	}
	o := tiles.Options{Token: token}
	transport, err := a.transport()
	if err != nil {
		return nil, err
	}
	if transport != nil {
		o.Client = &http.Client{Transport: transport}
	}
	return tiles.Open(url, o)
}

// transport trusts the authorities of --ca-file; nil where the system's do.
func (a *app) transport() (*http.Transport, error) {
	if a.caFile == "" {
		return nil, nil
	}
	text, err := os.ReadFile(a.caFile)
	if err != nil {
		return nil, fmt.Errorf("the authorities can't be read: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, usagef("--ca-file: %s holds no certificate in PEM", a.caFile)
	}
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{RootCAs: pool}, MaxIdleConnsPerHost: 16,
		ForceAttemptHTTP2: true, TLSHandshakeTimeout: 10 * time.Second, IdleConnTimeout: 90 * time.Second,
	}, nil
}

// maxTokenFile is more than any token has.
const maxTokenFile = 64 << 10

// token is what the server is shown: from --token-file, or else the environment.
// What is said of it quotes nothing.
func (a *app) token() (string, error) {
	if a.tokenFile != "" {
		b, err := os.ReadFile(a.tokenFile)
		if err != nil {
			return "", fmt.Errorf("the token can't be read: %w", err)
		}
		token := strings.TrimSpace(string(b))
		if token == "" || len(b) > maxTokenFile || strings.ContainsAny(token, " \t\r\n") {
			return "", usagef("%s holds no token: it is one line, as it was given out", a.tokenFile)
		}
		return token, nil
	}
	for _, pair := range a.environ {
		if name, value, _ := strings.Cut(pair, "="); name == tokenVariable {
			if value == "" || strings.ContainsAny(value, " \t\r\n") {
				return "", usagef("the environment variable %s holds no token; unset it, or set it to one as it was given out", tokenVariable)
			}
			return value, nil
		}
	}
	return "", nil
}
