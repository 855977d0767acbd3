// Command annals is an audit ledger in one process, and its command line.
//
// The rule of this package: wiring and flags only. What has a subject of its own
// is a package below internal, and what decides anything about records is not
// here at all.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit codes. verify has more, one a finding: see its help.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run runs one command and returns its exit code.
func run(args []string, in io.Reader, out, err io.Writer) int {
	// The first signal asks for a clean stop; a second ends the process as it would
	// any other.
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	a := &app{in: in, out: out, err: err, args: args, environ: os.Environ()}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(err)
	cmd, failure := root.ExecuteContextC(ctx)
	return a.exit(cmd, failure)
}

// app is what commands share: where they read and print.
type app struct {
	in       io.Reader
	out, err io.Writer
	args     []string
	environ  []string

	tokenFile, caFile string // of the command that runs
}

// usageError is a command that was given wrongly.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Errorf(format, args...)}
}

// statusError ends the process with a status, after what there is to say was
// said.
type statusError int

func (e statusError) Error() string { return fmt.Sprintf("status %d", int(e)) }

// exit prints an error of a command on one line and says which code it is worth. Who
// gave the command wrongly is sent to that command's help: the whole list is no answer.
func (a *app) exit(cmd *cobra.Command, err error) int {
	var status statusError
	var usage *usageError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &status):
		return int(status)
	case errors.As(err, &usage):
		fmt.Fprintf(a.err, "annals: %s (%s --help shows how)\n", oneLine(err), cmd.CommandPath())
		return exitUsage
	}
	fmt.Fprintf(a.err, "annals: %s\n", oneLine(err))
	return exitFailure
}

func oneLine(err error) string {
	return strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}
