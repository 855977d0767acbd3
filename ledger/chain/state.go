package chain

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"hash"
	"math"
	"time"

	"github.com/oklog/ulid/v2"
)

// maxAhead is how far a stream timestamp may run ahead of the last witnessed
// time before it is clamped, in milliseconds: one far-future timestamp can't pin
// the clock.
const maxAhead = int64(24 * time.Hour / time.Millisecond)

// State is where the fold stands. It is a value: folding returns the next one.
// What a replica needs to go on from a stored state is in [State.Append]; the
// rest comes from the genesis.
type State struct {
	*fixed
	keys  *Roster
	rules Rules
	holds Holds
	gaps  []gapAt // of this epoch, and earlier ones yet to be admitted; never changed in place

	Size     uint64 // entries folded: the next index
	Last     Hash   // leaf of the last entry
	Epoch    uint32
	Sequence uint64 // of the last message folded
	Digest   Hash   // of the last message folded
	Millis   int64  // of the last entry's ULID
	Wall     int64  // ms, of the last accepted mark, or of the genesis
	Control  uint64 // control messages accepted: the next number
	Seed     uint32 // number of the seed in force, and the seed itself
	Secret   [sha256.Size]byte
	Version  uint16 // of the fold, for the next message

	// What a keeper needs to see when the next seed and mark are due, and to
	// publish them without racing another.
	SeedSequence    uint64 // stream sequence of the seed in force, or the epoch's first, whichever is later
	SeedMillis      int64  // ms, of its ULID
	MarkSize        uint64 // entries up to and including the last mark
	ControlSequence uint64 // stream sequence of the last control message
	// Trimmed is the last sequence that the last accepted trim lets go; 0 before the
	// first. What it says may be done already or not: whoever may purge the stream
	// sees to it that it is, after a restart too.
	Trimmed uint64
	// Erasures counts the accepted ones: what was kept of an answer before the last of
	// them may hold what is erased.
	Erasures uint64
	// Start says how the epoch began, and EpochIndex in which entry. The genesis
	// begins epoch 0: it names the stream and the first sequence, not when the
	// stream was made.
	Start      EpochStart
	EpochIndex uint64
}

// fixed is what the genesis settled for ever.
type fixed struct {
	ledger       Hash
	partition    uint16
	workspaceKey [sha256.Size]byte
	first        uint64
}

// Ledger returns the ledger's id.
func (s *State) Ledger() Hash { return s.fixed.ledger }

// Tag returns the pseudonym under which a workspace's entries stand.
func (s *State) Tag(workspace string) Hash { return s.Tagger().Tag(workspace) }

// Tagger returns what computes tags without being keyed for each, which takes as long
// as one of them. It keeps scratch space: use one a goroutine.
func (s *State) Tagger() *Tagger { return &Tagger{mac: hmac.New(sha256.New, s.workspaceKey[:])} }

// Tagger computes the tags of a ledger's workspaces. They are settled by the genesis.
type Tagger struct {
	mac     hash.Hash
	scratch []byte
}

// Tag is [State.Tag].
func (t *Tagger) Tag(workspace string) Hash {
	if workspace == SystemWorkspace || workspace == "" {
		return Hash{}
	}
	t.scratch = append(append(t.scratch[:0], tagDomain...), workspace...)
	return mac(t.mac, t.scratch)
}

// Keys returns every key that was ever named, in the order of their naming, with
// the sizes that each is in force at.
func (s *State) Keys() []KeySpan { return s.keys.Spans() }

// Roster returns the keys with their thresholds.
func (s *State) Roster() *Roster { return s.keys }

// Gaps returns the gaps whose notice was folded at the hole and has yet to be
// accepted where it stands.
func (s *State) Gaps() []Gap {
	var open []Gap
	for _, g := range s.gaps {
		if !g.admitted {
			open = append(open, g.Gap)
		}
	}
	return open
}

// Position returns up to where the stream is folded. After a gap its digest is
// zeros: there is no message to know again.
func (s *State) Position() Position {
	return Position{Epoch: s.Epoch, Sequence: s.Sequence, Digest: s.Digest}
}

// stateVersion begins a stored state.
const stateVersion = 5

// Append appends what can't be derived from the genesis. The seed's secret is
// not in it: it is stored with the seeds, and destroyed with them.
func (s *State) Append(dst []byte) []byte {
	dst = append(dst, stateVersion)
	dst = be64(dst, s.Size)
	dst = append(dst, s.Last[:]...)
	dst = be32(dst, s.Epoch)
	dst = be64(dst, s.Sequence)
	dst = append(dst, s.Digest[:]...)
	dst = be64(dst, uint64(s.Millis))
	dst = be64(dst, uint64(s.Wall))
	dst = be64(dst, s.Control)
	dst = be32(dst, s.Seed)
	dst = be64(dst, s.SeedSequence)
	dst = be64(dst, uint64(s.SeedMillis))
	dst = be64(dst, s.MarkSize)
	dst = be64(dst, s.ControlSequence)
	dst = be64(dst, s.Trimmed)
	dst = be64(dst, s.Erasures)
	dst = be64(dst, s.EpochIndex)
	dst = be16(dst, s.Version)
	if s.Epoch > 0 {
		dst = be32(dst, len(s.Start.Append(nil)))
		dst = s.Start.Append(dst)
	}
	dst = be32(dst, len(s.gaps))
	for i := range s.gaps {
		dst = s.gaps[i].append(dst)
	}
	dst = s.rules.append(dst)
	dst = s.holds.append(dst)
	var changed []byte
	if s.keys != nil {
		changed = s.keys.changed
	}
	dst = be32(dst, len(changed))
	return append(dst, changed...)
}

// Resume returns the state that b holds, for the ledger whose genesis gave s.
// secret looks up a stored seed by its number.
func (s State) Resume(b []byte, secret func(number uint32) ([sha256.Size]byte, error)) (State, error) {
	c := cursor{b: b}
	if v := c.u8(); v != stateVersion {
		return State{}, fmt.Errorf("chain: stored state of version %d: this program reads %d", v, stateVersion)
	}
	s.Size = c.u64()
	s.Last = c.hash()
	s.Epoch = c.u32()
	s.Sequence = c.u64()
	s.Digest = c.hash()
	s.Millis = int64(c.u64())
	s.Wall = int64(c.u64())
	s.Control = c.u64()
	s.Seed = c.u32()
	s.SeedSequence = c.u64()
	s.SeedMillis = int64(c.u64())
	s.MarkSize = c.u64()
	s.ControlSequence = c.u64()
	s.Trimmed = c.u64()
	s.Erasures = c.u64()
	s.EpochIndex = c.u64()
	s.Version = c.u16()
	whole := true
	if s.Epoch > 0 {
		var err error
		s.Start, err = ParseEpochStart(c.bytes32())
		whole = err == nil
	}
	s.gaps = nil
	for range c.u32() {
		s.gaps = append(s.gaps, c.gapAt())
		if c.bad {
			break
		}
	}
	s.rules, s.holds = c.rules(), c.holds()
	if changed := c.bytes32(); len(changed) > 0 && whole {
		s.keys, whole = parseRoster(changed)
	}
	if s.Version > LatestFold {
		return State{}, fmt.Errorf("chain: stored state of fold version %d: this program knows %d", s.Version, LatestFold)
	}
	if !c.done() || !whole || s.Version == 0 {
		return State{}, fmt.Errorf("chain: malformed stored state of %d bytes", len(b))
	}
	if s.Seed != GenesisSeed {
		var err error
		if s.Secret, err = secret(s.Seed); err != nil {
			return State{}, fmt.Errorf("chain: seed %d of the stored state: %w", s.Seed, err)
		}
	}
	return s, nil
}

// FloorMillis is floor(ns / 10^6), for times before 1970 too.
func FloorMillis(ns int64) int64 {
	ms := ns / int64(time.Millisecond)
	if ns%int64(time.Millisecond) < 0 {
		ms--
	}
	return ms
}

// Millis is the ULID's time of an entry: the stream's, kept from running
// backwards (previous) and from running a day ahead of the last witnessed time
// (wall). All but timestamp, in ns, are in ms.
func Millis(previous, wall, timestamp int64) int64 {
	ahead := int64(math.MaxInt64)
	if wall <= math.MaxInt64-maxAhead {
		ahead = wall + maxAhead
	}
	// 48 bits hold every time until the year 10889.
	return min(max(previous, min(FloorMillis(timestamp), ahead)), int64(ulid.MaxTime()))
}

// MakeULID makes an entry's id: ms (48 bits), partition (16), index (64). It
// sorts as the index does, gives the index back without a look-up, and is
// guessable: it is never a capability.
func MakeULID(ms int64, partition uint16, index uint64) ulid.ULID {
	var id ulid.ULID
	_ = id.SetTime(uint64(ms)) // Millis keeps it within 48 bits
	b := id[:6]
	b = be16(b, partition)
	be64(b, index)
	return id
}

// SplitULID returns the partition and the index inside an entry's id.
func SplitULID(id ulid.ULID) (partition uint16, index uint64) {
	c := cursor{b: id[6:]}
	return c.u16(), c.u64()
}
