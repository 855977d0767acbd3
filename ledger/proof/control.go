package proof

import (
	"errors"

	"annals/ledger/chain"
)

// control checks a control entry: that the keys in force carry it, that it was next
// in number, and that what it says holds.
func (j *joiner) control(x uint64, e *chain.Entry) {
	r := &j.rules
	if r.foreign {
		return
	}
	c, err := e.Control()
	s := &c.Statement
	switch {
	case errors.Is(err, chain.ErrUnsupported):
		j.foreign(x, "control entry %d: %v", x, err)
		return
	case err != nil:
		j.found.at(x, MalformedEntry, "%v", err)
		return
	case e.Code != uint16(s.Type):
		j.found.at(x, MalformedEntry, "control entry %d has code %d, but its statement is of type %d", x, e.Code, s.Type)
	case (x == 0) != (s.Type == chain.ControlGenesis):
		if x == 0 {
			j.found.at(x, WrongLedger, "entry 0 is a %s, not a genesis", s.Type)
		} else {
			j.found.at(x, UnauthorisedControl, "control entry %d is a second genesis", x)
			r.anySeed = true
		}
	}
	signed := j.signed(x, &c)
	id := j.begun.id
	if x > 0 && id != nil && s.Ledger != *id {
		j.found.at(x, WrongLedger, "the statement of control entry %d was signed for ledger %s, this is %s", x, s.Ledger, id)
	}
	if x == 0 && (!s.Ledger.IsZero() || s.Size != 0 || !s.Root.IsZero()) {
		j.found.at(x, MalformedEntry, "the genesis's statement names a ledger or a size")
	}
	skipped := j.damage.skips - r.controlAt
	if s.Number != r.another && (s.Number < r.control || s.Number-r.control > skipped) {
		j.found.at(x, UnauthorisedControl, "control entry %d has number %d, due was %d: it was replayed, or one before it was left out", x, s.Number, r.control)
		r.control, r.another = r.control+1, s.Number+1
	} else {
		r.control, r.another = s.Number+1, s.Number+1
	}
	r.controlAt = j.damage.skips
	if x == 1 && s.Type != chain.ControlSeed {
		j.found.at(x, UnauthorisedControl, "entry 1 is a %s, where seed 0 must stand", s.Type)
	}
	switch s.Type {
	case chain.ControlGenesis:
	case chain.ControlSeed:
		j.seedControl(x, e, s)
	case chain.ControlMark:
		j.mark(x, s)
	case chain.ControlKey:
		j.changeKeys(x, s)
	case chain.ControlEpoch:
		j.epoch(x, e, s)
	case chain.ControlGap:
		j.gapNotice(x, e, s)
	case chain.ControlFold:
		j.foldVersion(x, s)
	case chain.ControlTrim:
		j.trim(x, e, s)
	case chain.ControlErase, chain.ControlExpire:
		j.erase(x, e, s, signed)
	case chain.ControlRetention:
		j.retain(x, s, signed)
	case chain.ControlHold:
		j.hold(x, s, signed)
	case chain.ControlRelease:
		j.release(x, s, signed)
	case chain.ControlCatalogue:
		j.catalogue(x, s)
	case chain.ControlTimestamp:
		j.timestamp(x, s)
	default:
		j.foreign(x, "control entry %d: %s", x, s.Type)
	}
}

// foreign notes what a newer version wrote. From here on only hashes are checked:
// the rules may be others.
func (j *joiner) foreign(x uint64, format string, args ...any) {
	j.found.at(x, Unsupported, format, args...)
	j.rules.foreign = true
}

// seedControl checks a seed's statement, and puts the seed in force.
func (j *joiner) seedControl(x uint64, e *chain.Entry, s *chain.Statement) {
	r := &j.rules
	number, _, err := chain.ParseSeed(s.Body)
	if err != nil {
		j.found.at(x, MalformedEntry, "control entry %d: %v", x, err)
		return
	}
	if ahead := number - r.seed; ahead == 0 || uint64(ahead)-1 > j.damage.skips-r.seedAt {
		j.found.at(x, UnauthorisedControl, "control entry %d brings seed %d after seed %d", x, number, r.seed)
		r.anySeed = true
	}
	r.seed, r.seedAt = number, j.damage.skips
	j.erasures.seeds = append(j.erasures.seeds, seedAt{number, x, placeOf(e)})
	j.state(x, s, nil, 0)
}

// mark checks a mark, and takes its time.
func (j *joiner) mark(x uint64, s *chain.Statement) {
	m, err := chain.ParseMark(s.Body)
	if err != nil {
		j.found.at(x, MalformedEntry, "control entry %d: %v", x, err)
		return
	}
	j.rules.wall, j.rules.wallAt = chain.FloorMillis(m.Wall), j.damage.skips
	j.state(x, s, &m, 0)
}
