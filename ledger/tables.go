package ledger

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"annals/ledger/chain"
)

// CheckTables reads what the ledger keeps beside its entries: the dedupe table,
// the workspaces' heads, the seeds. An audit doesn't, for what they say is no
// evidence; but the fold relies on it. The error, a [DamageError] where bytes are
// wrong, names the first row that can't be read or can't be what a fold wrote.
func (s *Source) CheckTables(ctx context.Context) error {
	head, err := s.Head(ctx)
	if err != nil {
		return err
	}
	for _, t := range []struct {
		prefix byte
		what   string
		check  func(key, value []byte) error
	}{
		{prefixDedupe, "dedupe key", func(key, value []byte) error {
			if len(key) != 1+len(chain.Hash{}) || len(value) != 8 || binary.BigEndian.Uint64(value) >= head.Size {
				return fmt.Errorf("it names no entry of the %d", head.Size)
			}
			return nil
		}},
		{prefixHead, "workspace's head", s.checkHead},
		{prefixSeed, "seed", func(key, value []byte) error {
			if len(key) != 1+4 || len(value) != len(chain.Hash{}) {
				return fmt.Errorf("it has %d bytes", len(value))
			}
			return nil
		}},
		{prefixCatalogue, "catalogue", s.checkCatalogue},
		{prefixGoverning, "rule or hold", s.checkGoverning},
		{prefixReference, "reference", s.checkReference},
		{prefixErased, "erased entry", func(key, value []byte) error {
			if len(key) != 1+8 || len(value) != 8 || binary.BigEndian.Uint64(key[1:]) >= binary.BigEndian.Uint64(value) || binary.BigEndian.Uint64(value) >= head.Size {
				return errors.New("it names no later entry")
			}
			return nil
		}},
		{prefixSpent, "seed to be destroyed", func(key, value []byte) error {
			if len(key) != 1+4 || len(value) != 0 {
				return fmt.Errorf("it has %d bytes", len(value))
			}
			return nil
		}},
		{prefixUnscrubbed, "entry to be scrubbed behind", func(key, value []byte) error {
			if len(key) != 1+8 || len(value) != 0 || binary.BigEndian.Uint64(key[1:]) >= head.Size {
				return fmt.Errorf("it names no entry of the %d", head.Size)
			}
			return nil
		}},
	} {
		if err := s.checkTable(ctx, t.prefix, t.what, t.check); err != nil {
			return err
		}
	}
	return nil
}

func (s *Source) checkTable(ctx context.Context, prefix byte, what string, check func(key, value []byte) error) error {
	it, err := s.db.NewIter(bounds(prefix))
	if err != nil {
		return err
	}
	defer it.Close()
	n := 0
	for ok := it.First(); ok; ok = it.Next() {
		// The state's row stands among the seeds.
		if bytes.Equal(it.Key(), keyState) {
			continue
		}
		if n++; n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		value, err := it.ValueAndErr()
		if err == nil {
			err = check(it.Key(), value)
		}
		if err != nil {
			return &DamageError{What: fmt.Sprintf("the %s in row %x: %v", what, it.Key(), err)}
		}
	}
	if err := it.Error(); err != nil {
		return &DamageError{What: fmt.Sprintf("a %s can't be read: %s", what, firstLine(err))}
	}
	return nil
}

// checkReference compares a reference with the entry that it is of.
func (s *Source) checkReference(key, value []byte) error {
	of, index, ok := splitReferenceKey(key)
	if !ok || len(value) != 1 {
		return fmt.Errorf("it has %d bytes", len(value))
	}
	e, err := entryAt(s.db, index)
	switch {
	case err != nil:
		return fmt.Errorf("entry %d, which it is of: %w", index, err)
	case e.Ref != of || e.Kind != chain.Kind(value[0]):
		return fmt.Errorf("entry %d is a %s that names another", index, e.Kind)
	}
	return nil
}

// checkGoverning compares a row with the entry that it is of.
func (s *Source) checkGoverning(key, value []byte) error {
	if len(key) != 1+8 || len(value) != 0 {
		return fmt.Errorf("it has %d bytes", len(key)+len(value))
	}
	index := binary.BigEndian.Uint64(key[1:])
	e, err := entryAt(s.db, index)
	switch {
	case err != nil:
		return fmt.Errorf("entry %d, which it is of: %w", index, err)
	case e.Kind != chain.KindControl || e.Code < uint16(chain.ControlRetention) || e.Code > uint16(chain.ControlRelease):
		return fmt.Errorf("entry %d is none", index)
	}
	return nil
}

// checkHead compares a workspace's head with the entry that it names.
func (s *Source) checkHead(key, value []byte) error {
	h, err := parseHead(value)
	if err != nil {
		return err
	}
	_, raw, e, err := rowAt(s.db, h.Index)
	switch {
	case err != nil:
		return fmt.Errorf("entry %d, which it names: %w", h.Index, err)
	case !bytes.Equal(key[1:], e.Workspace[:]), h.Count != e.Position+1, h.Leaf != chain.LeafHash(raw):
		return fmt.Errorf("entry %d is not the one that it speaks of", h.Index)
	}
	return nil
}
