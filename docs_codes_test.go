package annals_test

import (
	"os"
	"regexp"
	"strconv"
	"testing"

	"annals/ledger/chain"
)

var codeRow = regexp.MustCompile("(?m)^\\| (\\d+) \\| `([a-z0-9_]+)` \\|")

// TestDocumentedCodes compares the pages' tables of codes with the code: a
// reader in another language has only the pages.
func TestDocumentedCodes(t *testing.T) {
	documented := map[int]string{}
	for _, page := range []string{"docs/format/record.md", "docs/format/rejections.md"} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range codeRow.FindAllStringSubmatch(string(text), -1) {
			code, _ := strconv.Atoi(m[1])
			if other, twice := documented[code]; twice {
				t.Errorf("%s: code %d is documented twice, as %s and %s", page, code, other, m[2])
			}
			documented[code] = m[2]
		}
	}
	named := 0
	for code := range 1000 {
		name, _ := chain.Reason(uint16(code))
		if name == "code_"+strconv.Itoa(code) {
			if page := documented[code]; page != "" {
				t.Errorf("code %d is documented as %s, and the code has none", code, page)
			}
			continue
		}
		named++
		if documented[code] != name {
			t.Errorf("code %d is %q in the code and %q on the pages", code, name, documented[code])
		}
	}
	if named < 30 {
		t.Errorf("only %d codes have names: the comparison compares nothing", named)
	}
}
