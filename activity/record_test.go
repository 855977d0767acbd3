package activity

import (
	"errors"
	"reflect"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// TestRecordRoundTrip: what comes in comes out, unknown members and numbers
// included.
func TestRecordRoundTrip(t *testing.T) {
	for name, in := range map[string]string{
		"everything":    everything,
		"least":         `{"actor":{"id":"u"}}`,
		"nulls":         `{"actor":{"id":"u"},"message":null,"data":null,"changes":[{"old":null}],"context":{"device":null}}`,
		"empty objects": `{"actor":{"type":"system"},"object":{},"context":{},"reason":{},"origin":{},"dimensions":{},"linked":[],"changes":[]}`,
		"numbers":       `{"actor":{"id":"u"},"origin":{"line":9007199254740993},"data":[1e999,-0,1.50],"x":12345678901234567890}`,
		"unknown":       `{"actor":{"id":"u","team":"red"},"trace":{"id":[1,null]},"zzz":"<&>"}`,
	} {
		t.Run(name, func(t *testing.T) {
			r, err := Parse([]byte(in))
			if err != nil {
				t.Fatal(err)
			}
			out, err := r.AppendJSON([]byte("before "))
			if err != nil {
				t.Fatal(err)
			}
			out = out[len("before "):]
			if !sameJSON(t, []byte(in), out) {
				t.Errorf("got  %s\nwant %s", out, in)
			}
			again, err := Parse(out)
			if err != nil || !reflect.DeepEqual(again.keys(), r.keys()) {
				t.Errorf("%v: %+v", err, again)
			}
			marshalled, err := json.Marshal(r)
			if err != nil || !sameJSON(t, marshalled, out) {
				t.Errorf("MarshalJSON: %v, %s", err, marshalled)
			}
			var back Record
			if err := json.Unmarshal(out, &back); err != nil || !reflect.DeepEqual(&back, again) {
				t.Errorf("UnmarshalJSON: %v, %+v", err, back)
			}
		})
	}
}

// TestRecordPrint pins what a producer's struct prints.
func TestRecordPrint(t *testing.T) {
	r := Record{
		ID: "e", Type: "app.renamed", Actor: &Actor{Type: "user", ID: "u"},
		Origin:     &Origin{Line: NumberOf(-7)},
		Dimensions: map[string]string{"site": "s", "org": "o"},
		Data:       jsontext.Value(`{"a": "\u0041", "b": 1.0}`),
		Extra:      jsontext.Value(`{"x":1}`),
	}
	out, err := r.AppendJSON(nil)
	const want = `{"id":"e","type":"app.renamed","actor":{"type":"user","id":"u"},"origin":{"line":-7},"dimensions":{"org":"o","site":"s"},"data":{"a":"\u0041","b":1.0},"x":1}`
	if err != nil || string(out) != want {
		t.Errorf("%v\ngot  %s\nwant %s", err, out, want)
	}
}

func TestRecordPrintFaults(t *testing.T) {
	for name, r := range map[string]Record{
		"data is no JSON":    {Data: jsontext.Value(`{"a":`)},
		"known member twice": {ID: "e", Extra: jsontext.Value(`{"id":"f"}`)},
		"line is no number":  {Origin: &Origin{Line: `"7"`}},
		"line is no JSON":    {Origin: &Origin{Line: "seven"}},
		"not UTF-8":          {ID: "\xff"},
	} {
		if out, err := r.AppendJSON([]byte("x")); err == nil || string(out) != "x" {
			t.Errorf("%s: %v, %s", name, err, out)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	_, err := Parse([]byte(`{"actor":"u"}`))
	var r *Refusal
	if !errors.As(err, &r) || r.Code != CodeWrongType || r.Pointer != "/actor" {
		t.Errorf("got %v", err)
	}
	var into Record
	if err := json.Unmarshal([]byte(`{"actor":"u"}`), &into); !errors.As(err, &r) {
		t.Errorf("UnmarshalJSON: %v", err)
	}
}
