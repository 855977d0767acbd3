package tamper_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"annals/ledger/chain"
	"annals/ledger/proof"
)

// evidence is a pack under construction (docs/format/pack.md): the whole history
// of one workspace, with every payload, as its keeper lays it out.
type evidence struct {
	honest    *book
	book      *book
	proven    *book // whose tree the proofs are of: a forger without the key has no other
	tag       chain.Hash
	workspace string
	note      []byte

	// What its maker does besides.
	headKey  *[sha256.Size]byte // signs the head
	headTag  *[sha256.Size]byte // is the head's
	behind   int                // so many entries, and the tree that holds them, come after the head
	fewer    int                // so many entries the head keeps quiet
	bare     bool               // no payload is selected
	resigned bool               // so are the marks
	foreign  bool               // another workspace's entry is among the lines
}

// workspaces are the names in the base ledger. Tags don't give them away.
var workspaces = []string{"ws_0", "ws_1", "ws_2", "ws_7", "ws_8", "ws_9", "w0", "w1", "w2", "w3", "w4"}

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// packOf picks the workspace of an entry of the honest ledger, or the first behind
// it that isn't the system's, which no pack is of; the last where no entry is meant.
func (d *done) packOf(index int) *evidence {
	last := len(d.honest.rows) - 1
	if index < 0 || index > last {
		index = last - 1
	}
	for index < last && d.honest.rows[index].filed.IsZero() {
		index++
	}
	e := &evidence{resigned: d.governed && d.insider, honest: d.honest, book: d.book, proven: d.honest, tag: d.honest.rows[index].filed, note: d.checkpoint}
	if d.insider || d.signer != nil {
		e.proven = d.book
	}
	for _, name := range workspaces {
		if d.honest.tag(name) == e.tag {
			e.workspace = name
		}
	}
	return e
}

// inclusion is an entry's proof in the proven tree; of an entry that it doesn't
// have, that of the last.
func (e *evidence) inclusion(index uint64) []string {
	leaves := e.proven.nodes[0]
	size := int64(len(leaves))
	steps, err := tlog.ProveRecord(size, min(int64(index&math.MaxInt32), size-1), e.proven.stored())
	if err != nil {
		panic(err)
	}
	return b64s(steps)
}

// stored is the tree's hashes as tlog orders them, made once.
func (b *book) stored() hashes {
	if b.tree == nil {
		b.tree = stored(b.nodes[0])
	}
	return b.tree
}

type packLine struct {
	Index    uint64   `json:"index"`
	Entry    string   `json:"entry"`
	Proof    []string `json:"proof,omitempty"`
	Salt     *string  `json:"salt,omitempty"`
	Envelope *string  `json:"envelope,omitempty"`
	Body     *string  `json:"body,omitempty"`
	Gone     *int     `json:"gone,omitempty"`
}

// lines are the workspace's entries, in the order in which the keeper has them.
func (e *evidence) lines() (out []packLine, payloads int) {
	foreign := e.foreign
	for i := range e.book.rows {
		r := &e.book.rows[i]
		if r.filed != e.tag {
			if !foreign || i < len(e.book.rows)/2 || r.filed.IsZero() || r.entry().Position >= uint64(len(out)) {
				continue // it is to be one whose position is taken here
			}
			foreign = false
		}
		line := packLine{Index: uint64(i), Entry: b64(r.raw)}
		if len(r.raw) >= 24 {
			line.Index = binary.BigEndian.Uint64(r.raw[16:])
		}
		if p := r.payload; p != nil && !e.bare && !e.tag.IsZero() && p.Kept != chain.KeptNone {
			body := p.Body
			if p.Kept == chain.KeptAround {
				ref := binary.BigEndian.Uint64(r.raw[64:])
				var original []byte
				if ref < uint64(len(e.book.rows)) && e.book.rows[ref].payload != nil {
					leaf := chain.Leaf{Entry: e.book.rows[ref].entry(), Payload: e.book.rows[ref].payload}
					_, original = leaf.Record()
				}
				body = append(append(append([]byte{}, p.Before...), original...), p.After...)
			}
			salt, envelope, whole := b64(p.Salt[:]), b64(p.Envelope), b64(body)
			line.Salt, line.Envelope, line.Body = &salt, &envelope, &whole
			payloads++
		} else if by := e.goneBy(uint64(i)); r.payload == nil && !e.bare && by > 0 {
			line.Gone = &by
		}
		out = append(out, line)
	}
	for i := range out {
		if i == 0 || i == len(out)-1 || out[i].Salt != nil {
			out[i].Proof = e.inclusion(out[i].Index)
		}
	}
	return out, payloads
}

// goneBy is the entry by which the payload of another is gone in the honest ledger; 0
// where it is there, or none ever was.
func (e *evidence) goneBy(index uint64) int {
	for _, by := range e.erasures() {
		entry := e.honest.rows[by].entry()
		if erase, ok := entry.Erases(); ok && erase.Covers(index) {
			return by
		}
	}
	return 0
}

// erasures are the entries that erased something of the workspace, or let it expire;
// beside the latter, those that say what may.
func (e *evidence) erasures() (out []int) {
	var law []int
	ruled := false
	for i := range min(len(e.honest.rows), len(e.proven.rows)) {
		entry := e.honest.rows[i].entry()
		if erase, ok := entry.Erases(); ok && erase.Workspace == e.tag {
			out, ruled = append(out, i), ruled || erase.Rule != chain.NoRef
		}
		if t := chain.ControlType(entry.Code); entry.Kind == chain.KindControl && t >= chain.ControlRetention && t <= chain.ControlRelease {
			law = append(law, i) // of this ledger, all are for the one workspace
		}
	}
	if ruled {
		out = append(out, law...)
		slices.Sort(out)
	}
	return out
}

// head is the workspace's signed head at the end of the proven tree.
func (e *evidence) head() []byte {
	var own []int
	size := len(e.proven.rows)
	for i := range e.proven.rows {
		if e.proven.rows[i].filed == e.tag {
			own = append(own, i)
		}
	}
	if e.behind > 0 {
		size = own[len(own)-e.behind]
	}
	own = own[:len(own)-e.behind-e.fewer]
	last := own[len(own)-1]
	leaf, tag, key := e.proven.nodes[0][last], e.tag, headsKey
	if e.headTag != nil {
		tag = *e.headTag
	}
	if e.headKey != nil {
		key = *e.headKey
	}
	text := fmt.Sprintf("annals/workspace-head/v1\n%s\n%s\n%d\n%d\n%s\n%d\n", e.proven.origin, b64(tag[:]), len(own), last, b64(leaf[:]), size)
	return sign(e.proven.origin, text, key)
}

// keys is the key history in the proven tree.
func (e *evidence) keys() map[string]any {
	b := e.proven
	c, err := b.rows[0].control()
	if err != nil {
		panic(err)
	}
	g, err := chain.ParseGenesis(c.Statement.Body)
	if err != nil {
		panic(err)
	}
	roster := g.Roster()
	changes, retired, consistency := []any{}, []string{}, [][]string{}
	for i := range b.rows {
		entry := b.rows[i].entry()
		if entry.Kind != chain.KindControl || entry.Code != uint16(chain.ControlKey) {
			continue
		}
		changes = append(changes, map[string]any{"index": i, "entry": b64(b.rows[i].raw), "proof": e.inclusion(uint64(i))})
		c, err := entry.Control()
		if err != nil {
			panic(err)
		}
		change, err := chain.ParseKeyChange(c.Statement.Body)
		if err != nil {
			panic(err)
		}
		if next, err := roster.Apply(uint64(i), &change); err == nil {
			roster = next
		}
		if !slices.ContainsFunc(change.Added, func(k chain.Key) bool { return k.Roles == chain.RoleCheckpoint }) {
			continue // no key retires by it that signs checkpoints
		}
		root := rootOf(b.nodes[0][:i])
		retired = append(retired, string(b.signed(proof.Head{Size: uint64(i), Root: root})))
		between, err := tlog.ProveTree(int64(len(b.nodes[0])), int64(i), b.stored())
		if err != nil {
			panic(err)
		}
		consistency = append(consistency, b64s(between))
	}
	return map[string]any{
		"origin": b.origin, "ledger": b.id.String(), "keys": proof.NamedKeys(g.Origin, roster),
		"genesis": map[string]any{"index": 0, "entry": b64(b.rows[0].raw), "proof": e.inclusion(0)},
		"changes": changes, "retired": retired, "consistency": consistency, "checkpoint": string(e.note),
	}
}

// retired are the last checkpoints by each key that was removed.
func (e *evidence) retired() (out [][]byte) {
	for _, r := range e.proven.reigns[1:] {
		if size := r.from - 1; size <= uint64(len(e.proven.nodes[0])) {
			out = append(out, e.proven.signed(proof.Head{Size: size, Root: rootOf(e.proven.nodes[0][:size])}))
		}
	}
	return out
}

func b64s(hashes []tlog.Hash) []string {
	out := []string{}
	for _, h := range hashes {
		out = append(out, b64(h[:]))
	}
	return out
}

// mark is the last mark of the honest ledger that speaks of the workspace, in the
// proven tree; nil where there is none. Its map is the honest one: it is under a
// signature that a forger leaves alone, unless all is signed anew.
func (e *evidence) mark() any {
	b := e.proven
	for i := len(b.rows) - 1; i > 0; i-- {
		entry := b.rows[i].entry()
		c, err := entry.Control()
		if entry.Kind != chain.KindControl || entry.Code != uint16(chain.ControlMark) || err != nil || c.Statement.Size > uint64(len(e.honest.rows)) {
			continue
		}
		from := e.honest
		if e.resigned {
			from = e.proven
		}
		row, ok := proof.NewHeadsMap(from.heads(c.Statement.Size)).Row(e.tag)
		if !ok {
			continue
		}
		receipt := proof.NewReceipt(b.id, &chain.Leaf{Entry: entry, Raw: b.rows[i].raw}, false)
		receipt.Checkpoint = e.note
		for _, h := range e.inclusion(uint64(i)) {
			receipt.Hashes = append(receipt.Hashes, unb64(h))
		}
		steps := []string{}
		for _, h := range row.Proof {
			steps = append(steps, b64(h[:]))
		}
		return map[string]any{
			"receipt": string(receipt.Text()), "map_size": row.MapSize, "map_index": row.MapIndex, "map_proof": steps,
			"count": row.Head.Count, "index": row.Head.Index, "leaf": b64(row.Head.Leaf[:]),
		}
	}
	return nil
}

func unb64(s string) chain.Hash {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return chain.Hash(b)
}

// keys is the key history as its keeper serves it.
func (d *done) keys() []byte { return mustJSON(d.packOf(-1).keys()) }

// lay lays the pack out.
func (e *evidence) lay() files {
	lines, payloads := e.lines()
	var entries []byte
	for i := range lines {
		entries = append(append(entries, mustJSON(&lines[i])...), '\n')
	}
	answer := map[string]any{"workspace": e.workspace, "tag": b64(e.tag[:]), "head": string(e.head()), "checkpoint": string(e.note)}
	if mark := e.mark(); mark != nil {
		answer["mark"] = mark
	}
	laid := files{
		"checkpoint":    e.note,
		"keys.json":     mustJSON(e.keys()),
		"head.json":     mustJSON(answer),
		"entries.jsonl": entries,
		"pack.json": mustJSON(map[string]any{
			"format": "annals/pack/v1", "origin": e.proven.origin, "ledger": e.proven.id.String(), "workspace": e.workspace,
			"tag": b64(e.tag[:]), "first": 0, "last": e.positions() - 1, "selection": "everything", "payloads": payloads, "created": "2026-01-02T03:04:05Z",
		}),
		"catalogue.json": []byte("[]"), "README.txt": []byte("a pack\n"), "REPORT.html": []byte("<!doctype html>"), "verify.py": []byte("# not this one\n"),
	}
	for _, by := range e.erasures() {
		line := mustJSON(&packLine{Index: uint64(by), Entry: b64(e.book.rows[min(by, len(e.book.rows)-1)].raw), Proof: e.inclusion(uint64(by))})
		laid["erasures.jsonl"] = append(append(laid["erasures.jsonl"], line...), '\n')
	}
	return laid
}

// positions is how long the workspace's chain was, by the proven tree.
func (e *evidence) positions() (n int) {
	for i := range e.proven.rows {
		if e.proven.rows[i].filed == e.tag {
			n++
		}
	}
	return n
}

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}
