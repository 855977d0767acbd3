package activity

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// contracts is a catalogue that a workspace may have.
const contracts = `{"strict":true,
 "groups":[{"slug":"contracts","label":"Contracts"}],
 "objects":[{"type":"contract","noun":"contract","one":"a contract"}],
 "types":[
  {"slug":"contract.signed","label":"Contract Signed","group":"contracts","object":"contract",
   "fields":[{"slug":"with","label":"Counterparty","object":"company"},{"slug":"note","label":"Note","optional":true}],
   "sentence":"{actor} signed {object}[ with {with}]"},
  {"slug":"contract.term_*","label":"Contract Term","open":true,"sentence":"{actor} changed a term of {object}"},
  {"slug":"app.renamed","label":"Line Renamed","sentence":"{actor} gave {object} another name"},
  {"slug":"app.moved","fields":[],"label":"Line Moved"}],
 "reasons":[{"code":"R1","label":"Customer asked"}]}`

func own(t testing.TB, document string) *Vocabulary {
	t.Helper()
	v, err := Own([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func record(typ, object string, data string) *Record {
	r := &Record{Type: typ, Actor: &Actor{Type: "user", ID: "u1", Name: "Dana"}, Data: jsontext.Value(data)}
	if object != "" {
		r.Object = &Object{Type: object, ID: "7", Name: "Acme 2026"}
	}
	return r
}

// TestOwnTypes reads records by a workspace's catalogue, and sees what is published
// stay what it is.
func TestOwnTypes(t *testing.T) {
	v := own(t, contracts)
	for _, c := range []struct {
		record                *Record
		label, sentence, flag string
	}{
		{record("contract.signed", "contract", `{"with":"Acme"}`), "Contract Signed", `Dana signed contract "Acme 2026" with company "Acme"`, ""},
		{record("contract.signed", "contract", `{}`), "Contract Signed", `Dana signed contract "Acme 2026"`, "missing_field /data/with"},
		{record("contract.signed", "", `{"with":"Acme","odd":1}`), "Contract Signed", `Dana signed a contract with company "Acme"`, "missing_object /object/id, unknown_field /data/odd"},
		{record("contract.term_renewal", "contract", `{"any":1}`), "Contract Term", `Dana changed a term of contract "Acme 2026"`, ""},
		{record("contract.term_", "contract", ``), "", `Dana performed "contract.term_" on contract "Acme 2026"`, "unknown_type /type"},
		// Of a published type only the words are others: fields and object are as published.
		{record("app.renamed", "app", `{"previous_name":"A","new_name":"B"}`), "Line Renamed", `Dana gave app "Acme 2026" another name`, ""},
		{record("app.renamed", "app", `{}`), "Line Renamed", `Dana gave app "Acme 2026" another name`, "missing_field /data/previous_name, missing_field /data/new_name"},
		{record("app.created", "app", ``), "App Created", `Dana created app "Acme 2026"`, ""},
		{record("contract.lost", "contract", ``), "", `Dana performed "contract.lost" on contract "Acme 2026"`, "unknown_type /type"},
	} {
		d, _ := v.Lookup(c.record.Type)
		var flags []string
		for _, f := range v.Check(c.record) {
			flags = append(flags, string(f.Code)+" "+f.Pointer)
		}
		if d.Label != c.label || v.Describe(c.record).String() != c.sentence || strings.Join(flags, ", ") != c.flag {
			t.Errorf("%s: %q, %q, flags %q; want %q, %q, %q", c.record.Type, d.Label, v.Describe(c.record), flags, c.label, c.sentence, c.flag)
		}
	}
	if moved, _ := v.Lookup("app.moved"); moved.Object != "" || moved.Label != "Line Moved" || len(moved.Fields) != 0 {
		t.Errorf("a published type with fields of the workspace's keeps the published object: %+v", moved)
	}
	if label, ok := v.Named("app.renamed"); !ok || label != "Line Renamed" {
		t.Errorf("named %q %v", label, ok)
	}
	if _, ok := v.Named("app.created"); ok {
		t.Error("a published type is said to be named by the workspace")
	}
	if label, ok := v.Reason("R1"); !ok || label != "Customer asked" || !v.Strict() {
		t.Errorf("reason %q %v, strict %v", label, ok, v.Strict())
	}
	if g, ok := v.Group("contracts"); !ok || !slices.Equal(g.Types, []string{"contract.signed"}) {
		t.Errorf("group: %+v", g)
	}
	if d, _ := Lookup("app.renamed"); d.Label != "App Renamed" || Catalogue().Strict() || Catalogue().Overlay() != nil {
		t.Error("a workspace's catalogue has changed the published one")
	}
	if _, ok := Catalogue().Group("contracts"); ok {
		t.Error("a workspace's group is published")
	}
}

// TestOwnGoesBeforePublished: what is published under a workspace's own slug, later
// too, changes nothing of what the workspace settled.
func TestOwnGoesBeforePublished(t *testing.T) {
	v := own(t, `{"groups":[{"slug":"app","label":"Lines"},{"slug":"mine","label":"Mine"}],
		"objects":[{"type":"app","noun":"line","one":"a line"}],
		"types":[{"slug":"app.created","label":"Made","group":"mine","object":"app","fields":[],"sentence":"{actor} made {object}"},
		{"slug":"app.re*","label":"Redone","sentence":"{actor} redid {object}"},
		{"slug":"frontend_*","label":"Page","open":true,"fields":[],"sentence":"{actor} did[ {event}]"}]}`)
	for typ, want := range map[string]string{
		"app.created": `Dana made line "Acme 2026"`, "app.renamed": `Dana redid line "Acme 2026"`, "app.archived": `Dana archived line "Acme 2026"`,
		"frontend_x": `Dana did "x"`,
	} {
		if got := v.Describe(record(typ, "app", "")).String(); got != want {
			t.Errorf("%s: %q, want %q", typ, got, want)
		}
	}
	apps, _ := v.Group("app")
	mine, _ := v.Group("mine")
	if slices.Contains(apps.Types, "app.created") || !slices.Equal(mine.Types, []string{"app.created"}) || apps.Label != "Lines" {
		t.Errorf("%+v %+v", apps, mine)
	}
}

// TestOverlayFaults: each fault is found, at its place.
func TestOverlayFaults(t *testing.T) {
	typ := func(members string) string { return `{"types":[{"slug":"a.b","label":"A",` + members + `}]}` }
	many := func(n int, one string) string { return strings.TrimSuffix(strings.Repeat(one+",", n), ",") }
	for _, c := range []struct{ document, pointer, why string }{
		{``, "", "no JSON"},
		{`null`, "", "null"},
		{`[]`, "", "an array can't"},
		{`{"types":[}`, "/types/0", "no JSON"},
		{`{"strict":1}`, "/strict", "a number can't"},
		{`{"strict":true,"strict":true}`, "/strict", "duplicate"},
		{`{"Strict":true}`, "/Strict", "no such member"},
		{`{} x`, "", "no JSON"},
		{"{\"types\":[{\"slug\":\"\xff\"}]}", "/types/0/slug", "UTF-8"},
		{typ(`"sentence":"{actor} did","colour":"red"`), "/types/0/colour", "no such member"},
		{`{"types":[{"slug":"","label":"A","sentence":"{actor}"}]}`, "/types/0/slug", "a type is 1 to 128"},
		{`{"types":[{"slug":"_","label":"A","sentence":"{actor}"}]}`, "/types/0/slug", "a type is 1 to 128"},
		{`{"types":[{"slug":"a b","label":"A","sentence":"{actor}"}]}`, "/types/0/slug", "a type is 1 to 128"},
		{`{"types":[{"slug":"a.b","sentence":"{actor}"}]}`, "/types/0/label", "missing"},
		{typ(`"group":""`), "/types/0/sentence", "missing"},
		{typ(`"sentence":"{actor} {x}"`), "/types/0/sentence", "stands in brackets"},
		{typ(`"sentence":"{actor} [{x}]"`), "/types/0/sentence", "no field"},
		{typ(`"sentence":"{actor} [{ip"`), "/types/0/sentence", "open"},
		{typ(`"sentence":"{actor:loud}"`), "/types/0/sentence", "style"},
		{typ(`"sentence":"` + "\u202e" + `{actor}"`), "/types/0/sentence", "can't be seen"},
		{typ(`"sentence":"` + strings.Repeat("x", maxOwnText+1) + `"`), "/types/0/sentence", "bytes"},
		{typ(`"sentence":"{actor}","group":"nowhere"`), "/types/0/group", "no group"},
		{typ(`"sentence":"{actor}","fields":[{"slug":"f"}]`), "/types/0/fields/0/label", "missing"},
		{typ(`"sentence":"{actor}","fields":[{"slug":"f","label":"F"},{"slug":"f","label":"G"}]`), "/types/0/fields/1", "twice"},
		{typ(`"sentence":"{actor}","fields":[{"slug":"f}","label":"F"}]`), "/types/0/fields/0/slug", "in its slug"},
		{typ(`"sentence":"{actor}","fields":[{"slug":"f","label":"F","choices":"colours"}]`), "/types/0/fields/0/choices", "no choices"},
		{typ(`"sentence":"{actor}","fields":[{"slug":"f","label":"F","each":[{"slug":"g","label":"G","each":[{"slug":"h","label":"H"}]}]}]`), "/types/0/fields/0/each/0/each", "no lists"},
		{typ(`"sentence":"{actor}","fields":[` + many(maxOwnFields+1, `{"slug":"f","label":"F"}`) + `]`), "/types/0/fields", "may have 64"},
		{`{"types":[{"slug":"a","label":"A","sentence":"{actor}"},{"slug":"a","label":"A","sentence":"{actor}"}]}`, "/types/1", "twice"},
		{`{"types":[` + many(maxOwnTypes+1, `{"slug":"a"}`) + `]}`, "/types", "may have 1024"},
		{`{"types":[{"slug":"a","label":"` + strings.Repeat("ä", maxOwnLabel+1) + `","sentence":"{actor}"}]}`, "/types/0/label", "201 characters"},
		{`{"groups":[{"slug":"a b","label":"A"}]}`, "/groups/0/slug", "a group's slug"},
		{`{"groups":[{"slug":"a"}]}`, "/groups/0/label", "missing"},
		{`{"objects":[{"type":"a","noun":"a"}]}`, "/objects/0/one", "missing"},
		{`{"reasons":[{"code":"","label":"A"}]}`, "/reasons/0/code", "missing"},
		{`{"reasons":[{"code":"a","label":"A"},{"code":"a","label":"B"}]}`, "/reasons/1", "twice"},
		{`{"reasons":[` + many(maxOwnReasons+1, `{"code":"a","label":"A"}`) + `]}`, "/reasons", "may have 1024"},
		{strings.Repeat(" ", MaxOverlay) + "{}", "", "bytes"},
	} {
		_, err := Own([]byte(c.document))
		var fault *OverlayError
		if !errors.As(err, &fault) || fault.Pointer != c.pointer || !strings.Contains(fault.Why, c.why) {
			t.Errorf("%.80s: %v, want %q at %q", c.document, err, c.why, c.pointer)
		}
	}
}

// FuzzOverlay: what is read is printed so that it reads the same, and tells every
// record.
func FuzzOverlay(f *testing.F) {
	f.Add([]byte(contracts))
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"types":[{"slug":"a*","label":"A","sentence":"[{f:bare}|{object}]{actor}","fields":[{"slug":"f","label":"F","each":[{"slug":"g","label":"G"}]}]}]}`))
	f.Fuzz(func(t *testing.T, document []byte) {
		v, err := Own(document)
		if err != nil {
			var fault *OverlayError
			if !errors.As(err, &fault) {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		printed, err := v.Overlay().Document()
		if err != nil {
			return // printed it is too large
		}
		again, err := Own(printed)
		if err != nil {
			t.Fatalf("%s\nis read, and printed it is not: %v\n%s", document, err, printed)
		}
		twice, err := again.Overlay().Document()
		if err != nil || !bytes.Equal(printed, twice) {
			t.Fatalf("%s\nprints otherwise the second time: %v\n%s", printed, err, twice)
		}
		if !reflect.DeepEqual(v.definitions, again.definitions) {
			t.Fatalf("%s\nmeans something else when it is printed", document)
		}
		for _, own := range v.Overlay().Types {
			r := record(strings.ReplaceAll(own.Slug, "*", "x"), own.Object, `{"f":[{"g":1}],"with":null}`)
			v.Describe(r)
			v.Check(r)
		}
	})
}

// TestDocumentIsTheFile: printing leaves nothing out.
func TestDocumentIsTheFile(t *testing.T) {
	printed, err := own(t, contracts).Overlay().Document()
	if err != nil {
		t.Fatal(err)
	}
	var want, got any
	if err := errors.Join(json.Unmarshal([]byte(contracts), &want), json.Unmarshal(printed, &got)); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(want, got) {
		t.Errorf("%s\nfor\n%s", printed, contracts)
	}
}

// TestGrouping: vocabularies are told apart by what they make of groups, not by words.
func TestGrouping(t *testing.T) {
	of := func(label, group string) *Vocabulary {
		words, err := Own([]byte(`{"groups":[{"slug":"own","label":"Own"}],"types":[{"slug":"app.*","label":"` + label + `","sentence":"{actor}"` + group + `}]}`))
		if err != nil {
			t.Fatal(err)
		}
		return words
	}
	own := of("A", `,"group":"own"`)
	switch {
	case Catalogue().Grouping() != [32]byte{}:
		t.Error("the published catalogue is told apart from itself")
	case own.Grouping() != of("B", `,"group":"own"`).Grouping():
		t.Error("another label is another grouping")
	case own.Grouping() == of("A", `,"group":"app"`).Grouping(), own.Grouping() == of("A", "").Grouping():
		t.Error("another group is the same grouping")
	}
	for typ, want := range map[string]string{"app.renamed": "own", "app.": "", "machine.created": "machine", "nobody": ""} {
		if got := own.GroupOf(typ); got != want {
			t.Errorf("%s is in %q, want %q", typ, got, want)
		}
	}
	if got := of("A", "").GroupOf("app.renamed"); got != "" {
		t.Errorf("a type whose prefix has no group is in %q", got)
	}
}
