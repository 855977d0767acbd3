package projections

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"

	"annals/ledger/chain"

	"github.com/cockroachdb/pebble/v2"
)

// ErrAbsent says that there are no projections to check.
var ErrAbsent = errors.New("projections: there are none")

// CheckOptions of a check. The zero value serves.
type CheckOptions struct {
	Options
	// Temp is a folder to fold in, which isn't there, and is made, and removed at the
	// end; "" is a new one where the system keeps temporary files.
	Temp string
	// Progress is told how many entries are folded again, of how many; nil: nobody.
	Progress func(done, of uint64)
}

// Checked is what a check came to.
type Checked struct {
	Found []Mismatch
	Size  uint64 // how many entries the projections hold
	// Unfolded says that rows stand of entries that an erasure or expiry covers which
	// the projections have not folded yet.
	Unfolded bool
}

// Check holds the projections in a folder, which nobody has open, against the
// ledger: it folds the entries anew, with the code that a rebuild runs, and compares
// row by row, in what rows say. A ledger's entries give one set of rows, so whatever
// a server would answer from others does not follow from the ledger.
//
// lineage is the ledger's id, size how many entries it has, and leaves its iterator.
// Of each kind of row the first is found that is missing, that is too much and that
// says something else. Fewer entries than size are no fault, for a server folds the
// rest. Where an erasure or expiry is among that, what it covers is gone from the
// ledger: of these entries nothing is compared that their payloads would say.
//
// What is checked is only read. The entries are folded in a folder elsewhere, an era
// at a time, whose rows are deleted when they are compared: what it takes does not
// grow with the ledger. It is on the disk, for how much an era's names are, only its
// records say.
//
// Errors: [ErrAbsent]; [ErrDamaged] for projections that can't be read, or that are
// of another version or another ledger, all of which the next start folds again;
// [ErrInUse], [ErrForeign]; and those of the iterator and ctx. After any but the
// first nothing is said.
func Check(ctx context.Context, dir string, lineage chain.Hash, leaves Leaves, size uint64, o CheckOptions) (out Checked, err error) {
	o.Options = o.withDefaults()
	o.CacheSize = rebuildCache
	stored, err := openStored(dir, lineage, &o.Options)
	if err != nil {
		return Checked{}, err
	}
	defer func() { err = errors.Join(err, stored.close()) }()
	if stored.fresh {
		return Checked{}, nil
	}
	if o.Temp != "" {
		if _, err := o.FS.Stat(o.Temp); err == nil {
			return Checked{}, fmt.Errorf("projections: %s is there already; name a folder that isn't", o.Temp)
		}
	} else {
		if o.Temp, err = os.MkdirTemp("", "annals-check-"); err != nil {
			return Checked{}, fmt.Errorf("projections: a folder to fold in: %w", err)
		}
	}
	defer func() {
		if removing := o.FS.RemoveAll(o.Temp); removing != nil {
			err = errors.Join(err, fmt.Errorf("projections: remove %s: %w", o.Temp, removing))
		}
	}()
	o.unread = true
	anew, err := Open(o.FS.PathJoin(o.Temp, "anew"), lineage, o.Options)
	if err != nil {
		return Checked{}, err
	}
	defer func() { err = errors.Join(err, anew.Close()) }()
	c := &checking{
		ctx: ctx, stored: stored, anew: anew, leaves: leaves, told: o.Progress,
		of: min(stored.head.size, size), layout: layout{o.eraBits}, found: map[what]*Mismatch{},
	}
	if err := c.readUnfolded(size); err != nil {
		return Checked{}, err
	}
	if err := c.run(); err != nil {
		return Checked{}, err
	}
	return Checked{Found: c.list(), Size: stored.head.size, Unfolded: c.unfolded.stands}, nil
}

// checking is a check that runs.
type checking struct {
	ctx    context.Context
	stored *standing
	anew   *Projections
	leaves Leaves
	told   func(done, of uint64)
	of     uint64 // entries to fold
	layout layout
	found  map[what]*Mismatch
	tags   map[uint32]chain.Hash // of workspaces' numbers, once asked for

	unfolded unfolded
}

// run folds and compares, era by era, and then what stands behind the eras.
func (c *checking) run() error {
	if err := c.compare(nil, []byte{rowEra}); err != nil {
		return err
	}
	from := []byte{rowEra}
	for era, at := uint64(0), uint64(0); at < c.of; era++ {
		end := min(c.of, c.layout.firstOf(era+1)<<blockBits)
		if err := c.fold(at, end); err != nil {
			return err
		}
		past := appendEra(nil, era+1, 0)
		if err := c.compare(from, past); err != nil {
			return err
		}
		if err := c.clear(from, past); err != nil {
			return err
		}
		from, at = past, end
	}
	return c.compare(from, nil)
}

// fold folds the entries [from, to), up to an era's end or the last of all, and has
// the rows written.
func (c *checking) fold(from, to uint64) error {
	err := c.anew.Fold(func(yield func(chain.Leaf, error) bool) {
		for leaf, err := range Ahead(c.leaves(c.ctx, from, to)) {
			if err == nil && leaf.Entry.Index%rebuildReport == 0 {
				if c.told != nil {
					c.told(leaf.Entry.Index, c.of)
				}
				err = c.ctx.Err()
			}
			if !yield(leaf, err) {
				return
			}
		}
	})
	if err != nil {
		return err
	}
	if at, _ := c.anew.Cursor(); at != to {
		return fmt.Errorf("projections: the ledger has %d entries and gave %d; verify it", to, at)
	}
	if c.told != nil {
		c.told(to, c.of)
	}
	return c.anew.level()
}

// clear deletes the rows of an era, and gives their room back: what stands behind the
// eras is in the same tables, so these are written once more, without the era.
func (c *checking) clear(from, past []byte) error {
	db := c.anew.db
	err := db.Excise(c.ctx, pebble.KeyRange{Start: from, End: past})
	if err == nil {
		err = db.Compact(c.ctx, []byte{rowWorkspace}, []byte{rowEnd}, false)
	}
	if err != nil {
		return c.anew.failed(err)
	}
	return nil
}

// level writes what stands in memory, however little it is.
func (p *Projections) level() error {
	p.folding.Lock()
	defer p.folding.Unlock()
	return p.levelled()
}

// compare compares the rows with keys in [lo, hi), nil being no bound.
func (c *checking) compare(lo, hi []byte) (err error) {
	bounds := &pebble.IterOptions{LowerBound: lo, UpperBound: hi}
	says, err := c.stored.db.NewIter(bounds)
	if err != nil {
		return c.stored.failed(err)
	}
	defer func() { err = errors.Join(err, says.Close()) }()
	should, err := c.anew.db.NewIter(bounds)
	if err != nil {
		return c.anew.failed(err)
	}
	defer func() { err = errors.Join(err, should.Close()) }()
	says.First()
	should.First()
	for n := 0; says.Valid() || should.Valid(); n++ {
		if n%1024 == 0 && c.ctx.Err() != nil {
			return c.ctx.Err()
		}
		order := 0
		switch {
		case !should.Valid():
			order = -1
		case !says.Valid():
			order = 1
		default:
			order = bytes.Compare(says.Key(), should.Key())
		}
		r := row{key: should.Key()}
		if order <= 0 {
			r.key = says.Key()
			if r.says, err = says.ValueAndErr(); err != nil {
				return c.stored.failed(err)
			}
		}
		if order >= 0 {
			if r.should, err = should.ValueAndErr(); err != nil {
				return c.anew.failed(err)
			}
		}
		r.missing, r.extra = order > 0, order < 0
		if err := c.excuse(&r); err != nil {
			return err
		}
		c.judge(&r)
		if order <= 0 {
			says.Next()
		}
		if order >= 0 {
			should.Next()
		}
	}
	if err := says.Error(); err != nil {
		return c.stored.failed(err)
	}
	if err := should.Error(); err != nil {
		return c.anew.failed(err)
	}
	return nil
}
