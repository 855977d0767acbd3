package keys

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"annals/ledger/chain"

	"golang.org/x/mod/sumdb/note"
)

func mustMake(t *testing.T, mldsa bool) *Folder {
	t.Helper()
	f, err := Make(t.TempDir(), mldsa)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// named is what a ledger that begins with a folder's keys names.
func named(f *Folder) []chain.KeySpan {
	g := chain.Genesis{Keys: f.Public()}
	return g.Roster().Spans()
}

func TestMakeOnce(t *testing.T) {
	first := mustMake(t, false)
	again, err := Make(first.Dir(), false)
	if err != nil {
		t.Fatal(err)
	}
	for i, k := range again.Public() {
		if k.ID() != first.Public()[i].ID() {
			t.Errorf("the key of %s was made over", k.Roles)
		}
	}
	if !again.Belongs(named(first)) {
		t.Error("a ledger's own keys pass for another's")
	}
	if mustMake(t, false).Belongs(named(first)) {
		t.Error("another ledger's keys pass for this one's")
	}
	roles := []string{}
	for _, k := range first.Public() {
		roles = append(roles, k.Roles.String())
	}
	if got := strings.Join(roles, " "); got != "root ledger operator checkpoint heads" {
		t.Errorf("a genesis names %s", got)
	}
	// The root key alone makes nobody a ledger's.
	for _, name := range []string{"ledger", "operator", "checkpoint", "heads"} {
		if err := os.Remove(filepath.Join(first.Dir(), name)); err != nil {
			t.Fatal(err)
		}
	}
	bare, err := Load(first.Dir())
	if err != nil {
		t.Fatal(err)
	}
	if bare.Belongs(named(again)) {
		t.Error("the root key passes for the ledger's own")
	}
}

// TestWithoutRoot: the root key may be taken off the machine.
func TestWithoutRoot(t *testing.T) {
	f := mustMake(t, false)
	spans := named(f)
	elsewhere := filepath.Join(t.TempDir(), "root")
	if err := os.Rename(filepath.Join(f.Dir(), "root"), elsewhere); err != nil {
		t.Fatal(err)
	}
	f, err := Load(f.Dir())
	if err != nil {
		t.Fatal(err)
	}
	for _, role := range []chain.Role{chain.RoleLedger, chain.RoleCheckpoint, chain.RoleHeads, chain.RoleOperator} {
		if _, err := f.InForce(spans, role, 1); err != nil {
			t.Errorf("%s: %v", role, err)
		}
	}
	if _, err := f.First(chain.RoleRoot); err == nil || !strings.Contains(err.Error(), "missing") {
		t.Errorf("the root key that is elsewhere: %v", err)
	}
	p, err := Open(elsewhere, chain.RoleRoot)
	if err != nil || p.Key().ID() != spans[0].ID() {
		t.Errorf("the root key from elsewhere: %v, %v", p, err)
	}
}

// TestInForce: which key signs is for the ledger to say.
func TestInForce(t *testing.T) {
	f := mustMake(t, false)
	spans := named(f)
	old := spans[3].ID()
	// Loaded before the new key was made, as a running server has.
	next, err := Add(f.Dir(), chain.RoleCheckpoint, chain.AlgorithmEd25519)
	if err != nil {
		t.Fatal(err)
	}
	spans[3].To = 8
	spans = append(spans, chain.KeySpan{Key: next.Key(), From: 8, To: math.MaxUint64})
	for size, want := range map[uint64]chain.Hash{1: old, 7: old, 8: next.Key().ID(), 9: next.Key().ID()} {
		got, err := f.InForce(spans, chain.RoleCheckpoint, size)
		if err != nil || len(got) != 1 || got[0].Key().ID() != want {
			t.Errorf("at size %d: %v, %v; want %s", size, got, err, want)
		}
	}
	if _, err := f.InForce(spans, chain.RoleCheckpoint, 0); err == nil {
		t.Error("a key is in force for no entries")
	}
	if err := os.Remove(filepath.Join(f.Dir(), next.File)); err != nil {
		t.Fatal(err)
	}
	f, err = Load(f.Dir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.InForce(spans, chain.RoleCheckpoint, 8); !errors.Is(err, ErrNotHeld) || !strings.Contains(err.Error(), next.Key().ID().String()) {
		t.Errorf("the key that is missing is not named: %v", err)
	}
	if _, err := f.InForce(spans[:1], chain.RoleCheckpoint, 8); err == nil {
		t.Error("a ledger that names no checkpoint key has one in force")
	}
}

// TestAddBeside: a later key has a file of its own, and never another's.
func TestAddBeside(t *testing.T) {
	f := mustMake(t, true)
	before := f.Public()
	seen := map[string]bool{}
	for range 3 {
		for _, algorithm := range []uint8{chain.AlgorithmEd25519, chain.AlgorithmMLDSA44} {
			p, err := Add(f.Dir(), chain.RoleCheckpoint, algorithm)
			if err != nil {
				t.Fatal(err)
			}
			info, err := os.Stat(filepath.Join(f.Dir(), p.File))
			if err != nil || info.Mode().Perm() != 0o600 || seen[p.File] || p.Algorithm != algorithm {
				t.Errorf("%s: %v, %v", p.File, info, err)
			}
			seen[p.File] = true
		}
	}
	again, err := Load(f.Dir())
	if err != nil {
		t.Fatal(err)
	}
	if len(again.List()) != len(before)+6 {
		t.Errorf("%d keys", len(again.List()))
	}
	if !slices.EqualFunc(again.Public(), before, func(a, b chain.Key) bool { return a.ID() == b.ID() }) {
		t.Error("what a genesis names has changed")
	}
	if _, err := Add(f.Dir(), chain.RoleLedger, chain.AlgorithmMLDSA44); err == nil {
		t.Error("an ML-DSA-44 key for control statements")
	}
}

func TestLoadRefuses(t *testing.T) {
	if _, err := Load(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("loaded keys that aren't there")
	}
	f := mustMake(t, false)
	if got := f.Exposed(); got != nil {
		t.Errorf("exposed as made: %v", got)
	}
	path := filepath.Join(f.Dir(), "ledger")
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if got := f.Exposed(); len(got) != 1 || got[0] != path {
		t.Errorf("exposed: %v", got)
	}
	for _, other := range []string{"stream.json", "LOCK", ".writing-1", "ledger.bak", "ledger-0123", "ledger-0123456789ABCDEF"} {
		if err := os.WriteFile(filepath.Join(f.Dir(), other), []byte("no key"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Load(f.Dir()); err != nil {
		t.Errorf("what is no key is in the way: %v", err)
	}
	if err := os.Truncate(path, 31); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(f.Dir()); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a key that was cut short: %v", err)
	}
}

// TestNote: what each kind of key signs, the verifier that it prints opens.
func TestNote(t *testing.T) {
	f := mustMake(t, true)
	const name = "annals.example/keys"
	text := name + "\n3\n" + "zXL2cWcU1sBhNx8x7rSZxtCCSlotuoE8/EQReUsREHg=\n"
	for _, p := range f.List() {
		s, err := p.Note(name)
		if err != nil {
			t.Fatal(err)
		}
		signed, err := note.Sign(&note.Note{Text: text}, s)
		if err != nil {
			t.Fatal(err)
		}
		for _, other := range f.List() {
			if other.Signed(name, signed) != (other.File == p.File) {
				t.Errorf("signed by %s, it opens by %s: %v", p.File, other.File, other.File != p.File)
			}
		}
		if p.Signed("annals.example/other", signed) {
			t.Errorf("%s: another name verifies", p.File)
		}
		signed[3]++
		if p.Signed(name, signed) {
			t.Errorf("%s: another text verifies", p.File)
		}
	}
}

// TestPrintsNoSecret: a key that is printed by mistake is printed as its public half.
func TestPrintsNoSecret(t *testing.T) {
	f := mustMake(t, true)
	for _, p := range f.List() {
		seed, err := os.ReadFile(filepath.Join(f.Dir(), p.File))
		if err != nil {
			t.Fatal(err)
		}
		printed := fmt.Sprintf("%v %+v %#v %s", p, p, p, p)
		for _, form := range []string{string(seed), fmt.Sprintf("%x", seed), strings.Trim(fmt.Sprint(seed), "[]")} {
			if bytes.Contains([]byte(printed), []byte(form)) {
				t.Errorf("%s prints its secret", p.File)
			}
		}
	}
}
