package activity

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

func readSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	data, err := os.ReadFile("../docs/format/record.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("urn:annals:record:1", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("urn:annals:record:1")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// beyondSchema are the verdicts that a schema can't reach: it never sees bytes,
// or counts characters where the format counts bytes.
var beyondSchema = map[string]bool{
	"empty": true, "record_too_large": true, "invalid_utf8": true, "malformed_json": true,
	"duplicate_name": true, "too_deep": true, "too_many_members": true, "trailing_bytes": true,
}

// TestSchema holds the schema to the parser, vector by vector.
func TestSchema(t *testing.T) {
	schema := readSchema(t)
	for _, v := range readVectors(t).Records {
		if beyondSchema[v.Verdict] || v.Name == "id of 257 characters of two bytes" {
			continue
		}
		t.Run(v.Name, func(t *testing.T) {
			doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(v.body(t)))
			if err != nil {
				t.Fatal(err)
			}
			switch err := schema.Validate(doc); {
			case v.Verdict == "accepted" && err != nil:
				t.Errorf("accepted, and the schema refuses it: %v", err)
			case v.Verdict != "accepted" && err == nil:
				t.Errorf("%s, and the schema accepts it", v.Verdict)
			}
		})
	}
}

// TestSampleRecords reads what the demo publishes: all of it is accepted, valid
// by the schema, lacks nothing that its catalogued type has, and has a sentence.
func TestSampleRecords(t *testing.T) {
	schema := readSchema(t)
	files, err := filepath.Glob("../testdata/activity/*.jsonl")
	if err != nil || len(files) == 0 {
		t.Fatalf("no sample records: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range bytes.Split(bytes.TrimSuffix(data, []byte("\n")), []byte("\n")) {
			r, err := Parse(line)
			if filepath.Base(file) == "refused.jsonl" {
				if err == nil {
					t.Errorf("%s:%d: accepted", file, i+1)
				}
				continue
			}
			if err != nil {
				t.Errorf("%s:%d: %v", file, i+1, err)
				continue
			}
			doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(line))
			if err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(doc); err != nil {
				t.Errorf("%s:%d: %v", file, i+1, err)
			}
			for _, f := range Check(r) {
				if f.Code == FlagMissingField || f.Code == FlagMissingObject {
					t.Errorf("%s:%d: %s is flagged: %v", file, i+1, r.Type, f)
				}
			}
			if s := Describe(r).String(); s == "" {
				t.Errorf("%s:%d: no sentence", file, i+1)
			}
			again, err := r.AppendJSON(nil)
			if err != nil {
				t.Fatal(err)
			}
			if !sameJSON(t, line, again) {
				t.Errorf("%s:%d: comes back as %s", file, i+1, again)
			}
		}
	}
}

// sameJSON compares two values as RFC 8785 would print them.
func sameJSON(t *testing.T, a, b []byte) bool {
	t.Helper()
	x, y := jsontext.Value(bytes.Clone(a)), jsontext.Value(bytes.Clone(b))
	sort := jsontext.ReorderRawObjects(true)
	if err := x.Format(sort); err != nil {
		t.Fatal(err)
	}
	if err := y.Format(sort); err != nil {
		t.Fatal(err)
	}
	return bytes.Equal(x, y)
}
