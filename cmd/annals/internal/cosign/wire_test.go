package cosign_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"annals/cmd/annals/internal/cosign"
	"annals/ledger/chain"
)

// example is the request that C2SP tlog-witness shows.
const example = `old 20852014
PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=
5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=
/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=

example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
`

func TestRequest(t *testing.T) {
	r, err := cosign.ParseRequest([]byte(example))
	if err != nil || r.Old != 20852014 || len(r.Proof) != 4 || !strings.HasPrefix(string(r.Checkpoint), "example.com/") {
		t.Fatalf("%+v, %v", r, err)
	}
	if !bytes.Equal(r.Body(), []byte(example)) {
		t.Errorf("printed as\n%s", r.Body())
	}
	hash := strings.Repeat("A", 43) + "=\n"
	for name, b := range map[string]string{
		"nothing":               "",
		"no line feed":          "old 1",
		"no old":                "size 1\n\nx\n",
		"no size":               "old \n\nx\n",
		"a leading zero":        "old 01\n\nx\n",
		"a sign":                "old +1\n\nx\n",
		"too large":             "old 18446744073709551616\n\nx\n",
		"two spaces":            "old  1\n\nx\n",
		"a carriage return":     "old 1\r\n\r\nx\n",
		"no empty line":         "old 1\n" + hash,
		"a short hash":          "old 1\nAAAA\n\nx\n",
		"no base64":             "old 1\n" + strings.Repeat("!", 44) + "\n\nx\n",
		"bits left over":        "old 1\n" + strings.Repeat("A", 42) + "B=\n\nx\n",
		"white space in base64": "old 1\n" + strings.Repeat("A", 42) + " A=\n\nx\n",
		"64 hashes":             "old 1\n" + strings.Repeat(hash, 64) + "\nx\n",
	} {
		if r, err := cosign.ParseRequest([]byte(b)); !errors.Is(err, cosign.ErrRequest) {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
	if r, err := cosign.ParseRequest([]byte("old 1\n" + strings.Repeat(hash, 63) + "\n")); err != nil || len(r.Proof) != 63 || len(r.Checkpoint) != 0 {
		t.Errorf("63 hashes: %v", err)
	}
}

// FuzzRequest: what parses is what would be printed.
func FuzzRequest(f *testing.F) {
	f.Add([]byte(example))
	f.Add((&cosign.Request{Old: 7, Proof: make([]chain.Hash, 3), Checkpoint: []byte("x\n")}).Body())
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := cosign.ParseRequest(b); err == nil && !bytes.Equal(r.Body(), b) {
			t.Errorf("%q is printed as %q", b, r.Body())
		}
	})
}
