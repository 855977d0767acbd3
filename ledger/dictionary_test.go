package ledger_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"annals/ledger"
	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
)

// rightGuess is the one thing that whoever guesses doesn't know: six digits.
const rightGuess = 271_828

const beforeDigits = "her number is 555 "

func numbered(n int) string { return fmt.Sprintf("%s%06d", beforeDigits, n) }

// guesser knows all of an erased record but six digits, and reads every file.
type guesser struct {
	ledger  chain.Hash
	entry   chain.Entry
	payload chain.Payload // of the record, with some number
	at      int           // where the digits begin in the body
	// What it reads: 32 bytes from anywhere, the seeds that are left, the workspace key.
	there map[chain.Hash]bool
	salts []chain.Hash
	key   [sha256.Size]byte
}

// read takes in what is stored, in keys and values.
func (g *guesser) read(stored map[string]string) {
	g.there, g.key = map[chain.Hash]bool{}, chaintest.WorkspaceKey()
	g.salts = []chain.Hash{{}, chain.Hash(g.key), g.ledger, g.entry.Workspace, g.entry.Commitment}
	for key, value := range stored {
		if key[0] == 's' && len(key) == 1+4 {
			g.salts = append(g.salts, chain.Salt([32]byte([]byte(value)), g.ledger, g.entry.Epoch, g.entry.Sequence, g.entry.Place))
		}
		for _, b := range []string{key, value} {
			for at := 0; at+32 <= len(b); at++ {
				g.there[chain.Hash([]byte(b[at:at+32]))] = true
			}
		}
	}
}

// guess returns the numbers from up to, not including, to that something which is
// there confirms, by hash, by the workspace's key, or as a commitment.
func (g *guesser) guess(from, to int) (confirmed []int) {
	p := g.payload
	p.Body = bytes.Clone(p.Body)
	keyed := hmac.New(sha256.New, g.key[:])
	var text, leaf []byte
	scratch := make([]byte, 0, 4<<10)
	var tries []chain.Hash
	for n := from; n < to; n++ {
		text = fmt.Appendf(text[:0], "%s%06d", beforeDigits, n)
		digits := text[len(beforeDigits):]
		copy(p.Body[g.at:], digits)
		leaf = append(append(leaf[:0], 0), p.Body...)
		keyed.Reset()
		keyed.Write(p.Body)
		tries = append(tries[:0], sha256.Sum256(p.Body), sha256.Sum256(leaf), sha256.Sum256(text), sha256.Sum256(digits), chain.Hash{})
		keyed.Sum(tries[len(tries)-1][:0])
		for _, salt := range g.salts {
			p.Salt = salt
			if h, ok := p.CommitmentIn(scratch, &g.ledger, &g.entry, nil); ok {
				tries = append(tries, h)
			}
		}
		if slices.ContainsFunc(tries, func(h chain.Hash) bool { return g.there[h] }) {
			confirmed = append(confirmed, n)
		}
	}
	return confirmed
}

// all guesses every number below n, on all processors.
func (g *guesser) all(n int) (confirmed []int) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	parts := runtime.GOMAXPROCS(0)
	for part := range parts {
		wg.Go(func() {
			found := g.guess(n*part/parts, n*(part+1)/parts)
			mu.Lock()
			defer mu.Unlock()
			confirmed = append(confirmed, found...)
		})
	}
	wg.Wait()
	slices.Sort(confirmed)
	return confirmed
}

// TestEraseMillionGuesses: who knows all of an erased record but six digits, and reads
// all that is left of the ledger, keys and seeds included, finds a million guesses as
// good as one another: no commitment, leaf, key or row confirms one. Before the record
// is erased, and while its seed is there, the same search finds the right one.
func TestEraseMillionGuesses(t *testing.T) {
	guesses := 1_000_000
	if testing.Short() {
		guesses = 30_000
	}
	s := chaintest.NewKeyed("a million")
	record := func(id string, n int) { s.Record("ws_7", id, fmt.Sprintf("%q", numbered(n))) }
	record("dana", rightGuess) // entry 2
	record("erin", 1)
	record("dana", rightGuess)     // a duplicate, entry 4
	record("dana", rightGuess+100) // a conflict, entry 5
	s.Seed()
	record("carl", 2)
	before := len(s.Messages)
	fold(t, s).erase(t, 2, 5)
	record("dana", rightGuess) // not compared, and nothing of it is kept
	erased := len(s.Messages)
	l := fold(t, s)
	root, sequence := l.At(l.State.Size)
	s.Trim(l.State.Size, root, sequence-1, map[string]uint64{"a": sequence})
	record("last", 3)

	g := &guesser{ledger: s.ID, entry: l.Entries[2].Entry}
	m := &s.Messages[2]
	g.payload = chain.Payload{Envelope: chain.Envelope(m.Subject, m.Header), Body: m.Body}
	g.at = bytes.Index(m.Body, fmt.Appendf(nil, "%06d", rightGuess))
	for until, what := range map[int]string{before: "before it is erased", erased: "while its seed is there", len(s.Messages): "erased and trimmed"} {
		g.read(scrubbedAfter(t, s, until))
		if len(g.there) < 1000 {
			t.Fatalf("%s: %d values are there: the search reads nothing", what, len(g.there))
		}
		if until < len(s.Messages) {
			if found := g.guess(rightGuess-500, rightGuess+500); !slices.Equal(found, []int{rightGuess}) {
				t.Errorf("%s: confirmed are %v: the guesses test nothing", what, found)
			}
			continue
		}
		// The right one is among the guesses, also of fewer.
		if found := append(g.all(guesses), g.guess(rightGuess, rightGuess+1)...); len(found) > 0 {
			t.Errorf("%s: of %d guesses are confirmed %v", what, guesses, found)
		}
		for name, kept := range map[string]chain.Hash{
			"a plain hash": sha256.Sum256(m.Body), "a hash of what she said": sha256.Sum256([]byte(numbered(rightGuess))),
		} {
			g.there[kept] = true
			if found := g.guess(rightGuess-5, rightGuess+5); !slices.Equal(found, []int{rightGuess}) {
				t.Errorf("%s left behind confirms %v: the guesses test nothing", name, found)
			}
			delete(g.there, kept)
		}
	}
}

// scrubbedAfter returns what a ledger stores that has folded some of a stream, with its
// files scrubbed.
func scrubbedAfter(t *testing.T, s *chaintest.Stream, messages int) map[string]string {
	t.Helper()
	fs := vfs.NewMem()
	l := create(t, s, ledger.Options{FS: fs})
	err := errors.Join(l.Append(t.Context(), s.Messages[2:messages]), l.Flush(t.Context()))
	if err == nil {
		owed, failed := l.Unscrubbed()
		err = errors.Join(failed, l.Scrub(t.Context(), owed), l.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	return keyspace(t, fs, "ledger")
}
