package ledger_test

import (
	"fmt"
	"sync"
	"testing"

	"annals/ledger"
	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestTag: tags that many ask for at once are those that the fold gives entries, in
// whatever order workspaces of different lengths are asked for, and of nobody's none.
func TestTag(t *testing.T) {
	l := create(t, chaintest.NewKeyed("tags"), ledger.Options{FS: vfs.NewMem()})
	defer l.Close()
	state := l.Head().State
	var workspaces []string
	want := map[string]chain.Hash{"": {}, chain.SystemWorkspace: {}}
	for i := range 100 {
		workspace := fmt.Sprintf("ws_%0*d", 1+i%50, i)
		workspaces, want[workspace] = append(workspaces, workspace), state.Tag(workspace)
	}
	workspaces = append(workspaces, "", chain.SystemWorkspace)
	var askers sync.WaitGroup
	for asker := range 4 {
		askers.Go(func() {
			for i := range 4 * len(workspaces) {
				workspace := workspaces[(asker*31+i)%len(workspaces)]
				if got := l.Tag(workspace); got != want[workspace] {
					t.Errorf("%q is %s, want %s", workspace, got, want[workspace])
				}
			}
		})
	}
	askers.Wait()
}

func BenchmarkTag(b *testing.B) {
	l := create(b, chaintest.NewKeyed("tags"), ledger.Options{FS: vfs.NewMem()})
	defer l.Close()
	b.ReportAllocs()
	for b.Loop() {
		l.Tag("a-workspace-of-some-length")
	}
}
