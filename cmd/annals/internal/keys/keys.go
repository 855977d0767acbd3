// Package keys keeps the ledger's private keys in files.
//
// The rule it exists for: a key that has signed is never written over, because
// the ledger names it for ever and it can't be made again. A file is 32 random
// bytes, mode 0600: the seed of an Ed25519 key (RFC 8032, 5.1.5) or, where the
// name says so, of an ML-DSA-44 key (FIPS 204, 5.1). The key that takes another's
// place comes into a file of its own beside it, named by its id too. Which of them
// signs is not for the folder to say: the ledger says which keys are in force, and
// the folder whether it holds them.
//
// The workspace key is not among them: it travels in the genesis and stands in the
// ledger. The root key may be taken off the machine: only a change of keys needs it.
package keys

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"annals/cmd/annals/internal/durable"
	"annals/ledger/chain"
)

// kind is what a file's name says of the key in it.
type kind struct {
	name      string
	role      chain.Role
	algorithm uint8
}

// kinds are the files that a ledger begins with, in the order in which its genesis
// names their keys.
func kinds() []kind {
	return []kind{
		{"root", chain.RoleRoot, chain.AlgorithmEd25519},
		{"ledger", chain.RoleLedger, chain.AlgorithmEd25519},
		{"operator", chain.RoleOperator, chain.AlgorithmEd25519},
		{"checkpoint", chain.RoleCheckpoint, chain.AlgorithmEd25519},
		{"heads", chain.RoleHeads, chain.AlgorithmEd25519},
		{"checkpoint-mldsa44", chain.RoleCheckpoint, chain.AlgorithmMLDSA44},
	}
}

// later ends the name of a file whose key took another's place: with the first
// half of its id.
var later = regexp.MustCompile(`-[0-9a-f]{16}$`)

// kindOf returns what a file's name says; ok is false for what is no key's.
func kindOf(file string) (k kind, first, ok bool) {
	name := later.ReplaceAllString(file, "")
	all := kinds()
	i := slices.IndexFunc(all, func(k kind) bool { return k.name == name })
	if i < 0 {
		return k, false, false
	}
	return all[i], name == file, true
}

// Folder is a folder of private keys.
type Folder struct {
	dir string

	mu   sync.Mutex
	held []Private // sorted by file
}

// Make makes the keys that a ledger begins with and that are not there yet, and
// loads them all. mldsa asks for an ML-DSA-44 key besides, which signs checkpoints
// on a second line.
func Make(dir string, mldsa bool) (*Folder, error) {
	for _, k := range kinds() {
		if k.algorithm == chain.AlgorithmMLDSA44 && !mldsa {
			continue
		}
		seed, err := newSeed()
		if err != nil {
			return nil, err
		}
		err = durable.New(filepath.Join(dir, k.name), seed)
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
	}
	return Load(dir)
}

func newSeed() ([]byte, error) {
	seed := make([]byte, seedSize)
	_, err := rand.Read(seed)
	return seed, err
}

// Add makes a key that is to take another's place, in a file of its own. role is
// one role.
func Add(dir string, role chain.Role, algorithm uint8) (Private, error) {
	all := kinds()
	i := slices.IndexFunc(all, func(k kind) bool { return k.role == role && k.algorithm == algorithm })
	if i < 0 {
		return Private{}, fmt.Errorf("no key of algorithm %d has the role %s", algorithm, role)
	}
	seed, err := newSeed()
	if err != nil {
		return Private{}, err
	}
	p, err := newPrivate("", all[i], seed)
	if err != nil {
		return Private{}, err
	}
	p.File = all[i].name + "-" + p.Key().ID().String()[:16]
	return p, durable.New(filepath.Join(dir, p.File), seed)
}

// Load loads every key in a folder. None of them has to be there: what the ledger
// needs, [Folder.Signer] misses.
func Load(dir string) (*Folder, error) {
	f := &Folder{dir: dir}
	return f, f.load()
}

func (f *Folder) load() error {
	names, err := os.ReadDir(f.dir) // sorted
	if err != nil {
		return fmt.Errorf("the keys can't be read: %w", err)
	}
	var held []Private
	for _, entry := range names {
		k, _, ok := kindOf(entry.Name())
		if !ok || entry.IsDir() {
			continue
		}
		p, err := read(filepath.Join(f.dir, entry.Name()), k)
		if err != nil {
			return err
		}
		held = append(held, p)
	}
	f.mu.Lock()
	f.held = held
	f.mu.Unlock()
	return nil
}

// Open loads one key from a file outside the folder, such as a root key that is
// kept elsewhere. role is what it is to be.
func Open(path string, role chain.Role) (Private, error) {
	return read(path, kind{role: role, algorithm: chain.AlgorithmEd25519})
}

func read(path string, k kind) (Private, error) {
	seed, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Private{}, fmt.Errorf("the key %s is missing; bring it back from a backup: it can't be made again", path)
	}
	if err != nil {
		return Private{}, err
	}
	if bytes.HasPrefix(seed, []byte(ageHeader)) {
		return Private{}, fmt.Errorf("the key %s is encrypted, and `annals sign` alone opens such a key: have what is to be signed written by --propose FILE", path)
	}
	p, err := newPrivate(filepath.Base(path), k, seed)
	if err != nil {
		return p, fmt.Errorf("the key %s is damaged; bring it back from a backup: %w", path, err)
	}
	return p, nil
}

// Dir is the folder's path.
func (f *Folder) Dir() string { return f.dir }

// List returns the keys that are held, sorted by file.
func (f *Folder) List() []Private {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.held)
}

// First returns the key that a ledger begins with in a role; the error says that
// its file is missing.
func (f *Folder) First(role chain.Role) (chain.Signer, error) {
	for _, p := range f.List() {
		if k, first, _ := kindOf(p.File); first && k.role == role && k.algorithm == chain.AlgorithmEd25519 {
			return p.signer, nil
		}
	}
	return chain.Signer{}, fmt.Errorf("the key %s is missing; bring it back from a backup: it can't be made again", filepath.Join(f.dir, role.String()))
}

// Public returns the keys that a ledger begins with, as its genesis names them.
func (f *Folder) Public() (out []chain.Key) {
	held := f.List()
	for _, k := range kinds() {
		if i := slices.IndexFunc(held, func(p Private) bool { return p.File == k.name }); i >= 0 {
			out = append(out, held[i].Key())
		}
	}
	return out
}

// Belongs reports whether one of the keys is one that the ledger ever named in a
// role in which it signs by itself.
func (f *Folder) Belongs(named []chain.KeySpan) bool {
	held := f.List()
	return slices.ContainsFunc(named, func(s chain.KeySpan) bool {
		return s.Roles&^chain.RoleRoot != 0 && slices.ContainsFunc(held, func(p Private) bool { return p.Key().ID() == s.ID() })
	})
}

// ErrNotHeld says that the folder lacks the private key of one that is in force.
var ErrNotHeld = errors.New("a key in force is not at hand")

// InForce returns the private keys that the ledger says are in force in a role at
// a size, in its order. Where none of the role's Ed25519 keys is at hand the error
// wraps [ErrNotHeld] and names what is missing. A key that came into the folder since it was loaded is
// found: that is how a running server gets the key that takes another's place.
func (f *Folder) InForce(named []chain.KeySpan, role chain.Role, size uint64) ([]Private, error) {
	found, missing := f.inForce(named, role, size)
	if len(missing) > 0 {
		if err := f.load(); err != nil {
			return nil, err
		}
		found, missing = f.inForce(named, role, size)
	}
	if slices.ContainsFunc(found, func(p Private) bool { return p.Algorithm == chain.AlgorithmEd25519 }) {
		return found, nil
	}
	if len(missing) == 0 {
		return nil, fmt.Errorf("the ledger names no key that has the role %s; add one with `annals keys rotate --role %s`", role, role)
	}
	return nil, fmt.Errorf("%w: no key in %s is in force for the role %s: the ledger names %s; put its file back there, or take it out of force with `annals keys revoke`",
		ErrNotHeld, f.dir, role, strings.Join(missing, ", "))
}

func (f *Folder) inForce(named []chain.KeySpan, role chain.Role, size uint64) (found []Private, missing []string) {
	held := f.List()
	for i := range named {
		s := &named[i]
		if s.Roles&role == 0 || !s.InForce(size) {
			continue
		}
		id := s.ID()
		if at := slices.IndexFunc(held, func(p Private) bool { return p.Key().ID() == id }); at >= 0 {
			found = append(found, held[at])
			continue
		}
		missing = append(missing, id.String())
	}
	return found, missing
}

// Signer returns the key that signs in a role from a state on.
func (f *Folder) Signer(s *chain.State, role chain.Role) (chain.Signer, error) {
	found, err := f.InForce(s.Keys(), role, s.Size)
	if err != nil {
		return chain.Signer{}, err
	}
	i := slices.IndexFunc(found, func(p Private) bool { return p.Algorithm == chain.AlgorithmEd25519 })
	return found[i].signer, nil
}

// Exposed names the key files that others than their owner may read.
func (f *Folder) Exposed() (paths []string) {
	for _, p := range f.List() {
		path := filepath.Join(f.dir, p.File)
		if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
			paths = append(paths, path)
		}
	}
	return paths
}
