package door_test

import (
	"net/http"
	"strings"
	"testing"
)

// TestTrace: a request's trace stands in the frame of each of its records, word for
// word, where it is one valid one; whatever else stands there records all the same.
func TestTrace(t *testing.T) {
	const (
		valid = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
		trace = `,"trace":{"traceparent":"` + valid + `"}`
	)
	for name, c := range map[string]struct {
		header http.Header
		want   string // in the door, after the request's id
	}{
		"none":                {http.Header{}, ""},
		"valid":               {http.Header{"Traceparent": {valid}}, trace},
		"with a state":        {http.Header{"Traceparent": {valid}, "Tracestate": {"a=1", "b=2"}}, trace[:len(trace)-1] + `,"tracestate":"a=1,b=2"}`},
		"with a broken state": {http.Header{"Traceparent": {valid}, "Tracestate": {"a=1", "b"}}, trace},
		"a state alone":       {http.Header{"Tracestate": {"a=1"}}, ""},
		"malformed":           {http.Header{"Traceparent": {"00-00"}, "Tracestate": {"a=1"}}, ""},
		"another version":     {http.Header{"Traceparent": {"01" + valid[2:]}}, ""},
		"two":                 {http.Header{"Traceparent": {valid, valid}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := &stream{}
			d := openOn(t, s)
			for _, body := range []struct {
				media, text string
				n           int
			}{
				{"application/json", good, 1},
				{"application/x-ndjson", good + "\n" + strings.Replace(good, "e1", "e2", 1), 2},
			} {
				r, err := http.NewRequest(http.MethodPost, d.url+records, strings.NewReader(body.text))
				if err != nil {
					t.Fatal(err)
				}
				r.Header = c.header.Clone()
				r.Header.Set("Content-Type", body.media)
				resp, err := d.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				if resp.StatusCode != http.StatusAccepted || len(s.frames) != body.n {
					t.Fatalf("%s: %d, %d frames", body.media, resp.StatusCode, len(s.frames))
				}
				for _, frame := range s.frames {
					if !strings.Contains(string(frame), `"request_id":"req-1"`+c.want+`},"record":`) {
						t.Errorf("%s: %s, want %s", body.media, frame, c.want)
					}
				}
				s.frames = nil
			}
		})
	}
}
