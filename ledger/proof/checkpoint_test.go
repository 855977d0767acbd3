package proof_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
	"annals/ledger/proof"
	"annals/ledger/proof/prooftest"
)

// example is the checkpoint of C2SP tlog-checkpoint, and its key is nobody's.
const example = `example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
`

func TestParseCheckpoint(t *testing.T) {
	c, err := proof.ParseCheckpoint([]byte(example))
	if err != nil || c.Origin != "example.com/behind-the-sofa" || c.Size != 20852163 || !strings.HasPrefix(example, c.Text()) || string(c.Note) != example {
		t.Fatalf("%+v, %v", c, err)
	}
	swap := func(from, to string) string { return strings.Replace(example, from, to, 1) }
	for name, bad := range map[string]string{
		"nothing":                "",
		"no signature":           strings.SplitAfter(example, "\n\n")[0],
		"no blank line":          swap("\n\n", "\n"),
		"cut short":              example[:len(example)-1],
		"a byte behind it":       example + "x",
		"a carriage return":      swap("\n", "\r\n"),
		"no UTF-8":               swap("sofa", "so\xffa"),
		"no origin":              swap("example.com/behind-the-sofa\n208", "\n208"),
		"a leading zero":         swap("20852163", "020852163"),
		"a sign":                 swap("20852163", "+20852163"),
		"a size of 65 bits":      swap("20852163", "18446744073709551616"),
		"no size":                swap("20852163\n", ""),
		"a root of 31 bytes":     swap("CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=", "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxqw=="),
		"a root with other bits": swap("jxq2I=", "jxq2J="),
		"a root without padding": swap("jxq2I=", "jxq2I"),
		"an extension line":      swap("jxq2I=\n", "jxq2I=\nextension\n"),
		"an empty line":          swap("jxq2I=\n", "jxq2I=\n\n"),
		"a signature of no key":  swap("— example", "— ex ample"),
		"too long":               swap("example", strings.Repeat("e", 1_000_000)),
	} {
		if c, err := proof.ParseCheckpoint([]byte(bad)); !errors.Is(err, proof.ErrNote) {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
}

func TestKeyringOpens(t *testing.T) {
	l := prooftest.New("ring")
	size := l.Size()
	good := l.Checkpoint(size)
	vkey := l.VKey()
	other := prooftest.VKeyOf(l.Settled.Origin, "other")
	text := (&proof.Checkpoint{Origin: l.Settled.Origin, Size: size, Root: l.Root(size)}).Text()
	foreign := prooftest.New("foreign")
	lines := func(notes ...[]byte) []byte {
		out := bytes.Clone(notes[0])
		for _, n := range notes[1:] {
			out = append(out, n[bytes.LastIndex(n, []byte("\n\n"))+2:]...)
		}
		return out
	}
	flipped := func(b []byte) []byte {
		at := bytes.LastIndex(b, []byte(" ")) + 20
		b = bytes.Clone(b)
		if b[at]++; b[at] == 'Z'+1 || b[at] == 'z'+1 || b[at] == '9'+1 {
			b[at] = 'A'
		}
		return b
	}
	cases := []struct {
		name  string
		keys  []string
		note  []byte
		wrong error
	}{
		{"its own", []string{vkey}, good, nil},
		{"one of two keys", []string{other, vkey}, good, nil},
		{"a stranger's line before it", []string{vkey}, lines(l.Sign(text, "stranger"), good), nil},
		{"a cosignature behind it", []string{vkey}, lines(good, prooftest.SignAs(text, "witness.example", "w")), nil},
		{"a stranger's broken line", []string{vkey}, lines(flipped(l.Sign(text, "stranger")), good), nil},
		{"signed by another", []string{vkey}, l.Sign(text, "other"), chain.ErrUnknownKey},
		{"signed under another name", []string{vkey}, prooftest.SignAs(text, "annals.example/x", "checkpoint"), chain.ErrUnknownKey},
		{"a broken line", []string{vkey}, flipped(good), chain.ErrSignature},
		{"a broken line of a known key beside a good one", []string{vkey, other}, lines(good, flipped(l.Sign(text, "other"))), chain.ErrSignature},
		{"another size", []string{vkey}, bytes.Replace(good, fmt.Append(nil, "\n", size, "\n"), fmt.Append(nil, "\n", size+1, "\n"), 1), chain.ErrSignature},
		{"another ledger's", []string{vkey}, foreign.Checkpoint(2), proof.ErrOrigin},
		{"another ledger's text under this key", []string{vkey}, l.Sign(strings.Replace(text, "ring", "other", 1), "checkpoint"), proof.ErrOrigin},
		{"an extension line, signed", []string{vkey}, l.Sign(text+"more\n", "checkpoint"), proof.ErrNote},
		{"no note", []string{vkey}, []byte(text), proof.ErrNote},
	}
	for _, c := range cases {
		ring, err := proof.NewKeyring(c.keys...)
		if err != nil {
			t.Fatal(err)
		}
		opened, err := ring.Open(c.note)
		if !errors.Is(err, c.wrong) || (err == nil) != (c.wrong == nil) {
			t.Errorf("%s: %v, want %v", c.name, err, c.wrong)
		}
		if err == nil && (opened.Size != size || opened.Root != l.Root(size) || !bytes.Equal(opened.Note, c.note)) {
			t.Errorf("%s: %+v", c.name, opened)
		}
	}
}

func TestParseKey(t *testing.T) {
	l := prooftest.New("keys")
	vkey := l.VKey()
	k, err := proof.ParseKey(vkey)
	if err != nil || k.Origin != l.Settled.Origin || k.Type != 1 || !bytes.Equal(k.Public, chaintest.Signer("checkpoint").Public(0).Public) || proof.VKey(k.Origin, k.Type, k.Public) != vkey {
		t.Fatalf("%+v, %v", k, err)
	}
	point := func(hex string) string {
		b := make([]byte, 32)
		if _, err := fmt.Sscanf(hex, "%64x", &b); err != nil {
			t.Fatal(err)
		}
		return proof.VKey("k", 1, b)
	}
	name, id := vkey[:strings.Index(vkey, "+")], vkey[strings.Index(vkey, "+")+1:][:8]
	for what, bad := range map[string]string{
		"nothing":          "",
		"two parts":        name + "+" + id,
		"no name":          vkey[len(name):],
		"a space":          strings.Replace(vkey, "annals", "an nals", 1),
		"another id":       strings.Replace(vkey, id, "00000000", 1),
		"capitals":         strings.Replace(vkey, id, strings.ToUpper(id)+"A", 1),
		"a changed key":    vkey[:len(vkey)-4] + "AAA=",
		"padding":          vkey + "=",
		"a byte behind it": vkey + "\n",
		"a witness's":      proof.VKey("k", 4, k.Public),
		"another type":     proof.VKey("k", 2, k.Public),
		"31 bytes":         proof.VKey("k", 1, k.Public[1:]),
		"ML-DSA, too few":  proof.VKey("k", 6, k.Public),
		"order 1":          point("0100000000000000000000000000000000000000000000000000000000000000"),
		"order 1, signed":  point("0100000000000000000000000000000000000000000000000000000000000080"),
		"order 2":          point("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
		"order 4":          point("0000000000000000000000000000000000000000000000000000000000000080"),
		"order 8":          point("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85"),
		"another order 8":  point("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
		"y of the prime":   point("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
		"y above it":       point("ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"),
	} {
		if k, err := proof.ParseKey(bad); err == nil {
			t.Errorf("%s passes: %+v", what, k)
		}
	}
	if _, err := proof.NewKeyring(); err == nil {
		t.Error("a ring of no keys")
	}
	if _, err := proof.NewKeyring(vkey, prooftest.New("more").VKey()); err == nil {
		t.Error("a ring of two ledgers' keys")
	}
}

func FuzzCheckpoint(f *testing.F) {
	l := prooftest.New("fuzz")
	ring, err := proof.NewKeyring(l.VKey())
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(example))
	f.Add(l.Checkpoint(1))
	f.Add(l.Checkpoint(2))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := proof.ParseCheckpoint(b)
		if err == nil && !bytes.HasPrefix(b, []byte(c.Text()+"\n")) {
			t.Errorf("%q is parsed as %+v, which prints otherwise", b, c)
		}
		opened, openErr := ring.Open(b)
		if openErr == nil && (err != nil || opened.Root != l.Root(opened.Size)) {
			t.Errorf("%q passes", b)
		}
	})
}

func FuzzKey(f *testing.F) {
	f.Add(prooftest.New("fuzz").VKey())
	f.Add("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k")
	f.Fuzz(func(t *testing.T, s string) {
		if k, err := proof.ParseKey(s); err == nil && proof.VKey(k.Origin, k.Type, k.Public) != s {
			t.Errorf("%q prints as %q", s, proof.VKey(k.Origin, k.Type, k.Public))
		}
	})
}
