package projections

// term is one thing that is asked of an entry: that any of its sources has it.
type term struct {
	sources []source
	block   uint64 // that set is of
	loaded  bool
	set     set
}

// nearest returns the nearest block, from the given one on, in which any source
// may have entries.
func (t *term) nearest(block uint64, ascending bool) (best place, err error) {
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
	t.loaded, t.block = true, block
	for _, s := range t.sources {
		if err := s.load(block, ascending, &t.set); err != nil {
			t.loaded = false
			return err
		}
	}
	return nil
}

func (t *term) close() {
	for _, s := range t.sources {
		s.close()
	}
}
