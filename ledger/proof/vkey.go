package proof

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	notes "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
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
// Ed25519 points that are not canonical or of small order, which sign anything.
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
		if err := checkPoint(k.Public); err != nil {
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

// smallOrder are the encodings, without the sign bit, of Ed25519's points of
// order 1, 2, 4 and 8: under such a key a signature fits many texts.
func smallOrder() [][]byte {
	out := [][]byte{}
	for _, h := range [...]string{
		"0100000000000000000000000000000000000000000000000000000000000000",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"0000000000000000000000000000000000000000000000000000000000000000",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	} {
		b, _ := hex.DecodeString(h)
		out = append(out, b)
	}
	return out
}

// checkPoint holds an Ed25519 public key to the encodings that RFC 8032 (5.1.3)
// allows and to points that only their owner signs for.
func checkPoint(public []byte) error {
	if len(public) != ed25519.PublicKeySize {
		return fmt.Errorf("an Ed25519 key has 32 bytes, not %d", len(public))
	}
	y := [32]byte(public)
	y[31] &= 0x7f
	high := y[31] == 0x7f
	for _, b := range y[1:31] {
		high = high && b == 0xff
	}
	if high && y[0] >= 0xed {
		return errors.New("its y is not below the field's prime")
	}
	for _, p := range smallOrder() {
		if [32]byte(p) == y {
			return errors.New("a point of small order, for which anybody can sign")
		}
	}
	return nil
}
