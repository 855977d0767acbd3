package cosign_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"annals/ledger/chain/chaintest"
	"annals/ledger/proof"

	"golang.org/x/mod/sumdb/note"
)

// clocked cosigns by a clock of its own (C2SP tlog-cosignature, cosignature/v1): the
// library's signer knows the real one only.
type clocked struct {
	name, vkey string
	key        ed25519.PrivateKey
	now        func() time.Time
}

func (c *clocked) Name() string { return c.name }

func (c *clocked) KeyHash() uint32 {
	var hash uint32
	_, _ = fmt.Sscanf(strings.Split(c.vkey, "+")[1], "%08x", &hash)
	return hash
}

func (c *clocked) Sign(text []byte) ([]byte, error) {
	at := uint64(c.now().Unix())
	s := ed25519.Sign(c.key, fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", at, text))
	return append(binary.BigEndian.AppendUint64(nil, at), s...), nil
}

func clockedBy(name string, seed []byte, now func() time.Time) *clocked {
	key := ed25519.NewKeyFromSeed(seed)
	return &clocked{name: name, vkey: proof.VKey(name, 4, key.Public().(ed25519.PublicKey)), key: key, now: now}
}

// cosigner is a witness's key that a secret's name stands for.
func cosigner(_ testing.TB, name, secret string, now func() time.Time) *clocked {
	seed := chaintest.Secret(secret)
	return clockedBy(name, seed[:], now)
}

// signerOf reads a private key as signed-note writes it.
func signerOf(t testing.TB, skey string, now func() time.Time) note.Signer {
	t.Helper()
	parts := strings.SplitN(skey, "+", 5)
	raw, err := base64.StdEncoding.DecodeString(parts[4])
	if err != nil {
		t.Fatal(err)
	}
	return clockedBy(parts[2], raw[1:], now)
}

// lineOf is a signature line under a text.
func lineOf(t testing.TB, by note.Signer, text string) []byte {
	t.Helper()
	n, err := note.Sign(&note.Note{Text: text}, by)
	if err != nil {
		t.Fatal(err)
	}
	return n[bytes.LastIndex(n, []byte("\n\n"))+2:]
}
