package projections

import (
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"annals/internal/disk/disktest"
	"annals/ledger/chain"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// erase adds an entry that erases entries of a workspace, and forgets their payloads
// as a ledger does.
func (m *model) erase(workspace string, indexes []uint64) {
	tag := tagOf(workspace)
	gone := &chain.Gone{Workspace: tag}
	for i := range m.leaves.leaves {
		e := &m.leaves.leaves[i].Entry
		if e.Workspace != tag || !slices.Contains(indexes, e.Index) && (e.Kind != chain.KindDuplicate || !slices.Contains(indexes, e.Ref)) {
			continue
		}
		gone.Indexes = append(gone.Indexes, e.Index)
		gone.Millis = append(gone.Millis, e.ULID.Time())
		m.leaves.leaves[i].Payload, m.leaves.leaves[i].Original, m.leaves.leaves[i].Keys = nil, nil, nil
		f := &m.facts[i]
		for field := range f.values {
			if Field(field) != FieldKind && Field(field) != FieldGrade && Field(field) != FieldAmends {
				f.values[field] = nil
			}
		}
		f.occurred = f.ms * 1e6
	}
	f := fact{tag: chain.Hash{}, kind: chain.KindControl, ms: millis(m.size())}
	f.occurred = f.ms * 1e6
	f.say(FieldKind, Value{A: chain.KindControl.String()})
	f.say(FieldGrade, Value{A: chain.GradeNone.String()})
	m.of[f.tag] = append(m.of[f.tag], m.size())
	m.facts = append(m.facts, f)
	index := m.add(spec{kind: chain.KindControl})
	m.leaves.leaves[index].Gone = gone
}

// eraseSome erases about a third of a workspace's entries.
func (m *model) eraseSome(rng *rand.Rand) {
	workspace := pick(rng, short.workspaces)
	var some []uint64
	for _, index := range m.of[tagOf(workspace)] {
		if rng.IntN(3) == 0 && m.facts[index].kind != chain.KindControl && m.facts[index].kind != chain.KindGap {
			some = append(some, index)
		}
	}
	m.erase(workspace, some)
}

// TestErased: projections that followed a ledger with erasures in it, over restarts,
// answer as the model does, and hold row for row what a fold of the ledger as it is
// then gives; whether they had folded what was erased, or found it gone.
func TestErased(t *testing.T) {
	ledgers := uint64(40)
	if testing.Short() {
		ledgers = 8
	}
	for seed := range ledgers {
		rng := rand.New(rand.NewPCG(seed, 71))
		m, fs := newModel(), vfs.NewMem()
		o := small(fs)
		o.flush = 1 << rng.IntN(9)
		o.eraBits = 0
		if seed%2 == 0 {
			o.eraBits = 1
		}
		l, err := OpenLive("projections", m.ledger, o)
		check(t, err)
		erased := uint64(0) // what has to be folded for the last erasure to be
		for range 1 + rng.IntN(5) {
			m.grow(rng, 1+rng.IntN(400), &short)
			at, _ := l.Cursor()
			// What isn't folded yet is found gone.
			to := m.size() - min(m.size()-at, rng.Uint64N(60))
			check(t, l.Fold(m.from(at, to)))
			// Before an erasure is folded the indexes find what the model knows to be gone.
			if rng.IntN(3) == 0 && to >= erased {
				v, err := l.View() // which remembers counts of what is then erased
				check(t, err)
				check(t, m.check(v, rng, &short, 20))
				check(t, v.Close())
			}
			m.eraseSome(rng)
			erased = m.size()
			switch rng.IntN(4) {
			case 0:
				check(t, l.Close())
				l, err = OpenLive("projections", m.ledger, o)
				check(t, err)
			case 1:
				at, _ := l.Cursor()
				check(t, l.Fold(m.from(at, m.size())))
				check(t, l.Rebuild(t.Context(), m.reading, m.size, nil))
			}
		}
		at, _ := l.Cursor()
		check(t, l.Fold(m.from(at, m.size())))
		v, err := l.View()
		check(t, err)
		check(t, m.check(v, rng, &short, 60))
		check(t, v.Close())
		check(t, l.Close())
		found, _ := checked(t, m.leaves, o)
		for _, f := range found {
			t.Errorf("ledger %d: %s", seed, &f)
		}
	}
}

// TestErasedFiles: when an erasure is folded, no file of the projections holds a value
// that only erased records had.
func TestErasedFiles(t *testing.T) {
	m, fs := newModel(), vfs.NewMem()
	// Of a value that is longer than a key may hold, the key has a digest.
	long := func(user string) string { return strings.Repeat("long", maxValue) + user }
	record := func(user string) uint64 {
		return m.add(spec{
			kind: chain.KindRecord, workspace: "w", subject: "activity.w.app.renamed",
			body: []byte(`{"actor":{"id":"` + user + `"},"object":{"type":"app","id":"of ` + user + `"},"linked":[{"type":"` + long(user) +
				`","id":"1"}],"context":{"session_id":"` + user + `"},"dimensions":{"d":"` + user + `"}}`),
		})
	}
	digest := func(user string) string {
		d := sha256.Sum256([]byte(long(user)))
		return string(d[:])
	}
	var gone []uint64
	for i := range 3000 {
		index := record(idOf(i % 100))
		if i%100 == 42 {
			gone = append(gone, index)
		}
	}
	o := small(fs)
	l, err := OpenLive("projections", m.ledger, o)
	check(t, err)
	check(t, l.Fold(m.all()))
	check(t, l.Close())
	l, err = OpenLive("projections", m.ledger, o)
	check(t, err)
	defer func() { check(t, l.Close()) }()
	if len(grep(t, fs, "projections", idOf(42))) == 0 || len(grep(t, fs, "projections", digest(idOf(42)))) == 0 {
		t.Fatal("the user is in no file before the erasure: the search finds nothing")
	}
	millisOf := make([]uint64, len(gone))
	for i, index := range gone {
		millisOf[i] = uint64(millis(index))
	}
	index := m.add(spec{kind: chain.KindControl})
	m.leaves.leaves[index].Gone = &chain.Gone{Workspace: tagOf("w"), Indexes: gone, Millis: millisOf}
	check(t, l.Fold(m.from(index, index+1)))
	check(t, l.Scrubbed(t.Context(), index))
	for _, text := range []string{idOf(42), digest(idOf(42))} {
		if found := grep(t, fs, "projections", text); len(found) > 0 {
			t.Errorf("%.64q of the erased user stands in %v", text, found)
		}
	}
	if len(grep(t, fs, "projections", idOf(41))) == 0 {
		t.Error("a user whom nobody erased is gone")
	}
}

// idOf is a user's id.
func idOf(n int) string {
	digest := sha256.Sum256([]byte{byte(n)})
	return hex.EncodeToString(digest[:])
}

// grep returns the files below a folder that hold text, compressed or not.
func grep(t *testing.T, fs vfs.FS, dir, text string) []string {
	t.Helper()
	found, err := disktest.Holding(fs, dir, text)
	check(t, err)
	return found
}
