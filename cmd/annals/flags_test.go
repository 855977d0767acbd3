package main

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// TestNoFlagIsEmpty: of every command, every flag that takes text is refused when
// it is given empty, and when it swallowed the next flag. A flag that is added to
// a command is looked at here without being named. The commands do nothing here.
func TestNoFlagIsEmpty(t *testing.T) {
	try := func(args ...string) (status int, errs string) {
		var b bytes.Buffer
		a := &app{out: io.Discard, err: &b, args: args}
		root := a.root()
		for _, cmd := range root.Commands() {
			cmd.RunE = func(*cobra.Command, []string) error { return nil }
		}
		root.SetArgs(args)
		cmd, err := root.ExecuteC()
		return a.exit(cmd, err), b.String()
	}
	if status, errs := try("verify", "--data", "x"); status != exitOK {
		t.Fatal(errs)
	}
	n := 0
	for _, cmd := range new(app).root().Commands() {
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if !textual(f) {
				return
			}
			n++
			for args, want := range map[string]string{
				"--" + f.Name + "=":         "--" + f.Name + " is empty; leave it out, or check the variable it came from",
				"--" + f.Name + " --listen": "--" + f.Name + " has no value: --listen follows it",
			} {
				status, errs := try(append([]string{cmd.Name()}, strings.Split(args, " ")...)...)
				if status != exitUsage || !strings.Contains(errs, want) {
					t.Errorf("annals %s %s: status %d, %s", cmd.Name(), args, status, errs)
				}
			}
		})
	}
	if n < 25 {
		t.Errorf("only %d flags were looked at", n)
	}
}
