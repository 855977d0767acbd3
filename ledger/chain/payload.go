package chain

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"annals/activity"
)

// Kept says how much of a payload's body stands beside its entry.
type Kept uint8

// How a body is kept.
const (
	KeptWhole  Kept = 0
	KeptAround Kept = 1 // a duplicate: all but the record's bytes, which the original has
	KeptNone   Kept = 2 // a rejection over the size bound: committed to only
)

// Payload is what stands beside an entry: the salt, the envelope (subject and
// retained headers) and the body as published. It is committed to, never hashed
// into the chain itself, and so can be erased. Its bytes are a storage form,
// not a hashed one.
type Payload struct {
	Salt     Hash
	Envelope []byte
	Kept     Kept
	Body     []byte // KeptWhole: a message, or one line of an NDJSON message
	Before   []byte // KeptAround: the body's bytes before the record value …
	After    []byte // … and after it
}

// Size is how many bytes [Payload.Append] appends.
func (p *Payload) Size() int {
	n := 1 + len(p.Salt) + 4 + len(p.Envelope)
	switch p.Kept {
	case KeptWhole:
		n += len(p.Body)
	case KeptAround:
		n += 4 + len(p.Before) + len(p.After)
	}
	return n
}

// Append appends the payload's stored form to dst.
func (p *Payload) Append(dst []byte) []byte {
	dst = append(dst, byte(p.Kept))
	dst = append(dst, p.Salt[:]...)
	dst = be32(dst, len(p.Envelope))
	dst = append(dst, p.Envelope...)
	switch p.Kept {
	case KeptWhole:
		dst = append(dst, p.Body...)
	case KeptAround:
		dst = be32(dst, len(p.Before))
		dst = append(dst, p.Before...)
		dst = append(dst, p.After...)
	}
	return dst
}

// ParsePayload parses a stored payload. Its slices alias b.
func ParsePayload(b []byte) (Payload, error) {
	const fixed = 1 + sha256.Size + 4
	var p Payload
	if len(b) < fixed {
		return p, fmt.Errorf("chain: malformed payload: %d bytes, at least %d stand before the envelope", len(b), fixed)
	}
	p.Kept = Kept(b[0])
	p.Salt = Hash(b[1:])
	n := int(binary.BigEndian.Uint32(b[fixed-4:]))
	b = b[fixed:]
	if n < 0 || n > len(b) {
		return p, fmt.Errorf("chain: malformed payload: an envelope of %d bytes in %d", n, len(b))
	}
	p.Envelope, b = b[:n:n], b[n:]
	switch p.Kept {
	case KeptWhole:
		p.Body = b
	case KeptAround:
		if len(b) < 4 {
			return p, fmt.Errorf("chain: malformed payload: it ends within a length")
		}
		n := int(binary.BigEndian.Uint32(b))
		if n < 0 || n > len(b)-4 {
			return p, fmt.Errorf("chain: malformed payload: %d bytes before the record in %d", n, len(b)-4)
		}
		p.Before, p.After = b[4:4+n:4+n], b[4+n:]
	case KeptNone:
		if len(b) > 0 {
			return p, fmt.Errorf("chain: malformed payload: %d bytes where none is kept", len(b))
		}
	default:
		return p, fmt.Errorf("chain: malformed payload: kept %d", p.Kept)
	}
	return p, nil
}

// Subject returns the subject that the envelope names, "" when it is malformed.
func (p *Payload) Subject() string { return string(p.SubjectBytes()) }

// vouched reports whether the subject that the envelope names has the root of doors,
// as [ParseSubject] sees it: without taking the rest apart, and without a copy, for
// each record that is shown or indexed is asked.
func (p *Payload) vouched() bool {
	root, _, _ := bytes.Cut(p.SubjectBytes(), []byte("."))
	return string(root) == "vouched"
}

// Headers returns the retained headers in the envelope's order, as name and
// value in turn.
func (p *Payload) Headers() []string {
	subject := p.Subject()
	b := p.Envelope
	if len(b) < 5+len(subject) {
		return nil
	}
	b = b[3+len(subject):]
	count := int(binary.BigEndian.Uint16(b))
	b = b[2:]
	var out []string
	for range count {
		if len(b) < 2 {
			return out
		}
		n := int(binary.BigEndian.Uint16(b))
		if len(b) < 2+n+4 {
			return out
		}
		name := string(b[2 : 2+n])
		b = b[2+n:]
		v := int(binary.BigEndian.Uint32(b))
		if v < 0 || len(b) < 4+v {
			return out
		}
		out = append(out, name, string(b[4:4+v]))
		b = b[4+v:]
	}
	return out
}

// Commitment recomputes what the entry's commitment must be. original is the
// record bytes of the entry that a duplicate names; it is nil for other kinds.
// ok is false when the body isn't there to be hashed.
func (p *Payload) Commitment(ledger Hash, e *Entry, original []byte) (h Hash, ok bool) {
	return p.CommitmentIn(nil, &ledger, e, original)
}

const commitDomain = "annals/payload/v1\x00"

// commitHead is how many bytes stand before the envelope.
const commitHead = len(commitDomain) + 2*sha256.Size + 4 + 8 + 2 + 4

// appendCommitHead appends what stands before the body's length.
func appendCommitHead(dst []byte, salt, ledger *Hash, epoch uint32, sequence uint64, place uint16, envelope []byte) []byte {
	dst = append(dst, commitDomain...)
	dst = append(dst, salt[:]...)
	dst = append(dst, ledger[:]...)
	dst = be32(dst, epoch)
	dst = be64(dst, sequence)
	dst = be16(dst, place)
	dst = be32(dst, len(envelope))
	return append(dst, envelope...)
}

// commit hashes a payload's commitment. The body may come in pieces; scratch, when
// given, is where the input is laid out.
func commit(scratch []byte, salt, ledger *Hash, epoch uint32, sequence uint64, place uint16, envelope []byte, body ...[]byte) Hash {
	length := 0
	for _, b := range body {
		length += len(b)
	}
	b := appendCommitHead(scratch[:0], salt, ledger, epoch, sequence, place, envelope)
	b = be32(b, length)
	if length <= 4096 {
		for _, part := range body {
			b = append(b, part...)
		}
		return sha256.Sum256(b)
	}
	return sum("", append([][]byte{b}, body...)...)
}

// Leaf is an entry with what stands beside it: what an audit reads and what the
// projections fold.
type Leaf struct {
	Entry   Entry
	Raw     []byte   // the entry's bytes
	Payload *Payload // nil for a gap, and where it isn't available
	// Original is the record bytes of the entry that a duplicate names.
	Original []byte
	// Keys is what [activity.Scan] reads out of the record, where whoever hands the
	// leaf over has it at hand; nil: scan. Its strings alias the leaf's bytes.
	Keys *activity.Keys
	// Hash is the leaf hash of Raw, where it is at hand; zeros: compute it.
	Hash Hash
	// Gone is what an erasure's entry covers, where whoever hands the leaf over knows
	// it: what indexes let go of.
	Gone *Gone
	// Nodes is what is stored of the tree's nodes that the entry completes: their
	// hashes one after the other, level 1 upwards. Sources of an audit set it where
	// they have it at hand.
	Nodes []byte
}

// Gone are entries of a workspace whose payloads an erasure covers.
type Gone struct {
	Workspace Hash
	Indexes   []uint64 // ascending
	Millis    []uint64 // the time of each one's ULID: all that is left to go by
}

// Subject takes apart the subject that the leaf's payload names.
func (l *Leaf) Subject() Subject {
	if l.Payload == nil {
		return Subject{}
	}
	return ParseSubject(l.Payload.Subject())
}

// Scan finds in the leaf's bytes what Keys would be, of a leaf that comes without
// them; false where there is no record, or it is erased. k aliases the bytes.
func (l *Leaf) Scan(k *activity.Keys) bool {
	if !l.Entry.Kind.HasRecord() {
		return false
	}
	_, record := l.Shown()
	return record != nil && activity.Scan(record, k) == nil
}

// Record returns the record bytes, which sameness is of: the body on `activity.`, the
// record value on `vouched.`; for a rejection, where there is no record, the whole
// body. Of an event they are the event, or its data: [Leaf.Shown] returns the record
// that it tells. Beside them come the door's own words, nil where there was no door.
func (l *Leaf) Record() (door, record []byte) {
	p := l.Payload
	if p == nil || p.Kept == KeptNone || l.Entry.Kind == KindControl {
		return nil, nil
	}
	if p.Kept == KeptAround {
		if len(p.Before) == 0 && len(p.After) == 0 {
			return nil, l.Original
		}
		body := l.Body()
		if v, bad := activity.SplitVouched(body); bad == nil {
			return v.DoorRaw, v.Record
		}
		return nil, l.Original
	}
	if p.vouched() {
		if v, bad := activity.SplitVouched(p.Body); bad == nil {
			return v.DoorRaw, v.Record
		}
	}
	return nil, p.Body
}

// Body returns what was published, the whole message or one line of it, with the
// record that stands elsewhere in its place; nil where it isn't kept.
func (l *Leaf) Body() []byte {
	p := l.Payload
	switch {
	case p == nil:
		return nil
	case p.Kept != KeptAround:
		return p.Body
	}
	body := make([]byte, 0, len(p.Before)+len(l.Original)+len(p.After))
	return append(append(append(body, p.Before...), l.Original...), p.After...)
}

// Position says up to where a ledger has folded its stream.
type Position struct {
	Epoch    uint32
	Sequence uint64 // of the last message folded, or of the last lost; 0 before the first
	Digest   Hash   // of that message; zeros of a lost one
}

// Receipt says what became of one record of one message. It is given out only
// when the entry is durable.
type Receipt struct {
	Entry     Entry
	EntryHash Hash
}
