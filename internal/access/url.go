package access

import (
	"net/url"
	"regexp"
	"strings"

	"annals/internal/problem"
)

// tokenShaped finds what looks like a token of ours or like a JWT (RFC 7519):
// whole, or long enough to be most of one.
var tokenShaped = regexp.MustCompile(`ann_[0-9a-f]{16}_[A-Za-z0-9_-]{20,}|ane_[A-Za-z0-9_-]{20,}|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.`)

// tokenBegins is how each of its alternatives begins.
var tokenBegins = [...]string{"ann_", "ane_", "eyJ"}

// tokenNames are the parameters that clients put tokens into (RFC 6750, 2.3, and
// what else is in use). None of them is a parameter of the API.
var tokenNames = []string{"access_token", "id_token", "token", "api_key", "apikey", "authorization", "jwt", "bearer"}

// CheckURL refuses a request whose URL holds a token: URLs are in the logs of every
// proxy and in browsers' histories, so whoever finds it there has it. What is said
// quotes nothing of it.
func CheckURL(u *url.URL) error {
	found := tokenIn(u.EscapedPath()) || tokenIn(u.RawQuery)
	for pair := range strings.SplitSeq(u.RawQuery, "&") {
		name, _, _ := strings.Cut(pair, "=")
		if plain, err := url.QueryUnescape(name); err == nil {
			name = plain
		}
		for _, n := range tokenNames {
			found = found || strings.EqualFold(name, n)
		}
	}
	if found {
		return problem.New(problem.TokenInURL, "")
	}
	return nil
}

// tokenIn looks at a part of a URL as it was written, and as it is meant.
func tokenIn(s string) bool {
	if shaped(s) {
		return true
	}
	if !strings.Contains(s, "%") {
		return false // it is meant as it was written
	}
	plain, err := url.PathUnescape(s)
	return err == nil && shaped(plain)
}

// shaped reports whether a text holds what looks like a token. How one begins is found
// much sooner than the rest of it, and every request is looked at.
func shaped(s string) bool {
	for _, begins := range tokenBegins {
		if strings.Contains(s, begins) {
			return tokenShaped.MatchString(s)
		}
	}
	return false
}
