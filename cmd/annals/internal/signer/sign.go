package signer

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"annals/cmd/annals/internal/keys"
	"annals/ledger"
	"annals/ledger/chain"
	"annals/ledger/proof"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// ContradictionError says that the ledger is not the one that was signed: another
// history stands in the data folder.
type ContradictionError struct {
	Path   string
	Signed Checkpoint
	Size   uint64 // the ledger's
	Root   chain.Hash
}

func (e *ContradictionError) Error() string {
	return fmt.Sprintf("THE LEDGER CONTRADICTS ITS OWN CHECKPOINT: %s is signed for size %d with root %s, and the ledger of size %d with root %s does not begin with that tree. "+
		"It was restored from another history, or its files were changed. Keep this folder and that checkpoint as they are, they are evidence; "+
		"no checkpoint is signed: restore the ledger that was signed", e.Path, e.Signed.Size, e.Signed.Root, e.Size, e.Root)
}

// BehindError says that the ledger has not reached the size that was signed: it was
// restored from an older copy, and may still get there from its stream.
type BehindError struct {
	Path         string
	Signed, Size uint64
}

func (e *BehindError) Error() string {
	return fmt.Sprintf("the ledger has %d entries, and %s is signed for %d: it was restored from an older copy. "+
		"No checkpoint is signed before the ledger has folded as many entries again and they turn out to be the same; "+
		"if the stream doesn't hold them any more, restore a newer copy", e.Size, e.Path, e.Signed)
}

var errUnchecked = errors.New("whether the stream is still the ledger's could not be told")

// attempt signs if there is something new, and remembers how that went.
func (s *Signer) attempt(ctx context.Context) {
	s.signing.Lock()
	defer s.signing.Unlock()
	err := s.sign(ctx)
	if ctx.Err() != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.refused != nil:
		return // it was said when it happened
	case errors.Is(err, errUnchecked) && s.err == nil:
		// Why, whoever reads the stream has said.
		s.o.Logger.Warn("no checkpoint was signed, for the stream may not be the ledger's; trying again")
	case err != nil && s.err == nil:
		s.o.Logger.Warn("no checkpoint was signed; trying again", "error", err)
	case err == nil && s.err != nil:
		s.o.Logger.Info("checkpoints are signed again", "size", s.last.Size)
	}
	if err != nil || s.err != nil {
		s.err = err
		s.signal()
	}
}

// refuse ends signing for the life of the process.
func (s *Signer) refuse(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refused == nil {
		s.refused = err
		s.published = s.published && !contradicts(err)
		s.o.Logger.Error("no more checkpoints are signed", "error", err)
	}
	s.signal()
	return err
}

func contradicts(err error) bool {
	var contradiction *ContradictionError
	return errors.As(err, &contradiction)
}

// adopt holds the checkpoint that was found against the ledger.
func (s *Signer) adopt() {
	if err := s.follows(s.tree.head()); err != nil && s.refused == nil {
		s.err = err
		s.o.Logger.Error("no checkpoint is signed", "error", err)
	}
}

// own checks that a checkpoint was signed by the ledger's keys.
func (s *Signer) own(c Checkpoint, named []chain.KeySpan) error {
	var vkeys []string
	for _, span := range named {
		if span.Roles&chain.RoleCheckpoint != 0 && span.InForce(c.Size) {
			vkeys = append(vkeys, keys.VKey(s.origin, span.Key))
		}
	}
	if len(vkeys) == 0 {
		return fmt.Errorf("no key is in force for checkpoints of size %d", c.Size)
	}
	ring, err := proof.NewKeyring(vkeys...)
	if err != nil {
		return err
	}
	_, err = ring.Open(c.Note)
	return err
}

// follows checks that the ledger begins with the tree that was signed last.
func (s *Signer) follows(head ledger.Head) error {
	s.mu.Lock()
	last, published := s.last, s.published
	s.mu.Unlock()
	switch {
	case last.Size == 0:
		return nil
	case head.Size < last.Size:
		return &BehindError{Path: s.files.path, Signed: last.Size, Size: head.Size}
	case !published:
		if err := s.own(last, s.tree.keys()); err != nil {
			return s.refuse(fmt.Errorf("%s is no checkpoint of this ledger's: %w; bring it back from where it was kept: while nobody knows what was signed nothing more is",
				s.files.path, err))
		}
	}
	between, err := s.tree.consistency(last.Size, head.Size)
	if err != nil {
		return fmt.Errorf("the tree's nodes can't be read: %w", err)
	}
	tree := make(tlog.TreeProof, len(between))
	for i, h := range between {
		tree[i] = tlog.Hash(h)
	}
	if tlog.CheckTree(tree, int64(head.Size), tlog.Hash(head.Root), int64(last.Size), tlog.Hash(last.Root)) != nil {
		return s.refuse(&ContradictionError{Path: s.files.path, Signed: last, Size: head.Size, Root: head.Root})
	}
	s.mu.Lock()
	s.published = true
	s.mu.Unlock()
	return nil
}

// sign signs a checkpoint of the ledger as it durably stands, if that is more than
// was signed.
func (s *Signer) sign(ctx context.Context) error {
	s.mu.Lock()
	last, published, refused := s.last, s.published, s.refused
	s.mu.Unlock()
	head := s.tree.head()
	switch {
	case refused != nil:
		return refused
	case published && head.Size == last.Size:
		return nil
	}
	if err := s.follows(head); err != nil {
		return err
	}
	if head.Size == last.Size {
		return nil
	}
	size, root := head.Size, head.Root
	if s.o.Agreed != nil {
		var err error
		if size, root, err = s.o.Agreed(); err != nil || size <= last.Size {
			return err
		}
	}
	named := s.tree.keys()
	signers, err := s.o.Keys.InForce(named, chain.RoleCheckpoint, size)
	if err != nil {
		return err
	}
	if err := s.o.Check(ctx); err != nil {
		return fmt.Errorf("%w: %w", errUnchecked, err)
	}
	next, err := s.note(size, root, signers)
	if err != nil {
		return err
	}
	if err := s.own(next, named); err != nil {
		return fmt.Errorf("what was signed does not verify, and is thrown away: %w", err)
	}
	return s.publish(next, retires(named, last.Size, size))
}

// retires reports whether a key that signed at one size signs no more at another.
// An ML-DSA-44 line is a second one, and nobody's only key.
func retires(named []chain.KeySpan, from, to uint64) bool {
	return from > 0 && slices.ContainsFunc(named, func(k chain.KeySpan) bool {
		return k.Roles&chain.RoleCheckpoint != 0 && k.Algorithm == chain.AlgorithmEd25519 && k.InForce(from) && !k.InForce(to)
	})
}

// note signs that the tree has a root at a size.
func (s *Signer) note(size uint64, root chain.Hash, signers []keys.Private) (Checkpoint, error) {
	text := s.origin + "\n" + strconv.FormatUint(size, 10) + "\n" + base64.StdEncoding.EncodeToString(root[:]) + "\n"
	b, err := s.signText(text, signers)
	return Checkpoint{Size: size, Root: root, Note: b}, err
}

// signText signs by every key, Ed25519 first.
func (s *Signer) signText(text string, signers []keys.Private) ([]byte, error) {
	slices.SortStableFunc(signers, func(a, b keys.Private) int { return int(a.Algorithm) - int(b.Algorithm) })
	by := make([]note.Signer, len(signers))
	for i, p := range signers {
		var err error
		if by[i], err = p.Note(s.origin); err != nil {
			return nil, fmt.Errorf("the key %s: %w", p.File, err)
		}
	}
	return note.Sign(&note.Note{Text: text}, by...)
}

// publish puts a checkpoint on disk, and shows it then. Where that fails nobody
// knows what a restart would find, so nothing more is signed before one.
func (s *Signer) publish(next Checkpoint, retire bool) error {
	s.mu.Lock()
	last, retired := s.last, s.retired
	s.mu.Unlock()
	if retire {
		if err := s.files.retire(last); err != nil {
			return s.refuse(unwritten(err))
		}
		if !slices.ContainsFunc(retired, func(c Checkpoint) bool { return c.Size == last.Size }) {
			retired = append(slices.Clip(retired), last)
		}
	}
	if err := s.files.replace(next.Note); err != nil {
		return s.refuse(unwritten(err))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last, s.published, s.retired, s.signed, s.err = next, true, retired, time.Now(), nil
	s.signal()
	return nil
}

func unwritten(err error) error {
	return fmt.Errorf("a checkpoint could not be kept, so it was not published: %w; mend the disk and start again", err)
}

// SignHead signs the statement of where a workspace's chain ends, whose last line
// is the tree's size: by the key that is in force for heads there.
func (s *Signer) SignHead(text []byte) ([]byte, error) {
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	size, err := strconv.ParseUint(lines[len(lines)-1], 10, 64)
	if err != nil {
		return nil, fmt.Errorf("a head's last line is the tree's size: %w", err)
	}
	s.mu.Lock()
	refused := s.refused
	s.mu.Unlock()
	head := s.tree.head()
	switch {
	case refused != nil:
		return nil, refused
	case size > head.Size:
		return nil, fmt.Errorf("a head of size %d: the ledger has %d entries", size, head.Size)
	}
	signers, err := s.o.Keys.InForce(s.tree.keys(), chain.RoleHeads, size)
	if err != nil {
		return nil, err
	}
	return s.signText(string(text), signers)
}
