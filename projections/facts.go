package projections

import (
	"strconv"

	"annals/activity"
	"annals/ledger/chain"
)

// facts is what an entry says.
type facts struct {
	entry *chain.Entry
	keys  *activity.Keys // nil where there is no record, or it is erased
	typ   string         // the record's type, the subject's where it leaves it out
	data  looked         // what of its data it is looked up by
}

// has says each value that the entry has in a field, some of them twice. It is the
// one place that knows: both the fold and a [Matcher] go by it. A new field is a
// case here, a constant, its place in stored, and a new schema version.
func (k *facts) has(f Field, say func(a, b string)) {
	one := func(v string) {
		if v != "" {
			say(v, "")
		}
	}
	switch f {
	case FieldKind:
		say(k.entry.Kind.String(), "")
		return
	case FieldGrade:
		say(k.entry.Grade.String(), "")
		return
	case FieldAmends: // the entry says it: also of a record that is erased
		if k.entry.Kind == chain.KindRecord && k.entry.Ref != chain.NoRef {
			say(strconv.FormatUint(k.entry.Ref, 10), "")
		}
		return
	}
	if k.keys == nil {
		return
	}
	switch f {
	case FieldUser:
		one(k.keys.Actor.ID)
		one(k.keys.OnBehalfOf.ID)
	case FieldActor:
		one(k.keys.Actor.ID)
	case FieldBehalf:
		if k.keys.OnBehalfOf.ID != k.keys.Actor.ID {
			one(k.keys.OnBehalfOf.ID)
		}
	case FieldData:
		if k.data.value != "" {
			say(k.data.name, k.data.value)
		}
	case FieldObject:
		if !k.keys.Object.IsZero() {
			say(k.keys.Object.Type, k.keys.Object.ID)
		}
		k.has(FieldLinked, say)
	case FieldLinked:
		for _, r := range k.keys.Linked {
			if !r.IsZero() {
				say(r.Type, r.ID)
			}
		}
	case FieldType:
		one(k.typ)
	case FieldSource:
		one(k.keys.Source)
	case FieldOutcome:
		one(k.keys.Outcome)
	case FieldSession:
		one(k.keys.Session)
	case FieldIP:
		one(k.keys.IP)
	case FieldDimension:
		for _, d := range k.keys.Dimensions {
			say(d.Name, d.Value)
		}
	}
}

// stored are the fields that have lists.
var stored = [...]Field{
	FieldUser, FieldObject, FieldLinked, FieldType, FieldSource, FieldOutcome,
	FieldSession, FieldIP, FieldGrade, FieldKind, FieldDimension, FieldAmends,
	FieldBehalf, FieldData,
}

// looked is a member of a record's data that it is looked up by, and its value.
type looked struct{ name, value string }

// reader finds out what leaves say. It keeps scratch space between them.
type reader struct {
	facts    facts
	keys     activity.Keys
	envelope []byte // of the leaf before, whose subject is known
	subject  chain.Subject
}

// read returns what a leaf says, until the next call. An entry whose payload is
// erased says its kind and grade alone, as a rejection does, which says nothing
// that could be relied on.
func (r *reader) read(leaf *chain.Leaf) *facts {
	r.facts = facts{entry: &leaf.Entry}
	if !leaf.Entry.Kind.HasRecord() || leaf.Payload == nil {
		return &r.facts
	}
	keys := leaf.Keys
	if keys == nil {
		if !leaf.Scan(&r.keys) {
			return &r.facts
		}
		keys = &r.keys
	}
	r.facts.keys, r.facts.typ = keys, keys.Type
	if keys.Type == "" {
		r.facts.typ = r.subjectOf(leaf).Type
	}
	if r.facts.typ == activity.TypeDataExported {
		_, record := leaf.Shown()
		if export, ok := activity.ExportDataTypeOf(activity.DataOf(record)); ok {
			r.facts.data = looked{activity.ExportDataType, export.Slug}
		}
	}
	return &r.facts
}

// forget lets go of the record's bytes: an erased one must not stay in memory.
func (r *reader) forget() {
	r.keys.Forget()
	r.facts = facts{}
}

// subjectOf takes a leaf's subject apart, once for the many leaves of one
// message and of the messages like it.
func (r *reader) subjectOf(leaf *chain.Leaf) chain.Subject {
	if string(r.envelope) != string(leaf.Payload.Envelope) || r.envelope == nil {
		r.envelope = append(r.envelope[:0], leaf.Payload.Envelope...)
		r.subject = leaf.Subject()
	}
	return r.subject
}
