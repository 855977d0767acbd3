package projections

// except is a list without the entries of another: who acted is who is a record's user
// but not merely the one on whose behalf. So an actor needs a list of its own only where
// another acted for somebody, which is rare.
type except struct {
	all, but source
	has, not set
}

func (x *except) nearest(block uint64, ascending bool) (place, error) {
	return x.all.nearest(block, ascending)
}

func (x *except) load(block uint64, ascending bool, s *set) (postings, error) {
	if err := loadInto(x.all, block, ascending, &x.has); err != nil || x.has.n == 0 {
		return nil, err
	}
	if err := loadInto(x.but, block, ascending, &x.not); err != nil {
		return nil, err
	}
	x.has.keep(&x.not, true)
	s.addSet(&x.has)
	return nil, nil
}

// loadInto makes s what a source has in a block.
func loadInto(from source, block uint64, ascending bool, s *set) error {
	s.clear()
	row, err := from.load(block, ascending, s)
	if err == nil && row != nil {
		s.addStored(row)
	}
	return err
}

func (x *except) close() {
	x.all.close()
	x.but.close()
}
