package activity

import (
	"bytes"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

func TestVouchedRoundTrip(t *testing.T) {
	for name, c := range map[string]struct {
		door   Door
		record string
		want   string
	}{
		"least": {Door{Grade: GradeAsserted}, `{}`, `{"door":{"grade":"asserted","producer":""},"record":{}}`},
		"every member": {
			Door{GradeVerified, "p", "e", "s", "192.0.2.1", "203.0.113.9", "q", FormatEvent, Trace{}},
			`{"a":"\u00e9é"}`,
			`{"door":{"grade":"verified","producer":"p","id":"e","subject":"s","remote_addr":"192.0.2.1","forwarded_for":"203.0.113.9","request_id":"q","format":"cloudevents"},"record":{"a":"\u00e9é"}}`,
		},
		"signs to escape": {Door{Grade: GradeDelegated, Producer: "a\"\\\n<é"}, `[1, 2]`, `{"door":{"grade":"delegated","producer":"a\"\\\n<é"},"record":[1, 2]}`},
	} {
		t.Run(name, func(t *testing.T) {
			body := AppendVouched([]byte("before"), c.door, []byte(c.record))
			body = body[len("before"):]
			if string(body) != c.want {
				t.Errorf("got  %s\nwant %s", body, c.want)
			}
			v, r := SplitVouched(body)
			if r != nil {
				t.Fatal(r)
			}
			if v.Door != c.door || string(v.Record) != c.record {
				t.Errorf("got %+v, %s", v.Door, v.Record)
			}
		})
	}
}

// TestVouchedBadText: a door vouches for an address even when it isn't UTF-8.
func TestVouchedBadText(t *testing.T) {
	v, r := SplitVouched(AppendVouched(nil, Door{Grade: GradeAnonymous, ForwardedFor: "a\xffb"}, []byte("{}")))
	if r != nil || v.Door.ForwardedFor != "a\ufffdb" {
		t.Errorf("%v, %q", r, v.Door.ForwardedFor)
	}
}

// TestVouchedWhiteSpace: what stands around the record's value is in the frame
// and not in the record.
func TestVouchedWhiteSpace(t *testing.T) {
	body := AppendVouched(nil, Door{Grade: GradeAnonymous}, []byte(" {}\r\n"))
	v, r := SplitVouched(body)
	if r != nil || string(v.Record) != "{}" || string(body[:v.RecordStart]) != `{"door":{"grade":"anonymous","producer":""},"record": ` || string(body[v.RecordEnd:]) != "\r\n}" {
		t.Errorf("%v: %q at %d–%d", r, v.Record, v.RecordStart, v.RecordEnd)
	}
}

func TestScope(t *testing.T) {
	for name, c := range map[string]struct {
		record, door string
		id           string
		code         Code
	}{
		"the record's": {"r", "", "r", 0},
		"the door's":   {"", "d", "d", 0},
		"none":         {"", "", "", 0},
		"both":         {"r", "d", "", CodeTwoIDs},
		"both alike":   {"r", "r", "", CodeTwoIDs},
	} {
		t.Run(name, func(t *testing.T) {
			d := Door{Producer: "p", ID: c.door}
			producer, id, r := d.Scope(&Keys{ID: c.record, Producer: "the record's own"})
			switch {
			case c.code != 0:
				if r == nil || r.Code != c.code || r.Pointer != "/id" {
					t.Errorf("got %v", r)
				}
			case r != nil || producer != "p" || id != c.id:
				t.Errorf("got %q, %q, %v", producer, id, r)
			}
		})
	}
}

func FuzzSplitVouched(f *testing.F) {
	for _, v := range readVectors(f).Frames {
		if body := v.body(f); len(body) < 4096 {
			f.Add(body)
		}
	}
	f.Add(AppendVouched(nil, Door{GradeVerified, "p", "", "s", "192.0.2.1", "203.0.113.9", "q", FormatEvent, Trace{}}, []byte(everything)))
	f.Fuzz(func(t *testing.T, body []byte) {
		v, r := SplitVouched(body)
		if r != nil {
			if p := jsontext.Pointer(r.Pointer); !p.IsValid() || len(p) > maxPointer {
				t.Fatalf("pointer %q", p)
			}
			return
		}
		if !bytes.Equal(body[v.RecordStart:v.RecordEnd], v.Record) || len(v.Record) == 0 {
			t.Fatalf("record %q at %d–%d", v.Record, v.RecordStart, v.RecordEnd)
		}
		if !jsontext.Value(v.DoorRaw).IsValid() {
			t.Fatalf("door %q", v.DoorRaw)
		}
		var k Keys
		if Scan(v.Record, &k) == nil && !jsontext.Value(body).IsValid() {
			t.Fatal("frame and record are accepted, and the whole is not JSON")
		}
		again, r := SplitVouched(AppendVouched(nil, v.Door, v.Record))
		if r != nil {
			t.Fatalf("printed again: %v", r)
		}
		if again.Door != v.Door || !bytes.Equal(again.Record, v.Record) {
			t.Fatalf("printed again: %+v, %q", again.Door, again.Record)
		}
	})
}
