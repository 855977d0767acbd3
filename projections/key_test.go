package projections

import (
	"bytes"
	"cmp"
	"strings"
	"testing"
)

// FuzzKeys holds keys to what the walls between terms and workspaces stand on:
// two terms have one name only if they are one term, no term's rows stand among
// another's, and values sort as their bytes do.
func FuzzKeys(f *testing.F) {
	for _, s := range []string{"", "a", "\x00", "\xff", "a\x00", "a\x00\x01", "a\x00\x02", "a\x00\xff", strings.Repeat("v", maxValue), strings.Repeat("v", maxValue+1)} {
		f.Add("a", s, "a", s+"\x00", byte(1), byte(2))
		f.Add(s, "b", s+"\x00\x01b", "", byte(3), byte(3))
		f.Add(s, s, s, s, byte(2), byte(2))
	}
	f.Fuzz(func(t *testing.T, a1, b1, a2, b2 string, w1, w2 byte) {
		name := func(a, b string, w byte) []byte {
			return FieldObject.appendName(appendList(nil, uint32(w), FieldObject), a, b)
		}
		n1, n2 := name(a1, b1, w1), name(a2, b2, w2)
		if same := a1 == a2 && b1 == b2 && w1 == w2; same != bytes.Equal(n1, n2) {
			t.Fatalf("terms are the same: %t, names %x and %x", same, n1, n2)
		}
		if v, err := FieldObject.cutName(n1[listPrefix:]); err != nil || len(a1) <= maxValue && v.A != a1 || len(b1) <= maxValue && v.B != b1 {
			t.Fatalf("%q and %q read back as %+v (%v)", a1, b1, v, err)
		}
		if bytes.HasPrefix(n2, n1) && !bytes.Equal(n1, n2) {
			t.Fatalf("the name %x begins %x", n1, n2)
		}
		if len(b1) <= maxValue {
			for cut := range min(len(b1), keptPrefix) + 1 {
				lo, hi := FieldObject.names(uint32(w1), Value{A: a1, B: b1[:cut], Prefix: true})
				if a1 == "" && cut == 0 {
					continue // any object
				}
				in := bytes.Compare(n2, lo) >= 0 && bytes.Compare(n2, hi) < 0
				if want := w1 == w2 && a1 == a2 && strings.HasPrefix(b2, b1[:cut]); in != want {
					t.Fatalf("%q, %q among what begins with %q, %q: %t", a2, b2, a1, b1[:cut], in)
				}
			}
		}
		if len(a1) <= maxValue && len(a2) <= maxValue && w1 == w2 && a1 != a2 {
			if want := cmp.Compare(a1, a2); bytes.Compare(n1, n2) != want {
				t.Fatalf("%q and %q sort as %d, their keys do not", a1, a2, want)
			}
		}
	})
}
