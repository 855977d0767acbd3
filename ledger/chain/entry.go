package chain

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/oklog/ulid/v2"
)

// Sizes of an entry, in bytes.
const (
	HeaderSize   = 208
	MaxEntrySize = math.MaxUint16
)

// NoRef stands in an entry's Ref when it names no other entry.
const NoRef = math.MaxUint64

// GenesisSeed is the seed number of whatever is salted by the workspace key
// itself: the genesis.
const GenesisSeed = math.MaxUint32

const magic = "anl\x01"

// Kind says what an entry records.
type Kind uint8

// The kinds of entry version 1.
const (
	KindRecord    Kind = 1
	KindDuplicate Kind = 2
	KindConflict  Kind = 3
	KindRejection Kind = 4
	KindControl   Kind = 5
	KindGap       Kind = 6
)

var kindNames = [...]string{1: "record", 2: "duplicate", 3: "conflict", 4: "rejection", 5: "control", 6: "gap"}

// Kinds lists every kind of version 1, in order.
func Kinds() []Kind {
	return []Kind{KindRecord, KindDuplicate, KindConflict, KindRejection, KindControl, KindGap}
}

// String returns the kind's name as the API and the docs spell it.
func (k Kind) String() string {
	if k >= KindRecord && int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// HasRecord reports whether entries of the kind are of a record, and so have
// whatever a record names.
func (k Kind) HasRecord() bool { return k == KindRecord || k == KindDuplicate || k == KindConflict }

// ParseKind is the reverse of [Kind.String].
func ParseKind(s string) (Kind, error) {
	for _, k := range Kinds() {
		if kindNames[k] == s {
			return k, nil
		}
	}
	return 0, fmt.Errorf("chain: no kind %q: use record, duplicate, conflict, rejection, control or gap", s)
}

// Grade says how a record's actor is attributed.
type Grade uint8

// The grades of entry version 1, weakest first.
const (
	GradeNone      Grade = 0 // not applicable: the entry is no record
	GradeAnonymous Grade = 1 // the record says that its actor is anonymous
	GradeAsserted  Grade = 2 // the producer says who it was
	GradeDelegated Grade = 3 // a verified caller acted for the actor
	GradeVerified  Grade = 4 // the actor's own token was verified
)

var gradeNames = [...]string{"none", "anonymous", "asserted", "delegated", "verified"}

// String returns the grade's name as the API and the vouched line spell it.
func (g Grade) String() string {
	if int(g) < len(gradeNames) {
		return gradeNames[g]
	}
	return fmt.Sprintf("grade %d", uint8(g))
}

// Flags of an entry.
const (
	FlagRetained uint16 = 1 << 0 // the payload was retained at birth
	FlagClamped  uint16 = 1 << 1 // the ULID's time is not the stream's

	// b2, a producer's signature, is 0 in every version so far.

	FlagEvent uint16 = 1 << 3 // the record is what a CloudEvent tells; from fold version 2 on

	knownFlags = FlagRetained | FlagClamped | FlagEvent
)

// Entry is what is hashed: a fixed header of 208 bytes, and a tail of TLVs.
// The bytes are those of docs/format/entry.md.
type Entry struct {
	Kind                Kind
	Grade               Grade
	Flags               uint16
	Code                uint16 // rejection reason | duplicate detail | control type | 0
	Place               uint16 // 0-based place in its message
	Count               uint16 // records in its message
	Index               uint64 // leaf index
	Sequence            uint64 // stream sequence
	ULID                ulid.ULID
	Timestamp           int64 // the stream's, ns since 1970, raw
	Epoch               uint32
	Seed                uint32 // which seed made the salt
	Ref                 uint64 // index of the original or amended entry, or NoRef
	Position            uint64 // in its workspace's chain
	Previous            Hash   // previous leaf
	Workspace           Hash   // tag; zeros: the system
	PreviousInWorkspace Hash
	Commitment          Hash   // to the payload
	Tail                []byte // encoded TLVs
}

// Append appends the entry's bytes to dst: the only printing there is.
func (e *Entry) Append(dst []byte) []byte {
	dst = append(dst, magic...)
	dst = append(dst, byte(e.Kind), byte(e.Grade))
	dst = be16(dst, e.Flags)
	dst = be16(dst, e.Code)
	dst = be16(dst, e.Place)
	dst = be16(dst, e.Count)
	dst = be16(dst, len(e.Tail))
	dst = be64(dst, e.Index)
	dst = be64(dst, e.Sequence)
	dst = append(dst, e.ULID[:]...)
	dst = be64(dst, uint64(e.Timestamp))
	dst = be32(dst, e.Epoch)
	dst = be32(dst, e.Seed)
	dst = be64(dst, e.Ref)
	dst = be64(dst, e.Position)
	dst = append(dst, e.Previous[:]...)
	dst = append(dst, e.Workspace[:]...)
	dst = append(dst, e.PreviousInWorkspace[:]...)
	dst = append(dst, e.Commitment[:]...)
	return append(dst, e.Tail...)
}

// ErrUnsupported marks an entry of a version, flag or critical TLV that this
// program does not know. It is never a sign of tampering: a newer program reads
// it.
var ErrUnsupported = errors.New("unsupported entry")

// ErrMalformed marks bytes that no printer of version 1 prints.
var ErrMalformed = errors.New("malformed entry")

func malformed(format string, args ...any) error {
	return fmt.Errorf("chain: %w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}

func unsupported(format string, args ...any) error {
	return fmt.Errorf("chain: %w: %s; a newer version of annals may read it", ErrUnsupported, fmt.Sprintf(format, args...))
}

// ParseEntry parses exactly what [Entry.Append] prints. The tail aliases b.
// Errors wrap [ErrMalformed] or [ErrUnsupported].
func ParseEntry(b []byte) (Entry, error) {
	var e Entry
	if len(b) < HeaderSize {
		return e, malformed("%d bytes, a header has %d", len(b), HeaderSize)
	}
	if string(b[:3]) != magic[:3] {
		return e, malformed("magic %x, want %x", b[:4], magic)
	}
	if b[3] != magic[3] {
		return e, unsupported("version %d", b[3])
	}
	be := binary.BigEndian
	e.Kind = Kind(b[4])
	e.Grade = Grade(b[5])
	e.Flags = be.Uint16(b[6:])
	e.Code = be.Uint16(b[8:])
	e.Place = be.Uint16(b[10:])
	e.Count = be.Uint16(b[12:])
	tail := int(be.Uint16(b[14:]))
	e.Index = be.Uint64(b[16:])
	e.Sequence = be.Uint64(b[24:])
	e.ULID = ulid.ULID(b[32:48])
	e.Timestamp = int64(be.Uint64(b[48:]))
	e.Epoch = be.Uint32(b[56:])
	e.Seed = be.Uint32(b[60:])
	e.Ref = be.Uint64(b[64:])
	e.Position = be.Uint64(b[72:])
	e.Previous = Hash(b[80:112])
	e.Workspace = Hash(b[112:144])
	e.PreviousInWorkspace = Hash(b[144:176])
	e.Commitment = Hash(b[176:208])
	if HeaderSize+tail != len(b) {
		return e, malformed("tail length %d, but %d bytes follow the header", tail, len(b)-HeaderSize)
	}
	if len(b) > MaxEntrySize {
		return e, malformed("%d bytes, the most is %d", len(b), MaxEntrySize)
	}
	if tail > 0 {
		e.Tail = b[HeaderSize:]
	}
	return e, e.check()
}

// check holds an entry to the rules that need nothing but its own bytes.
func (e *Entry) check() error {
	if e.Kind < KindRecord || e.Kind > KindGap {
		return unsupported("kind %d", uint8(e.Kind))
	}
	if e.Flags&^knownFlags != 0 {
		return unsupported("flags %#04x", e.Flags)
	}
	if e.Grade > GradeVerified {
		return unsupported("grade %d", uint8(e.Grade))
	}
	if e.Count == 0 || e.Place >= e.Count {
		return malformed("place %d of %d", e.Place, e.Count)
	}
	if e.Ref != NoRef && e.Ref >= e.Index {
		return malformed("entry %d refers to %d, which is not before it", e.Index, e.Ref)
	}
	if err := e.checkKind(); err != nil {
		return err
	}
	return e.checkTail()
}

// checkKind holds an entry to the rules of its kind (docs/format/entry.md).
func (e *Entry) checkKind() error {
	retained := e.Flags&FlagRetained != 0
	system := e.Kind == KindControl || e.Kind == KindGap
	bad := func(format string, args ...any) error {
		return malformed("%s entry %d: %s", e.Kind, e.Index, fmt.Sprintf(format, args...))
	}
	if system && (!e.Workspace.IsZero() || e.Place != 0 || e.Count != 1) {
		return bad("must stand in the system's chain, place 0 of 1")
	}
	if (e.Kind == KindRecord || e.Kind == KindDuplicate || e.Kind == KindConflict) == (e.Grade == GradeNone) {
		return bad("grade %s", e.Grade)
	}
	if e.Flags&FlagEvent != 0 && !e.Kind.HasRecord() {
		return bad("tells no event, has flags %#x", e.Flags)
	}
	switch e.Kind {
	case KindRecord:
		if !retained || e.Code != 0 {
			return bad("must retain its payload and have code 0, has flags %#x, code %d", e.Flags, e.Code)
		}
	case KindConflict:
		if !retained || e.Code != 0 || e.Ref == NoRef {
			return bad("must retain its payload, have code 0 and name its original")
		}
	case KindDuplicate:
		if retained || e.Ref == NoRef || (e.Code != DuplicateSame && e.Code != DuplicateUncompared) {
			return bad("must not retain its payload, must name its original, and have code 1 or 2")
		}
	case KindRejection:
		if e.Ref != NoRef || e.Code == 0 {
			return bad("must name no other entry and give its reason")
		}
	case KindControl:
		if !retained || e.Ref != NoRef || e.Code == 0 {
			return bad("must retain its payload, name no other entry and give its type")
		}
	case KindGap:
		if retained || e.Ref != NoRef || e.Code != 0 || !e.Commitment.IsZero() {
			return bad("has no payload, code or reference")
		}
	}
	return nil
}

// Details of a duplicate, in its code.
const (
	DuplicateSame       uint16 = 1 // compared: the record bytes are the original's
	DuplicateUncompared uint16 = 2 // the original is erased or expired: not compared
)
