package activity

import (
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Sentence says in words what a record tells, as parts to be shown one after
// the other: a page makes links of those with a Ref, a terminal prints the
// text. Names come from the record, as they were then; where it has none, the
// id stands in. What producers wrote is cleaned (no control or direction
// characters, no longer than 200 characters), but it is never HTML and a page
// escapes it as any text.
type Sentence []Part

// Part is a piece of a sentence.
type Part struct {
	Kind PartKind `json:"kind"`
	Text string   `json:"text"`
	Ref  Ref      `json:"ref,omitzero"` // what the part names
}

// PartKind says what a part is.
type PartKind string

// The kinds of parts. Quotation marks around a value stand in the text.
const (
	PartText   PartKind = "text"
	PartActor  PartKind = "actor"  // who acted, or on whose behalf
	PartObject PartKind = "object" // a thing with a type and an id
	PartValue  PartKind = "value"  // what stands in the record
)

// String returns the sentence as plain text, without a full stop.
func (s Sentence) String() string {
	var b strings.Builder
	for _, p := range s {
		b.WriteString(p.Text)
	}
	return b.String()
}

// Describe makes the sentence of a record by the [Catalogue]. r.Type must be
// filled in where the subject alone named it.
func Describe(r *Record) Sentence { return Catalogue().Describe(r) }

// Describe makes the sentence of a record. A type that is not in the vocabulary
// has one too: who performed it, on what.
func (v *Vocabulary) Describe(r *Record) Sentence {
	s := &speaker{record: r, words: v, data: members(r.Data)}
	d, known := v.Lookup(r.Type)
	s.definition = d
	if known {
		s.speak(d.sentence)
	} else {
		s.perform()
	}
	s.behalf()
	s.changes()
	if !known {
		s.message()
	}
	s.outcome()
	s.amends()
	return s.out
}

// speaker is one sentence in the making.
type speaker struct {
	record     *Record
	words      *Vocabulary
	definition Definition
	data       map[string]jsontext.Value
	out        Sentence
	values     bool // fields of data have been said
	forOther   bool // on_behalf_of has been said
}

func (s *speaker) speak(t template) {
	for i := range t {
		p := &t[i]
		switch {
		case p.bracket != nil && s.canSay(p.bracket):
			s.speak(p.bracket)
		case p.bracket != nil:
			s.speak(p.otherwise)
		case p.hole != "":
			s.fill(p)
		default:
			s.text(p.text)
		}
	}
}

// canSay reports whether every hole of a bracket has a value.
func (s *speaker) canSay(t template) bool {
	for i := range t {
		switch p := &t[i]; {
		case p.hole == "":
		case p.field != nil:
			if !s.hasValue(p) {
				return false
			}
		case p.hole == "on_behalf_of" && !named(s.record.OnBehalfOf),
			p.hole == "ip" && (s.record.Context == nil || s.record.Context.IP == ""),
			p.hole == "object" && s.record.Object == nil:
			return false
		}
	}
	return true
}

// fill says what belongs in a hole.
func (s *speaker) fill(p *piece) {
	switch {
	case p.field != nil:
		s.values = true
		s.field(p.field, s.data[p.field.Slug], p.style)
	case p.hole == "actor":
		s.party(s.record.Actor)
	case p.hole == "object":
		s.object()
	case p.hole == "on_behalf_of":
		s.forOther = true
		s.party(s.record.OnBehalfOf)
	case p.hole == "event":
		s.quoted(PartValue, strings.TrimPrefix(s.record.Type, s.definition.Prefix()), Ref{})
	case p.hole == "ip":
		s.add(PartValue, s.record.Context.IP, Ref{})
	}
}

// perform is the sentence of a type that nobody has defined.
func (s *speaker) perform() {
	s.party(s.record.Actor)
	s.text(" performed ")
	s.quoted(PartValue, s.record.Type, Ref{})
	if o := s.record.Object; o != nil && (o.ID != "" || o.Name != "") {
		s.text(" on ")
		s.object()
	}
}

func (s *speaker) behalf() {
	if !s.forOther && named(s.record.OnBehalfOf) {
		s.text(" on behalf of ")
		s.party(s.record.OnBehalfOf)
	}
}

// outcome says so when the thing that the sentence tells did not come about.
func (s *speaker) outcome() {
	switch strings.ToLower(s.record.Outcome) {
	case "", "success", "successful", "succeeded", "ok":
		return
	}
	if !s.definition.Failure {
		s.text(", outcome ")
		s.quoted(PartValue, s.record.Outcome, Ref{})
	}
}

func (s *speaker) amends() {
	if id := s.record.Amends; id != "" {
		s.text(", amending record ")
		s.quoted(PartObject, id, Ref{Type: "record", ID: id})
	}
}

// message adds what the producer said of a type that says nothing itself.
func (s *speaker) message() {
	if text, ok := stringOf(s.record.Message); ok && text != "" {
		s.text(": ")
		s.quoted(PartValue, text, Ref{})
	}
}

const mostChanges = 3

// changes lists the first changed fields, unless the sentence has named values
// of its own.
func (s *speaker) changes() {
	if s.values || len(s.record.Changes) == 0 {
		return
	}
	s.text(" (")
	for i, c := range s.record.Changes {
		if i == mostChanges {
			s.text("; and more")
			break
		}
		if i > 0 {
			s.text("; ")
		}
		s.add(PartValue, c.Field, Ref{})
		if c.Old != nil {
			s.text(" from ")
			s.changed(c.Old)
		}
		if c.New != nil {
			s.text(" to ")
			s.changed(c.New)
		}
	}
	s.text(")")
}

func (s *speaker) changed(v jsontext.Value) {
	if v.Kind() == 'n' {
		s.text("nothing")
		return
	}
	text, id := valueOf(v)
	s.quoted(PartValue, text, Ref{ID: id})
}
