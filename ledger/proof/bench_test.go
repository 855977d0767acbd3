package proof

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
)

// large is a ledger of about n records of 466 bytes in some hundred workspaces.
func large(tb testing.TB, n int) *memory {
	tb.Helper()
	s := chaintest.New("large")
	dice := rand.New(rand.NewPCG(1, 2))
	for i := range n {
		body := fmt.Sprintf(`{"id":"%08d","producer":"bench","actor":{"type":"user","id":"usr_%d","name":"Dana Reyes"},"object":{"type":"app","id":"app_%d"},"data":"`, i, i%1000, i%5000)
		body += strings.Repeat("x", 466-2-len(body)) + `"}`
		s.Publish(fmt.Sprintf("activity.ws_%d.app.renamed", dice.IntN(200)), body)
	}
	state, _, err := chain.OpenGenesis(&s.Messages[0])
	if err != nil {
		tb.Fatal(err)
	}
	m := &memory{}
	heads := map[chain.Hash]chain.Head{}
	for at, step := 0, 1; at < len(s.Messages); at += step {
		if at > 1 { // genesis and seed are barriers
			step = min(1000, len(s.Messages)-at)
		}
		p := state.Preparer()
		var batch []chain.Prepared
		for i := range step {
			batch = append(batch, p.Prepare(s.Messages[at+i]))
		}
		r, err := state.Fold(batch, chain.Known{Heads: heads})
		if err != nil {
			tb.Fatal(err)
		}
		state = r.State
		for tag, head := range r.Heads {
			heads[tag] = head
		}
		for i := range r.Entries {
			m.rows = append(m.rows, row{raw: r.Entries[i].Raw, payload: &r.Entries[i].Payload})
		}
	}
	m.seal()
	return m
}

// BenchmarkAudit audits a ledger in memory: what is left of a real audit is
// reading.
func BenchmarkAudit(b *testing.B) {
	m := large(b, 200_000)
	for b.Loop() {
		r, err := Audit(context.Background(), m, Options{})
		if err != nil || r.Verdict != Clean {
			b.Fatal(err, r.Sentence)
		}
	}
	b.ReportMetric(float64(len(m.rows))*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
}
