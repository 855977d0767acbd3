package proof

import (
	"cmp"
	"fmt"

	"annals/ledger/chain"
)

// place is where a record stands in the streams: its message and its place in it.
type place struct {
	epoch    uint32
	sequence uint64
	within   uint16
}

func (p place) compare(q place) int {
	return cmp.Or(cmp.Compare(p.epoch, q.epoch), cmp.Compare(p.sequence, q.sequence), cmp.Compare(p.within, q.within))
}

func (p place) String() string {
	if p.epoch == 0 {
		return fmt.Sprintf("message %d, record %d", p.sequence, p.within)
	}
	return fmt.Sprintf("epoch %d, message %d, record %d", p.epoch, p.sequence, p.within)
}

func placeOf(e *chain.Entry) place { return place{e.Epoch, e.Sequence, e.Place} }

// next is the place that the entry after e must have.
func next(e *chain.Entry) place {
	if e.Kind == chain.KindGap {
		if g, err := e.Gap(); err == nil {
			return place{epoch: e.Epoch, sequence: g.Last + 1}
		}
	}
	if e.Place+1 < e.Count {
		return place{e.Epoch, e.Sequence, e.Place + 1}
	}
	return place{epoch: e.Epoch, sequence: e.Sequence + 1}
}

// mayStand reports whether an entry may stand at the place that is due: it is of
// that place, or begins another epoch.
func mayStand(e *chain.Entry, due place) bool {
	begins := e.Kind == chain.KindControl && e.Code == uint16(chain.ControlEpoch)
	return placeOf(e) == due || begins && e.Epoch == due.epoch+1 && due.within == 0
}

// rules is what the fold's rules need to know of the entries before one. Each
// thing is known as of a number of skipped entries: where some were skipped since,
// it is learned anew from the next entry, and nobody is accused of it.
type rules struct {
	begun   *beginning
	foreign bool // a newer version's entry or statement came: its rules aren't known here

	began     bool
	due       place
	count     uint16
	timestamp int64
	tag       chain.Hash
	dueAt     uint64

	ms, wall     int64
	msAt, wallAt uint64

	control   uint64 // next number
	another   uint64 // next number, if the last one was right and not what was due
	seed      uint32
	anySeed   bool // a control entry was not in order: the seed in force is the next entry's
	controlAt uint64
	seedAt    uint64
	version   uint16 // of the fold
	versionAt uint64
	trimmed   uint64        // the stream's last sequence that was let go
	epochAt   uint64        // entry that began the epoch …
	beginning place         // … and where it stands
	roster    *chain.Roster // the keys in force; nil when the genesis can't be relied on

	holes []*hole
	gaps  []gap
}

// hole is a run of the stream that no entry stands for, as far as is known.
type hole struct {
	index    uint64 // of the entry after it
	from, to place
	finding  Finding
	filled   bool // found later: the entries were reordered
}

const maxHoles = 4096

func newRules(b *beginning) rules {
	r := rules{begun: b, seed: chain.GenesisSeed, version: chain.FoldRecords}
	if b.genesis != nil {
		r.wall = chain.FloorMillis(b.genesis.Created)
		r.roster = b.genesis.Roster()
	}
	return r
}

// expected is the place that the next entry must have; ok is false when it is not
// known.
func (r *rules) expected(d *damage) (place, bool) {
	return r.due, r.began && d.skips == r.dueAt
}

// entry holds a sound entry to the rules.
func (r *rules) entry(j *joiner, x uint64, e *chain.Entry) {
	if !r.foreign {
		r.succession(j, x, e)
		r.time(j, x, e)
		r.seeded(j, x, e)
		r.event(j, x, e)
	}
	if e.Kind == chain.KindGap {
		r.gap(j, x, e)
	}
}

// succession checks that the entry is the stream's next record.
func (r *rules) succession(j *joiner, x uint64, e *chain.Entry) {
	at := placeOf(e)
	if x > 0 && x == r.epochAt { // judged as a control entry
		r.began, r.due, r.dueAt = true, place{epoch: r.beginning.epoch, sequence: r.beginning.sequence + 1}, j.damage.skips
		return
	}
	known := r.began && j.damage.skips == r.dueAt
	inside := known && r.due.within > 0 // of a message that has begun
	if known && at.epoch != r.due.epoch {
		j.found.at(x, MalformedEntry, "entry %d is of epoch %d after epoch %d, and no control entry began it", x, e.Epoch, r.due.epoch)
		at.epoch = r.due.epoch // what follows is not accused of it
	}
	switch {
	case x == 0:
		if g := r.begun.genesis; g != nil && (e.Sequence != g.FirstSequence || e.Epoch != 0) {
			j.found.at(x, MalformedEntry, "entry 0 is of message %d in epoch %d, but its genesis says that it stands at message %d in epoch 0", e.Sequence, e.Epoch, g.FirstSequence)
		}
	case known && at.compare(r.due) > 0:
		h := &hole{index: x, from: r.due, to: at, finding: Hole}
		if inside || at.within > 0 {
			h.finding = MissingEntry // of a message that is folded, nothing is left out
		}
		if len(r.holes) < maxHoles {
			r.holes = append(r.holes, h)
		} else {
			h.report(j.found)
		}
	case known && at.compare(r.due) < 0:
		r.back(j, x, at)
		return
	case inside && (e.Count != r.count || e.Timestamp != r.timestamp || e.Workspace != r.tag):
		j.found.at(x, MalformedEntry, "entry %d is of message %d as the one before it is, but differs from it in count, time or workspace", x, e.Sequence)
	}
	if !inside || at != r.due {
		r.count, r.timestamp, r.tag = e.Count, e.Timestamp, e.Workspace
	}
	r.began, r.due, r.dueAt = true, next(e), j.damage.skips
	if inside && e.Sequence == at.sequence && at.within+1 < r.count {
		r.due = place{at.epoch, at.sequence, at.within + 1}
	}
	r.due.epoch = at.epoch
}

// back deals with a place in the stream that was passed already.
func (r *rules) back(j *joiner, x uint64, at place) {
	for _, h := range r.holes {
		if at.compare(h.from) >= 0 && at.compare(h.to) < 0 {
			h.filled = true
			return
		}
	}
	j.found.at(x, Reordered, "entry %d is of %s, which the stream had passed: %s was due", x, at, r.due)
}

func (h *hole) report(f *findings) {
	switch {
	case h.filled:
		f.at(h.index, Reordered, "entry %d is of %s; what the stream has before it stands further back", h.index, h.to)
	case h.finding == MissingEntry:
		f.at(h.index, MissingEntry, "between %s and %s nothing has an entry: what stood before entry %d was taken out", h.from, h.to, h.index)
	default:
		f.at(h.index, Hole, "nothing has an entry from %s up to %s, which entry %d is of, and no gap admits it", h.from, h.to, h.index)
	}
}

// time checks the id, and the time in it.
func (r *rules) time(j *joiner, x uint64, e *chain.Entry) {
	ms := int64(e.ULID.Time())
	partition, index := chain.SplitULID(e.ULID)
	if g := r.begun.genesis; index != x || g != nil && partition != g.Partition {
		j.found.at(x, MalformedEntry, "the id %s of entry %d holds partition %d and index %d", e.ULID, x, partition, index)
	}
	if clamped := ms != chain.FloorMillis(e.Timestamp); clamped != (e.Flags&chain.FlagClamped != 0) {
		j.found.at(x, Clock, "entry %d: its id's time is %d ms, its stream's %d ns, and its flag says otherwise", x, ms, e.Timestamp)
	} else if want := chain.Millis(r.ms, r.wall, e.Timestamp); ms != want && r.begun.genesis != nil &&
		r.msAt == j.damage.skips && r.wallAt == j.damage.skips {
		j.found.at(x, Clock, "entry %d: its id's time is %d ms, the rule of time gives %d", x, ms, want)
	}
	r.ms, r.msAt = ms, j.damage.skips
}

// seeded checks the number of the seed that salts the entry.
func (r *rules) seeded(j *joiner, x uint64, e *chain.Entry) {
	ahead := e.Seed - r.seed // the genesis's number is the last of all: seed 0 follows it
	if ahead != 0 && !r.anySeed && uint64(ahead) > j.damage.skips-r.seedAt {
		j.found.at(x, MalformedEntry, "entry %d is salted by seed %d, but seed %d is in force", x, e.Seed, r.seed)
		return
	}
	r.seed, r.seedAt, r.anySeed = e.Seed, j.damage.skips, false
}

// settle reports what was left open until the end.
func (r *rules) settle(j *joiner) {
	for _, h := range r.holes {
		h.report(j.found)
	}
	r.settleGaps(j)
}
