package problem

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
)

// TestMisread: whoever wrote the JSON is told of it, and nothing of our types.
func TestMisread(t *testing.T) {
	type inner struct {
		Queries int       `json:"queries"`
		From    time.Time `json:"from"`
	}
	type outer struct {
		Origins []string `json:"origins"`
		Limits  inner    `json:"limits"`
	}
	for text, want := range map[string]string{
		`{"orgins":[]}`:                   "at /orgins: no such member is known",
		`{"limits":{"quries":1}}`:         "at /limits/quries: no such member is known",
		`{"origins":"x"}`:                 "at /origins: this can't be a string",
		`{"limits":{"queries":"many"}}`:   "at /limits/queries: this can't be a string",
		`{"limits":{"queries":1e9}}`:      "at /limits/queries: invalid syntax",
		`{"limits":{"from":"yesterday"}}`: "at /limits/from: parsing time",
		`[]`:                              "this can't be an array",
		`{bad`:                            "it is no JSON: at byte 1: ",
		``:                                "it is no JSON: at byte 0: ",
		`{"origins":[],"origins":[]}`:     "it is no JSON: at byte 14: ",
	} {
		err := json.Unmarshal([]byte(text), new(outer), json.RejectUnknownMembers(true))
		if err == nil {
			t.Fatalf("%s was read", text)
		}
		if got := Misread(err); !strings.HasPrefix(got, want) || strings.Contains(got, "Go ") || strings.Contains(got, "problem.") {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	if got := Misread(errors.New("another")); got != "another" {
		t.Errorf("%q", got)
	}
}
