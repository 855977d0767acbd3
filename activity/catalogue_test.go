package activity

import (
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

// publishedLines prints the catalogue in the form of testdata/published.txt:
// what the published pages say, line by line, and nothing that is ours.
func publishedLines(v *Vocabulary) []string {
	var lines []string
	groups := 0
	for _, g := range v.Groups() {
		if g.System == "app_platform" {
			groups++
		}
		for _, slug := range g.Types {
			d, _ := v.Lookup(slug)
			var labels []string
			for _, f := range d.Fields {
				if !f.Optional {
					labels = append(labels, f.Label)
				}
			}
			switch d.System {
			case "app_platform":
				cells := []string{strconv.Itoa(groups), d.Label, strings.Join(labels, " "), d.Description}
				lines = append(lines, "app platform: "+strings.Join(slices.DeleteFunc(cells, func(s string) bool { return s == "" }), " | "))
			case "user_activity":
				lines = append(lines, fmt.Sprintf("user activity: %d%s%s", d.Number, d.Label, d.Description))
			case "activity_tracking":
				lines = append(lines, "activity tracking: "+d.Slug)
			}
		}
	}
	for _, c := range v.Sources() {
		lines = append(lines, fmt.Sprintf("source: %d%s%s", c.Number, c.Label, c.Description))
	}
	for _, c := range v.ExportDataTypes() {
		lines = append(lines, fmt.Sprintf("export data type: %d%s", c.Number, c.Label))
	}
	slices.Sort(lines)
	return lines
}

// seedLines reads the same lines out of the published pages' own texts.
func seedLines(t *testing.T, seeds fs.FS) []string {
	read := func(pattern string) string {
		names, err := fs.Glob(seeds, pattern)
		if err != nil || len(names) != 1 {
			t.Fatalf("%s: %v, %v", pattern, names, err)
		}
		data, err := fs.ReadFile(seeds, names[0])
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	var lines []string
	group := 0
	for line := range strings.Lines(read("004_*.txt")) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		cells = slices.DeleteFunc(cells, func(s string) bool { return s == "" })
		switch {
		case !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|---"):
		case cells[0] == "Change Type":
			group++
		case cells[0] == "ID":
			group = 0 // requirements follow, no types
		case group > 0:
			lines = append(lines, "app platform: "+strings.Join(append([]string{strconv.Itoa(group)}, cells...), " | "))
		}
	}
	kinds := map[string]string{
		"Activity Types": "user activity: ", "Source Types": "source: ", "Export Data Type": "export data type: ",
		"Sample Query": "", "Params": "",
	}
	kind := ""
	for line := range strings.Lines(read("002_*.txt")) {
		line = strings.TrimSpace(line)
		if k, ok := kinds[line]; ok {
			kind = k
		} else if kind != "" && line != "" && '0' <= line[0] && line[0] <= '9' {
			lines = append(lines, kind+line)
		}
	}
	// The names of the last page run into one another, so they are found by the
	// catalogue's, and must use up the line.
	_, rest, ok := strings.Cut(read("003_*.txt"), "Main event types include:\n")
	if !ok {
		t.Fatal("no event types")
	}
	rest, _, _ = strings.Cut(rest, "\n")
	for rest != "" {
		slug := ""
		for _, d := range Catalogue().Definitions() {
			if d.System == "activity_tracking" && strings.HasPrefix(rest, d.Slug) && len(d.Slug) > len(slug) {
				slug = d.Slug
			}
		}
		if slug == "" {
			t.Fatalf("no type of the catalogue begins %q", rest)
		}
		lines = append(lines, "activity tracking: "+slug)
		rest = rest[len(slug):]
	}
	slices.Sort(lines)
	return lines
}

// TestPublished compares the catalogue with what was published: with the
// checked-in list, and where the published texts stand beside the project, the
// list with them. -update writes the list from the texts.
func TestPublished(t *testing.T) {
	const folder = "../../shared/seeds"
	if _, err := os.Stat(folder); err == nil {
		lines := seedLines(t, os.DirFS(folder))
		golden(t, "published.txt", []byte(strings.Join(lines, "\n")+"\n"))
	} else {
		t.Log("the published texts are not here; comparing with the list that was made from them")
	}
	want, err := os.ReadFile("testdata/published.txt")
	if err != nil {
		t.Fatal(err)
	}
	got := publishedLines(Catalogue())
	for i, line := range strings.Split(strings.TrimSuffix(string(want), "\n"), "\n") {
		if i >= len(got) || got[i] != line {
			t.Fatalf("line %d: published is\n%s\nthe catalogue has\n%s", i+1, line, got[min(i, len(got)-1)])
		}
	}
	counts := map[string]int{}
	groups := map[string]int{}
	for _, g := range Catalogue().Groups() {
		groups[g.System]++
		counts[g.System] += len(g.Types)
	}
	if counts["app_platform"] != 127 || groups["app_platform"] != 14 || counts["user_activity"] != 11 || counts["activity_tracking"] != 17 {
		t.Errorf("types %v in groups %v", counts, groups)
	}
}

func TestLookup(t *testing.T) {
	for slug, want := range map[string]string{
		"app.renamed":           "app.renamed",
		"frontend_button_click": "frontend_*",
		"frontend_frontend_x":   "frontend_*",
		"frontend_":             "",
		"frontend_*":            "frontend_*",
		"frontend":              "",
		"App.Renamed":           "",
		"":                      "",
	} {
		if d, ok := Lookup(slug); d.Slug != want || ok != (want != "") {
			t.Errorf("%q: found %q, %v, want %q", slug, d.Slug, ok, want)
		}
	}
	for _, g := range Catalogue().Groups() {
		found, ok := Catalogue().Group(g.Slug)
		if !ok || found.Label != g.Label || !slices.Equal(found.Types, g.Types) {
			t.Errorf("group %q: found %+v, %v", g.Slug, found, ok)
		}
		for _, slug := range g.Types {
			if d, _ := Lookup(slug); d.Group != g.Slug {
				t.Errorf("type %s stands in the group %s and says %s", slug, g.Slug, d.Group)
			}
		}
	}
	if g, ok := Catalogue().Group("App"); ok {
		t.Errorf("a title passes for a slug: %+v", g)
	}
	for i, d := range Catalogue().UserActivities() {
		if d.Number != i+1 {
			t.Errorf("activity %d is at place %d", d.Number, i+1)
		}
	}
	for i, c := range Catalogue().Sources() {
		if c.Number != i+1 {
			t.Errorf("source %d is at place %d", c.Number, i+1)
		}
	}
	for i, c := range Catalogue().ExportDataTypes() {
		if c.Number != i {
			t.Errorf("export data type %d is at place %d", c.Number, i)
		}
	}
}

func TestReadVocabularyFaults(t *testing.T) {
	const row = `{"slug":"a.b","label":"A B","object":"app","sentence":"{actor} did {object}"}`
	file := func(objects, types string) string {
		return `{"name":"n","title":"t","objects":[` + objects + `],"groups":[{"slug":"g","label":"G","types":[` + types + `]}]}`
	}
	const app = `{"type":"app","noun":"app","one":"an app"}`
	for name, c := range map[string]struct{ data, want string }{
		"OK":              {file(app, row), ""},
		"type twice":      {file(app, row+","+row), "a.b is there twice"},
		"object twice":    {file(app+","+app, row), "app is there twice"},
		"unknown object":  {file("", row), "in no list of objects"},
		"unknown member":  {strings.Replace(file(app, row), `"label"`, `"lable"`, 1), "lable"},
		"illegal slug":    {file(app, strings.Replace(row, "a.b", "a b", 1)), "no legal type"},
		"no sentence":     {file(app, strings.Replace(row, "{actor} did {object}", "", 1)), "no sentence"},
		"group twice":     {strings.Replace(file(app, row), `"groups":[`, `"groups":[{"slug":"g"},`, 1), "group g is there twice"},
		"open hole":       {file(app, strings.Replace(row, "{object}", "{object", 1)), "stays open"},
		"open bracket":    {file(app, strings.Replace(row, "did", "[did", 1)), "stays open"},
		"bare hole":       {file(app, strings.Replace(row, "did", "{x}", 1)), "stands in brackets"},
		"unknown hole":    {file(app, strings.Replace(row, "did", "[{x}]", 1)), "no field of it"},
		"unknown style":   {file(app, strings.Replace(row, "{object}", "{object:loud}", 1)), "unknown style"},
		"field twice":     {file(app, strings.Replace(row, `"object"`, `"fields":[{"slug":"f"},{"slug":"f"}],"object"`, 1)), "f is there twice"},
		"unknown choices": {file(app, strings.Replace(row, `"object"`, `"fields":[{"slug":"f","choices":"c"}],"object"`, 1)), "nowhere"},
		"field's object":  {file(app, strings.Replace(row, `"object"`, `"fields":[{"slug":"f","object":"o"}],"object"`, 1)), "field f"},
		"no JSON":         {"{", "unexpected EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ReadVocabulary(fstest.MapFS{"c/x.json": {Data: []byte(c.data)}}, "c")
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
