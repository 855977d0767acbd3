package catalogue

import (
	"reflect"
	"strings"
	"testing"

	"annals/activity"

	"github.com/go-json-experiment/json"
)

const inYAML = `# what we sell
strict: true
groups:
  - { slug: contracts, label: Contracts }
types:
  - slug: contract.signed
    label: Contract Signed
    group: contracts
    object: contract
    fields:
      - { slug: counterparty, label: Counterparty }
    sentence: "{actor} signed {object}[ with {counterparty}]"
reasons:
  - { code: "7", label: Customer asked }
`

const inJSON = `{
  "strict": true,
  "groups": [{"slug": "contracts", "label": "Contracts"}],
  "types": [
    {"slug": "contract.signed", "label": "Contract Signed", "group": "contracts", "object": "contract",
     "fields": [{"slug": "counterparty", "label": "Counterparty"}],
     "sentence": "{actor} signed {object}[ with {counterparty}]"}],
  "reasons": [{"code": "7", "label": "Customer asked"}]
}`

func read(t *testing.T, text string) *File {
	t.Helper()
	f, err := Read("file", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestBothForms: YAML and JSON of the same form are the same catalogue.
func TestBothForms(t *testing.T) {
	y, j := read(t, inYAML), read(t, inJSON)
	if !reflect.DeepEqual(y.Overlay, j.Overlay) {
		a, _ := json.Marshal(y.Overlay)
		b, _ := json.Marshal(j.Overlay)
		t.Errorf("%s\nand\n%s", a, b)
	}
	whole, err := y.Over(&activity.Overlay{})
	if err != nil {
		t.Fatal(err)
	}
	document, err := Print(whole)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := activity.Own(document); err != nil {
		t.Errorf("%s: %v", document, err)
	}
}

// TestFaultsHavePlaces: each fault has the line and column of what it is about, in both
// forms, by itself and laid over what there is.
func TestFaultsHavePlaces(t *testing.T) {
	lower := read(t, `{"groups":[{"slug":"deals","label":"Deals"}],"types":[{"slug":"a","label":"A","group":"deals","sentence":"{actor}"},{"slug":"b","label":"B","sentence":"{actor}"}]}`).Overlay
	for _, c := range []struct{ text, place, why string }{
		{"", "file:1:1: ", "empty"},
		{"types:\n  - slug: x\n    label: X\n    sentance: y\n", "file:4:5: /types/0/sentance: ", "no such member"},
		{"types:\n  - slug: x\n    label: X\n    sentence: '{actor} {f}'\n", "file:4:5: /types/0/sentence: ", "stands in brackets"},
		{"types:\n  - slug: x\n    label: X\n", "file:2:5: /types/0/sentence: ", "missing"},
		{"types:\n  - slug: x\n    label: 7\n", "file:3:12: ", "quote it"},
		{"types:\n  - slug: x\n    slug: y\n", "file:3:5: ", "twice"},
		{"types:\n  - slug: &a x\n    label: *a\n", "file:2:11: ", "anchors"},
		{"types:\n  - slug:\n", "file:2:", "nothing stands here"},
		{"types: x\n", "file:1:1: /types: ", "a string can't stand here"},
		{"strict: [\n", "file: line ", ""},
		{"strict: true\n---\nstrict: false\n", "file:", "second document"},
		{"types:\n  - {slug: x, label: X, sentence: '{actor}', group: nowhere}\n", "file:2:", "no group"},
		{"{\n \"types\": [\n  {\"slug\": \"x\", \"label\": \"X\",\n   \"sentence\": \"{actor\"}]}", "file:4:4: /types/0/sentence: ", "open"},
		{"{\n \"strict\": 7}", "file:2:2: /strict: ", "a number can't stand here"},
		{"{\n \"strict\": true,\n}", "file:2:", "no JSON"},
		{"{\"strict\": true,\n\"strict\": true}", "file:2:1: ", "no JSON"},
		{"{\"types\":[{\"slug\":\"x\",\"label\":\"X\",\"sentence\":\"{actor}\",\n\"fields\":[{\"slug\":\"f\",\"label\":\"F\"},\n{\"slug\":\"f\",\"label\":\"F\"}]}]}", "file:3:1: /types/0/fields/1: ", "twice"},
	} {
		f, err := Read("file", []byte(c.text))
		if err == nil {
			_, err = f.Over(lower)
		}
		if err == nil || !strings.HasPrefix(err.Error(), c.place) || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%q: %v, want %q at %s", c.text, err, c.why, c.place)
		}
	}
	// What leans on a group that is there already is right.
	if _, err := read(t, "types:\n  - {slug: x, label: X, sentence: '{actor}', group: deals}\n").Over(lower); err != nil {
		t.Error(err)
	}
}

// TestOver lays catalogues over each other and takes things out again.
func TestOver(t *testing.T) {
	lower := read(t, `{"types":[{"slug":"a","label":"A","sentence":"{actor}"},{"slug":"b","label":"B","sentence":"{actor}"}],"reasons":[{"code":"r","label":"R"}]}`).Overlay
	whole, err := read(t, `{"strict":true,"types":[{"slug":"c","label":"C","sentence":"{actor}"},{"slug":"a","label":"A2","sentence":"{actor}"},{"slug":"app.renamed","label":"N"}]}`).Over(lower)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, typ := range whole.Types {
		got = append(got, typ.Slug+" "+typ.Label)
	}
	if strings.Join(got, ", ") != "a A2, b B, c C, app.renamed N" || !whole.Strict || len(whole.Reasons) != 1 {
		t.Errorf("%q %+v", got, whole)
	}
	// Of a type of its own nothing can be taken over from what is published later.
	if whole.Types[0].Fields == nil || whole.Types[3].Fields != nil {
		t.Errorf("fields of its own type %v, of the published one %v", whole.Types[0].Fields, whole.Types[3].Fields)
	}
	if lower.Types[0].Label != "A" || lower.Types[0].Fields != nil {
		t.Error("the lower catalogue was changed")
	}
	left, err := Without(whole, Names{Types: []string{"a", "app.renamed"}, Reasons: []string{"r"}, Strict: true})
	if err != nil || len(left.Types) != 2 || len(left.Reasons) != 0 || left.Strict || len(whole.Types) != 4 {
		t.Errorf("%+v %v", left, err)
	}
	for what, n := range map[string]Names{"type": {Types: []string{"no"}}, "group": {Groups: []string{"no"}}, "object": {Objects: []string{"no"}}, "reason": {Reasons: []string{"no"}}} {
		if _, err := Without(whole, n); err == nil || !strings.Contains(err.Error(), `no `+what+` "no"`) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
