package main

import (
	"fmt"
	"os"
	"strings"

	"annals/cmd/annals/internal/client"
	"annals/ledger/proof/tiles"
)

// serverAt is the client of the server that --url names.
func (a *app) serverAt(url string) (*client.Client, error) {
	token, err := a.token()
	if err != nil {
		return nil, err
	}
	c, err := client.New(url, client.Options{Token: token})
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
	return tiles.Open(url, tiles.Options{Token: token})
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
