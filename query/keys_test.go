package query

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"annals/ledger"
	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
	"annals/ledger/proof"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/go-json-experiment/json"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// retire keeps the last checkpoint, as a signer does whose key goes.
func (s *signing) retire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.old = append(s.old, s.last)
}

func (s *signing) retired() [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.old)
}

// as has another key sign from now on, that of a name.
func (s *signing) as(name string) {
	s.t.Helper()
	seed := chaintest.Secret(name)
	id := strings.Split(s.vkey(name), "+")[1]
	signer, err := note.NewSigner("PRIVATE+KEY+" + s.origin + "+" + id + "+" + base64.StdEncoding.EncodeToString(append([]byte{1}, seed[:]...)))
	if err != nil {
		s.t.Fatal(err)
	}
	s.signer = signer
}

func (s *signing) vkey(name string) string {
	seed := chaintest.Secret(name)
	return proof.VKey(s.origin, 1, ed25519.NewKeyFromSeed(seed[:]).Public().(ed25519.PublicKey))
}

// keyed is a ledger of which one key after another signs the checkpoints.
type keyed struct {
	*served
	signs *signing
}

func serveKeyed(t *testing.T) *keyed {
	t.Helper()
	signs := newSigning(t)
	signs.as("checkpoint")
	o := signs.options()
	o.Retired = signs.retired
	s := &served{t: t, stream: chaintest.NewKeyed("query"), disk: vfs.NewMem()}
	var err error
	o.Ledger, err = ledger.Create("ledger", s.stream.Messages[0], s.stream.Messages[1], ledger.Options{FS: s.disk, CacheSize: 16 << 20})
	if err != nil {
		t.Fatal(err)
	}
	s.start(o)
	k := &keyed{s, signs}
	k.sign()
	return k
}

func (k *keyed) sign() {
	k.t.Helper()
	k.settle()
	k.signs.publish(k.api.o.Ledger)
}

// change puts the key of one name in the place of another's.
func (k *keyed) change(reason uint8, old, next string) {
	k.t.Helper()
	gone := chaintest.Signer(old)
	c := chain.KeyChange{
		Reason: reason, Removed: []chain.Hash{gone.Public(chain.RoleCheckpoint).ID()},
		Added: []chain.Key{chaintest.Signer(next).Public(chain.RoleCheckpoint)},
	}
	signers := []chain.Signer{k.stream.Root}
	if reason == chain.Rotation {
		signers = append(signers, gone)
	}
	k.stream.ChangeKeys(c, "", signers...)
	k.fill("ws", 5)
	k.signs.retire()
	k.signs.as(next)
	k.sign()
}

// keysAnswer is /keys, taken apart by nothing of ours but the entries' parser.
type keysAnswer struct {
	Origin string     `json:"origin"`
	Ledger chain.Hash `json:"ledger"`
	Keys   []struct {
		VKey      string     `json:"vkey"`
		ID        chain.Hash `json:"id"`
		Algorithm int        `json:"algorithm"`
		Public    []byte     `json:"public"`
		Roles     []string   `json:"roles"`
		From      uint64     `json:"from"`
		To        *uint64    `json:"to"`
	} `json:"keys"`
	Genesis     keyEntry   `json:"genesis"`
	Changes     []keyEntry `json:"changes"`
	Retired     []string   `json:"retired"`
	Consistency [][][]byte `json:"consistency"`
	Checkpoint  string     `json:"checkpoint"`
}

type keyEntry struct {
	Index int64    `json:"index"`
	Entry []byte   `json:"entry"`
	Proof [][]byte `json:"proof"`
}

func (k *keyed) answer() (a keysAnswer, raw []byte) {
	k.t.Helper()
	got := k.do("GET", "/keys")
	if got.status != 200 || got.header.Get("Cache-Control") != "no-cache" {
		k.t.Fatalf("%d %v %s", got.status, got.header, got.body)
	}
	if err := json.Unmarshal(got.body, &a, json.RejectUnknownMembers(true)); err != nil {
		k.t.Fatal(err)
	}
	return a, got.body
}

func toTlog(hashes [][]byte) (out []tlog.Hash) {
	for _, h := range hashes {
		out = append(out, tlog.Hash(h))
	}
	return out
}

// walkKeys follows a ledger's keys from the first one that there was to those that are
// in force, by what is proven alone: each change is in the tree and signed by the
// root key, or by the key that goes as well.
func walkKeys(a keysAnswer, first string) (trusted []string, err error) {
	size, root, err := head(a.Checkpoint)
	if err != nil {
		return nil, err
	}
	trusted = []string{first}
	for _, e := range append([]keyEntry{a.Genesis}, a.Changes...) {
		if err := tlog.CheckRecord(toTlog(e.Proof), size, root, e.Index, tlog.RecordHash(e.Entry)); err != nil {
			return nil, fmt.Errorf("entry %d: %w", e.Index, err)
		}
		entry, err := chain.ParseEntry(e.Entry)
		if err != nil {
			return nil, err
		}
		if e.Index == 0 {
			continue
		}
		control, err := entry.Control()
		if err != nil {
			return nil, err
		}
		change, err := chain.ParseKeyChange(control.Statement.Body)
		if err != nil {
			return nil, err
		}
		for _, id := range change.Removed {
			trusted = slices.DeleteFunc(trusted, func(v string) bool { return a.idOf(v) == id })
		}
		for _, key := range change.Added {
			trusted = append(trusted, proof.VKey(a.Origin, 1, key.Public))
		}
	}
	for i, old := range a.Retired {
		n, r, err := head(old)
		if err == nil {
			err = tlog.CheckTree(toTlog(a.Consistency[i]), size, root, n, r)
		}
		if err != nil {
			return nil, fmt.Errorf("retired %d: %w", i, err)
		}
	}
	v, err := note.NewVerifier(trusted[0])
	if err != nil {
		return nil, err
	}
	_, err = note.Open([]byte(a.Checkpoint), note.VerifierList(v))
	return trusted, err
}

func (a keysAnswer) idOf(vkey string) chain.Hash {
	for _, k := range a.Keys {
		if k.VKey == vkey {
			return k.ID
		}
	}
	return chain.Hash{}
}

func head(note string) (size int64, root tlog.Hash, err error) {
	lines := strings.Split(note, "\n")
	if len(lines) < 3 {
		return 0, root, fmt.Errorf("no checkpoint: %q", note)
	}
	if _, err = fmt.Sscan(lines[1], &size); err != nil {
		return 0, root, err
	}
	b, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(b) != len(root) {
		return 0, root, fmt.Errorf("root %q: %v", lines[2], err)
	}
	return size, tlog.Hash(b), nil
}

// TestKeys follows the keys through two rotations and a revocation, from scratch
// and with the package that auditors have.
func TestKeys(t *testing.T) {
	k := serveKeyed(t)
	vkeys := []string{k.signs.vkey("checkpoint"), k.signs.vkey("second"), k.signs.vkey("third"), k.signs.vkey("fourth")}
	check := func(now int) {
		t.Helper()
		a, raw := k.answer()
		trusted, err := walkKeys(a, vkeys[0])
		if err != nil || len(trusted) != 1 || trusted[0] != vkeys[now] {
			t.Errorf("the walk ends at %q: %v", trusted, err)
		}
		if len(a.Changes) != now || len(a.Retired) != now || len(a.Consistency) != now {
			t.Errorf("%d changes, %d retired", len(a.Changes), len(a.Retired))
		}
		h, err := proof.ParseKeyHistory(raw)
		if err != nil {
			t.Fatal(err)
		}
		for i, vkey := range vkeys[:now+1] { // whichever of them somebody knows
			if _, err := h.Verify(vkey); err != nil {
				t.Errorf("from key %d: %v", i, err)
			}
		}
		for i, vkey := range vkeys[now+1:] {
			if _, err := h.Verify(vkey); err == nil {
				t.Errorf("key %d is trusted before it was named", now+1+i)
			}
		}
	}
	check(0)
	k.change(chain.Rotation, "checkpoint", "second")
	check(1)
	k.change(chain.Rotation, "second", "third")
	check(2)
	k.change(chain.Revocation, "third", "fourth")
	check(3)
	k.fill("ws", 300)
	k.sign()
	check(3)
	k.served = k.restart()
	check(3)
}

// TestKeysAt: what the answer says is what was so at its checkpoint, though the
// ledger has gone on.
func TestKeysAt(t *testing.T) {
	k := serveKeyed(t)
	before, _ := k.answer()
	c := chain.KeyChange{
		Removed: []chain.Hash{chaintest.Signer("checkpoint").Public(chain.RoleCheckpoint).ID()},
		Added:   []chain.Key{chaintest.Signer("second").Public(chain.RoleCheckpoint)},
	}
	k.stream.ChangeKeys(c, "", k.stream.Root, chaintest.Signer("checkpoint"))
	k.settle()
	after, raw := k.answer()
	if len(after.Keys) != len(before.Keys) || len(after.Changes) != 0 {
		t.Errorf("%d keys and %d changes under a checkpoint from before them", len(after.Keys), len(after.Changes))
	}
	h, err := proof.ParseKeyHistory(raw)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Verify(k.signs.vkey("checkpoint")); err != nil {
		t.Error(err)
	}
	// Thresholds are a change too, of which no key tells.
	k.signs.retire()
	k.signs.as("second")
	k.stream.ChangeKeys(chain.KeyChange{Thresholds: []chain.Threshold{{Role: chain.RoleRoot, Keys: 1}}}, "", k.stream.Root)
	k.sign()
	if a, _ := k.answer(); len(a.Changes) != 2 || len(a.Retired) != 1 {
		t.Errorf("%d changes, %d retired", len(a.Changes), len(a.Retired))
	}
}

// TestKeysDamaged: a retired checkpoint that can't be read is no answer.
func TestKeysDamaged(t *testing.T) {
	k := serveKeyed(t)
	k.signs.old = append(k.signs.old, []byte("no note"))
	w := httptest.NewRecorder()
	k.api.ServeHTTP(w, httptest.NewRequest("GET", "/keys", nil))
	if w.Code != 500 {
		t.Errorf("%d", w.Code)
	}
}
