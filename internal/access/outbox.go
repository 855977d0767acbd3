package access

import "slices"

// Change is something that became of a key, and is to be told to the ledger.
type Change struct {
	Key     Key
	Revoked bool // else it was minted
}

// Untold returns the changes that the ledger was not told of yet, in the order of
// the keys. They are kept with the keys, so that what was done while no server ran,
// or while the stream was away, is told later.
func (b *Book) Untold() (changes []Change) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, k := range b.keys {
		if !k.mintedTold {
			changes = append(changes, Change{Key: k.shown()})
		}
		if !k.Revoked.IsZero() && !k.revokedTold {
			changes = append(changes, Change{k.shown(), true})
		}
	}
	return changes
}

// Told notes that the ledger was told of changes.
func (b *Book) Told(changes []Change) error {
	if len(changes) == 0 {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range changes {
		i := slices.IndexFunc(b.keys, func(k *kept) bool { return k.ID == c.Key.ID })
		if i < 0 {
			continue
		}
		if c.Revoked {
			b.keys[i].revokedTold = true
		} else {
			b.keys[i].mintedTold = true
		}
	}
	return b.write()
}

// Changed is sent to, now and then, after there is something untold.
func (b *Book) Changed() <-chan struct{} { return b.changed }

// change says that there is something untold.
func (b *Book) change() {
	select {
	case b.changed <- struct{}{}:
	default:
	}
}
