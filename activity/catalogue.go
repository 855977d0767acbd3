package activity

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"
)

// Vocabulary is a set of published activity types: what each is called, which
// extra fields it has and how it reads. It never changes once it is made.
type Vocabulary struct {
	groups      []Group
	definitions []Definition
	bySlug      map[string]int
	byGroup     map[string]int // groups by their slugs
	prefixes    []int          // definitions that stand for a prefix
	objects     map[string]Noun
	choices     map[string][]Choice

	// Of a workspace's: see vocabulary.go.
	own         *Overlay
	ownSlugs    map[string]bool   // of its types
	ownPrefixes int               // how many of the prefixes are its, the first ones
	reasons     map[string]string // labels by their codes
	grouping    [32]byte
}

// Group is a chapter of a published catalogue.
type Group struct {
	System string   // the catalogue's name, such as "app_platform"
	Slug   string   // of the published title; never changes
	Label  string   // the published title
	Types  []string // slugs, in the published order; "frontend_*" for a prefix
}

// Definition is one activity type. Its slices are shared: read them only.
type Definition struct {
	Slug        string  `json:"slug"`        // what stands in a record's type; "frontend_*" for a prefix
	Label       string  `json:"label"`       // as published
	Object      string  `json:"object"`      // type of the record's object, "" when it has none
	Fields      []Field `json:"fields"`      // extra fields, in the record's data
	Description string  `json:"description"` // as published, "" when there is none
	Number      int     `json:"number"`      // as published; 0 when types are not numbered
	Failure     bool    `json:"failure"`     // something was refused or went wrong
	Open        bool    `json:"open"`        // data may hold more than Fields
	Sentence    string  `json:"sentence"`    // template, see sentence.go

	System, Group string `json:"-"` // where it was published

	sentence template
}

// Field is an extra field of an activity type.
type Field struct {
	Slug     string  `json:"slug"`     // member of the record's data
	Label    string  `json:"label"`    // as published
	Object   string  `json:"object"`   // the value is the id of an object of this type
	Optional bool    `json:"optional"` // accepted, not published
	Each     []Field `json:"each"`     // the value is a list of objects with these
	Choices  string  `json:"choices"`  // the value is a number or slug of these
}

// Choice is one of a numbered list, such as the sources.
type Choice struct {
	Number      int    `json:"number"`
	Slug        string `json:"slug"`
	Label       string `json:"label"`
	Description string `json:"description"`
}

// Prefix returns what the types that d stands for begin with, "" when d is one
// type.
func (d Definition) Prefix() string {
	prefix, ok := strings.CutSuffix(d.Slug, "*")
	if !ok {
		return ""
	}
	return prefix
}

// Lookup finds a type in the [Catalogue].
func Lookup(slug string) (Definition, bool) { return Catalogue().Lookup(slug) }

// Lookup finds a type by its slug, or by a prefix that it goes on from. Of two
// prefixes the one read first wins. What a workspace says of a type, by a prefix
// too, goes before what is published.
func (v *Vocabulary) Lookup(slug string) (Definition, bool) {
	i, exact := v.bySlug[slug]
	if exact && (v.ownPrefixes == 0 || v.ownSlugs[slug]) {
		return v.definitions[i], true
	}
	for n, at := range v.prefixes {
		if exact && n == v.ownPrefixes {
			break
		}
		if rest, ok := strings.CutPrefix(slug, v.definitions[at].Prefix()); ok && rest != "" {
			return v.definitions[at], true
		}
	}
	if exact {
		return v.definitions[i], true
	}
	return Definition{}, false
}

// GroupOf returns the slug of the one group that a type is in: that of the definition
// by which it is told. It is "" where the type is unknown, or its definition has none.
func (v *Vocabulary) GroupOf(slug string) string {
	d, _ := v.Lookup(slug)
	return d.Group
}

// Definition returns what stands under a slug, "frontend_*" of a prefix.
func (v *Vocabulary) Definition(slug string) (Definition, bool) {
	i, ok := v.bySlug[slug]
	if !ok {
		return Definition{}, false
	}
	return v.definitions[i], true
}

// Definitions returns every type in the published order.
func (v *Vocabulary) Definitions() []Definition { return slices.Clone(v.definitions) }

// Groups returns every group in the published order.
func (v *Vocabulary) Groups() []Group { return slices.Clone(v.groups) }

// Group finds a group by its slug, which no two groups share.
func (v *Vocabulary) Group(slug string) (Group, bool) {
	i, ok := v.byGroup[slug]
	if !ok {
		return Group{}, false
	}
	return v.groups[i], true
}

// UserActivities returns the numbered activities, 1 to 11 in order.
func (v *Vocabulary) UserActivities() []Definition {
	var out []Definition
	for _, d := range v.definitions {
		if d.Number != 0 {
			out = append(out, d)
		}
	}
	return out
}

// Sources returns where a user activity may come from, 1 to 11 in order. A
// record's source holds the slug.
func (v *Vocabulary) Sources() []Choice { return slices.Clone(v.choices["sources"]) }

// ExportDataTypes returns what a user may export, 0 to 4 in order.
func (v *Vocabulary) ExportDataTypes() []Choice { return slices.Clone(v.choices["export_data_types"]) }

//go:embed catalogue/*.json
var catalogueFiles embed.FS

// Catalogue returns the published types: the app platform's 127, the numbered
// user activities, and the activity tracking types with their frontend_ prefix.
var Catalogue = sync.OnceValue(func() *Vocabulary {
	v, err := ReadVocabulary(catalogueFiles, "catalogue")
	if err != nil {
		panic("activity: the embedded catalogue is broken: " + err.Error())
	}
	return v
})

// Noun is how an object type reads: "app" before a name, "an app" without one.
type Noun struct {
	Type string `json:"type"`
	Noun string `json:"noun"`
	One  string `json:"one"`
}

// catalogueFile is the form of one file: one published catalogue.
type catalogueFile struct {
	Name    string  `json:"name"`
	Title   string  `json:"title"`
	Objects []Noun  `json:"objects"`
	Open    bool    `json:"open"`   // for every type
	Fields  []Field `json:"fields"` // of every type
	Groups  []struct {
		Slug  string       `json:"slug"`
		Label string       `json:"label"`
		Types []Definition `json:"types"`
	} `json:"groups"`
	Sources         []Choice `json:"sources"`
	ExportDataTypes []Choice `json:"export_data_types"`
}

// ReadVocabulary reads every .json file of a folder, in the order of their
// names, as one vocabulary. A file that says something twice, names something
// unknown, or has a sentence that can't be read is an error that names it.
func ReadVocabulary(files fs.FS, folder string) (*Vocabulary, error) {
	names, err := fs.Glob(files, path.Join(folder, "*.json"))
	if err != nil {
		return nil, err
	}
	v := &Vocabulary{bySlug: map[string]int{}, byGroup: map[string]int{}, objects: map[string]Noun{}, choices: map[string][]Choice{}}
	for _, name := range names {
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		var file catalogueFile
		if err := json.Unmarshal(data, &file, json.RejectUnknownMembers(true)); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if err := v.add(&file); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	for i := range v.definitions {
		if err := v.check(&v.definitions[i]); err != nil {
			return nil, fmt.Errorf("type %s: %w", v.definitions[i].Slug, err)
		}
	}
	return v, nil
}

func (v *Vocabulary) add(file *catalogueFile) error {
	for _, o := range file.Objects {
		if _, twice := v.objects[o.Type]; twice {
			return fmt.Errorf("object type %s is there twice", o.Type)
		}
		v.objects[o.Type] = o
	}
	for name, list := range map[string][]Choice{"sources": file.Sources, "export_data_types": file.ExportDataTypes} {
		if list == nil {
			continue
		}
		if v.choices[name] != nil {
			return fmt.Errorf("%s are there twice", name)
		}
		v.choices[name] = list
	}
	for _, g := range file.Groups {
		group := Group{System: file.Name, Slug: g.Slug, Label: g.Label}
		for _, d := range g.Types {
			d.System, d.Group, d.Open = file.Name, g.Slug, d.Open || file.Open
			d.Fields = slices.Concat(d.Fields, file.Fields)
			if _, twice := v.bySlug[d.Slug]; twice {
				return fmt.Errorf("type %s is there twice", d.Slug)
			}
			v.bySlug[d.Slug] = len(v.definitions)
			if d.Prefix() != "" {
				v.prefixes = append(v.prefixes, len(v.definitions))
			}
			v.definitions = append(v.definitions, d)
			group.Types = append(group.Types, d.Slug)
		}
		if _, twice := v.byGroup[g.Slug]; twice {
			return fmt.Errorf("group %s is there twice", g.Slug)
		}
		v.byGroup[g.Slug] = len(v.groups)
		v.groups = append(v.groups, group)
	}
	return nil
}

// check holds a definition to what is known, and compiles its sentence.
func (v *Vocabulary) check(d *Definition) error {
	if !ValidType(strings.TrimSuffix(d.Slug, "*")) {
		return errors.New("its slug is no legal type")
	}
	if err := v.checkObject(d.Object); err != nil {
		return err
	}
	for i, f := range d.Fields {
		if slices.ContainsFunc(d.Fields[:i], func(o Field) bool { return o.Slug == f.Slug }) {
			return fmt.Errorf("field %s is there twice", f.Slug)
		}
		if f.Choices != "" && v.choices[f.Choices] == nil {
			return fmt.Errorf("field %s chooses from %s, which is nowhere", f.Slug, f.Choices)
		}
		for _, f := range append([]Field{f}, f.Each...) {
			if err := v.checkObject(f.Object); err != nil {
				return fmt.Errorf("field %s: %w", f.Slug, err)
			}
		}
	}
	var err error
	d.sentence, err = parseTemplate(d.Sentence, d.Fields)
	return err
}

func (v *Vocabulary) checkObject(kind string) error {
	if _, known := v.objects[kind]; kind != "" && !known {
		return fmt.Errorf("object type %s is in no list of objects", kind)
	}
	return nil
}
