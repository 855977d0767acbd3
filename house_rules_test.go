package annals_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
)

// module is the path that go.mod names.
const module = "annals"

// floors says on which floor each package lives (docs/architecture.md). A
// package imports lower floors only; beside names the neighbours on the same
// floor that it may import too.
var (
	floors = map[string]int{
		"cmd/annals":                    5,
		"query":                         4,
		"ingest/door":                   4,
		"projections":                   3,
		"ledger":                        2,
		"ingest":                        2,
		"ingest/broker":                 2,
		"ledger/chain":                  1,
		"ledger/proof":                  1,
		"ledger/proof/pack":             1,
		"ledger/proof/tiles":            1,
		"activity":                      0,
		"activity/face":                 0,
		"query/client":                  0,
		"internal/access":               0,
		"internal/access/oidc":          0,
		"internal/access/oidc/oidctest": 0,
		"internal/disk":                 0,
		"internal/freeport":             0,
		"internal/heapfloor":            0,
		"internal/jsonkind":             0,
		"internal/multibuffer":          0,
		"internal/offheap":              0,
		"internal/problem":              0,
	}
	beside = map[string][]string{
		"activity":             {"internal/jsonkind"},
		"activity/face":        {"activity", "internal/jsonkind"},
		"internal/access":      {"internal/problem"},
		"internal/access/oidc": {"internal/access"},
		"internal/problem":     {"internal/jsonkind"},
		"ledger/proof":         {"ledger/chain"},
		"ledger/proof/pack":    {"ledger/chain", "ledger/proof"},
		"ledger/proof/tiles":   {"ledger/chain", "ledger/proof"},
		"ingest/broker":        {"ingest"},
	}
)

// never lists what a package links to neither itself nor through another
// package of ours.
var never = map[string][]string{
	"activity":      {"github.com/nats-io", "github.com/cockroachdb/pebble", "github.com/danielgtaylor/huma", "net/http", "os"},
	"ledger/chain":  {"github.com/nats-io", "github.com/cockroachdb/pebble", "os", "net", "math/rand", "crypto/rand", "syscall", "log"},
	"ledger/proof":  {"github.com/nats-io", "github.com/cockroachdb/pebble"},
	"ledger":        {"github.com/nats-io", "annals/ingest"},
	"ingest":        {"github.com/nats-io/nats-server", "github.com/cockroachdb/pebble", "github.com/danielgtaylor/huma", "annals/ledger"},
	"ingest/broker": {"annals/ledger", "github.com/cockroachdb/pebble"},
	"ingest/door":   {"annals/ledger", "github.com/cockroachdb/pebble", "github.com/nats-io/nats-server"},
	"query":         {"annals/ingest", "github.com/nats-io", "github.com/cockroachdb/pebble"},
	"query/client":  {"annals", "github.com/nats-io", "github.com/cockroachdb/pebble", "github.com/danielgtaylor/huma"},
	"projections":   {"annals/ingest", "github.com/nats-io"},
}

// allowed are the exceptions to never: a package of ours below a forbidden
// prefix.
var allowed = []string{"annals/ledger/chain", "annals/ledger/proof"}

// throughOthers are the packages of never for which only what they import
// themselves counts: what lies below them may use the library.
var throughOthers = map[string]bool{"query": true}

// maxLines is the most lines that a Go file may have, tests included.
const maxLines = 500

// A rule looks at the whole tree and returns its faults, each beginning with
// the place.
type rule struct {
	name  string
	check func(*tree) []string
}

var rules = []rule{
	{"floors", checkFloors},
	{"never", checkNever},
	{"pure chain", checkPureChain},
	{"strict JSON", checkStrictJSON},
	{"package names", checkPackageNames},
	{"package comments", checkPackageComments},
	{"file length", checkFileLength},
	{"unfinished", checkUnfinished},
	{"no JavaScript", checkJavaScript},
	{"links", checkLinks},
}

// tree is a source tree as the rules see it.
type tree struct {
	files    map[string][]byte    // every file, by its path
	packages map[string][]*goFile // Go files by folder
	nested   []string             // folders that are modules of their own
}

type goFile struct {
	path string
	test bool
	ast  *ast.File
	set  *token.FileSet
}

// skipped are folders that are no part of the house: git's, and what a run
// leaves behind (.gitignore).
var skipped = []string{".git", "annals-data", "bin", "node_modules"}

// readTree reads a tree. A Go file that doesn't parse is an error.
func readTree(root fs.FS) (*tree, error) {
	t := &tree{files: map[string][]byte{}, packages: map[string][]*goFile{}}
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && slices.Contains(skipped, d.Name()):
			return fs.SkipDir
		case !d.Type().IsRegular():
			return nil
		}
		data, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		if bytes.IndexByte(data, 0) >= 0 {
			return nil // a binary that somebody built here
		}
		t.files[name] = data
		if path.Base(name) == "go.mod" && name != "go.mod" {
			t.nested = append(t.nested, path.Dir(name))
		}
		// The go command ignores testdata and what begins with _ or a dot.
		if path.Ext(name) != ".go" || strings.Contains("/"+name, "/testdata/") || strings.Contains("/"+name, "/_") {
			return nil
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, data, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		dir := path.Dir(name)
		t.packages[dir] = append(t.packages[dir], &goFile{path: name, test: strings.HasSuffix(name, "_test.go"), ast: file, set: set})
		return nil
	})
	return t, err
}

// ours reports whether a folder belongs to the main module.
func (t *tree) ours(dir string) bool {
	return !slices.ContainsFunc(t.nested, func(n string) bool { return dir == n || strings.HasPrefix(dir, n+"/") })
}

// dirs are the folders of the main module that hold Go files other than tests.
func (t *tree) dirs() []string {
	var dirs []string
	for _, dir := range slices.Sorted(maps.Keys(t.packages)) {
		if t.ours(dir) && slices.ContainsFunc(t.packages[dir], func(f *goFile) bool { return !f.test }) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// imports are what a package's files other than its tests import.
func (t *tree) imports(dir string) []string {
	seen := map[string]bool{}
	for _, f := range t.packages[dir] {
		if f.test {
			continue
		}
		for _, spec := range f.ast.Imports {
			p, _ := strconv.Unquote(spec.Path.Value)
			seen[p] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// reached maps everything that a package imports, directly or through packages
// of ours, to the folder that imports it.
func (t *tree) reached(dir string) map[string]string {
	by := map[string]string{}
	pending := []string{dir}
	for len(pending) > 0 {
		from := pending[0]
		pending = pending[1:]
		for _, p := range t.imports(from) {
			if _, known := by[p]; known {
				continue
			}
			by[p] = from
			if below, own := strings.CutPrefix(p, module+"/"); own {
				pending = append(pending, below)
			}
		}
	}
	return by
}

// under reports whether an import path is p or lies below it.
func under(path, p string) bool { return path == p || strings.HasPrefix(path, p+"/") }

func floorOf(dir string) (int, bool) {
	if under(dir, "cmd/annals") {
		return floors["cmd/annals"], true
	}
	if forTests(dir) {
		dir = path.Dir(dir)
	}
	f, ok := floors[dir]
	return f, ok
}

// forTests reports whether a folder is a package that only tests import: below
// the package that it helps to test, and named after it, as httptest is.
func forTests(dir string) bool { return path.Base(dir) == path.Base(path.Dir(dir))+"test" }

// tested is what a package for tests is for; any other package, as it is.
func tested(dir string) string {
	if forTests(dir) {
		return path.Dir(dir)
	}
	return dir
}

func checkFloors(t *tree) (faults []string) {
	for _, dir := range t.dirs() {
		floor, known := floorOf(dir)
		if !known {
			faults = append(faults, fmt.Sprintf("%s: lives on no floor; give it one in house_rules_test.go and docs/architecture.md", dir))
			continue
		}
		for _, p := range t.imports(dir) {
			to, own := strings.CutPrefix(p, module+"/")
			if !own {
				continue
			}
			below, known := floorOf(to)
			switch {
			case forTests(dir) && slices.Contains(beside[path.Dir(dir)], tested(to)):
			case forTests(to):
				faults = append(faults, fmt.Sprintf("%s: imports %s outside its tests", dir, to))
			case forTests(dir) && to == path.Dir(dir):
			case !known || below < floor || slices.Contains(beside[dir], to):
			case under(dir, "cmd/annals") && under(to, "cmd/annals"):
			default:
				faults = append(faults, fmt.Sprintf("%s: floor %d imports %s, floor %d; imports go down only", dir, floor, to, below))
			}
		}
	}
	return faults
}

func checkNever(t *tree) (faults []string) {
	for _, dir := range t.dirs() {
		for p, from := range t.reached(dir) {
			if throughOthers[dir] && from != dir {
				continue
			}
			for _, no := range never[dir] {
				if under(p, no) && !slices.ContainsFunc(allowed, func(a string) bool { return under(p, a) }) {
					faults = append(faults, fmt.Sprintf("%s: links %s (imported by %s)", dir, p, from))
				}
			}
		}
	}
	slices.Sort(faults)
	return faults
}

// clock are the names of package time that read or wait for a clock.
var clock = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick"}

// checkPureChain holds the fold to a function of its arguments.
func checkPureChain(t *tree) (faults []string) {
	for _, f := range t.packages["ledger/chain"] {
		if f.test {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			fault := ""
			switch n := n.(type) {
			case *ast.GoStmt:
				fault = "starts a goroutine"
			case *ast.SelectStmt:
				fault = "selects between channels"
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains(clock, n.Sel.Name) {
					fault = "reads the clock: time." + n.Sel.Name
				}
			}
			if fault != "" {
				faults = append(faults, fmt.Sprintf("%s: %s", f.set.Position(n.Pos()), fault))
			}
			return true
		})
	}
	return faults
}

// checkStrictJSON keeps out the decoder that takes ACTOR for actor and the last
// of two duplicate names.
func checkStrictJSON(t *tree) (faults []string) {
	for _, dir := range t.dirs() {
		if slices.Contains(t.imports(dir), "encoding/json") {
			faults = append(faults, dir+": imports encoding/json, which forgives what an audit must not; use go-json-experiment/json")
		}
	}
	return faults
}

var emptyNames = []string{"util", "utils", "common", "helper", "helpers", "model", "models", "type", "types", "misc", "shared", "lib"}

func checkPackageNames(t *tree) (faults []string) {
	for _, dir := range t.dirs() {
		for _, name := range append(strings.Split(dir, "/"), t.packages[dir][0].ast.Name.Name) {
			if slices.Contains(emptyNames, name) {
				faults = append(faults, fmt.Sprintf("%s: %q says nothing of what the package is for", dir, name))
				break
			}
		}
	}
	return faults
}

func checkPackageComments(t *tree) (faults []string) {
	for _, dir := range slices.Sorted(maps.Keys(t.packages)) {
		has := func(f *goFile) bool { return f.ast.Doc != nil && strings.TrimSpace(f.ast.Doc.Text()) != "" }
		if !slices.ContainsFunc(t.packages[dir], has) {
			faults = append(faults, dir+": no package comment; state the rule that the package exists for")
		}
	}
	return faults
}

func checkFileLength(t *tree) (faults []string) {
	for _, name := range slices.Sorted(maps.Keys(t.files)) {
		if lines := bytes.Count(t.files[name], []byte("\n")); path.Ext(name) == ".go" && lines > maxLines {
			faults = append(faults, fmt.Sprintf("%s: %d lines, the most is %d; look for the second subject", name, lines, maxLines))
		}
	}
	return faults
}

// unfinished are the marks of work left behind, spelt apart so that this file
// holds none.
var unfinished = []string{"TO" + "DO", "FIX" + "ME", "XX" + "X:"}

var textFiles = []string{".go", ".md", ".yml", ".yaml", ".conf", ".sh", ".mod", ".json", ""}

func checkUnfinished(t *tree) (faults []string) {
	for _, name := range slices.Sorted(maps.Keys(t.files)) {
		if !slices.Contains(textFiles, path.Ext(name)) {
			continue
		}
		for i, line := range strings.Split(string(t.files[name]), "\n") {
			for _, mark := range unfinished {
				if strings.Contains(line, mark) {
					faults = append(faults, fmt.Sprintf("%s:%d: %s: finish it or write it down as an issue", name, i+1, mark))
				}
			}
		}
	}
	return faults
}

func checkJavaScript(t *tree) (faults []string) {
	for _, name := range slices.Sorted(maps.Keys(t.files)) {
		if slices.Contains([]string{".js", ".mjs", ".cjs", ".jsx", ".ts", ".tsx"}, path.Ext(name)) && !under(name, "widgets") {
			faults = append(faults, name+": JavaScript lives in widgets/ only")
		}
	}
	return faults
}
