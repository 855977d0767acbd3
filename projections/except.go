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

func (x *except) load(block uint64, ascending bool, s *set) error {
	x.has.clear()
	if err := x.all.load(block, ascending, &x.has); err != nil || x.has.n == 0 {
		return err
	}
	x.not.clear()
	if err := x.but.load(block, ascending, &x.not); err != nil {
		return err
	}
	x.has.keep(&x.not, true)
	s.addSet(&x.has)
	return nil
}

func (x *except) close() {
	x.all.close()
	x.but.close()
}
