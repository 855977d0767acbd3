package activity

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// OwnSystem is the [Definition.System] of a type that a workspace added.
const OwnSystem = "workspace"

// Own makes the vocabulary of a workspace whose overlay is the document, over the
// [Catalogue]. The error is an [OverlayError].
func Own(document []byte) (*Vocabulary, error) {
	o, err := ParseOverlay(document)
	if err != nil {
		return nil, err
	}
	return Catalogue().With(o)
}

// With returns v with an overlay over it. What the overlay says goes before what v
// says: a group, an object, a type that v has too is the overlay's, so that what
// is published later changes nothing of what a workspace has settled. The error is
// an [OverlayError]. v stays as it is.
func (v *Vocabulary) With(o *Overlay) (*Vocabulary, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	w := &Vocabulary{
		groups: slices.Clone(v.groups), definitions: slices.Clone(v.definitions),
		bySlug: maps.Clone(v.bySlug), byGroup: maps.Clone(v.byGroup), objects: maps.Clone(v.objects),
		choices: v.choices, own: o, reasons: map[string]string{}, ownSlugs: map[string]bool{},
	}
	for _, n := range o.Objects {
		w.objects[n.Type] = n
	}
	for _, g := range o.Groups {
		if i, there := w.byGroup[g.Slug]; there {
			w.groups[i].Label = g.Label
			continue
		}
		w.byGroup[g.Slug] = len(w.groups)
		w.groups = append(w.groups, Group{System: OwnSystem, Slug: g.Slug, Label: g.Label})
	}
	for _, r := range o.Reasons {
		w.reasons[r.Code] = r.Label
	}
	for i := range o.Types {
		at := "/types/" + strconv.Itoa(i)
		d, fault := w.define(&o.Types[i])
		if fault != nil {
			return nil, &OverlayError{at + fault.Pointer, fault.Why}
		}
		w.ownSlugs[d.Slug] = true
		place, there := w.bySlug[d.Slug]
		if !there {
			place, w.definitions = len(w.definitions), append(w.definitions, d)
			w.bySlug[d.Slug] = place
		}
		w.definitions[place] = d
		if d.Prefix() != "" {
			w.prefixes = append(w.prefixes, place)
		}
	}
	w.ownPrefixes = len(w.prefixes)
	w.prefixes = append(w.prefixes, v.prefixes...)
	w.fillGroups()
	w.sign()
	return w, nil
}

// define makes a definition of a workspace's type. Pointers of its faults begin at
// the type.
func (v *Vocabulary) define(t *OwnType) (Definition, *OverlayError) {
	d := Definition{
		Slug: t.Slug, Label: t.Label, Object: t.Object, Description: t.Description, Failure: t.Failure, Open: t.Open,
		Sentence: t.Sentence, System: OwnSystem, Group: t.Group,
	}
	if i, published := v.bySlug[t.Slug]; published {
		d = v.definitions[i].without(t)
	}
	if t.Fields != nil || d.Fields == nil {
		d.Fields = fieldsOf(t.Fields)
	}
	switch _, known := v.byGroup[d.Group]; {
	case d.Label == "":
		return d, &OverlayError{"/label", "it is missing, and no catalogue has the type " + quote(t.Slug) + " to take it from"}
	case d.Sentence == "":
		return d, &OverlayError{"/sentence", "it is missing, and no catalogue has the type " + quote(t.Slug) + " to take it from"}
	case d.Group != "" && !known:
		return d, &OverlayError{"/group", "no group is called " + quote(d.Group) + ": list it in groups"}
	}
	for i, f := range d.Fields {
		if f.Choices != "" && v.choices[f.Choices] == nil {
			return d, &OverlayError{"/fields/" + strconv.Itoa(i) + "/choices", "there are no choices called " + quote(f.Choices) + "; there are export_data_types and sources"}
		}
	}
	var err error
	if d.sentence, err = parseTemplate(d.Sentence, d.Fields); err != nil {
		return d, &OverlayError{"/sentence", err.Error()}
	}
	return d, nil
}

// without is a published definition with what a workspace says otherwise of it.
func (d Definition) without(t *OwnType) Definition {
	if t.Label != "" {
		d.Label = t.Label
	}
	if t.Sentence != "" {
		d.Sentence = t.Sentence
	}
	if t.Description != "" {
		d.Description = t.Description
	}
	if t.Group != "" {
		d.Group = t.Group
	}
	if t.Fields != nil {
		d.Object, d.Open, d.Failure = t.Object, t.Open, t.Failure
	}
	return d
}

func fieldsOf(own []OwnField) []Field {
	var out []Field
	for _, f := range own {
		out = append(out, Field{Slug: f.Slug, Label: f.Label, Object: f.Object, Optional: f.Optional, Each: fieldsOf(f.Each), Choices: f.Choices})
	}
	return out
}

// fillGroups lists anew which types each group has.
func (v *Vocabulary) fillGroups() {
	for i := range v.groups {
		v.groups[i].Types = nil
	}
	for i := range v.definitions {
		if at, ok := v.byGroup[v.definitions[i].Group]; ok {
			v.groups[at].Types = append(v.groups[at].Types, v.definitions[i].Slug)
		}
	}
}

// sign makes what [Vocabulary.Grouping] returns.
func (v *Vocabulary) sign() {
	h := sha256.New()
	for i := range v.own.Types {
		d := v.definitions[v.bySlug[v.own.Types[i].Slug]]
		fmt.Fprintf(h, "%s\x00%s\n", d.Slug, d.Group)
	}
	v.grouping = [32]byte(h.Sum(nil))
}

// Grouping tells vocabularies over one catalogue apart by which types are in which
// groups: those in which it is the same agree about every type. Of the published
// catalogue it is zero.
func (v *Vocabulary) Grouping() [32]byte { return v.grouping }

// Overlay returns what a workspace laid over the published catalogue; nil where
// it laid nothing. Read it only.
func (v *Vocabulary) Overlay() *Overlay { return v.own }

// Strict reports whether the workspace asks doors to refuse what breaks its
// catalogue.
func (v *Vocabulary) Strict() bool { return v.own != nil && v.own.Strict }

// Named returns what the workspace itself calls a type; ok is false where it says
// nothing of it.
func (v *Vocabulary) Named(slug string) (label string, ok bool) {
	if v.own == nil {
		return "", false
	}
	d, known := v.Lookup(slug)
	if !known || !v.ownSlugs[d.Slug] {
		return "", false
	}
	return d.Label, true
}

// Reason returns what the workspace calls a reason.
func (v *Vocabulary) Reason(code string) (label string, ok bool) {
	label, ok = v.reasons[code]
	return label, ok
}
