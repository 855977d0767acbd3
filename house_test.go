// Package annals_test holds the house to its own rules: the floors that
// packages live on, what they may link, how files are named and sized, and that
// the README says nothing that isn't so. A rule that no test enforces is a
// wish.
package annals_test

import (
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// TestHouse holds this repository to every rule.
func TestHouse(t *testing.T) {
	house := mustRead(t, os.DirFS("."))
	if len(house.dirs()) == 0 {
		t.Fatal("no packages found: the test does not run at the module's root")
	}
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			for _, fault := range r.check(house) {
				t.Error(fault)
			}
		})
	}
}

// TestHouseRulesBite breaks each rule in a small tree of its own and sees the
// fault found, at its place, and by that rule alone.
func TestHouseRulesBite(t *testing.T) {
	sound := map[string]string{
		"ledger/chain/chain.go": "// Package chain is pure.\npackage chain\n",
		"activity/activity.go":  "// Package activity is the record.\npackage activity\n",
	}
	type breach struct {
		rule, name, place string
		files             map[string]string
	}
	cases := []breach{
		{"floors", "up", "activity", files("activity/up.go", "package activity\nimport _ \"annals/ledger/chain\"\n")},
		{"floors", "beside", "activity", files("activity/beside.go", "package activity\nimport _ \"annals/internal/problem\"\n")},
		{"floors", "test package", "ledger/chain", files(
			"ledger/chain/golden.go", "package chain\nimport _ \"annals/ledger/chain/chaintest\"\n",
			"ledger/chain/chaintest/t.go", "// Package chaintest.\npackage chaintest\nimport _ \"annals/ledger/chain\"\n",
		)},
		{"floors", "homeless", "attic", files("attic/a.go", "// Package attic.\npackage attic\n")},
		{"never", "producers link no broker", "ingest", files("ingest/i.go", "// Package ingest.\npackage ingest\nimport _ \"github.com/nats-io/nats-server/v2/server\"\n")},
		{"never", "not through another package", "ingest", files(
			"ingest/i.go", "// Package ingest.\npackage ingest\nimport _ \"annals/activity\"\n",
			"activity/store.go", "package activity\nimport _ \"github.com/cockroachdb/pebble/v2\"\n",
		)},
		{"never", "an audit needs no store", "ledger/proof", files("ledger/proof/p.go", "// Package proof.\npackage proof\nimport _ \"github.com/cockroachdb/pebble/v2/vfs\"\n")},
		{"never", "the door gets an Await", "ingest/door", files("ingest/door/d.go", "// Package door.\npackage door\nimport _ \"annals/ledger\"\n")},
		{"never", "the fold has no disk", "ledger/chain", files("ledger/chain/disk.go", "package chain\nimport _ \"os\"\n")},
		{"never", "the fold has no dice", "ledger/chain", files("ledger/chain/dice.go", "package chain\nimport _ \"math/rand/v2\"\n")},
		{"pure chain", "clock", "ledger/chain/clock.go:3", files("ledger/chain/clock.go", "package chain\nimport \"time\"\nvar born = time.Now()\n")},
		{"pure chain", "goroutine", "ledger/chain/run.go:2", files("ledger/chain/run.go", "package chain\nfunc f() { go f() }\n")},
		{"pure chain", "select", "ledger/chain/sel.go:2", files("ledger/chain/sel.go", "package chain\nfunc f() { select {} }\n")},
		{"strict JSON", "lenient decoder", "activity", files("activity/lax.go", "package activity\nimport _ \"encoding/json\"\n")},
		{"package names", "folder", "cmd/annals/internal/util", files("cmd/annals/internal/util/u.go", "// Package util.\npackage util\n")},
		{"package names", "package clause", "internal/problem", files("internal/problem/p.go", "// Package helpers.\npackage helpers\n")},
		{"package comments", "none", "query", files("query/q.go", "package query\n")},
		{"package comments", "only another comment", "query", files("query/q.go", "// A licence.\n\npackage query\n")},
		{"file length", "long", "activity/long_test.go", files("activity/long_test.go", "package activity\n"+strings.Repeat("\n", maxLines))},
		{"unfinished", "mark", "docs/plan.md:2", files("docs/plan.md", "# Plan\n"+unfinished[0]+": think\n")},
		{"unfinished", "context", "activity/c.go:3", files("activity/c.go", "package activity\nimport \"context\"\nvar ctx = context."+unfinished[0]+"()\n")},
		{"no JavaScript", "script", "query/page.js", files("query/page.js", "alert(1)\n")},
		{"links", "dead", "docs/a.md:1", files("docs/a.md", "See [there](gone.md).\n")},
		{"links", "dead heading", "docs/a.md:1", files("docs/a.md", "See [there](b.md#elsewhere).\n", "docs/b.md", "# Here\n")},
	}
	ok := mustRead(t, mapFS(sound))
	for _, r := range rules {
		if faults := r.check(ok); len(faults) > 0 {
			t.Errorf("%s: the sound tree is found at fault: %q", r.name, faults)
		}
		if !slices.ContainsFunc(cases, func(c breach) bool { return c.rule == r.name }) {
			t.Errorf("rule %q is never broken here: nobody knows whether it can be", r.name)
		}
	}
	for _, c := range cases {
		t.Run(c.rule+"/"+c.name, func(t *testing.T) {
			broken := mapFS(sound)
			for name, data := range c.files {
				broken[name] = &fstest.MapFile{Data: []byte(data)}
			}
			got := mustRead(t, broken)
			for _, r := range rules {
				faults := r.check(got)
				if r.name == c.rule {
					if !slices.ContainsFunc(faults, func(f string) bool { return strings.HasPrefix(f, c.place+":") }) {
						t.Errorf("faults %q, want one at %s", faults, c.place)
					}
				} else if len(faults) > 0 && !(r.name == "floors" && c.rule == "never") {
					t.Errorf("rule %q is broken too: %q", r.name, faults)
				}
			}
		})
	}
}

// TestLinked asks the go command what the producers' SDK and the auditor's
// package really link, third parties' imports included.
func TestLinked(t *testing.T) {
	if err := linked("ledger", "github.com/cockroachdb/pebble"); err == nil {
		t.Error("the ledger is said not to link Pebble: the question is put wrongly")
	}
	for _, dir := range []string{"ingest", "ledger/proof", "ledger/chain", "activity"} {
		if err := linked(dir, append(never[dir], "github.com/nats-io/nats-server")...); err != nil {
			t.Error(err)
		}
	}
}

// linked returns an error when a package's whole closure of third-party
// packages holds one of the given paths. The standard library's own imports
// don't count: errors and fmt reach os.
func linked(dir string, no ...string) error {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", "./"+dir).Output()
	if err != nil {
		return err
	}
	for p := range strings.FieldsSeq(string(out)) {
		if under(p, module+"/ledger/chain") || under(p, module+"/ledger/proof") {
			continue
		}
		for _, n := range no {
			if under(p, n) && p != module+"/"+dir {
				return &linkError{dir, p}
			}
		}
	}
	return nil
}

type linkError struct{ dir, path string }

func (e *linkError) Error() string { return e.dir + " links " + e.path }

// files pairs paths and contents.
func files(pairs ...string) map[string]string {
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return m
}

func mapFS(files map[string]string) fstest.MapFS {
	m := fstest.MapFS{}
	for name, data := range files {
		m[name] = &fstest.MapFile{Data: []byte(data)}
	}
	return m
}

func mustRead(t *testing.T, root fs.FS) *tree {
	t.Helper()
	tr, err := readTree(root)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}
