package oidc

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Bounds of a token.
const (
	maxToken   = 16 << 10
	maxSubject = 128 // of a producer (docs/format/messages.md)
	maxKeyID   = 256
)

// header is a token's JOSE header (RFC 7515, 4.1). What is not here is ignored,
// unless it is refused.
type header struct {
	Algorithm string         `json:"alg"`
	KeyID     string         `json:"kid"`
	Type      string         `json:"typ"`
	Rest      jsontext.Value `json:",embed"`
}

// refusedHeaders ask the reader for something (RFC 7515, 4.1; RFC 7516; RFC 7797):
// to fetch keys, to unpack, to understand more. Nothing of it is done here, and a
// token that needs it is not good.
var refusedHeaders = []string{"crit", "b64", "jku", "jwk", "x5u", "x5c", "zip", "enc", "cty", "epk", "url", "nonce"}

// claims are those that are looked at by name.
type claims struct {
	Issuer   string         `json:"iss"`
	Subject  string         `json:"sub"`
	Audience jsontext.Value `json:"aud"`
	Expires  *float64       `json:"exp"`
	Before   *float64       `json:"nbf"`
	Issued   *float64       `json:"iat"`
	Actor    *struct {      // RFC 8693, 4.1
		Subject string         `json:"sub"`
		Rest    jsontext.Value `json:",embed"`
	} `json:"act"`
	Rest jsontext.Value `json:",embed"`
}

var errNoToken = errors.New("it is no JWT in compact form")

// parse reads a token strictly, without believing it. The errors quote nothing of
// it.
func parse(token string, algorithms []string) (h header, c claims, err error) {
	if len(token) > maxToken || strings.Count(token, ".") != 2 {
		return h, c, errNoToken
	}
	parts := strings.Split(token, ".")
	raw := make([][]byte, len(parts))
	for i, p := range parts {
		if raw[i], err = base64.RawURLEncoding.Strict().DecodeString(p); err != nil || len(p) == 0 || strings.ContainsAny(p, "\r\n") {
			return h, c, errNoToken
		}
	}
	if json.Unmarshal(raw[0], &h) != nil {
		return h, c, errors.New("its header is not strict JSON")
	}
	if err := h.check(algorithms); err != nil {
		return h, c, err
	}
	if json.Unmarshal(raw[1], &c) != nil {
		return h, c, errors.New("its claims are not strict JSON, or one of iss, sub, aud, exp, nbf, iat, act has another type than RFC 7519 gives it")
	}
	return h, c, c.check()
}

func (h *header) check(algorithms []string) error {
	switch {
	case !slices.Contains(algorithms, h.Algorithm):
		return errors.New("its algorithm is not among those that are configured")
	case len(h.KeyID) > maxKeyID || strings.ContainsFunc(h.KeyID, func(r rune) bool { return !unicode.IsPrint(r) }):
		return errors.New("its key id is none")
	case h.Type != "" && !strings.EqualFold(h.Type, "JWT") && !strings.EqualFold(h.Type, "at+jwt") && !strings.EqualFold(h.Type, "application/at+jwt"):
		return errors.New("its typ is not JWT")
	}
	for name := range members(h.Rest) {
		if slices.Contains(refusedHeaders, name) {
			return fmt.Errorf("its header has %s", name)
		}
	}
	return nil
}

// check looks for what every token must have.
func (c *claims) check() error {
	whole := func(f *float64) bool { return f == nil || *f >= 0 && *f < 1<<53 && !math.IsNaN(*f) }
	switch {
	case c.Issuer == "":
		return errors.New("it has no iss")
	case c.Subject == "" || len(c.Subject) > maxSubject:
		return fmt.Errorf("its sub has to have 1 to %d bytes", maxSubject)
	case strings.ContainsFunc(c.Subject, func(r rune) bool { return !unicode.IsPrint(r) }):
		return errors.New("its sub has characters that can't be printed")
	case !texts(c.Audience):
		return errors.New("it has no aud")
	case c.Expires == nil:
		return errors.New("it has no exp")
	case !whole(c.Expires) || !whole(c.Before) || !whole(c.Issued):
		return errors.New("exp, nbf or iat is no time")
	case c.Actor != nil && (c.Actor.Subject == "" || len(c.Actor.Subject) > maxSubject):
		return errors.New("its act has no sub")
	}
	return nil
}

// texts reports whether a value is a text, or an array of at least one and nothing
// else.
func texts(v jsontext.Value) bool {
	var one string
	var many []string
	if v.Kind() == '"' {
		return json.Unmarshal(v, &one) == nil && one != ""
	}
	return v.Kind() == '[' && json.Unmarshal(v, &many) == nil && len(many) > 0
}

// members are an object's, nil where it is none.
func members(v jsontext.Value) map[string]jsontext.Value {
	var m map[string]jsontext.Value
	if len(v) == 0 || json.Unmarshal(v, &m) != nil {
		return nil
	}
	return m
}

// at finds a claim: a member, or what a JSON pointer names. Claims that are looked
// at by name are found too.
func at(all jsontext.Value, claim string) jsontext.Value {
	path := []string{claim}
	if strings.HasPrefix(claim, "/") {
		path = strings.Split(claim[1:], "/")
		unescape := strings.NewReplacer("~1", "/", "~0", "~")
		for i := range path {
			path[i] = unescape.Replace(path[i])
		}
	}
	for _, name := range path {
		all = members(all)[name]
	}
	return all
}

// list are a claim's texts: its elements, or itself; of scope its words (RFC 8693,
// 4.2). What is neither is nothing.
func list(v jsontext.Value, claim string) []string {
	var one string
	var many []string
	switch {
	case v.Kind() == '"' && json.Unmarshal(v, &one) == nil && claim == "scope":
		return strings.Fields(one)
	case v.Kind() == '"' && one != "":
		return []string{one}
	case v.Kind() == '[' && json.Unmarshal(v, &many) == nil:
		return many
	}
	return nil
}
