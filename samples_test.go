package annals_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"annals/activity"
	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
)

// TestSamples folds the sample activity and counts what testdata/README.md says
// is in it.
func TestSamples(t *testing.T) {
	files, err := filepath.Glob("testdata/activity/*.jsonl")
	if err != nil || len(files) == 0 {
		t.Fatalf("no sample activity: %v", err)
	}
	s := chaintest.New("samples")
	lines, workspaces := 0, map[string]int{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(text) {
			line = bytes.TrimSuffix(line, []byte("\n"))
			// A refused record still names its workspace, as text at least.
			_, after, _ := strings.Cut(string(line), `"workspace":"`)
			workspace, _, _ := strings.Cut(after, `"`)
			if !activity.ValidWorkspace(workspace) {
				t.Fatalf("%s: a line names workspace %q", file, workspace)
			}
			s.Publish("activity."+workspace+"._", string(line))
			lines++
			workspaces[workspace]++
		}
	}
	kinds := map[chain.Kind]int{}
	for _, f := range fold(t, s.Messages)[2:] {
		kinds[f.Entry.Kind]++
	}
	page, err := os.ReadFile("testdata/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, sentence := range []string{
		fmt.Sprintf("%d lines become %d entries: %d records, %d duplicates, %d conflict, %d rejections.", lines, lines,
			kinds[chain.KindRecord], kinds[chain.KindDuplicate], kinds[chain.KindConflict], kinds[chain.KindRejection]),
		fmt.Sprintf("By workspace: `ws_7` %d, `ws_billing` %d, `ws_12` %d.", workspaces["ws_7"], workspaces["ws_billing"], workspaces["ws_12"]),
	} {
		if !strings.Contains(string(page), sentence) {
			t.Errorf("testdata/README.md does not say %q", sentence)
		}
	}
}

// fold folds a whole stream, one message after the other.
func fold(t *testing.T, messages []chain.Message) (folded []chain.Folded) {
	t.Helper()
	state, _, err := chain.OpenGenesis(&messages[0])
	if err != nil {
		t.Fatal(err)
	}
	heads := map[chain.Hash]chain.Head{}
	first := map[chain.Hash]chain.Original{}
	for _, m := range messages {
		p := state.Preparer().Prepare(m)
		for i := range p.Items {
			if key, keyed := p.Items[i].Key(); keyed {
				if o, known := first[key]; known {
					p.Items[i].Know(o)
				}
			}
		}
		out, err := state.Fold([]chain.Prepared{p}, chain.Known{Heads: heads})
		if err != nil {
			t.Fatal(err)
		}
		maps.Copy(heads, out.Heads)
		for i, f := range out.Entries {
			if f.First {
				first[f.Key] = chain.Original{Index: f.Entry.Index, Record: p.Items[i].Record()}
			}
		}
		state = out.State
		folded = append(folded, out.Entries...)
	}
	return folded
}
