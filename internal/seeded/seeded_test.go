//go:build seeded

// Package seeded_test puts bugs into the program, one at a time, and holds the
// suite to finding each of them.
//
// The rule the package exists for: a test that can't fail is a defect, and so is a
// check that nothing would miss. Each bug here is one that a real log, database or
// verifier had. None of it is in the program: a bug is a text that stands in a
// file exactly once, and the text that takes its place while the named tests are
// built (go help build, -overlay). The bug must compile and a test must fail.
package seeded_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// bug is one of them.
type bug struct {
	part string // fold, signer, verifier, resume or witness
	name string // what is wrong with the program
	file string // from the module's root
	old  string // stands there exactly once
	new  string
	// tests are the packages whose tests must find it, and run the pattern of their
	// names; "" runs all.
	tests string
	run   string
	race  bool // found by the race detector: otherwise as chance has it
}

// root is the module's.
const root = "../.."

// least is how many bugs there must be.
const least = 25

func TestSeededBugs(t *testing.T) {
	var all []bug
	for _, bugs := range [][]bug{foldBugs, verifierBugs, signerBugs, resumeBugs, witnessBugs} {
		all = append(all, bugs...)
	}
	if len(all) < least {
		t.Errorf("%d bugs, at least %d were promised", len(all), least)
	}
	// Tests that fail by themselves find nothing. Each is seen to pass once.
	sound := map[[2]string]func() error{}
	for _, b := range all {
		tests := [2]string{b.tests, b.run}
		if sound[tests] == nil {
			sound[tests] = sync.OnceValue(func() error {
				if out, err := runTests(t, &b); err != nil {
					return fmt.Errorf("%w\n%s", err, tail(out))
				}
				return nil
			})
		}
		t.Run(b.part+"/"+b.name, func(t *testing.T) {
			t.Parallel() // much of a build waits for its linker
			overlay := plant(t, &b)
			if err := sound[tests](); err != nil {
				t.Fatalf("without the bug: %v", err)
			}
			out, err := runTests(t, &b, "-overlay", overlay)
			switch {
			case err == nil:
				t.Errorf("nothing found it: %s passes with\n%s\nin the place of\n%s", b.tests, b.new, b.old)
			case bytes.Contains(out, []byte("[build failed]")) || bytes.Contains(out, []byte("[setup failed]")):
				t.Errorf("it does not compile:\n%s", tail(out))
			case !bytes.Contains(out, []byte("FAIL")):
				t.Errorf("no test failed: %v\n%s", err, tail(out))
			}
		})
	}
}

// plant writes the file with the bug in it, and what tells the go command so.
func plant(t *testing.T, b *bug) (overlay string) {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(root, b.file))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(text, []byte(b.old)); n != 1 {
		t.Fatalf("%s holds this %d times, not once; the code has moved on, and the bug must follow it:\n%s", b.file, n, b.old)
	}
	dir := t.TempDir()
	bad := filepath.Join(dir, "bug.go")
	if err := os.WriteFile(bad, bytes.Replace(text, []byte(b.old), []byte(b.new), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {path: bad}})
	if err != nil {
		t.Fatal(err)
	}
	overlay = filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlay, replace, 0o600); err != nil {
		t.Fatal(err)
	}
	return overlay
}

// runTests runs the tests that must find a bug. The first to fail is enough.
func runTests(t *testing.T, b *bug, flags ...string) ([]byte, error) {
	t.Helper()
	args := append([]string{"test", "-short", "-failfast", "-vet=off", "-timeout", "10m"}, flags...)
	env := os.Environ()
	if b.race {
		args, env = append(args, "-race"), append(env, "CGO_ENABLED=1") // which the detector needs
	}
	if b.run != "" {
		args = append(args, "-run", b.run)
	}
	cmd := exec.CommandContext(t.Context(), "go", append(args, strings.Fields(b.tests)...)...)
	cmd.Dir, cmd.Env = root, env
	return cmd.CombinedOutput()
}

// tail is the end of what a command printed.
func tail(out []byte) []byte { return out[max(0, len(out)-3000):] }
