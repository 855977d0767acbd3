package projections

import (
	"bytes"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"annals/activity"
	"annals/ledger/chain"

	"github.com/go-json-experiment/json/jsontext"
)

// pools are what random records draw from: values that begin like one another,
// and hold what keys are made of.
type pools struct {
	workspaces, users, types, words, addresses []string
	objects                                    []activity.Ref
	dimensions                                 []activity.Dimension
}

var adversarial = pools{
	workspaces: []string{"a", "aa", "", "b", "ab", "c", "d", "e"},
	users:      []string{"u", "u\x00", "u\x00\x01", "u\x00ÿ", "\x00", "\x00\x02", "uu", "ÿ", strings.Repeat("u", maxValue)},
	types:      []string{"app.renamed", "app.created", "t", "t.t", "frontend_x", "frontend_", "frontend_a.b", "machine.created", strings.Repeat("t", activity.MaxType)},
	words:      []string{"web", "we", "w", "web\x00", "\uffff", strings.Repeat("w", maxValue+1), strings.Repeat("w", maxValue+2)},
	addresses: []string{
		"10.0.0.1", "::ffff:10.0.0.1", "10.0.0.255", "10.0.1.0", "10.255.255.255", "11.0.0.0", "9.255.255.255", "0.0.0.0", "255.255.255.255",
		"2001:db8::1", "2001:DB8:0:0:0:0:0:1", "2001:db9::", "fe80::1%eth0", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "no address", "10.0.0.1 ", "10.0.0.0/33", "\x00",
	},
	objects: []activity.Ref{
		{Type: "o", ID: "1"},
		{Type: "o\x00", ID: "1"},
		{Type: "o", ID: "\x001"},
		{Type: "o", ID: "12"},
		{Type: "o\x00\x01", ID: ""},
		{Type: "", ID: "1"},
		{Type: "o1", ID: ""},
		{Type: "", ID: "o1"},
		{Type: strings.Repeat("o", maxValue), ID: "1"},
		{Type: strings.Repeat("o", maxValue+1), ID: "1"},
		{Type: strings.Repeat("o", maxValue+2), ID: "1"},
		{Type: strings.Repeat("long", 25<<10), ID: "1"},
	},
	dimensions: []activity.Dimension{
		{Name: "org", Value: "1"},
		{Name: "org", Value: "12"},
		{Name: "or", Value: "g1"},
		{Name: "org\x00", Value: "1"},
		{Name: "", Value: "1"},
		{Name: "site", Value: strings.Repeat("s", maxValue+1)},
		{Name: "site", Value: "\x00"},
	},
}

// short are the same without the values that are as long as a record.
var short = func() pools {
	p := adversarial
	p.objects = p.objects[:len(p.objects)-1]
	return p
}()

func pick[T any](rng *rand.Rand, pool []T) T {
	// The first are the frequent ones.
	return pool[min(rng.IntN(len(pool)), rng.IntN(len(pool)))]
}

// grow adds n random leaves.
func (m *model) grow(rng *rand.Rand, n int, from *pools) {
	for range n {
		m.one(rng, from)
	}
}

func (m *model) one(rng *rand.Rand, from *pools) {
	s := spec{kind: chain.KindRecord, workspace: pick(rng, from.workspaces)}
	f := fact{ms: millis(m.size())}
	f.occurred = f.ms * 1e6
	switch rng.IntN(40) {
	case 0, 1:
		s.kind, s.body = chain.KindRejection, []byte("not a record")
	case 2:
		s.kind, s.workspace, s.body = chain.KindControl, "", []byte("a control frame")
	case 3:
		s.kind, s.workspace = chain.KindGap, ""
	case 4: // erased
	case 5, 6, 7:
		s.kind = chain.KindDuplicate
	case 8, 9, 10:
		s.kind = chain.KindConflict
	}
	s.grade = chain.GradeNone
	if s.kind <= chain.KindConflict {
		s.grade = pick(rng, []chain.Grade{chain.GradeAsserted, chain.GradeVerified, chain.GradeDelegated, chain.GradeAnonymous})
		if rng.IntN(20) > 0 {
			m.write(rng, from, &s, &f)
		}
	}
	f.tag, f.kind = tagOf(s.workspace), s.kind
	if s.kind == chain.KindRecord && m.size() > 0 && rng.IntN(6) == 0 {
		m.amend(rng, &s, &f)
	}
	f.say(FieldKind, Value{A: s.kind.String()})
	f.say(FieldGrade, Value{A: s.grade.String()})
	if m.of == nil {
		m.of = map[chain.Hash][]uint64{}
	}
	m.of[f.tag] = append(m.of[f.tag], m.size())
	m.add(s)
	m.facts = append(m.facts, f)
}

// amend makes a record amend an entry: one of its own workspace, of another, or one
// that was amended before.
func (m *model) amend(rng *rand.Rand, s *spec, f *fact) {
	amended := rng.Uint64N(m.size())
	if own := m.of[f.tag]; len(own) > 0 && rng.IntN(4) > 0 {
		amended = own[max(rng.IntN(len(own)), rng.IntN(len(own)))]
	}
	s.amends = &amended
	f.say(FieldAmends, Value{A: strconv.FormatUint(amended, 10)})
	if m.facts[amended].tag == f.tag {
		if m.by == nil {
			m.by = map[uint64][]uint64{}
		}
		m.by[amended] = append(m.by[amended], m.size())
	}
}

// write draws a record and puts it into the leaf.
func (m *model) write(rng *rand.Rand, from *pools, s *spec, f *fact) {
	record := m.record(rng, from, s, f)
	if strings.HasPrefix(s.subject, "vouched.") {
		frame := activity.AppendVouched(nil, activity.Door{Grade: activity.GradeVerified, Producer: "door"}, record)
		at := bytes.Index(frame, []byte(`,"record":`)) + len(`,"record":`)
		s.body, s.before, s.after = frame, frame[:at], frame[at+len(record):]
	} else {
		s.body = record
	}
	if s.kind == chain.KindDuplicate {
		s.original = record
	}
	s.keys = rng.IntN(2) == 0
}

// record draws a record, and says in s and f what follows from it.
func (m *model) record(rng *rand.Rand, from *pools, s *spec, f *fact) []byte {
	quote := func(v string) string { b, _ := jsontext.AppendQuote(nil, v); return string(b) }
	actor := m.say(f, FieldUser, pick(rng, from.users))
	m.say(f, FieldActor, actor)
	b := `{"actor":{"type":"user","id":` + quote(actor) + `}`
	if rng.IntN(3) == 0 { // now and then the actor himself
		behalf := m.say(f, FieldUser, pick(rng, from.users))
		if behalf != actor {
			m.say(f, FieldBehalf, behalf)
		}
		b += `,"on_behalf_of":{"id":` + quote(behalf) + `}`
	}
	ref := func(fields ...Field) string {
		r := pick(rng, from.objects)
		for _, field := range fields {
			f.say(field, Value{A: r.Type, B: r.ID})
		}
		return `{"type":` + quote(r.Type) + `,"id":` + quote(r.ID) + `}`
	}
	if rng.IntN(5) > 0 {
		b += `,"object":` + ref(FieldObject)
	}
	if rng.IntN(3) == 0 {
		b += `,"linked":[` + ref(FieldObject, FieldLinked) + `,{},` + ref(FieldObject, FieldLinked) + `]`
	}
	for _, c := range []struct {
		field Field
		name  string
	}{{FieldSource, "source"}, {FieldOutcome, "outcome"}} {
		if rng.IntN(3) > 0 {
			b += `,"` + c.name + `":` + quote(m.say(f, c.field, pick(rng, from.words)))
		}
	}
	if rng.IntN(3) > 0 {
		ip := pick(rng, from.addresses)
		f.say(FieldIP, Value{A: canonical(ip)})
		session := m.say(f, FieldSession, "s"+strconv.Itoa(rng.IntN(3000)))
		b += `,"context":{"ip":` + quote(ip) + `,"session_id":` + quote(session) + `}`
	}
	b += m.dimensions(rng, from, f) + m.when(rng, f)
	typ := pick(rng, from.types)
	if rng.IntN(8) == 0 {
		typ = "user.data_exported"
		b += m.exported(rng, f)
	}
	m.say(f, FieldType, typ)
	f.say(FieldGroup, Value{A: groupOfType(typ)})
	s.subject = "activity." + s.workspace + "." + typ
	if rng.IntN(2) == 0 {
		s.subject = "activity." + s.workspace + "._"
		b += `,"type":` + quote(typ)
	}
	if s.workspace == "" {
		s.subject = strings.Replace(s.subject, "activity..", "vouched._system.", 1)
	} else if rng.IntN(3) == 0 {
		s.subject = "vouched" + strings.TrimPrefix(s.subject, "activity")
	}
	return []byte(b + `}`)
}

// exported draws the data of an export: of a kind by its number or its slug, or of none.
func (m *model) exported(rng *rand.Rand, f *fact) string {
	kinds := []string{"export_data", "export_formula", "export_image", "download_document", "template_report"}
	i := rng.IntN(len(kinds))
	told := []string{strconv.Itoa(i), strconv.Quote(kinds[i]), `"` + strconv.Itoa(i) + `"`, "null", "5"}[rng.IntN(5)]
	if told == strconv.Itoa(i) || told == strconv.Quote(kinds[i]) {
		f.say(FieldData, Value{A: "export_data_type", B: kinds[i]})
	}
	return `,"data":` + []string{`{"export_data_type":` + told + `}`, `{"a":{},"export_\u0064ata_type":` + told + `}`}[rng.IntN(2)]
}

func (m *model) say(f *fact, field Field, v string) string {
	f.say(field, Value{A: v})
	return v
}

func (m *model) dimensions(rng *rand.Rand, from *pools, f *fact) string {
	b, seen := "", map[string]bool{}
	for range rng.IntN(4) {
		d := pick(rng, from.dimensions)
		if seen[d.Name] {
			continue
		}
		seen[d.Name] = true
		f.say(FieldDimension, Value{A: d.Name, B: d.Value})
		name, _ := jsontext.AppendQuote(nil, d.Name)
		value, _ := jsontext.AppendQuote(nil, d.Value)
		b += "," + string(name) + ":" + string(value)
	}
	if b == "" {
		return ""
	}
	return `,"dimensions":{` + b[1:] + `}`
}

// when draws when it occurred: mostly a moment ago, now and then years away.
func (m *model) when(rng *rand.Rand, f *fact) string {
	recorded := time.UnixMilli(f.ms).UTC()
	var at time.Time
	switch rng.IntN(20) {
	case 0, 1, 2, 3:
		return ""
	case 4:
		return `,"occurred_at":"yesterday"`
	case 5:
		f.occurred = math.MinInt64
		return `,"occurred_at":"0001-01-01T00:00:00Z"`
	case 6:
		f.occurred = math.MaxInt64
		return `,"occurred_at":"9999-12-31T23:59:59Z"`
	case 7, 8, 9:
		at = recorded.Add(-time.Duration(rng.Int64N(5 * 365 * 24 * int64(time.Hour))))
	case 10, 11:
		at = recorded.Truncate(time.Second)
		f.occurred = at.Add(-2 * time.Hour).UnixNano()
		return `,"occurred_at":"` + at.Format(time.DateOnly+"T"+time.TimeOnly) + `+02:00"`
	default:
		at = recorded.Add(-time.Duration(rng.IntN(5000)) * time.Millisecond)
	}
	f.occurred = at.UnixNano()
	return `,"occurred_at":"` + at.Format(time.RFC3339Nano) + `"`
}
