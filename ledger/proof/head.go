package proof

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"annals/ledger/chain"
)

// WorkspaceHead says where a workspace's chain ends in the tree of a size. Signed
// by a key in role [chain.RoleHeads] it binds the ledger: between two marks it is
// what a tenant's history is complete up to.
//
// A workspace without entries has no head.
type WorkspaceHead struct {
	Origin string     // the ledger's name
	Tag    chain.Hash // the workspace's pseudonym
	Count  uint64     // entries in its chain
	Index  uint64     // of the last of them
	Leaf   chain.Hash // of the last of them
	Size   uint64     // entries in the tree that it speaks of
	Note   []byte     // the signed note, as it was read
}

// ErrHead marks bytes that are no workspace head.
var ErrHead = errors.New("no workspace head")

// headDomain is the first line of a head's text. No origin reads so, so a head is
// never taken for a checkpoint, nor the other way round.
const headDomain = "annals/workspace-head/v1"

// Text is what a head's signature signs: seven lines.
func (h *WorkspaceHead) Text() string {
	return fmt.Sprintf("%s\n%s\n%s\n%d\n%d\n%s\n%d\n", headDomain, h.Origin,
		base64.StdEncoding.EncodeToString(h.Tag[:]), h.Count, h.Index,
		base64.StdEncoding.EncodeToString(h.Leaf[:]), h.Size)
}

// ParseWorkspaceHead reads a signed head and believes nothing: no signature is
// checked. It takes exactly what [WorkspaceHead.Text] prints, and numbers that a
// chain can have. Errors wrap [ErrHead].
func ParseWorkspaceHead(note []byte) (WorkspaceHead, error) {
	h := WorkspaceHead{Note: note}
	bad := func(format string, args ...any) (WorkspaceHead, error) {
		return WorkspaceHead{}, fmt.Errorf("proof: %w: %s", ErrHead, fmt.Sprintf(format, args...))
	}
	text, err := noteText(note)
	if err != nil {
		return WorkspaceHead{}, fmt.Errorf("proof: %w: %w", ErrHead, err)
	}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) != 7 || lines[0] != headDomain || lines[1] == "" {
		return bad("its text is not the seven lines that begin with %s", headDomain)
	}
	h.Origin = lines[1]
	for _, f := range []struct {
		name, line string
		into       *chain.Hash
	}{{"tag", lines[2], &h.Tag}, {"leaf", lines[5], &h.Leaf}} {
		b, err := base64.StdEncoding.Strict().DecodeString(f.line)
		if err != nil || len(b) != len(f.into) {
			return bad("the %s %q is not 32 bytes in base64", f.name, f.line)
		}
		*f.into = chain.Hash(b)
	}
	for _, f := range []struct {
		name, line string
		into       *uint64
	}{{"count", lines[3], &h.Count}, {"last index", lines[4], &h.Index}, {"tree size", lines[6], &h.Size}} {
		var err error
		if *f.into, err = parseDecimal(f.line); err != nil {
			return bad("the %s %q: %v", f.name, f.line, err)
		}
	}
	switch {
	case h.Count == 0:
		return bad("it counts no entries")
	case h.Index >= h.Size:
		return bad("a chain of %d entries can't end at entry %d of %d", h.Count, h.Index, h.Size)
	}
	return h, nil
}

// OpenHead checks a workspace's head: its form, its origin, and that a key in role
// [chain.RoleHeads], in force at its tree size, signed it. Errors wrap [ErrHead],
// [ErrOrigin], [chain.ErrUnknownKey] or [chain.ErrSignature].
func (k *Keyring) OpenHead(note []byte) (WorkspaceHead, error) {
	h, err := ParseWorkspaceHead(note)
	if err != nil {
		return WorkspaceHead{}, err
	}
	if h.Origin != k.origin {
		return WorkspaceHead{}, fmt.Errorf("proof: %w: the head is of %q, the keys are of %q", ErrOrigin, h.Origin, k.origin)
	}
	if _, err := k.OpenStatement(note, chain.RoleHeads, h.Size); err != nil {
		return WorkspaceHead{}, fmt.Errorf("proof: the workspace's head: %w", err)
	}
	return h, nil
}

// ContradictionError is two signed statements of one ledger of which one is a lie:
// show both to whoever is to believe it.
type ContradictionError struct {
	What   string // which two sayings can't both be true
	Index  uint64 // of the entry that they disagree about
	First  string // a head's note, or a receipt's text
	Second string // the other
}

func (e *ContradictionError) Error() string {
	return fmt.Sprintf("proof: %s. Both are signed by the ledger's keys. The one:\n%s\nThe other:\n%s", e.What, e.First, e.Second)
}

// Contradicts compares a receipt with a workspace's head, both of which were
// verified. It returns a [*ContradictionError], with both in it, when they can't
// both be true (docs/format/workspace-head.md): the receipt's entry is the head's
// workspace's, and the head leaves it out, counts it too early, or names another in
// its place. It returns nil when they agree, or speak of different things.
func Contradicts(r *Receipt, h *WorkspaceHead) error {
	e := &r.Entry
	if e.Workspace != h.Tag {
		return nil
	}
	end := signedEnd{Head: chain.Head{Count: h.Count, Index: h.Index, Leaf: h.Leaf}, size: h.Size, who: "the workspace's head"}
	what := end.contradicted(e, chain.LeafHash(r.Raw))
	if what == "" {
		return nil
	}
	return &ContradictionError{What: what, Index: e.Index, First: string(r.Text()), Second: string(h.Note)}
}

// Follows compares a workspace's head with an earlier one, both of which were
// verified. It returns a [*ContradictionError] when they can't both be true of one
// chain that only grows; nil when the later one may follow, or they speak of
// different workspaces.
func (h *WorkspaceHead) Follows(before *WorkspaceHead) error {
	if h.Tag != before.Tag {
		return nil
	}
	if h.Size < before.Size {
		h, before = before, h
	}
	what := ""
	switch grown := h.Count - before.Count; {
	case h.Count < before.Count:
		what = fmt.Sprintf("the workspace's chain had %d entries at tree size %d, and has %d at %d", before.Count, before.Size, h.Count, h.Size)
	case grown == 0 && (h.Index != before.Index || h.Leaf != before.Leaf):
		what = fmt.Sprintf("the %d entries of the workspace's chain end at entry %d with leaf %s at tree size %d, and at entry %d with leaf %s at %d",
			h.Count, before.Index, before.Leaf, before.Size, h.Index, h.Leaf, h.Size)
	case grown > 0 && (h.Index < before.Size || h.Index-before.Size < grown-1):
		what = fmt.Sprintf("the workspace's chain had %d entries at tree size %d, and a later head says that entry %d is its %dth",
			before.Count, before.Size, h.Index, h.Count)
	default:
		return nil
	}
	return &ContradictionError{What: what, Index: h.Index, First: string(before.Note), Second: string(h.Note)}
}
