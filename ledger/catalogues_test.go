package ledger_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"annals/activity"
	"annals/ledger"
	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
)

// TestCatalogues: at each entry the newest catalogue of its workspace before it is in
// force, before and after the folder is opened anew; one that can't be read, or was
// erased, is no catalogue; and another workspace's is nothing to it.
func TestCatalogues(t *testing.T) {
	s := chaintest.NewKeyed("catalogues")
	fs := vfs.NewMem()
	l := create(t, s, ledger.Options{FS: fs})
	flush := func() uint64 {
		t.Helper()
		appendAll(t, l, s, anyOrder(1))
		return l.Head().Size - 1
	}
	labelled := func(label string) string {
		return fmt.Sprintf(`{"types":[{"slug":"a.b","label":%q,"sentence":"{actor} did"}]}`, label)
	}
	tag, other := l.Tag("ws_1"), l.Tag("ws_2")
	want := map[chain.Hash][]string{} // label of a.b at each entry
	at := map[chain.Hash]string{}
	var entries []uint64
	note := func() {
		index := flush()
		for _, tag := range []chain.Hash{tag, other} {
			for uint64(len(want[tag])) <= index {
				want[tag] = append(want[tag], at[tag])
			}
		}
	}
	check := func(when string) {
		t.Helper()
		for tag, labels := range want {
			for index, label := range labels {
				c, err := l.Catalogues(tag)
				if err != nil {
					t.Fatal(err)
				}
				words, err := c.Words(uint64(index))
				if err != nil {
					t.Fatal(err)
				}
				if d, _ := words.Lookup("a.b"); d.Label != label {
					t.Fatalf("%s, entry %d: a.b is %q, want %q", when, index, d.Label, label)
				}
			}
		}
	}
	s.Record("ws_1", "1", "1")
	note()
	for i, document := range []string{labelled("One"), labelled("Two"), "no JSON", labelled("Three"), `{}`, labelled("Four")} {
		s.Catalogue(tag, document)
		note() // the catalogue's own entry is still told by the one before it
		entries = append(entries, l.Head().Size-1)
		at[tag] = []string{"One", "Two", "", "Three", "", "Four"}[i]
		if i == 2 {
			s.Catalogue(other, labelled("Other's"))
			note()
			at[other] = "Other's"
		}
		s.Record("ws_1", fmt.Sprint("r", i), "1")
		note()
		check("while it grows")
	}
	c, err := l.Catalogues(tag)
	if err != nil || !slices.Equal(c.Versions(), entries) || c.Size != l.Head().Size {
		t.Fatalf("versions %v of %d, want %v: %v", c.Versions(), c.Size, entries, err)
	}
	if bad, ok, err := c.At(entries[2] + 1); !ok || err != nil || bad.Fault == nil || string(bad.Document) != "no JSON" || bad.Words != activity.Catalogue() {
		t.Errorf("what can't be read: %+v, %v, %v", bad, ok, err)
	}
	// A rejected one is none.
	s.Control--
	s.Catalogue(tag, labelled("Rejected"))
	s.Control--
	note()
	check("after a rejection")
	s.Control = l.Head().State.Control

	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	source, err := ledger.OpenForAudit("ledger", ledger.Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	if err := source.CheckTables(t.Context()); err != nil {
		t.Error(err)
	}
	if err := source.Close(); err != nil {
		t.Fatal(err)
	}
	if l, err = ledger.Open("ledger", ledger.Options{FS: fs}); err != nil {
		t.Fatal(err)
	}
	check("opened again")

	// The second is erased: what it told is told by what is published.
	folded := fold(t, s)
	root, _ := folded.At(folded.State.Size)
	s.Erase(folded.State.Size, root, chaintest.Select(folded.Log, "", entries[1]), "a name stood in a label")
	note()
	for index := entries[1] + 1; index <= entries[2]; index++ {
		want[tag][index] = ""
	}
	check("erased")
	erased, ok, err := mustCatalogues(t, l, tag).At(entries[1] + 1)
	if !ok || err != nil || erased.Document != nil || erased.Fault != nil {
		t.Errorf("erased: %+v, %v, %v", erased, ok, err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}

	// A row that no fold wrote is found.
	key := append([]byte{'c'}, tag[:]...)
	key = append(key, 0, 0, 0, 0, 0, 0, 0, byte(entries[0]))
	tamper(t, fs, key, func([]byte) []byte { return []byte{1} })
	if source, err = ledger.OpenForAudit("ledger", ledger.Options{FS: fs}); err != nil {
		t.Fatal(err)
	}
	if err := source.CheckTables(t.Context()); err == nil || !strings.Contains(err.Error(), "catalogue") {
		t.Errorf("a row that no fold wrote: %v", err)
	}
	if err := source.Close(); err != nil {
		t.Fatal(err)
	}
}

func mustCatalogues(t *testing.T, l *ledger.Ledger, tag chain.Hash) *ledger.Catalogues {
	t.Helper()
	c, err := l.Catalogues(tag)
	if err != nil {
		t.Fatal(err)
	}
	return &c
}

// TestCataloguesAreKept: a catalogue that was read is not read again at each control
// statement, of which a ledger has many.
func TestCataloguesAreKept(t *testing.T) {
	s := chaintest.NewKeyed("kept catalogues")
	l := create(t, s, ledger.Options{FS: vfs.NewMem()})
	words := func() (all []*activity.Vocabulary) {
		t.Helper()
		appendAll(t, l, s, anyOrder(1))
		c, err := l.Catalogues(l.Tag("ws_1"))
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range c.Versions() {
			found, err := c.Words(entry + 1)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, found)
		}
		return all
	}
	labelled := `{"types":[{"slug":"a.b","label":"A","sentence":"{actor} did"}]}`
	s.Catalogue(l.Tag("ws_1"), labelled)
	first := words()
	s.Mark(0, chain.Hash{}, chain.Hash{})
	s.Catalogue(l.Tag("ws_2"), labelled)
	s.Catalogue(l.Tag("ws_1"), labelled)
	second := words()
	if len(first) != 1 || len(second) != 2 || second[0] != first[0] || second[1] == first[0] {
		t.Fatalf("%d and then %d catalogues; the first was read again: %v", len(first), len(second), second[0] != first[0])
	}
	s.Mark(0, chain.Hash{}, chain.Hash{})
	if third := words(); !slices.Equal(third, second) {
		t.Error("a mark has catalogues read again")
	}
}
