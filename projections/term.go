package projections

// term is one thing that is asked of an entry: that any of its sources has it.
type term struct {
	sources []source
	block   uint64 // that the entries are of
	loaded  bool
	// Its entries: a row of the store as it stands there, where that is all of them,
	// until a source moves; else set.
	row postings
	set set
}

// nearest returns the nearest block, from the given one on, in which any source
// may have entries.
func (t *term) nearest(block uint64, ascending bool) (best place, err error) {
	if t.row != nil { // sources move
		t.row, t.loaded = nil, false
	}
	for _, s := range t.sources {
		p, err := s.nearest(block, ascending)
		if err != nil {
			return place{}, err
		}
		if p.found != nowhere && (best.found == nowhere || p.block != best.block && p.block < best.block == ascending || p.block == best.block && p.found == unlooked) {
			best = p
		}
	}
	return best, nil
}

// load takes the entries of a block; whether there are any, it finds out.
func (t *term) load(block uint64, ascending bool) error {
	if t.loaded && t.block == block {
		return nil
	}
	t.set.clear()
	t.row, t.loaded, t.block = nil, false, block
	for _, s := range t.sources {
		row, err := s.load(block, ascending, &t.set)
		if err != nil {
			return err
		}
		switch {
		case row == nil:
		case t.row == nil && t.set.n == 0:
			t.row = row
		default:
			t.set.addStored(row)
		}
	}
	if t.row != nil && t.set.n > 0 {
		t.set.addStored(t.row)
		t.row = nil
	}
	t.loaded = true
	return nil
}

// n is how many entries the term has in the block that is loaded.
func (t *term) n() int {
	if t.row != nil {
		return t.row.count()
	}
	return t.set.n
}

// own returns the entries of the block that is loaded as a set to be changed: they
// have to be loaded anew.
func (t *term) own() *set {
	if t.row != nil {
		t.set.addStored(t.row)
	}
	t.row, t.loaded = nil, false
	return &t.set
}

// sift keeps those of s that the term has, or with without those that it hasn't.
func (t *term) sift(s *set, without bool) {
	if t.row != nil {
		s.keepStored(t.row, without)
	} else {
		s.keep(&t.set, without)
	}
}

func (t *term) close() {
	for _, s := range t.sources {
		s.close()
	}
}
