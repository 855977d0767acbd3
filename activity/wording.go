package activity

import (
	"cmp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// This file puts single things into words: people, objects, values.

// text adds words of ours; neighbouring ones become one part.
func (s *speaker) text(text string) {
	if text == "" {
		return
	}
	if n := len(s.out); n > 0 && s.out[n-1].Kind == PartText {
		s.out[n-1].Text += text
		return
	}
	s.out = append(s.out, Part{Kind: PartText, Text: text})
}

// add adds what the record says.
func (s *speaker) add(kind PartKind, text string, ref Ref) {
	s.out = append(s.out, Part{Kind: kind, Text: clean(text), Ref: ref})
}

func (s *speaker) quoted(kind PartKind, text string, ref Ref) {
	s.text(`"`)
	s.add(kind, text, ref)
	s.text(`"`)
}

// common adds words of ours that may begin the sentence.
func (s *speaker) common(kind PartKind, text string, ref Ref) {
	if len(s.out) == 0 {
		text = strings.ToUpper(text[:1]) + text[1:]
	}
	if kind == PartText {
		s.text(text)
		return
	}
	s.add(kind, text, ref)
}

// named reports whether a says who it is.
func named(a *Actor) bool { return a != nil && nameOf(a) != "" }

// nameOf returns the best name that the record has for somebody.
func nameOf(a *Actor) string {
	for _, name := range []string{a.Name, a.Login, a.Email, a.ID} {
		if name != "" {
			return name
		}
	}
	return ""
}

// party says who.
func (s *speaker) party(a *Actor) {
	if a == nil {
		a = &Actor{}
	}
	ref := Ref{Type: a.Type, ID: a.ID}
	switch nameless := a.Name == "" && a.Login == "" && a.Email == ""; {
	case nameless && a.Type == ActorAnonymous:
		s.common(PartActor, "an anonymous user", ref)
	case nameless && a.Type == ActorSystem:
		s.common(PartActor, "the system", ref)
	case nameless && a.ID == "":
		s.common(PartActor, "someone", ref)
	case nameless && (a.Type == "device" || a.Type == "service"):
		s.common(PartText, a.Type+" ", Ref{})
		s.quoted(PartActor, a.ID, ref)
	default:
		s.add(PartActor, nameOf(a), ref)
	}
}

// object says what was acted on: its noun and its name. A name that the record's
// object lacks may stand in a field of the type, such as connector. An object
// of another type than the catalogue's is not taken for it: what was enabled is
// the IP allowlist, even when the record names the workspace that it belongs to.
func (s *speaker) object() {
	o := s.record.Object
	if o == nil {
		o = &Object{}
	}
	kind := o.Type
	if kind == "" {
		kind = s.definition.Object
	}
	if other := s.definition.Object; other != "" && other != kind {
		s.text(s.one(other))
		if o.Name != "" || o.ID != "" {
			s.text(" (")
			s.thing(kind, cmp.Or(o.Name, o.ID), o.ID)
			s.text(")")
		}
		return
	}
	name, id := o.Name, o.ID
	if name == "" && s.definition.has(kind) {
		if v, ok := s.data[kind]; ok && v.Kind() != 'n' {
			var other string
			if name, other = valueOf(v); id == "" {
				id = other
			}
		}
	}
	if name == "" && id == "" {
		s.text(s.one(kind))
		return
	}
	s.thing(kind, cmp.Or(name, id), id)
}

// thing says an object's noun and its name.
func (s *speaker) thing(kind, name, id string) {
	s.text(s.noun(kind) + " ")
	s.quoted(PartObject, name, Ref{Type: kind, ID: id})
}

// noun returns what an object of a type is called; the type's own words when no
// catalogue knows it.
func (s *speaker) noun(kind string) string {
	if n, ok := s.words.objects[kind]; ok {
		return n.Noun
	}
	if kind == "" {
		return "object"
	}
	return clean(strings.ReplaceAll(kind, "_", " "))
}

// one returns what a nameless object of a type is called.
func (s *speaker) one(kind string) string {
	if n, ok := s.words.objects[kind]; ok {
		return n.One
	}
	if kind == "" {
		return "an object"
	}
	return "an object of type " + clean(kind)
}

// hasValue reports whether data has something to say for a hole.
func (s *speaker) hasValue(p *piece) bool {
	v, ok := s.data[p.field.Slug]
	switch {
	case !ok || v.Kind() == 'n':
		return false
	case p.field.Each != nil:
		return len(elements(v)) > 0
	case p.style == styleBare:
		text, _ := valueOf(v)
		return text != ""
	}
	return true
}

// field says a field's value.
func (s *speaker) field(f *Field, v jsontext.Value, style holeStyle) {
	switch {
	case f.Each != nil:
		s.list(f, elements(v))
		return
	case f.Choices != "":
		v = s.choice(f, v)
	}
	text, ref := s.refer(f, v)
	kind := PartValue
	if f.Object != "" {
		kind = PartObject
	}
	switch style {
	case styleBare:
		s.add(kind, text, ref)
		return
	case styleFull:
		if f.Object != "" {
			s.text(s.noun(f.Object) + " ")
		}
	}
	s.quoted(kind, text, ref)
}

// choice returns the label of a numbered value, v itself when it is none.
func (s *speaker) choice(f *Field, v jsontext.Value) jsontext.Value {
	text, _ := valueOf(v)
	for _, c := range s.words.choices[f.Choices] {
		if text == strconv.Itoa(c.Number) || text == c.Slug {
			label, _ := jsontext.AppendQuote(nil, c.Label)
			return label
		}
	}
	return v
}

// refer returns a value's text and what it names. The id of something that the
// record names elsewhere reads as that name.
func (s *speaker) refer(f *Field, v jsontext.Value) (string, Ref) {
	text, id := valueOf(v)
	if f.Object == "" {
		return text, Ref{}
	}
	if id == "" {
		id = text
	}
	ref := Ref{Type: f.Object, ID: id}
	if text != id {
		return text, ref
	}
	candidates := s.record.Linked
	if s.record.Object != nil {
		candidates = append([]Object{*s.record.Object}, candidates...)
	}
	for _, o := range candidates {
		if o.Type == f.Object && o.ID == id && o.Name != "" {
			return o.Name, ref
		}
	}
	if a := s.record.Actor; f.Object == "user" && a != nil && a.ID == id {
		return nameOf(a), ref
	}
	return text, ref
}

const mostListed = 5

// list says the elements of a list: the first field of each, the others in
// parentheses.
func (s *speaker) list(f *Field, list []jsontext.Value) {
	for i, element := range list {
		switch {
		case i == mostListed:
			s.text(" and " + strconv.Itoa(len(list)-i) + " more")
			return
		case i > 0 && i == len(list)-1:
			s.text(" and ")
		case i > 0:
			s.text(", ")
		}
		parts := members(element)
		if parts == nil {
			s.field(&Field{Object: f.Each[0].Object}, element, styleName)
			continue
		}
		for j := range f.Each {
			v, ok := parts[f.Each[j].Slug]
			switch {
			case !ok:
			case j == 0:
				s.field(&f.Each[j], v, styleName)
			default:
				s.text(" (")
				s.field(&f.Each[j], v, styleBare)
				s.text(")")
			}
		}
	}
}

// elements takes a JSON array apart; any other value is a list of itself.
func elements(v jsontext.Value) []jsontext.Value {
	if v.Kind() != '[' {
		return []jsontext.Value{v}
	}
	var list []jsontext.Value
	if json.Unmarshal(v, &list) != nil {
		return nil
	}
	return list
}

// stringOf returns a JSON string's text.
func stringOf(v jsontext.Value) (string, bool) {
	if v.Kind() != '"' {
		return "", false
	}
	b, err := jsontext.AppendUnquote(nil, v)
	return string(b), err == nil
}

// valueOf returns any JSON value as text: a string's text, the name or the id
// of an object that has one, else the JSON. id is that of such an object.
func valueOf(v jsontext.Value) (text, id string) {
	switch v.Kind() {
	case '"':
		text, _ = stringOf(v)
		return text, ""
	case '{':
		m := members(v)
		text, _ = stringOf(m["name"])
		id, _ = stringOf(m["id"])
		if text == "" {
			text = id
		}
		if text != "" {
			return text, id
		}
	}
	return string(v), ""
}

const longest = 200 // characters of one value in a sentence

// clean makes one harmless line of what somebody wrote: a line break or a
// character that turns the direction of writing could make a sentence say what
// did not happen.
func clean(s string) string {
	n := 0
	bad := strings.IndexFunc(s, func(r rune) bool { n++; return n > longest || hidden(r) })
	if bad < 0 && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	n = 0
	for _, r := range s {
		if n++; n > longest {
			b.WriteString("…")
			break
		}
		if hidden(r) {
			r = utf8.RuneError
		}
		b.WriteRune(r)
	}
	return b.String()
}

// hidden reports whether r is a control character or formats what stands around
// it. The joiners stay: scripts and emoji need them.
func hidden(r rune) bool {
	const zeroWidthNonJoiner, zeroWidthJoiner = '\u200c', '\u200d'
	return unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r) ||
		unicode.Is(unicode.Cf, r) && r != zeroWidthNonJoiner && r != zeroWidthJoiner
}
