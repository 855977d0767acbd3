package door

import (
	"crypto/rand"
	"strconv"

	"annals/activity"
	"annals/internal/access"
	"annals/internal/problem"

	"github.com/oklog/ulid/v2"
)

const (
	accepted  = "accepted"
	recorded  = "recorded"
	duplicate = "duplicate"
	conflict  = "conflict"
	rejected  = "rejected"
	unknown   = "unknown"
)

// batch is the records of one request: the frame of each that is one, and what
// became of each so far.
type batch struct {
	workspace string
	frames    [][]byte // nil where the record was refused
	items     []Fate

	// Room for both, and for what is waited for, of a batch of one.
	frame [1][]byte
	item  [1]Fate
	wait  [1]wait
}

// framing is what is published of a record, and the record's id, where it has one
// then.
type framing func(body []byte, keys *activity.Keys) (frame []byte, id string)

// vouching frames records on vouched.>, with what the door saw of their sender, and
// knows of who that is. A record without an id gets one: of newID, which is told how
// many records came before it.
func vouching(from activity.Door, who *access.Principal, newID func(n int) string) framing {
	attribute(&from, who)
	n := -1
	return func(body []byte, keys *activity.Keys) ([]byte, string) {
		n++
		d := from
		d.Grade = grade(who, keys)
		id := keys.ID
		if id == "" {
			id = newID(n)
			d.ID = id
		}
		return activity.AppendVouched(make([]byte, 0, len(body)+512), d, body), id
	}
}

// anyID is an id that no other record has.
func anyID(int) string { return ulid.MustNew(ulid.Now(), rand.Reader).String() }

// newBatch checks each record as the ledger will, and frames those that hold.
func newBatch(workspace string, bodies [][]byte, events bool, frame framing) *batch {
	b := &batch{workspace: workspace}
	if b.frames, b.items = b.frame[:], b.item[:]; len(bodies) != 1 {
		b.frames, b.items = make([][]byte, len(bodies)), make([]Fate, len(bodies))
	}
	var keys activity.Keys
	for i, body := range bodies {
		record, bad := body, (*activity.Refusal)(nil)
		if events {
			record, bad = told(body)
		}
		if bad == nil {
			bad = activity.Scan(record, &keys)
		}
		if bad == nil {
			bad = keys.Agree(workspace, "")
		}
		if bad != nil {
			b.items[i] = refusal(bad)
			continue
		}
		b.items[i] = Fate{Status: unknown, Doubts: doubts(&keys)}
		b.frames[i], b.items[i].ID = frame(body, &keys)
	}
	return b
}

// doubts returns what of a record can't be read; nil where all can.
func doubts(keys *activity.Keys) *[]Doubt {
	flags := keys.Unread()
	if len(flags) == 0 {
		return nil
	}
	found := make([]Doubt, len(flags))
	for i, f := range flags {
		found[i] = Doubt(f)
	}
	return &found
}

func refusal(r *activity.Refusal) Fate {
	pointer := r.Pointer
	return Fate{Status: rejected, Code: problem.Code(r.Code.String()), Pointer: &pointer, Detail: r.Detail}
}

// refused returns the problem when not one of the records is one: a lone record's
// own, or that of a batch, which names the place in each.
func (b *batch) refused(lone bool) error {
	var parts []problem.Part
	for i := range b.items {
		item := &b.items[i]
		if item.Status != rejected {
			return nil
		}
		at := *item.Pointer
		if !lone {
			at = "/" + strconv.Itoa(i) + at
		}
		parts = append(parts, problem.At(at, item.Code, item.Detail))
	}
	if lone {
		return problem.New(parts[0].Code, "%s", parts[0].Detail).With(parts...)
	}
	return problem.New(problem.AllRefused, "none of the %d records is a record; correct what errors points at; nothing was recorded", len(parts)).With(parts...)
}

// failed is a problem that says what became of each record.
func (b *batch) failed(code problem.Code, err error) error {
	p := problem.New(code, "").From(err)
	p.Items = b.items
	return p
}
