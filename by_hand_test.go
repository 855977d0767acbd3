package annals_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"

	"golang.org/x/mod/sumdb/tlog"
)

// TestByHand runs the script of docs/format/vectors.md, which knows nothing of
// our code, and folds the same three messages. Script, code and page must agree
// on every hash.
func TestByHand(t *testing.T) {
	for _, tool := range []string{"bash", "xxd", "openssl", "sha256sum"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("NOT CHECKED: the page's script needs %s, which is not installed here; .ci/run installs it", tool)
		}
	}
	page := &tree{files: map[string][]byte{}}
	text, err := os.ReadFile("docs/format/vectors.md")
	if err != nil {
		t.Fatal(err)
	}
	page.files["vectors.md"] = text
	scripts, results := blocks(page, "bash"), blocks(page, "text")
	if len(scripts) != 1 || len(results) != 1 {
		t.Fatalf("the page has %d scripts and %d results, want one of each", len(scripts), len(results))
	}
	folded := foldByHand(t)
	if folded != results[0].text {
		t.Errorf("the code folds\n%s\nand the page says\n%s", folded, results[0].text)
	}
	run := exec.Command("bash")
	run.Stdin = strings.NewReader(scripts[0].text)
	printed, err := run.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, printed)
	}
	if string(printed) != results[0].text {
		t.Errorf("the script prints\n%s\nand the page says\n%s", printed, results[0].text)
	}
}

// foldByHand folds the page's ledger and prints it as the page's script does.
func foldByHand(t *testing.T) string {
	t.Helper()
	s := chaintest.New("by-hand")
	s.Publish("activity.ws_7.app.renamed", `{"id":"r1","actor":{"type":"user","id":"usr_dana"},"object":{"type":"app","id":"app_42"}}`)
	folded := fold(t, s.Messages)
	if len(folded) != 3 {
		t.Fatalf("%d entries, want 3", len(folded))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "ledger id  %s\ntag        %s\ncommitment %s\n", s.ID, folded[2].Entry.Workspace, folded[2].Entry.Commitment)
	for i, f := range folded {
		fmt.Fprintf(&b, "leaf %d     %s\n", i, f.Leaf)
	}
	pair := tlog.NodeHash(tlog.Hash(folded[0].Leaf), tlog.Hash(folded[1].Leaf))
	fmt.Fprintf(&b, "root       %s\n", chain.Hash(tlog.NodeHash(pair, tlog.Hash(folded[2].Leaf))))
	fmt.Fprintf(&b, "dedupe key %s\n", folded[2].Key)
	return b.String()
}
