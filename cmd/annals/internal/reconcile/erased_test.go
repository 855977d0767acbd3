package reconcile

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"annals/ingest"
	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
	"annals/ledger/proof"
	"annals/query/client"

	"github.com/go-json-experiment/json"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// made is a source of entries that anybody may have made, with nothing beside them.
type made struct {
	proof.Source
	tree  [][]byte
	shown map[uint64][]byte // what is shown in the stead of what the tree is of
}

func (m *made) Leaves(_ context.Context, from, to uint64) iter.Seq2[chain.Leaf, error] {
	return func(yield func(chain.Leaf, error) bool) {
		for index := from; index < to && index < uint64(len(m.tree)); index++ {
			raw := m.tree[index]
			if other, ok := m.shown[index]; ok {
				raw = other
			}
			if !yield(chain.Leaf{Raw: raw}, nil) {
				return
			}
		}
	}
}

func (m *made) Nodes(_ context.Context, level int, from, to uint64) iter.Seq2[chain.Hash, error] {
	return func(yield func(chain.Hash, error) bool) {
		for n := from; n < to; n++ {
			if !yield(chain.Hash(m.node(level, n)), nil) {
				return
			}
		}
	}
}

func (m *made) node(level int, n uint64) tlog.Hash {
	if level == 0 {
		return tlog.Hash(chain.LeafHash(m.tree[n]))
	}
	return tlog.NodeHash(m.node(level-1, 2*n), m.node(level-1, 2*n+1))
}

// signed is the ledger of made entries, as one who has its checkpoint key signs it.
func (m *made) signed(b *book) *Ledger {
	b.t.Helper()
	size := int64(len(m.tree))
	root, err := tlog.TreeHash(size, tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		var out []tlog.Hash
		for _, at := range indexes {
			level, n := tlog.SplitStoredHashIndex(at)
			out = append(out, m.node(level, uint64(n)))
		}
		return out, nil
	}))
	if err != nil {
		b.t.Fatal(err)
	}
	c := proof.Checkpoint{Origin: origin, Size: uint64(size), Root: chain.Hash(root)}
	if c.Note, err = note.Sign(&note.Note{Text: c.Text()}, b.signer); err != nil {
		b.t.Fatal(err)
	}
	return &Ledger{
		Source: m, Checkpoint: c, Ring: b.ring,
		Payload: func(context.Context, string, *chain.Entry) (*chain.Payload, error) { return nil, nil },
	}
}

// erasing is a ledger in which one record of three is erased, by the operator or by a
// key that was named for it, and the claims of its entries.
type erasing struct {
	*book
	tree    [][]byte
	changes []uint64
	by      uint64 // index of the erasure
	kept    map[uint64]ingest.KeptClaim
}

// The entries of an erasing ledger.
const (
	erasedRecord = 2 + iota
	keptRecord
	erasedDuplicate
	keptConflict
)

func newErasing(t *testing.T, eraser bool) *erasing {
	t.Helper()
	s := chaintest.NewKeyed("reconcile")
	e := &erasing{book: newBookOf(t, s, "checkpoint"), kept: map[uint64]ingest.KeptClaim{}}
	s.Record("ws_7", "r1", `{"n":1}`)
	s.Record("ws_7", "r2", `{"n":1}`)
	s.Record("ws_7", "r1", `{"n":1}`)
	s.Record("ws_7", "r1", `{"n":2}`)
	signer := s.Operator
	if eraser {
		signer = chaintest.Signer("eraser")
		e.changes = []uint64{keptConflict + 1}
		s.ChangeKeys(chain.KeyChange{Added: []chain.Key{signer.Public(chain.RoleEraser)}}, "", s.Root)
	}
	l, err := chaintest.NewLog(s.Messages[0])
	if err == nil {
		err = l.Fold(s.Messages, func(int) int { return 1 })
	}
	if err != nil {
		t.Fatal(err)
	}
	e.record() // so that claims are of what was published
	for index := uint64(erasedRecord); index <= keptConflict; index++ {
		e.kept[index] = e.book.kept(index, 0, false)
	}
	e.by = l.State.Size
	root, _ := l.At(e.by)
	s.Erase(e.by, root, chaintest.Select(l, "ws_7", erasedRecord), "", signer)
	s.Record("ws_7", "r1", `{"n":1}`) // comes under an erased record's id
	s.Record("ws_7", "r3", `{"n":1}`)
	e.record()
	for index := range e.ledger.Head().Size {
		leaf, _, err := e.ledger.Get(index)
		if err != nil {
			t.Fatal(err)
		}
		e.tree = append(e.tree, leaf.Entry.Append(nil))
	}
	for _, index := range []uint64{e.by + 1, e.by + 2} {
		e.kept[index] = e.book.kept(index, 0, false)
	}
	if by, err := e.ledger.Erasures(e.ledger.Tag("ws_7")); err != nil || !slices.Equal(by, []uint64{e.by}) {
		t.Fatalf("entries %v erase something, %v", by, err)
	}
	return e
}

// said are hints that name entries.
func said(changes []uint64, indexes ...uint64) Hints {
	return Hints{Changes: changes, Erasures: func(context.Context, string, *chain.Entry) ([]uint64, error) { return indexes, nil }}
}

// erasure is the erasure restated, as a ledger that lets everything in would have it.
func (e *erasing) erasure(change func(*chain.Erase), signers ...chain.Signer) []byte {
	return chaintest.Restated(e.tree[e.by], func(s *chain.Statement) {
		erase, err := chain.ParseErase(s.Body)
		if err != nil {
			panic(err)
		}
		if change != nil {
			change(&erase)
		}
		s.Body = erase.Append(nil)
	}, signers...)
}

// leaves makes a selection's hash that of other entries.
func (e *erasing) leaves(erase *chain.Erase, indexes ...uint64) {
	erase.Ranges = chain.Ranges(slices.Values(indexes))
	erase.Leaves, _ = chain.SelectionHash(e.ledger.ID(), erase.Workspace, erase.Ranges, func(index uint64) (chain.Hash, error) {
		return chain.LeafHash(e.tree[index]), nil
	})
	erase.Selection = erase.Leaves
}

// TestTold: who shows a ledger says where its erasures stand, and is believed in
// nothing else.
func TestTold(t *testing.T) {
	const none = "no entry says that it was erased"
	operator, keeper, stranger, eraser := chaintest.Signer("operator"), chaintest.Signer("keeper"), chaintest.Signer("stranger"), chaintest.Signer("eraser")
	e, named := newErasing(t, false), newErasing(t, true)
	by := e.by
	failed := errors.New("no answer")
	put := func(index uint64, raw []byte) func(*made) {
		return func(m *made) { m.tree[index] = raw }
	}
	for _, c := range []struct {
		name   string
		of     *erasing
		change func(*made)
		hints  Hints
		claim  uint64
		want   Verdict
		detail string
	}{
		{"the record", e, nil, said(nil, by), erasedRecord, Erased, ""},
		{"its duplicate", e, nil, said(nil, by), erasedDuplicate, Erased, ""},
		{"what came under its id later", e, nil, said(nil, by), by + 1, Erased, ""},
		{"another record", e, nil, said(nil, by), keptRecord, PayloadMissing, none},
		{"a conflict with it", e, nil, said(nil, by), keptConflict, PayloadMissing, none},
		{"a record behind it", e, nil, said(nil, by), by + 2, PayloadMissing, none},

		{"nobody says where", e, nil, said(nil), erasedRecord, PayloadMissing, none},
		{"said to be a record", e, nil, said(nil, keptRecord), erasedRecord, PayloadMissing, none},
		{"said to be the genesis, and where it is", e, nil, said(nil, 0, by), erasedRecord, Erased, ""},
		{"said to be beyond the checkpoint", e, nil, said(nil, 99), erasedRecord, PayloadMissing, "the checkpoint doesn't reach it yet"},
		{"nobody could be asked", e, nil, Hints{Erasures: func(context.Context, string, *chain.Entry) ([]uint64, error) {
			return nil, fmt.Errorf("%w: refused", ErrUntold)
		}}, erasedRecord, PayloadMissing, "the erasures could not be asked for: refused"},

		{"signed anew", e, put(by, e.erasure(nil, operator)), said(nil, by), erasedRecord, Erased, ""},
		{"signed by nobody", e, put(by, e.erasure(nil)), said(nil, by), erasedRecord, PayloadMissing, chain.ErrRole.Error()},
		{"signed by a stranger", e, put(by, e.erasure(nil, stranger)), said(nil, by), erasedRecord, PayloadMissing, chain.ErrUnknownKey.Error()},
		{"signed by the ledger's key", e, put(by, e.erasure(nil, keeper)), said(nil, by), erasedRecord, PayloadMissing, chain.ErrRole.Error()},
		{"in another role", e, put(by, e.erasure(func(x *chain.Erase) { x.Role = chain.RoleEraser }, operator)), said(nil, by), erasedRecord, PayloadMissing, "there that was operator"},
		{"for another ledger", e, put(by, chaintest.Restated(e.tree[by], func(s *chain.Statement) { s.Ledger[0] ^= 1 }, operator)), said(nil, by), erasedRecord, PayloadMissing, "signed for ledger"},
		{"of another range", e, put(by, e.erasure(func(x *chain.Erase) { e.leaves(x, keptRecord) }, operator)), said(nil, by), erasedRecord, PayloadMissing, none},
		{"of another range, its duplicate", e, put(by, e.erasure(func(x *chain.Erase) { e.leaves(x, keptRecord) }, operator)), said(nil, by), erasedDuplicate, PayloadMissing, none},
		{"of more than its signer saw", e, put(by, e.erasure(func(x *chain.Erase) { x.Ranges[0].To++ }, operator)), said(nil, by), erasedRecord, PayloadMissing, "not those that its signer saw"},
		{"of what stands behind it", e, put(by, e.erasure(func(x *chain.Erase) { e.leaves(x, erasedRecord, by+2) }, operator)), said(nil, by), erasedRecord, PayloadMissing, "can't have seen"},
		{"of a duplicate by itself", e, put(by, e.erasure(func(x *chain.Erase) { e.leaves(x, erasedRecord, erasedDuplicate) }, operator)), said(nil, by), erasedRecord, PayloadMissing, "is not erased by itself"},
		{"of another workspace", e, put(by, e.erasure(func(x *chain.Erase) {
			x.Workspace = e.ledger.Tag("ws_8")
			e.leaves(x, erasedRecord)
		}, operator)), said(nil, by), erasedRecord, PayloadMissing, "another workspace"},
		{"of an entry that its signer didn't see", e, func(m *made) {
			record, _ := chain.ParseEntry(slices.Clone(m.tree[erasedRecord]))
			record.Grade = chain.GradeVerified
			m.tree[erasedRecord] = record.Append(nil)
		}, said(nil, by), erasedRecord, PayloadMissing, "not those that its signer saw"},
		{"shown, and not in the tree", e, func(m *made) {
			m.shown = map[uint64][]byte{by: m.tree[by]}
			m.tree[by] = e.erasure(nil)
		}, said(nil, by), erasedRecord, PayloadMissing, "does not count"},

		{"by the eraser", named, nil, said(named.changes, named.by), erasedRecord, Erased, ""},
		{"by the eraser, whom nobody says where to find", named, nil, said(nil, named.by), erasedRecord, PayloadMissing, chain.ErrUnknownKey.Error()},
		{"by the operator, who erases no more", named, put(named.by, named.erasure(func(x *chain.Erase) { x.Role = chain.RoleOperator }, operator)), said(named.changes, named.by), erasedRecord, PayloadMissing, chain.ErrRole.Error()},
		{"by the eraser, as the operator", named, put(named.by, named.erasure(func(x *chain.Erase) { x.Role = chain.RoleOperator }, eraser)), said(named.changes, named.by), erasedRecord, PayloadMissing, "there that was eraser"},
		{"by an eraser who isn't named yet", e, put(by, e.erasure(func(x *chain.Erase) { x.Role = chain.RoleEraser }, eraser)), said(nil, by), erasedRecord, PayloadMissing, chain.ErrUnknownKey.Error()},
	} {
		m := &made{tree: slices.Clone(c.of.tree)}
		if c.change != nil {
			c.change(m)
		}
		l := m.signed(c.of.book)
		l.Erased = l.Told(c.hints)
		kept := c.of.kept[c.claim]
		for range 2 { // the second time by what was read the first time
			item, err := l.Judge(t.Context(), &kept)
			if err != nil || item.Verdict != c.want || !strings.Contains(item.Detail, c.detail) {
				t.Errorf("%s: %s (%s), %v; want %s (%s)", c.name, item.Verdict, item.Detail, err, c.want, c.detail)
			}
			if erased := item.Verdict == Erased; erased != (item.By != nil) || erased && *item.By != c.of.by {
				t.Errorf("%s: erased by %v", c.name, item.By)
			}
		}
	}

	l := (&made{tree: e.tree}).signed(e.book)
	l.Erased = l.Told(Hints{Erasures: func(context.Context, string, *chain.Entry) ([]uint64, error) { return nil, failed }})
	kept := e.kept[erasedRecord]
	if item, err := l.Judge(t.Context(), &kept); !errors.Is(err, failed) {
		t.Errorf("who doesn't answer is judged: %s, %v", item.Verdict, err)
	}
}

// TestToldOfOthers: an erasure excuses the entry that it selects, and the duplicates of
// that, as they stand in the signed tree; not what is made to look like them.
func TestToldOfOthers(t *testing.T) {
	e := newErasing(t, false)
	conflict := e.erasure(func(x *chain.Erase) { e.leaves(x, erasedRecord, keptConflict) }, chaintest.Signer("operator"))
	for _, c := range []struct {
		name   string
		index  uint64
		change func(*chain.Entry)
		tree   bool // that is changed, and the source shows the one from before
		why    string
	}{
		{"as it is", erasedRecord, nil, false, ""},
		{"a duplicate as it is", erasedDuplicate, nil, false, ""},
		{"another in its place", erasedRecord, func(x *chain.Entry) { x.Grade = chain.GradeVerified }, false, "not the one that its signer saw"},
		{"another in the tree", erasedRecord, func(x *chain.Entry) { x.Grade = chain.GradeVerified }, true, "does not count"},
		{"another in the tree, and its duplicate", erasedDuplicate, func(x *chain.Entry) { x.Grade = chain.GradeVerified }, true, "does not count"},
		{"a duplicate of a conflict", erasedDuplicate, func(x *chain.Entry) { x.Ref = keptConflict }, false, "no record of its workspace"},
		{"a duplicate in another workspace", erasedDuplicate, func(x *chain.Entry) { x.Workspace[0] ^= 1 }, false, "no record of its workspace"},
	} {
		m := &made{tree: slices.Clone(e.tree), shown: map[uint64][]byte{}}
		m.tree[e.by] = conflict
		x, err := chain.ParseEntry(slices.Clone(m.tree[c.index]))
		if err != nil {
			t.Fatal(err)
		}
		if c.tree {
			original, err := chain.ParseEntry(slices.Clone(m.tree[erasedRecord]))
			if err != nil {
				t.Fatal(err)
			}
			c.change(&original)
			m.shown[erasedRecord], m.tree[erasedRecord] = m.tree[erasedRecord], original.Append(nil)
		} else if c.change != nil {
			c.change(&x)
		}
		l := m.signed(e.book)
		if err := l.open(t.Context()); err != nil {
			t.Fatal(err)
		}
		got, err := l.Told(said(nil, e.by))(t.Context(), "ws_7", &x)
		if err != nil || got.Found != (c.why == "") || !strings.Contains(got.Why, c.why) {
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
	}
}

// TestDue: an erasure takes what stands before it, and leaves nothing to be kept of
// what comes under the same id behind it.
func TestDue(t *testing.T) {
	record := chain.Entry{Index: 5, Kind: chain.KindRecord, Ref: chain.NoRef}
	same := chain.Entry{Index: 7, Kind: chain.KindDuplicate, Code: chain.DuplicateSame, Ref: 5}
	uncompared := chain.Entry{Index: 9, Kind: chain.KindDuplicate, Code: chain.DuplicateUncompared, Ref: 5}
	for at, want := range map[uint64][3]bool{4: {}, 5: {}, 6: {true, false, true}, 7: {true, false, true}, 8: {true, true, true}, 9: {true, true, false}, 10: {true, true, false}} {
		if got := [3]bool{due(at, &record), due(at, &same), due(at, &uncompared)}; got != want {
			t.Errorf("an erasure at %d: %v, want %v", at, got, want)
		}
	}
}

// TestAskedErasures: a server that shows no erasures is told from one that has none.
func TestAskedErasures(t *testing.T) {
	e := newErasing(t, false)
	for _, c := range []struct {
		name   string
		status int
		body   string
		want   []uint64
		untold bool
		failed bool
	}{
		{"one", http.StatusOK, line(t, e), []uint64{e.by}, false, false},
		{"none", http.StatusOK, "", []uint64{}, false, false},
		{"forbidden", http.StatusForbidden, `{"code":"forbidden","detail":"no"}`, nil, true, true},
		{"an older server", http.StatusNotFound, `{"code":"not_found","detail":"no"}`, nil, true, true},
		{"down", http.StatusInternalServerError, `{"code":"internal","detail":"no"}`, nil, false, true},
		{"nonsense", http.StatusOK, "no entry\n", nil, false, true},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/v1/workspaces/ws_7/erasures" || r.URL.RawQuery != "" {
				t.Errorf("%s: asked for %s", c.name, r.URL)
			}
			w.WriteHeader(c.status)
			_, _ = w.Write([]byte(c.body))
		}))
		asking, err := client.New(server.URL, client.Options{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := AskedErasures(asking)(t.Context(), "ws_7", nil)
		if (err != nil) != c.failed || errors.Is(err, ErrUntold) != c.untold || err == nil && !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
		server.Close()
	}
}

// line is the erasure as a server shows it.
func line(t *testing.T, e *erasing) string {
	t.Helper()
	leaf, _, err := e.ledger.Get(e.by)
	if err != nil {
		t.Fatal(err)
	}
	l := proof.NewLine(&leaf, false)
	text, err := json.Marshal(&l)
	if err != nil {
		t.Fatal(err)
	}
	return string(text) + "\n"
}
