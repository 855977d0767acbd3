package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"annals/cmd/annals/internal/client"
	reading "annals/query/client"

	"github.com/go-json-experiment/json"
)

// cloudtrail is real input, beside this repository and not in it.
const cloudtrail = "../../../shared/data/cloudtrail"

// trail is what the files say, counted by a walk of its own over plain JSON.
type trail struct {
	events               int
	arns, things, typeds map[string]uint64 // by userIdentity.arn; by ARN of a resource; by its type and ARN
}

func readTrail(t *testing.T) trail {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(cloudtrail, "*.json"))
	if err != nil || len(files) == 0 {
		t.Skipf("SKIPPED, NOT PASSED: the real input is not at %s (%v)", cloudtrail, err)
	}
	c := trail{arns: map[string]uint64{}, things: map[string]uint64{}, typeds: map[string]uint64{}}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var file map[string][]map[string]any
		if err := json.Unmarshal(b, &file); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, event := range file["Records"] {
			c.events++
			who := event["userIdentity"].(map[string]any)
			if arn, ok := who["arn"].(string); ok {
				c.arns[arn]++
			}
			once := map[string]bool{}
			list, _ := event["resources"].([]any)
			for _, r := range list {
				r := r.(map[string]any)
				arn := r["ARN"].(string)
				if once[arn] {
					continue
				}
				once[arn] = true
				c.things[arn]++
				if typ, ok := r["type"].(string); ok {
					c.typeds[typ+"/"+arn]++
				}
			}
		}
	}
	return c
}

// TestCloudTrail imports 1,667 real events, some of the files compressed, and again: all
// are duplicates. By user and by resource there are as many as the files say, counted by
// another walk, and by jq.
func TestCloudTrail(t *testing.T) {
	want := readTrail(t)
	if want.events != 1667 {
		t.Fatalf("%d events in the files, want 1,667", want.events)
	}
	s := mustServe(t, filepath.Join(t.TempDir(), "data"))
	dir := copyTrail(t)
	report := filepath.Join(t.TempDir(), "report.jsonl")
	imported := func(dir string) string {
		out, err := exec.Command("annals", "import", "--url", s.url, "--format", "cloudtrail", "--workspace", "ws_aws", "--report", report, dir).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return string(out)
	}
	if got, want := imported(dir), "27 files, 1667 records: 1667 recorded, 0 duplicates, 0 conflicts, 0 refused\n"; got != want {
		t.Errorf("imported: %q, want %q", got, want)
	}
	if got, want := imported(dir), "27 files, 1667 records: 0 recorded, 1667 duplicates, 0 conflicts, 0 refused\n27 files imported before\n"; got != want {
		t.Errorf("imported again: %q, want %q", got, want)
	}
	c, err := client.New(s.url, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	awaitTotal(t, c, "ws_aws", uint64(want.events+27)) // each file is a record too

	total := func(q reading.Query) uint64 {
		t.Helper()
		q.Limit = 1
		page, err := c.Timeline(t.Context(), "ws_aws", q)
		if err != nil {
			t.Fatal(err)
		}
		return page.Total
	}
	is := func(field reading.Field, value string) (q reading.Query) {
		q.Where = []reading.Condition{reading.Is(field, value)}
		return q
	}
	for arn, n := range want.arns {
		if got := total(is(reading.User, arn)); got != n {
			t.Errorf("%s: %d in the timeline, %d in the files", arn, got, n)
		}
	}
	for thing, n := range want.typeds {
		typ, id, _ := strings.Cut(thing, "/")
		if got := total(is(reading.Object, reading.Ref(typ, id))); got != n {
			t.Errorf("%s: %d in its history, %d in the files", thing, got, n)
		}
	}
	compareThings(t, c, want.things)
	// When they happened is when CloudTrail says, not when they were imported.
	var q reading.Query
	q.OccurredUntil = time.Date(2023, 7, 11, 0, 0, 0, 0, time.UTC)
	if got := total(q); got != uint64(want.events) {
		t.Errorf("%d happened before 11 July 2023, want %d", got, want.events)
	}
	compareJQ(t, want)
	t.Logf("%d events, %d ARNs, %d resources, %d of them with a type", want.events, len(want.arns), len(want.things), len(want.typeds))
}

// copyTrail copies the files, every other one compressed.
func copyTrail(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(cloudtrail, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for i, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(dir, filepath.Base(name))
		if i%2 == 1 {
			var z bytes.Buffer
			w := gzip.NewWriter(&z)
			if _, err := w.Write(b); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			to, b = to+".gz", z.Bytes()
		}
		if err := os.WriteFile(to, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// compareThings reads every page, and counts the objects and what is linked by id.
func compareThings(t *testing.T, c *client.Client, want map[string]uint64) {
	t.Helper()
	got := map[string]uint64{}
	for item, err := range c.All(t.Context(), "ws_aws", reading.Query{Limit: 1000, Filter: reading.Filter{Where: []reading.Condition{reading.Not(reading.Type, "file.imported")}}}) {
		if err != nil {
			t.Fatal(err)
		}
		var r struct {
			Object struct {
				ID string `json:"id"`
			} `json:"object"`
			Linked []struct {
				ID string `json:"id"`
			} `json:"linked"`
		}
		if err := json.Unmarshal(item.Record, &r); err != nil {
			t.Fatal(err)
		}
		if r.Object.ID != "" {
			got[r.Object.ID]++
		}
		for _, l := range r.Linked {
			got[l.ID]++
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("by resource: %d in the timelines, %d in the files:\n%v\n%v", len(got), len(want), got, want)
	}
}

// compareJQ has jq count what the test counted.
func compareJQ(t *testing.T, want trail) {
	t.Helper()
	jq, err := exec.LookPath("jq")
	if err != nil {
		t.Log("NOT COMPARED with jq, which is not here; the test's own count was")
		return
	}
	files, _ := filepath.Glob(filepath.Join(cloudtrail, "*.json"))
	for query, want := range map[string]map[string]uint64{
		`[.[].Records[].userIdentity.arn | select(. != null)]`:                              want.arns,
		`[.[].Records[] | [.resources[]?.ARN] | unique[]]`:                                  want.things,
		`[.[].Records[] | [.resources[]? | select(.type) | .type + "/" + .ARN] | unique[]]`: want.typeds,
	} {
		out, err := exec.Command(jq, append([]string{"-s", query + ` | group_by(.) | map({key: .[0], value: length}) | from_entries`}, files...)...).Output()
		if err != nil {
			t.Fatalf("jq: %v", err)
		}
		got := map[string]uint64{}
		if err := json.Unmarshal(out, &got); err != nil {
			t.Fatal(err)
		}
		if !maps.Equal(got, want) {
			t.Errorf("jq counts otherwise by %s:\n%v\n%v", query, got, want)
		}
	}
}

// awaitTotal waits until a workspace has so many entries in its timeline.
func awaitTotal(t *testing.T, c *client.Client, workspace string, want uint64) {
	t.Helper()
	var last string
	for late := time.Now().Add(startTimeout); time.Now().Before(late); time.Sleep(20 * time.Millisecond) {
		page, err := c.Timeline(t.Context(), workspace, reading.Query{Limit: 1})
		if err == nil && page.Total == want {
			return
		}
		if last = fmt.Sprint(err); err == nil {
			last = fmt.Sprint(page.Total)
		}
	}
	t.Fatalf("%d entries are not in the timeline of %s: %s", want, workspace, last)
}
