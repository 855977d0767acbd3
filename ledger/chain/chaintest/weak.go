package chaintest

import (
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"

	"filippo.io/edwards25519"

	"annals/ledger/chain"
)

// orderEight is a point of order 8.
const orderEight = "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"

// Weak names 32 bytes each that are no Ed25519 key by docs/format/checkpoint.md.
func Weak() map[string][]byte {
	weak := map[string][]byte{}
	for name, key := range map[string]string{
		"order 1":                     "0100000000000000000000000000000000000000000000000000000000000000",
		"order 1, sign":               "0100000000000000000000000000000000000000000000000000000000000080",
		"order 2":                     "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"order 2, sign":               "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"order 4":                     "0000000000000000000000000000000000000000000000000000000000000000",
		"order 4, sign":               "0000000000000000000000000000000000000000000000000000000000000080",
		"order 8":                     orderEight,
		"order 8, sign":               "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
		"another order 8":             "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"another order 8, sign":       "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
		"y = p":                       "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"y = p + 1":                   "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"y = p + 3, of a great order": "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"off the curve":               "0200000000000000000000000000000000000000000000000000000000000000",
		"y above all":                 "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	} {
		weak[name], _ = hex.DecodeString(key)
	}
	return weak
}

// Sealed frames a statement as [chain.SealControl] does, with one signature that
// somebody else made.
func Sealed(s *chain.Statement, private []byte, key chain.Hash, signature []byte) []byte {
	statement := s.Append(nil)
	b := binary.BigEndian.AppendUint32([]byte{1}, uint32(len(statement)))
	b = append(append(b, statement...), 1)
	b = binary.BigEndian.AppendUint16(append(b, key[:]...), uint16(len(signature)))
	b = binary.BigEndian.AppendUint32(append(b, signature...), uint32(len(private)))
	return append(b, private...)
}

// Forged is R || S with R = [5]B, S = 5: under the key "order 1" of [Weak] it holds
// for every text, by whoever asks for no more than the equation.
func Forged() []byte {
	five := scalar(5)
	return append(new(edwards25519.Point).ScalarBaseMult(five).Bytes(), five.Bytes()...)
}

// Mixed is an Ed25519 key with a part of order 8 beside the part that its secret
// makes. It is a key like any other, by the equation without the cofactor.
type Mixed struct {
	secret *edwards25519.Scalar
	public []byte
}

// NewMixed makes the key of a secret.
func NewMixed(secret byte) Mixed {
	b, _ := hex.DecodeString(orderEight)
	small, err := new(edwards25519.Point).SetBytes(b)
	if err != nil {
		panic(err)
	}
	a := scalar(secret)
	return Mixed{a, small.Add(small, new(edwards25519.Point).ScalarBaseMult(a)).Bytes()}
}

// Public returns the public key with the roles it is to have.
func (m Mixed) Public(roles chain.Role) chain.Key {
	return chain.Key{Algorithm: chain.AlgorithmEd25519, Public: m.public, Roles: roles}
}

// Sign signs a text so that the equation holds, or so that it holds only when both
// sides are multiplied by the cofactor.
func (m Mixed) Sign(text []byte, holds bool) []byte {
	for r := byte(1); ; r++ {
		point := new(edwards25519.Point).ScalarBaseMult(scalar(r)).Bytes()
		digest := sha512.Sum512(append(append(append([]byte{}, point...), m.public...), text...))
		k, err := new(edwards25519.Scalar).SetUniformBytes(digest[:])
		if err != nil {
			panic(err)
		}
		if (k.Bytes()[0]%8 == 0) == holds {
			return append(point, new(edwards25519.Scalar).MultiplyAdd(k, m.secret, scalar(r)).Bytes()...)
		}
	}
}

func scalar(n byte) *edwards25519.Scalar {
	s, err := new(edwards25519.Scalar).SetCanonicalBytes(append([]byte{n}, make([]byte, 31)...))
	if err != nil {
		panic(err)
	}
	return s
}

// Restated is a control entry's bytes with its statement changed, signed anew, as
// a fold that lets everything in would have written it.
func Restated(raw []byte, change func(s *chain.Statement), signers ...chain.Signer) []byte {
	e, err := chain.ParseEntry(append([]byte{}, raw...))
	if err != nil {
		panic(err)
	}
	c, err := e.Control()
	if err != nil {
		panic(err)
	}
	change(&c.Statement)
	statement := c.Statement.Append(nil)
	body := chain.SealControl(c.Statement, nil, signers...)
	e.Tail = nil
	for tag, value := range [][]byte{statement, body[5+len(statement) : len(body)-4]} {
		e.Tail = binary.BigEndian.AppendUint16(append(e.Tail, 0x80, byte(tag+1)), uint16(len(value)))
		e.Tail = append(e.Tail, value...)
	}
	e.Code = uint16(c.Statement.Type)
	return e.Append(nil)
}
