package proof

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	notes "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	"annals/ledger/chain"
)

// The signature types of C2SP signed-note that a log's keys have here.
const (
	noteEd25519     = 0x01
	noteCosignature = 0x04 // Ed25519, timestamped: witnesses' only
	noteMLDSA44     = 0x06
)

// Key is a note verifier key (C2SP signed-note) taken apart.
type Key struct {
	VKey   string
	Origin string // the key's name: the ledger's origin
	Type   byte   // the signature type
	Public []byte

	verifier note.Verifier
}

// ParseKey parses a log's verifier key: Ed25519 (type 1) or ML-DSA-44 (type 6).
// It refuses what is written in another way than a printer writes it, and
// Ed25519 keys that [chain.CheckEd25519] refuses.
func ParseKey(vkey string) (Key, error) {
	k, err := splitKey(vkey)
	if err != nil {
		return Key{}, err
	}
	switch k.Type {
	case noteEd25519:
		k.verifier, err = note.NewVerifier(vkey)
	case noteMLDSA44:
		k.verifier, err = notes.NewMLDSAVerifier(vkey)
	default:
		err = fmt.Errorf("signature type %d is no ledger's: type 1 is Ed25519, type 6 is ML-DSA-44", k.Type)
	}
	if err != nil {
		return Key{}, fmt.Errorf("proof: verifier key %s: %w", brief(vkey), err)
	}
	return k, nil
}

// splitKey takes a verifier key apart and checks its form, whatever its type.
func splitKey(vkey string) (Key, error) {
	bad := func(why string) (Key, error) {
		return Key{}, fmt.Errorf("proof: verifier key %s: %s", brief(vkey), why)
	}
	name, rest, _ := strings.Cut(vkey, "+")
	id, encoded, ok := strings.Cut(rest, "+")
	if !ok {
		return bad("not NAME+ID+KEY, as `annals keys public` prints it")
	}
	if !utf8.ValidString(name) || name == "" || strings.ContainsFunc(name, unicode.IsSpace) {
		return bad("its name is empty or holds a space")
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || len(raw) < 2 || base64.StdEncoding.EncodeToString(raw) != encoded {
		return bad("its key is no base64")
	}
	if want := VKey(name, raw[0], raw[1:]); vkey != want {
		return bad(fmt.Sprintf("its id is %s, but name and key give %s: it was copied wrongly", brief(id), want[len(name)+1:len(name)+9]))
	}
	k := Key{VKey: vkey, Origin: name, Type: raw[0], Public: raw[1:]}
	if k.Type == noteEd25519 || k.Type == noteCosignature {
		if err := chain.CheckEd25519(k.Public); err != nil {
			return bad(err.Error())
		}
	}
	return k, nil
}

// VKey prints a public key as a note verifier key: its name, the first four bytes
// of SHA-256(name || 0x0A || type || public) in hexadecimal, and type and key in
// base64 (C2SP signed-note).
func VKey(name string, kind byte, public []byte) string {
	key := append([]byte{kind}, public...)
	sum := sha256.Sum256(append([]byte(name+"\n"), key...))
	return fmt.Sprintf("%s+%08x+%s", name, binary.BigEndian.Uint32(sum[:]), base64.StdEncoding.EncodeToString(key))
}

// brief is the beginning of a text that may be long.
func brief(s string) string {
	if len(s) > 80 {
		return fmt.Sprintf("%.80q…", s)
	}
	return fmt.Sprintf("%q", s)
}
