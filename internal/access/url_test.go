package access

import (
	"regexp/syntax"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// How a token begins is looked for before the expression is tried: nothing that the
// expression finds may be passed over.
func TestShapedFindsWhatTheExpressionFinds(t *testing.T) {
	pieces := []string{
		"ann_", "ane_", "eyJ", "ann", "_", ".", "/", "%", "0123456789abcdef", "hbGciOiJSUzI1NiJ9", "records", "ws_7", "EYJ", "A",
		"ann_0123456789abcdef_ABCDEFGHIJKLMNOPQRST", "ane_ABCDEFGHIJKLMNOPQRST", "eyJhbGciOiJ9.eyJzdWIiOiJ9.",
	}
	found := 0
	same := func(t rapid.TB, s string) {
		if shaped(s) != tokenShaped.MatchString(s) {
			t.Fatalf("%q: shaped says %t", s, shaped(s))
		}
		if shaped(s) {
			found++
		}
	}
	for _, s := range pieces { // some of which are tokens: chance need not draw one
		same(t, s)
	}
	rapid.Check(t, func(t *rapid.T) {
		same(t, strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 6).Draw(t, "pieces"), ""))
	})
	if found == 0 {
		t.Error("no text held a token: the test shows nothing")
	}
	// A new form of token needs a new beginning.
	re, err := syntax.Parse(tokenShaped.String(), syntax.Perl)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(re.String(), "|") + 1; n != len(tokenBegins) {
		t.Errorf("the expression has %d alternatives, and there are %d beginnings", n, len(tokenBegins))
	}
}
