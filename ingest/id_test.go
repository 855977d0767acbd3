package ingest_test

import (
	"bytes"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"annals/ingest"
)

func TestGiveID(t *testing.T) {
	for _, c := range []struct {
		in          string
		given       bool
		before, end string // of what comes out
	}{
		{`{}`, true, `{"id":"`, `"}`},
		{` { "a":1}`, true, ` {"id":"`, `", "a":1}`},
		{`{"a":{"id":"x"}}`, true, `{"id":"`, `","a":{"id":"x"}}`},
		{`{"a":["id","}",{"b":"\"id\""}],"c":null,"ID":"x"}`, true, `{"id":"`, `,"ID":"x"}`},
		{`{"id":"x"}`, false, "", ""},
		{`{"a":1,"id":null}`, false, "", ""},
		{`{"a":1,"\u0069d":"x"}`, false, "", ""},
		{`{"a":"\\","id":"x"}`, false, "", ""},
		{`["id"]`, false, "", ""},
		{``, false, "", ""},
		{`{`, false, "", ""},
		{`{"a"`, false, "", ""},
		{`{"a":1`, false, "", ""},
		{`{"a":1,}`, false, "", ""},
		{`{"a" 1}`, false, "", ""},
		{`garbage`, false, "", ""},
	} {
		out, id := ingest.GiveID([]byte("kept"), []byte(c.in))
		out, kept := bytes.CutPrefix(out, []byte("kept"))
		switch {
		case !kept:
			t.Errorf("%s: what stood before was changed", c.in)
		case !c.given && (id != "" || string(out) != c.in):
			t.Errorf("%s: got %s", c.in, out)
		case c.given && (string(out) != c.before+id+c.end && !bytes.HasSuffix(out, []byte(c.end)) || len(id) != 26):
			t.Errorf("%s: got %s with id %q", c.in, out, id)
		case c.given && !jsontext.Value(out).IsValid():
			t.Errorf("%s: got %s, which is no JSON", c.in, out)
		}
	}
}

// FuzzGiveID holds the walk through the record to a real parser: of valid JSON it
// says what the parser says, and of anything else it changes no record that has an
// id, nor makes a valid one invalid.
func FuzzGiveID(f *testing.F) {
	for _, s := range []string{`{}`, `{"id":1}`, `{"a":{"id":"x"},"b":[1,{"id":2}]}`, `{"\u0069d":1}`, `{"a":"\"","c":"}"}`, "{\n\t\"a\" : -1.5e3 , \"b\":true}", `[{}]`, `{"a":1,"a":2}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		out, id := ingest.GiveID(nil, in)
		var object map[string]jsontext.Value
		valid := json.Unmarshal(in, &object, jsontext.AllowDuplicateNames(false)) == nil && object != nil
		if !valid {
			if id != "" && jsontext.Value(out).IsValid() && !jsontext.Value(in).IsValid() {
				t.Fatalf("%q became valid: %q", in, out)
			}
			return
		}
		if _, has := object["id"]; has == (id != "") {
			t.Fatalf("%q: has an id: %v; given %q", in, has, id)
		}
		if id == "" {
			if !bytes.Equal(in, out) {
				t.Fatalf("%q became %q", in, out)
			}
			return
		}
		var after map[string]jsontext.Value
		if err := json.Unmarshal(out, &after); err != nil {
			t.Fatalf("%q became %q: %v", in, out, err)
		}
		if string(after["id"]) != `"`+id+`"` || len(after) != len(object)+1 {
			t.Fatalf("%q became %q", in, out)
		}
	})
}

func BenchmarkGiveID(b *testing.B) {
	record := bytes.Replace(sample(1), []byte(`"id"`), []byte(`"xd"`), 1)
	var buf []byte
	b.SetBytes(int64(len(record)))
	for b.Loop() {
		buf, _ = ingest.GiveID(buf[:0], record)
	}
}
