package proof

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"

	"annals/ledger/chain"
)

// erasures is what the audit knows of payloads that are gone, and of the statements
// that say so. A statement comes behind what it covers: so what is missing waits
// for it until the end.
type erasures struct {
	accepted []erasure
	missing  map[uint64]*trouble // by index
	orphans  []orphan
	seeds    []seedAt
	// last is the last erasure or trim: at each of them the seeds go that can.
	last moment
}

// moment is where the stream stood at an entry.
type moment struct {
	index   uint64
	epoch   uint32
	trimmed uint64 // the stream's last sequence that was let go
}

// erasure is a statement that the keys in force carry, and what was found of what it
// covers.
type erasure struct {
	chain.Erase
	by   uint64
	gone uint64
	law  law // in force at it
}

// orphan is a duplicate that something stands beside, and nothing beside the record
// that it names.
type orphan struct{ index, ref uint64 }

// seedAt is where a seed was brought.
type seedAt struct {
	number uint32
	index  uint64
	at     place
}

func newErasures() erasures {
	return erasures{missing: map[uint64]*trouble{}}
}

// erase checks an erasure or an expiry: that it speaks of what its signer saw, in the
// role that is due. What it covers is looked at in the end.
func (j *joiner) erase(x uint64, entry *chain.Entry, s *chain.Statement, signed bool) {
	parse := chain.ParseErase
	if s.Type == chain.ControlExpire {
		parse = chain.ParseExpiry
	}
	e, err := parse(s.Body)
	if err != nil {
		j.found.at(x, MalformedEntry, "control entry %d: %v", x, err)
		return
	}
	wrong := func(format string, args ...any) { j.found.at(x, UnauthorisedControl, format, args...) }
	switch end := e.Ranges[len(e.Ranges)-1].To; {
	case s.Size == 0 && s.Root.IsZero():
		wrong("control entry %d erases, and names no state that its signer saw", x)
		return
	case end > s.Size:
		wrong("control entry %d selects entry %d, and its signer saw %d entries", x, end-1, s.Size)
		return
	case s.Type == chain.ControlErase && j.rules.roster != nil && e.Role != j.rules.roster.Eraser():
		wrong("control entry %d says that the role %s signs it; there that was %s", x, e.Role, j.rules.roster.Eraser())
		return
	}
	j.state(x, s, nil, 0)
	if signed {
		j.erasures.accepted = append(j.erasures.accepted, erasure{Erase: e, by: x, law: j.law.at(entry)})
		j.erasures.last = moment{x, entry.Epoch, j.rules.trimmed}
	}
}

// covers returns the first erasure so far that selects an index.
func (e *erasures) covers(index uint64) *erasure {
	for i := range e.accepted {
		if e.accepted[i].Covers(index) {
			return &e.accepted[i]
		}
	}
	return nil
}

// repeats holds a duplicate or conflict to what was erased before it.
func (j *joiner) repeats(x uint64, it *item) {
	e := &it.entry
	switch by := j.erasures.covers(e.Ref); {
	case e.Kind == chain.KindDuplicate && e.Code == chain.DuplicateUncompared:
		if by == nil && j.damage.skips == 0 && !j.rules.foreign {
			j.found.at(x, FalseDuplicate, "duplicate entry %d says that entry %d was gone before it, and nothing before it says that it was erased", x, e.Ref)
		}
	case by != nil:
		j.found.at(x, FalseDuplicate, "%s entry %d was compared with entry %d, which control entry %d had erased", e.Kind, x, e.Ref, by.by)
	}
	if it.orphan {
		j.erasures.orphans = append(j.erasures.orphans, orphan{x, e.Ref})
	}
}

// settleErasures looks at what the erasures cover, and reports what is missing
// without one.
func (j *joiner) settleErasures() error {
	e := &j.erasures
	salted := map[uint32]bool{}
	for i := range e.accepted {
		if err := j.look(&e.accepted[i], salted); err != nil {
			return err
		}
	}
	for x, m := range e.missing {
		if m.kind != chain.KindDuplicate {
			continue
		}
		for i := range e.accepted {
			if a := &e.accepted[i]; a.by > x && a.Covers(m.ref) {
				a.gone++
				delete(e.missing, x)
				break
			}
		}
	}
	if !j.o.EntriesOnly {
		for _, o := range e.orphans {
			if by := e.covers(o.ref); by != nil {
				j.found.at(o.index, ErasureIncomplete, "control entry %d erases entry %d, and its duplicate, entry %d, still has what a guess at it could be held against", by.by, o.ref, o.index)
			}
		}
	}
	if err := j.settleHolds(); err != nil {
		return err
	}
	j.settleSeeds(salted)
	for i := range e.accepted {
		a := &e.accepted[i]
		part := ""
		if a.Parts > 1 {
			part = fmt.Sprintf(", part %d of %d", a.Part+1, a.Parts)
		}
		if a.expires() {
			j.found.notice(a.by, Expired, "control entry %d%s let expire what %d entries held, under the rule in entry %d", a.by, part, max(a.gone, a.Count()), a.Rule)
			continue
		}
		j.found.notice(a.by, Erased, "control entry %d%s, signed by the %s, erased what %d entries held: %s", a.by, part, a.Role, max(a.gone, a.Count()), a.Reason)
	}
	for _, x := range slices.Sorted(maps.Keys(e.missing)) {
		if j.rules.foreign || j.damage.between(x, math.MaxUint64, 1) > 0 {
			continue // what erased it may be what could not be read
		}
		j.found.at(x, e.missing[x].finding, "%s", e.missing[x].detail)
	}
	return nil
}

// nearby is how far apart two selected entries are read one by one: a tile of
// entries is read as a whole anyway.
const nearby = 256

// look reads what an erasure or an expiry selects: that it is what its signer saw and
// may be erased, that the rules and holds in force let it go, and that nothing stands
// beside it any more.
func (j *joiner) look(a *erasure, salted map[uint32]bool) error {
	if j.unsure() {
		for index := range a.Indexes() {
			delete(j.erasures.missing, index)
		}
		return nil // what is there is not what its signer saw
	}
	for _, h := range a.law.held(a.Workspace) {
		if index, ok := h.keeps(a.Ranges); ok {
			j.found.at(a.by, HoldViolated, "control entry %d has entry %d destroyed, which hold %d in entry %d keeps", a.by, index, h.Number, h.At)
		}
	}
	rule, ruled := a.law.rules.Find(a.Rule)
	if a.expires() && !ruled {
		j.found.at(a.by, ExpiredEarly, "control entry %d lets expire by the rule in entry %d, and no such rule stands there", a.by, a.Rule)
	}
	early := uint64(0)
	return j.selection("erases", a.by, a.Workspace, a.Ranges, a.Leaves, func(leaf *chain.Leaf, entry *chain.Entry, selected chain.Selected) {
		salted[entry.Seed] = true
		if selected.Gone = true; ruled && a.expires() {
			if err := a.law.rules.Lets(&rule, &selected, a.law.millis); err != nil {
				if early++; early == 1 {
					j.found.at(a.by, ExpiredEarly, "control entry %d lets entry %d expire: %v", a.by, entry.Index, err)
				}
			}
		}
		if leaf.Payload != nil && !j.o.EntriesOnly {
			j.found.at(entry.Index, ErasureIncomplete, "control entry %d erases entry %d, and what was published is still beside it", a.by, entry.Index)
		}
		if j.erasures.missing[entry.Index] != nil {
			a.gone++
			delete(j.erasures.missing, entry.Index)
		}
	})
}

// unsure reports whether what is there is not what a statement's signer saw, or may
// not be.
func (j *joiner) unsure() bool { return j.begun.id == nil || j.damage.hit || j.damage.skips > 0 }

// selection reads what a control entry selects, hands each entry on, and reports what
// is not as its signer saw it. does says in a word what the control entry does to it.
func (j *joiner) selection(does string, by uint64, tag chain.Hash, ranges []chain.Range, leaves chain.Hash, each func(*chain.Leaf, *chain.Entry, chain.Selected)) error {
	hash := chain.NewSelection(*j.begun.id, tag)
	covers := (&chain.Erase{Ranges: ranges}).Covers
	wrong := func(format string, args ...any) error {
		j.found.at(by, UnauthorisedControl, "control entry %d %s: %s", by, does, fmt.Sprintf(format, args...))
		return nil
	}
	for from := 0; from < len(ranges); {
		to := from + 1
		for to < len(ranges) && ranges[to].From-ranges[to-1].To < nearby {
			to++
		}
		for leaf, err := range j.src.Leaves(j.ctx, ranges[from].From, ranges[to-1].To) {
			if err != nil {
				return fmt.Errorf("reading what control entry %d %s: %w", by, does, err)
			}
			entry, err := chain.ParseEntry(leaf.Raw)
			if err != nil {
				return fmt.Errorf("reading again what control entry %d %s: %w", by, does, err)
			}
			if !covers(entry.Index) {
				continue
			}
			selected := entry.Selected(chain.LeafHash(leaf.Raw))
			switch {
			case entry.Workspace != tag:
				return wrong("entry %d is of another workspace than it says", entry.Index)
			case !selected.Erasable():
				return wrong("entry %d is a %s, which is not erased by itself", entry.Index, entry.Kind)
			}
			hash.Add(entry.Index, selected.Leaf)
			each(&leaf, &entry, selected)
		}
		from = to
	}
	if hash.Sum() != leaves {
		return wrong("the entries that it selects are not those that its signer saw")
	}
	return nil
}

// settleSeeds holds the seeds that salted something erased to the rule: a trim that
// lets go of all that one salts has it destroyed, and no other is.
func (j *joiner) settleSeeds(salted map[uint32]bool) {
	seeds := j.erasures.seeds
	slices.SortFunc(seeds, func(a, b seedAt) int { return cmp.Compare(a.index, b.index) })
	for i, s := range seeds {
		if i+1 == len(seeds) || !salted[s.number] {
			continue
		}
		next, last := seeds[i+1], j.erasures.last
		due := next.index < last.index && (next.at.epoch < last.epoch || next.at.epoch == last.epoch && next.at.sequence <= last.trimmed+1)
		switch missing := j.erasures.missing[s.index] != nil; {
		case missing && due:
			delete(j.erasures.missing, s.index)
		case due && !j.o.EntriesOnly:
			j.found.at(s.index, ErasureIncomplete, "seed %d salted what was erased and is not needed any more, but entry %d still holds it", s.number, s.index)
		}
	}
}
