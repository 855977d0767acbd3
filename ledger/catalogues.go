package ledger

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"sort"
	"sync"

	"annals/activity"
	"annals/ledger/chain"
)

// Catalogues are a workspace's own, as they durably stand: each is in force from its
// entry to the next one's. They are read only.
type Catalogues struct {
	// Size is how many entries the ledger had: of later ones nothing is known here.
	Size     uint64
	versions []*catalogue
}

// Catalogue is one version of a workspace's catalogue.
type Catalogue struct {
	Entry uint64 // index of the entry that it stands in
	// Document is what was signed; nil where it was erased.
	Document []byte
	// Words are what it makes of the published catalogue. Where Fault says why the
	// document can't be read, or it was erased, they are the published catalogue.
	Words *activity.Vocabulary
	Fault error
}

// catalogue is a version that is read when it is first asked for.
type catalogue struct {
	ledger *Ledger
	entry  uint64

	mu    sync.Mutex
	known *Catalogue
}

func (v *catalogue) read() (Catalogue, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.known == nil {
		c, err := v.ledger.readCatalogue(v.entry)
		if err != nil {
			return c, err
		}
		v.known = &c
	}
	return *v.known, nil
}

// Versions returns the indexes of the entries that catalogues stand in, ascending.
func (c *Catalogues) Versions() []uint64 {
	out := make([]uint64, len(c.versions))
	for i, v := range c.versions {
		out[i] = v.entry
	}
	return out
}

// At returns the catalogue in force at an entry: the newest before it. ok is false
// where the workspace had none.
func (c *Catalogues) At(index uint64) (_ Catalogue, ok bool, err error) {
	n := sort.Search(len(c.versions), func(i int) bool { return c.versions[i].entry >= index })
	if n == 0 {
		return Catalogue{}, false, nil
	}
	found, err := c.versions[n-1].read()
	return found, err == nil, err
}

// Words returns the words in which an entry is told: those of the catalogue in force
// at it, or else the published ones.
func (c *Catalogues) Words(index uint64) (*activity.Vocabulary, error) {
	if len(c.versions) == 0 {
		return activity.Catalogue(), nil
	}
	found, ok, err := c.At(index)
	if !ok {
		return activity.Catalogue(), err
	}
	return found.Words, nil
}

// Bounds of what is remembered of catalogues. A version takes as much memory as the
// published catalogue and the document together.
const (
	maxCatalogued = 4096 // workspaces
	maxVersions   = 512  // that were read
)

// catalogued remembers catalogues. Which there are is right as long as no control statement
// was accepted since, and what one says as long as nothing was erased.
type catalogued struct {
	mu     sync.Mutex
	of     map[chain.Hash]rememberedCatalogues
	parsed int
}

type rememberedCatalogues struct {
	control  uint64
	erasures uint64
	versions []*catalogue
}

// Catalogues returns the catalogues of the workspace under a tag.
func (l *Ledger) Catalogues(tag chain.Hash) (Catalogues, error) {
	head := l.Head()
	l.catalogued.mu.Lock()
	known, ok := l.catalogued.of[tag]
	l.catalogued.mu.Unlock()
	if ok && known.control == head.State.Control {
		return Catalogues{head.Size, known.versions}, nil
	}
	entries, err := l.catalogueEntries(tag, head.Size)
	if err != nil {
		return Catalogues{}, err
	}
	before := known.versions
	if known.erasures != head.State.Erasures {
		before = nil
	}
	known = rememberedCatalogues{control: head.State.Control, erasures: head.State.Erasures}
	for i, entry := range entries {
		if i < len(before) { // later ones come behind them
			known.versions = append(known.versions, before[i])
		} else {
			known.versions = append(known.versions, &catalogue{ledger: l, entry: entry})
		}
	}
	c := &l.catalogued
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil || len(c.of) >= maxCatalogued || c.parsed > maxVersions {
		c.of, c.parsed = map[chain.Hash]rememberedCatalogues{}, 0
	}
	if newer, ok := c.of[tag]; !ok || newer.control < known.control {
		c.of[tag] = known
	}
	return Catalogues{head.Size, known.versions}, nil
}

// catalogueEntries returns the indexes below a size that the table has for a tag.
func (l *Ledger) catalogueEntries(tag chain.Hash, size uint64) (entries []uint64, err error) {
	options := bounds(prefixCatalogue)
	options.LowerBound, options.UpperBound = catalogueKey(tag, 0), catalogueKey(tag, size)
	it, err := l.db.NewIter(options)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		_, index, ok := splitCatalogueKey(it.Key())
		if !ok {
			return nil, &DamageError{What: fmt.Sprintf("a catalogue's row has a key of %d bytes", len(it.Key()))}
		}
		entries = append(entries, index)
	}
	return entries, it.Error()
}

// readCatalogue reads one version.
func (l *Ledger) readCatalogue(entry uint64) (Catalogue, error) {
	l.catalogued.mu.Lock()
	l.catalogued.parsed++
	l.catalogued.mu.Unlock()
	leaf, _, err := l.Get(entry)
	if err != nil {
		return Catalogue{}, err
	}
	settled, document, ok := leaf.Catalogue()
	if !ok {
		return Catalogue{}, damaged(entry, "the table says that it is a catalogue, and it is none")
	}
	out := Catalogue{Entry: entry, Document: document, Words: activity.Catalogue()}
	switch {
	case document == nil:
		return out, nil
	case settled.Format != chain.CatalogueJSON:
		out.Fault = fmt.Errorf("catalogue: its format is %d, which this version of annals does not read", settled.Format)
		return out, nil
	}
	words, err := activity.Own(document)
	if err != nil {
		out.Fault = err
		return out, nil
	}
	out.Words = words
	return out, nil
}

// settles stages the row of a catalogue's entry.
func (w *writer) settles(e *chain.Entry) error {
	c, _, ok := (&chain.Leaf{Entry: *e}).Catalogue()
	if !ok {
		return fmt.Errorf("ledger: entry %d is no catalogue that parses", e.Index)
	}
	return w.batch.Set(catalogueKey(c.Workspace, e.Index), nil, nil)
}

const catalogueKeySize = 1 + len(chain.Hash{}) + 8

func catalogueKey(tag chain.Hash, index uint64) []byte {
	return binary.BigEndian.AppendUint64(hashKey(prefixCatalogue, tag), index)
}

// splitCatalogueKey takes a catalogue's key apart; ok is false for another.
func splitCatalogueKey(key []byte) (tag chain.Hash, index uint64, ok bool) {
	if len(key) != catalogueKeySize || key[0] != prefixCatalogue {
		return tag, 0, false
	}
	return chain.Hash(key[1:]), binary.BigEndian.Uint64(key[1+len(tag):]), true
}

// checkCatalogue compares a row with the entry that it is of.
func (s *Source) checkCatalogue(key, value []byte) error {
	tag, index, ok := splitCatalogueKey(key)
	if !ok || len(value) != 0 {
		return fmt.Errorf("it has %d bytes", len(key)+len(value))
	}
	e, err := entryAt(s.db, index)
	if err != nil {
		return fmt.Errorf("entry %d, which it is of: %w", index, err)
	}
	if c, _, ok := (&chain.Leaf{Entry: e}).Catalogue(); !ok || !bytes.Equal(c.Workspace[:], tag[:]) {
		return fmt.Errorf("entry %d is no catalogue of that workspace", index)
	}
	return nil
}
