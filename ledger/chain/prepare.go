package chain

import (
	"crypto/hmac"
	"crypto/sha256"
	"hash"

	"annals/activity"

	"github.com/oklog/ulid/v2"
)

const (
	tagDomain    = "annals/workspace/v1\x00"
	saltDomain   = "annals/salt/v1\x00"
	dedupeDomain = "annals/dedupe/v1\x00"
)

// Prepared is a message that is parsed, checked and hashed, waiting for its
// place in the sequence.
type Prepared struct {
	Items    []Item
	message  Message
	control  bool
	fits     bool // its headers are within bounds
	tag      Hash
	seed     uint32
	epoch    uint32
	version  uint16
	envelope []byte
}

// Control reports whether the message is a barrier: what follows it in the
// stream can be prepared only once it is folded.
func (p *Prepared) Control() bool { return p.control }

// Sequence is the message's sequence in the stream.
func (p *Prepared) Sequence() uint64 { return p.message.Sequence }

// Tag is the workspace tag under which the message's entries will stand.
func (p *Prepared) Tag() Hash { return p.tag }

// Item is one record, or one rejection, of a prepared message.
type Item struct {
	body       []byte // a view of the message's
	attributes []byte // of an event in binary mode: see [Leaf.Attributes]
	start, end int    // of the record's bytes in body
	kind       Kind
	grade      Grade
	code       activity.Code
	event      bool
	keyed      bool
	key        Hash
	amends     uint64
	salt       Hash
	commitment Hash
	original   *Original
	keys       *activity.Keys // of the record; nil for a rejection
}

// Original is the first record under a dedupe key.
type Original struct {
	Index uint64
	// Record is its record bytes; nil when they are erased or expired, and can't
	// be compared.
	Record []byte
	// Attributes are those of the event that the record bytes may be the data of.
	Attributes []byte
}

// Key returns the dedupe key that the fold needs to know about, if the item has
// one.
func (i *Item) Key() (Hash, bool) { return i.key, i.keyed }

// Know tells the item which entry of the ledger already stands under its key.
func (i *Item) Know(o Original) { i.original = &o }

// Record returns the item's record bytes: what sameness is of.
func (i *Item) Record() []byte { return i.body[i.start:i.end] }

// Preparer prepares messages under one state's seed. It keeps scratch space: use
// one a goroutine. It is pure all the same: the scratch never shows.
type Preparer struct {
	state   State
	tagger  *Tagger // its key makes dedupe keys, too
	salter  hash.Hash
	tags    map[string]Hash
	scratch []byte
	slab    []Item
	keys    []activity.Keys // the next records', each used once
}

// Preparer returns a preparer for messages that follow s.
func (s State) Preparer() *Preparer {
	return &Preparer{
		state:   s,
		tagger:  s.Tagger(),
		salter:  hmac.New(sha256.New, s.Secret[:]),
		tags:    map[string]Hash{},
		scratch: make([]byte, 0, 8<<10),
	}
}

// Prepare is the first of the fold's two steps: everything about a message that
// needs no knowledge of what came before it. It is total: each message becomes
// at least one item.
func (p *Preparer) Prepare(m Message) Prepared {
	subject := ParseSubject(m.Subject)
	envelope, fits := appendEnvelope(make([]byte, 0, 5+len(m.Subject)+48), m.Subject, m.Header)
	out := Prepared{message: m, envelope: envelope, fits: fits, seed: p.state.Seed, epoch: p.state.Epoch, version: p.state.Version}
	if subject.Root == RootControl {
		// Whether a control message is one is known only to the fold.
		out.control = true
		return out
	}
	out.tag = p.tag(subject.Workspace)
	switch {
	case !fits:
		out.Items = p.reject(&out, CodeHeaders)
	case subject.Code != 0:
		out.Items = p.reject(&out, subject.Code)
	case !isNDJSON(m.Header):
		out.Items = p.items(1)
		p.prepare(&out, subject, 0, m.Body)
	default:
		lines := countLines(m.Body)
		switch {
		case lines == 0:
			out.Items = p.reject(&out, CodeNoLines)
		case lines > MaxLines:
			out.Items = p.reject(&out, CodeTooManyLines)
		default:
			out.Items = p.items(lines)
			for place, rest := 0, m.Body; place < lines; place++ {
				var line []byte
				line, rest = cutLine(rest)
				p.prepare(&out, subject, place, line)
			}
		}
	}
	return out
}

// items takes n items off the slab, so that single messages don't cost an
// allocation each.
func (p *Preparer) items(n int) []Item {
	if n > len(p.slab) {
		p.slab = make([]Item, max(n, 256))
	}
	out := p.slab[:n:n]
	p.slab = p.slab[n:]
	return out
}

// reject makes the whole message one rejection.
func (p *Preparer) reject(out *Prepared, code activity.Code) []Item {
	items := p.items(1)
	items[0] = Item{kind: KindRejection, code: code, body: out.message.Body, amends: NoRef}
	p.commit(out, &items[0], 0)
	return items
}

// prepare makes an item of one record.
func (p *Preparer) prepare(out *Prepared, subject Subject, place int, body []byte) {
	item := &out.Items[place]
	*item = Item{kind: KindRecord, body: body, end: len(body), amends: NoRef}
	if code := p.judge(out, item, subject); code != 0 {
		*item = Item{kind: KindRejection, code: code, body: body, amends: NoRef}
	}
	p.commit(out, item, uint16(place))
}

// judge decides record or rejection, from the bytes alone.
func (p *Preparer) judge(out *Prepared, item *Item, subject Subject) activity.Code {
	if len(item.body) > MaxBody {
		return CodeBodyTooLarge
	}
	var door activity.Door
	record := item.body
	if subject.Root == RootVouched {
		v, bad := activity.SplitVouched(item.body)
		if bad != nil {
			return bad.Code
		}
		door, record = v.Door, v.Record
		item.start, item.end = v.RecordStart, v.RecordEnd
	}
	if p.state.Version >= FoldEvents {
		told, bad := item.tell(out, subject, &door, record)
		if bad != nil {
			return bad.Code
		}
		record = told
	}
	keys := p.nextKeys()
	if bad := activity.Scan(record, keys); bad != nil {
		return bad.Code
	}
	// What the subject says for the record stays out of its keys.
	typ, workspace := keys.Type, keys.Workspace
	defer func() { keys.Type, keys.Workspace = typ, workspace }()
	if bad := keys.Agree(subject.Workspace, subject.Type); bad != nil {
		return bad.Code
	}
	producer, id, root := keys.Producer, keys.ID, byte(0)
	item.grade = GradeAsserted
	if keys.Actor.Type == activity.ActorAnonymous {
		item.grade = GradeAnonymous
	}
	if subject.Root == RootVouched {
		var bad *activity.Refusal
		if producer, id, bad = door.Scope(keys); bad != nil {
			return bad.Code
		}
		root = 1
		item.grade = doorGrade(door.Grade)
		if item.event {
			// Its id is unique under its source alone (CloudEvents 1.0, source).
			id = keys.Producer + "\x00" + id
		}
	}
	if id != "" {
		item.key, item.keyed = p.dedupeKey(subject.Workspace, root, producer, id), true
	}
	if keys.Amends != "" {
		item.amends = p.amended(keys.Amends)
	}
	item.keys, p.keys = keys, p.keys[1:]
	return 0
}

// nextKeys returns where the next record's keys go. It is the same place again
// until a record is one.
func (p *Preparer) nextKeys() *activity.Keys {
	if len(p.keys) == 0 {
		p.keys = make([]activity.Keys, 128)
	}
	return &p.keys[0]
}

// doorGrade reads a door's grade; SplitVouched let only known ones through.
func doorGrade(name string) Grade {
	for g := GradeAnonymous; g <= GradeVerified; g++ {
		if gradeNames[g] == name {
			return g
		}
	}
	return GradeNone
}

// amended returns the index inside the ULID that a record amends, when it is of
// our partition.
func (p *Preparer) amended(id string) uint64 {
	u, err := ulid.ParseStrict(id)
	if err != nil {
		return NoRef
	}
	if partition, index := SplitULID(u); partition == p.state.partition {
		return index
	}
	return NoRef
}

func (p *Preparer) tag(workspace string) Hash {
	if tag, ok := p.tags[workspace]; ok {
		return tag
	}
	if len(p.tags) >= 64<<10 {
		clear(p.tags) // a bound on memory, not on workspaces
	}
	tag := p.tagger.Tag(workspace)
	p.tags[workspace] = tag
	return tag
}

func (p *Preparer) dedupeKey(workspace string, root byte, producer, id string) Hash {
	b := append(p.scratch[:0], dedupeDomain...)
	b = be16(b, len(workspace))
	b = append(b, workspace...)
	b = append(b, root)
	b = be16(b, len(producer))
	b = append(b, producer...)
	b = be16(b, len(id))
	b = append(b, id...)
	return mac(p.tagger.mac, b)
}

// commit salts an item and hashes its commitment.
func (p *Preparer) commit(out *Prepared, item *Item, place uint16) {
	s := &p.state
	item.salt = mac(p.salter, appendSaltInput(p.scratch[:0], &s.ledger, s.Epoch, out.message.Sequence, place))
	item.commitment = commit(p.scratch, &item.salt, &s.ledger, s.Epoch, out.message.Sequence, place, out.envelope, item.body)
}

// Salt is the salt of one payload: what makes its commitment tell nothing to
// whoever doesn't hold the seed.
func Salt(seed [sha256.Size]byte, ledger Hash, epoch uint32, sequence uint64, place uint16) Hash {
	return mac(hmac.New(sha256.New, seed[:]), appendSaltInput(nil, &ledger, epoch, sequence, place))
}

func appendSaltInput(b []byte, ledger *Hash, epoch uint32, sequence uint64, place uint16) []byte {
	b = append(b, saltDomain...)
	b = append(b, ledger[:]...)
	b = be32(b, epoch)
	b = be64(b, sequence)
	return be16(b, place)
}

// mac finishes one HMAC and leaves h ready for the next. It writes over the input.
func mac(h hash.Hash, input []byte) Hash {
	h.Reset()
	h.Write(input)
	return Hash(h.Sum(input[:0])) // where it came from: room of its own would be made each time
}
