package activity

import (
	"bytes"
	"encoding/base64"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// vector is one input and the verdict that every implementation gives it.
type vector struct {
	Name    string `json:"name"`
	Input   string `json:"input"`
	Base64  string `json:"base64"`
	Parts   []part `json:"parts"`
	Verdict string `json:"verdict"` // "accepted", or a code's name
	Pointer string `json:"pointer"`

	Workspace string `json:"workspace"` // of the subject, in agreements
	Type      string `json:"type"`
}

type part struct {
	Text    string `json:"text"`
	Times   int    `json:"times"`
	Counted bool   `json:"counted"`
}

func (v vector) body(t testing.TB) []byte {
	switch {
	case v.Base64 != "":
		b, err := base64.StdEncoding.DecodeString(v.Base64)
		if err != nil {
			t.Fatal(err)
		}
		return b
	case v.Parts != nil:
		var b strings.Builder
		for _, p := range v.Parts {
			if !p.Counted {
				b.WriteString(strings.Repeat(p.Text, p.Times))
				continue
			}
			for i := range p.Times {
				b.WriteString(strings.ReplaceAll(p.Text, "#", strconv.Itoa(i)))
			}
		}
		return []byte(b.String())
	}
	return []byte(v.Input)
}

// judge compares a verdict with the vector's.
func (v vector) judge(t *testing.T, r *Refusal) {
	t.Helper()
	got, pointer := "accepted", ""
	if r != nil {
		got, pointer = r.Code.String(), r.Pointer
		if r.Detail == "" || r.Code.Advice() == "" {
			t.Errorf("%v says nothing to the producer", r)
		}
	}
	if got != v.Verdict || pointer != v.Pointer {
		t.Errorf("got %s at %q, want %s at %q\n%v", got, pointer, v.Verdict, v.Pointer, r)
	}
}

type vectorFile struct {
	About      string   `json:"about"`
	Records    []vector `json:"records"`
	Agreements []vector `json:"agreements"`
	Frames     []vector `json:"frames"`
}

func readVectors(t testing.TB) vectorFile {
	data, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var f vectorFile
	if err := json.Unmarshal(data, &f, json.RejectUnknownMembers(true)); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestVectorsRecords(t *testing.T) {
	vectors := readVectors(t).Records
	seen := map[string]bool{}
	for _, v := range vectors {
		seen[v.Verdict] = true
		t.Run(v.Name, func(t *testing.T) {
			body := v.body(t)
			kept := bytes.Clone(body)
			var k Keys
			v.judge(t, Scan(body, &k))
			if !bytes.Equal(body, kept) {
				t.Error("Scan wrote into the body")
			}
			if v.Verdict != "accepted" {
				return
			}
			if !jsontext.Value(body).IsValid() {
				t.Error("accepted, and jsontext says it is not valid")
			}
			if _, err := Parse(body); err != nil {
				t.Errorf("accepted, and does not parse: %v", err)
			}
		})
	}
	if len(vectors) < 80 {
		t.Errorf("%d vectors", len(vectors))
	}
	for c := CodeEmpty; c <= CodeTwoIDs; c++ {
		switch c {
		case CodeMissingType, CodeTypeMismatch, CodeMissingWorkspace, CodeWorkspaceMismatch, CodeInvalidDoor, CodeTwoIDs:
		default:
			if !seen[c.String()] {
				t.Errorf("no vector for %s", c)
			}
		}
	}
}

func TestVectorsAgreements(t *testing.T) {
	for _, v := range readVectors(t).Agreements {
		t.Run(v.Name, func(t *testing.T) {
			var k Keys
			r := Scan(v.body(t), &k)
			if r == nil {
				if r = k.Agree(v.Workspace, v.Type); r == nil && (k.Type == "" || k.Workspace == "") {
					t.Errorf("agreed on type %q in workspace %q", k.Type, k.Workspace)
				}
			}
			v.judge(t, r)
		})
	}
}

func TestVectorsFrames(t *testing.T) {
	for _, v := range readVectors(t).Frames {
		t.Run(v.Name, func(t *testing.T) {
			body := v.body(t)
			f, r := SplitVouched(body)
			v.judge(t, r)
			if r != nil {
				return
			}
			if !bytes.Equal(f.Record, body[f.RecordStart:f.RecordEnd]) || !bytes.Contains(body, f.DoorRaw) {
				t.Errorf("offsets %d–%d don't hold the record", f.RecordStart, f.RecordEnd)
			}
		})
	}
}
