package tamper_test

import (
	"strings"
	"testing"

	"annals/ledger/chain"
	"annals/ledger/proof"
)

// TestTileOfLevel2 flips the one hash of the one tile of level 2 that a ledger of a
// little more than 65,536 entries has, and takes the tile away: what the matrix's
// ledger is too small for.
func TestTileOfLevel2(t *testing.T) {
	if testing.Short() {
		t.Skip("NOT RUN with -short: it makes a ledger of 66,000 entries")
	}
	h := newHouse(t, "large", "annals.example/large")
	lines := strings.Repeat(`{"type":"a","actor":{"id":"u"}}`+"\n", 1000)
	for range 66 {
		h.stream.Publish("activity.ws_1._", lines, "Content-Type", chain.NDJSON)
	}
	honest := h.book()
	const level, path = 16, "tile/2/000.p/1"
	flipped := tampering{name: "flipped", do: func(b *book) { b.nodes[level][0][3] ^= 1 }, want: proof.TreeDamaged, at: fixed(0)}
	gone := tampering{
		name: "gone", insider: true, tiles: func(f files) { delete(f, path) }, want: proof.TreeDamaged, at: fixed(0),
		unseen: map[medium]string{inFolder: noTiles},
	}
	clean := tampering{name: "clean", insider: true, want: proof.Clean, at: nowhere, unseen: map[medium]string{byLog: "nothing is wrong"}}
	for _, c := range []tampering{flipped, gone, clean} {
		t.Run(c.name, func(t *testing.T) {
			d := c.tamper(honest)
			f := d.log()
			if f[path] == nil && c.name != "gone" {
				t.Fatalf("no %s in a log of %d entries", path, len(honest.rows))
			}
			d.judge(t, inFolder, d.auditFolder(t))
			d.judge(t, atURL, auditTiles(t, f.serve(t), d.knows))
			d.judgeLog(t, f)
		})
	}
}
