package peer

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// Bounds of a token. 32 characters of base64 are 192 random bits.
const (
	leastToken = 32
	mostToken  = 1024
)

// Token is what the replicas of a ledger know each other by. It prints as nothing.
type Token struct{ text string }

// ReadToken reads a token from a file: one line of 32 to 1,024 letters, digits and
// marks without blanks. A file that others than its owner can read is refused: the
// token opens everything that the ledger holds.
func ReadToken(path string) (t Token, err error) {
	f, err := os.Open(path)
	if err != nil {
		return t, fmt.Errorf("the peers' token: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return t, fmt.Errorf("the peers' token: %w", err)
	}
	switch mode := info.Mode(); {
	case !mode.IsRegular():
		return t, fmt.Errorf("the peers' token: %s is no file", path)
	case mode.Perm()&0o077 != 0:
		return t, fmt.Errorf("the peers' token in %s can be read by others than its owner; `chmod 600` it", path)
	}
	b, err := io.ReadAll(io.LimitReader(f, mostToken+2))
	if err != nil {
		return t, fmt.Errorf("the peers' token: %w", err)
	}
	t.text = string(bytes.TrimSuffix(b, []byte("\n")))
	odd := func(r rune) bool { return r <= ' ' || r > '~' }
	if len(t.text) < leastToken || len(t.text) > mostToken || strings.ContainsFunc(t.text, odd) {
		return Token{}, fmt.Errorf("the peers' token in %s is not one line of %d to %d letters, digits and marks; make one with `head -c 32 /dev/urandom | base64`", path, leastToken, mostToken)
	}
	return t, nil
}

// String says nothing.
func (t Token) String() string { return "(a token)" }

// GoString says nothing.
func (t Token) GoString() string { return t.String() }

// Is compares in a time that tells nothing of where they differ.
func (t Token) Is(shown string) bool {
	a, b := sha256.Sum256([]byte(t.text)), sha256.Sum256([]byte(shown))
	return t.text != "" && subtle.ConstantTimeCompare(a[:], b[:]) == 1
}
