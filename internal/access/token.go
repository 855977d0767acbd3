package access

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"
)

// An API key is "ann_", the 16 hexadecimal digits of its id, "_", and 256 random
// bits in base64url (RFC 4648, 5) without padding. The prefix is what scanners for
// leaked secrets look for. The id alone lets nobody in, and may be shown.
const (
	keyPrefix = "ann_"
	idSize    = 8
	secret    = 32
	keyText   = len(keyPrefix) + 2*idSize + 1 + 43
)

// digest is what is kept of a key: nothing that lets anybody in. A key is random
// enough that its hash needs no salt and no work factor.
type digest [sha256.Size]byte

// digestOf hashes a key's text.
func digestOf(token string) digest {
	return sha256.Sum256([]byte("annals/key/v1\x00" + token))
}

// newKey draws a key.
func newKey() (id, token string) {
	var b [idSize + secret]byte
	_, _ = rand.Read(b[:]) // never fails
	id = hex.EncodeToString(b[:idSize])
	return id, keyPrefix + id + "_" + base64.RawURLEncoding.EncodeToString(b[idSize:])
}

// isKey reports whether a text has the form of an API key.
func isKey(s string) bool {
	if len(s) != keyText || !strings.HasPrefix(s, keyPrefix) || s[len(keyPrefix)+2*idSize] != '_' {
		return false
	}
	if !validID(s[len(keyPrefix) : len(keyPrefix)+2*idSize]) {
		return false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(s[keyText-43:])
	return err == nil && len(b) == secret
}

// validID holds a key's id to its one spelling.
func validID(id string) bool {
	b, err := hex.DecodeString(id)
	return err == nil && len(b) == idSize && strings.ToLower(id) == id
}
