package access

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Scopes is a set of what may be done.
type Scopes uint8

// The scopes. None implies another.
const (
	Record Scopes = 1 << iota // record activity
	Read                      // timelines, records, counts, the live tail, receipts
	Audit                     // a workspace's chain; of all workspaces: tiles, metrics
	Erase                     // ask for the erasure of what was published
	Admin                     // mint and revoke tokens; of all workspaces: control messages, rebuilds
)

// scopeNames in the order of the bits.
var scopeNames = [...]string{"record", "read", "audit", "erase", "admin"}

// All is every scope.
const All = Record | Read | Audit | Erase | Admin

// ParseScopes reads names of scopes.
func ParseScopes(names []string) (s Scopes, err error) {
	for _, name := range names {
		i := slices.Index(scopeNames[:], name)
		if i < 0 {
			return 0, fmt.Errorf("%q is no scope; there are %s", name, strings.Join(scopeNames[:], ", "))
		}
		s |= 1 << i
	}
	if s == 0 {
		return 0, errors.New("name at least one scope: " + strings.Join(scopeNames[:], ", "))
	}
	return s, nil
}

// Names are the set's members, in the order of the constants.
func (s Scopes) Names() []string {
	names := []string{}
	for i, name := range scopeNames {
		if s&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

func (s Scopes) String() string { return strings.Join(s.Names(), ", ") }

// Where something may be done, besides a workspace by its name.
const (
	// Everywhere is the whole ledger: only who may do it in all workspaces.
	Everywhere = "*"
	// Anywhere is no workspace in particular: what shows nothing of one.
	Anywhere = ""
)

// System is the workspace of what belongs to none. Who names all workspaces names
// it too.
const System = "_system"

// Workspaces are the workspaces that a token names: all of them, or a list.
type Workspaces struct {
	all   bool
	names []string // sorted
}

// MaxWorkspaces is how many workspaces a token may name one by one.
const MaxWorkspaces = 1000

// ParseWorkspaces reads names of workspaces; "*" alone is all of them.
func ParseWorkspaces(names []string) (w Workspaces, err error) {
	switch {
	case len(names) == 1 && names[0] == Everywhere:
		return Workspaces{all: true}, nil
	case len(names) == 0:
		return w, errors.New("name at least one workspace, or * for all of them")
	case len(names) > MaxWorkspaces:
		return w, fmt.Errorf("a token names %d workspaces at most, or * for all of them", MaxWorkspaces)
	}
	for _, name := range names {
		if !validWorkspace(name) {
			return w, fmt.Errorf("%q is no workspace: a name is 1 to 64 of A-Z a-z 0-9 _ -, not beginning with _ except for %s; * alone is all of them", name, System)
		}
	}
	w.names = slices.Clone(names)
	slices.Sort(w.names)
	w.names = slices.Compact(w.names)
	return w, nil
}

// validWorkspace is the rule of subjects (docs/format/messages.md), and the system.
func validWorkspace(name string) bool {
	if name == System {
		return true
	}
	if name == "" || len(name) > 64 || name[0] == '_' {
		return false
	}
	return strings.IndexFunc(name, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_' || r == '-')
	}) < 0
}

// Names are the workspaces as [ParseWorkspaces] reads them.
func (w Workspaces) Names() []string {
	if w.all {
		return []string{Everywhere}
	}
	return slices.Clone(w.names)
}

func (w Workspaces) String() string { return strings.Join(w.Names(), ", ") }

// Name reports whether a workspace is named; [Everywhere] is, where all are, and
// [Anywhere] always.
func (w Workspaces) Name(workspace string) bool {
	if w.all || workspace == Anywhere {
		return true
	}
	_, found := slices.BinarySearch(w.names, workspace)
	return found
}

// and returns the workspaces that one of two names.
func (w Workspaces) and(other Workspaces) Workspaces {
	switch {
	case w.all || other.all:
		return Workspaces{all: true}
	case w.names == nil:
		return other
	}
	names := slices.Concat(w.names, other.names)
	slices.Sort(names)
	return Workspaces{names: slices.Compact(names)}
}

// Cover reports whether every workspace that other names is named.
func (w Workspaces) Cover(other Workspaces) bool {
	if w.all || other.all {
		return w.all
	}
	return !slices.ContainsFunc(other.names, func(n string) bool { return !w.Name(n) })
}
