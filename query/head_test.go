package query

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"annals/ledger"
	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
	"annals/ledger/proof"
	"annals/ledger/proof/prooftest"
	"annals/query/client"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/go-json-experiment/json"
)

// notary is a server whose checkpoints and heads are signed by the keys that its
// genesis names.
type notary struct {
	*served
	size  uint64
	note  []byte
	heads map[uint64]*proof.HeadsMap // by the index of the mark
}

func serveSigned(t *testing.T) *notary {
	n := &notary{served: &served{t: t, stream: chaintest.NewKeyed("query"), disk: vfs.NewMem()}, heads: map[uint64]*proof.HeadsMap{}}
	o := Options{
		Checkpoint: func() (uint64, []byte) { return n.size, n.note },
		AwaitCheckpoint: func(_ context.Context, size uint64) ([]byte, error) {
			n.sign()
			return n.note, nil
		},
		SignHead: func(text []byte) ([]byte, error) { return n.signed(string(text), "heads"), nil },
		Mark: func(below uint64) (uint64, *proof.HeadsMap, bool) {
			best, ok := uint64(0), false
			for index := range n.heads {
				if index < below && index >= best {
					best, ok = index, true
				}
			}
			return best, n.heads[best], ok
		},
	}
	var err error
	if o.Ledger, err = ledger.Create("ledger", n.stream.Messages[0], n.stream.Messages[1], ledger.Options{FS: n.disk, CacheSize: 16 << 20}); err != nil {
		t.Fatal(err)
	}
	n.start(o)
	return n
}

func (n *notary) signed(text, key string) []byte {
	return prooftest.SignAs(text, n.stream.Settled.Origin, key)
}

// sign publishes a checkpoint of the ledger as it stands.
func (n *notary) sign() {
	head := n.api.o.Ledger.Head()
	c := proof.Checkpoint{Origin: n.stream.Settled.Origin, Size: head.Size, Root: head.Root}
	n.size, n.note = head.Size, n.signed(c.Text(), "checkpoint")
}

func (n *notary) mark() {
	head, heads, err := n.api.o.Ledger.HeadsMap(context.Background())
	if err != nil {
		n.t.Fatal(err)
	}
	m := proof.NewHeadsMap(heads)
	n.stream.Mark(head.Size, head.Root, m.Root())
	n.settle()
	n.heads[head.Size] = m
}

// tenant verifies a workspace over HTTP, with what its tenant may ask for.
func (n *notary) tenant(workspace string) proof.TenantReport {
	n.t.Helper()
	ctx := context.Background()
	c, err := client.New(n.url, client.Options{})
	if err != nil {
		n.t.Fatal(err)
	}
	head, err := c.Head(ctx, workspace)
	if err != nil {
		n.t.Fatal(err)
	}
	keys, err := c.Keys(ctx)
	if err != nil {
		n.t.Fatal(err)
	}
	answer, err := proof.ParseHeadAnswer(head)
	if err != nil {
		n.t.Fatal(err)
	}
	history, err := proof.ParseKeyHistory(keys)
	if err != nil {
		n.t.Fatal(err)
	}
	h, err := proof.ParseWorkspaceHead([]byte(answer.Head))
	if err != nil {
		n.t.Fatal(err)
	}
	t := proof.Tenant{
		Workspace: workspace, History: history, VKey: prooftest.VKeyOf(n.stream.Settled.Origin, "checkpoint"),
		Checkpoint: []byte(history.Checkpoint), Answer: answer,
		Lines: func(yield func(proof.Line, error) bool) {
			for raw, err := range c.Entries(ctx, workspace, client.Range{To: h.Count, Payloads: true}) {
				var line proof.Line
				if err == nil {
					line, err = proof.ParseLine(raw)
				}
				if !yield(line, err) {
					return
				}
			}
		},
	}
	r, err := t.Verify(ctx)
	if err != nil {
		n.t.Fatal(err)
	}
	return r
}

// TestTenantOverHTTP verifies workspaces with what a server answers, beside others'
// entries, marks and a growing ledger.
func TestTenantOverHTTP(t *testing.T) {
	n := serveSigned(t)
	rng := rand.New(rand.NewPCG(1, 2))
	for round := range 6 {
		for i := range 400 {
			id := fmt.Sprint(rng.IntN(1 + 60*round + i))
			n.publish(fmt.Sprintf("ws_%d", rng.IntN(3)), fmt.Sprintf(`{"id":%q,"type":"t","actor":{"id":"u"},"data":{"n":%d}}`, id, rng.IntN(2)))
			if i%40 == 0 {
				n.publish("ws_1", "no record")
				n.stream.Publish("vouched.ws_1._", fmt.Sprintf(`{"door":{"grade":"verified","producer":"d"},"record": {"id":%q,"type":"t","actor":{"id":"u"}} }`, id))
				n.publish("ws_0", "")
			}
		}
		n.settle()
		if round%2 == 0 {
			n.mark()
			n.sign()
		}
		for _, workspace := range []string{"ws_0", "ws_1", "ws_2"} {
			r := n.tenant(workspace)
			head := n.api.o.Ledger.Head()
			if r.Verdict != proof.Clean || r.Marked == 0 || r.TreeSize != head.Size || r.Entries != r.Count || len(r.Notices) > 0 {
				t.Fatalf("round %d, %s: %+v", round, workspace, r)
			}
		}
	}
}

// TestHeadWaits asks for a head behind the last checkpoint: one is signed for it.
func TestHeadWaits(t *testing.T) {
	n := serveSigned(t)
	n.refused(503, "no_checkpoint", "GET", "/keys")
	n.publish("ws", `{"type":"t","actor":{"id":"u"}}`)
	n.settle()
	n.sign()
	at := n.size
	n.publish("other", `{"type":"t","actor":{"id":"u"}}`)
	n.settle()
	head := func(workspace string) (proof.WorkspaceHead, proof.Checkpoint) {
		a := n.do("GET", "/v1/workspaces/"+workspace+"/head")
		answer, err := proof.ParseHeadAnswer(a.body)
		if err != nil {
			t.Fatalf("%s: %v", a.body, err)
		}
		h, err := proof.ParseWorkspaceHead([]byte(answer.Head))
		if err != nil {
			t.Fatal(err)
		}
		c, err := proof.ParseCheckpoint([]byte(answer.Checkpoint))
		if err != nil || answer.Mark != nil {
			t.Fatal(err, answer.Mark)
		}
		return h, c
	}
	if h, c := head("ws"); h.Size != at || c.Size != at || h.Count != 1 {
		t.Errorf("head %+v under %d: the checkpoint at hand would have done", h, c.Size)
	}
	if h, c := head("other"); h.Size != at+1 || c.Size != at+1 || h.Index != at {
		t.Errorf("head %+v under %d", h, c.Size)
	}
	n.refused(404, "no_head", "GET", "/v1/workspaces/nobody/head")
	n.refused(400, "invalid_parameter", "GET", "/v1/workspaces/_system/head")
	n.refused(400, "invalid_parameter", "GET", "/v1/workspaces/_system/entries")
	// Why it isn't signed may name other replicas, and files: that is for the log.
	n.api.o.SignHead = func([]byte) ([]byte, error) {
		return nil, errors.New("replica b shows another root; /var/lib/annals/fork")
	}
	if a := n.do("GET", "/v1/workspaces/ws/head"); a.status != 503 || strings.Contains(string(a.body), "replica b") || strings.Contains(string(a.body), "/var/lib") {
		t.Errorf("a head that can't be signed: %d %s", a.status, a.body)
	}
	n.api.o.SignHead = nil
	n.refused(503, "no_checkpoint", "GET", "/v1/workspaces/ws/head")
}

// TestEntries asks for every part of a chain, and holds it to the ledger.
func TestEntries(t *testing.T) {
	n := serveSigned(t)
	for i := range 70 {
		n.publish([]string{"ws", "other", "ws", "third"}[i%4], fmt.Sprintf(`{"id":"%d","type":"t","actor":{"id":"u"}}`, i%30))
	}
	n.publish("ws", strings.Repeat("x", chain.MaxBody+1)) // committed to, not kept
	n.settle()
	n.sign()
	l := n.api.o.Ledger
	tag := l.Tag("ws")
	var all []chain.Leaf
	for leaf, err := range l.Leaves(context.Background(), 0, l.Head().Size) {
		if err != nil {
			t.Fatal(err)
		}
		if leaf.Entry.Workspace == tag {
			leaf.Raw = slices.Clone(leaf.Raw)
			all = append(all, leaf)
		}
	}
	for from := 0; from <= len(all)+1; from++ {
		for _, limit := range []int{1, 7, 100} {
			a := n.do("GET", fmt.Sprintf("/v1/workspaces/ws/entries?from=%d&limit=%d&proofs=%d&with=payloads", from, limit, n.size))
			var lines []proof.Line
			for raw := range bytes.Lines(a.body) {
				line, err := proof.ParseLine(raw)
				if err != nil {
					t.Fatal(err)
				}
				lines = append(lines, line)
			}
			if want := max(0, min(limit, len(all)-from)); a.status != 200 || len(lines) != want {
				t.Fatalf("from %d limit %d: %d, %d lines, want %d", from, limit, a.status, len(lines), want)
			}
			for i, line := range lines {
				leaf := &all[from+i]
				if line.Index != leaf.Entry.Index || !bytes.Equal(line.Entry, leaf.Raw) {
					t.Fatalf("from %d, line %d is entry %d", from, i, line.Index)
				}
				hashes := make([]chain.Hash, len(line.Proof))
				for i, h := range line.Proof {
					hashes[i] = chain.Hash(h)
				}
				if err := proof.CheckInclusion(n.size, l.Head().Root, line.Index, chain.LeafHash(line.Entry), hashes); err != nil {
					t.Fatal(err)
				}
				if kept := line.Payload() != nil; kept != (leaf.Entry.Kind != chain.KindRejection) {
					t.Fatalf("entry %d, %s: payload %v", line.Index, leaf.Entry.Kind, kept)
				}
			}
		}
	}
	a := n.do("GET", fmt.Sprintf("/v1/workspaces/ws/entries?limit=100&proofs=%d", 20))
	for raw := range bytes.Lines(a.body) {
		var line proof.Line
		if err := json.Unmarshal(raw, &line); err != nil || line.Index >= 20 || line.Body != nil {
			t.Fatalf("%s %v", raw, err)
		}
	}
	if got := n.do("GET", "/v1/workspaces/nobody/entries"); got.status != 200 || len(got.body) != 0 || got.header.Get("Content-Type") != "application/x-ndjson" {
		t.Errorf("an unknown workspace: %+v", got)
	}
	n.refused(400, "invalid_parameter", "GET", fmt.Sprintf("/v1/workspaces/ws/entries?proofs=%d", n.size+1))
	n.refused(400, "invalid_parameter", "GET", "/v1/workspaces/ws/entries?from=-1")
	n.refused(400, "invalid_parameter", "GET", "/v1/workspaces/ws/entries?with=sentence")
}
