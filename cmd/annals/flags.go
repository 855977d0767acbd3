package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// filled refuses a flag that was given without saying anything. An empty value is
// mostly a shell's variable that was not set, and would widen a filter, or mean
// another place than the one that was meant, without a word. A value that begins
// with "--" is mostly the next flag, swallowed.
func (a *app) filled(cmd *cobra.Command) error {
	var wrong error
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if wrong != nil || !textual(f) {
			return
		}
		switch value := said(f); {
		case value == "":
			wrong = usagef("--%s is empty; leave it out, or check the variable it came from", f.Name)
		case strings.HasPrefix(value, "--") && !slices.Contains(a.args, "--"+f.Name+"="+value):
			wrong = usagef("--%s has no value: %s follows it; a value that begins with -- is written --%s=VALUE", f.Name, value, f.Name)
		}
	})
	return wrong
}

// textual reports whether a flag takes any text, the empty one too.
func textual(f *pflag.Flag) bool {
	return f.Value.Type() == "string" || f.Value.Type() == "stringSlice" || f.Value.Type() == "stringArray"
}

// said is a textual flag's value as it was written.
func said(f *pflag.Flag) string {
	if list, ok := f.Value.(pflag.SliceValue); ok {
		return strings.Join(list.GetSlice(), ",")
	}
	return f.Value.String()
}

// needed refuses a command without a flag that it can't do without, in words of the command
// line. A variable is as good as a flag, which the library doesn't know.
func needed(cmd *cobra.Command) (missing error) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if len(f.Annotations[cobra.BashCompOneRequiredFlag]) == 0 || f.Changed || missing != nil {
			return
		}
		if said(f) == "" {
			missing = usagef("--%s is missing: %s", f.Name, cmd.UseLine())
			return
		}
		f.Changed = true
	})
	return missing
}

// flagError is what a flag that does not parse is answered with: in words of the
// command line, not of the library that reads the number. Where a command's name is
// misspelt the flags are looked for above it, and it is the name that is wrong.
func (a *app) flagError(cmd *cobra.Command, err error) error {
	if at := len(strings.Fields(cmd.CommandPath())) - 1; cmd.HasSubCommands() && at < len(a.args) && !strings.HasPrefix(a.args[at], "-") {
		return noCommand(cmd, a.args[at])
	}
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		return usagef("%w%s", err, nearestFlag(cmd, unknown.GetSpecifiedName()))
	}
	var invalid *pflag.InvalidValueError
	if errors.As(err, &invalid) {
		f := invalid.GetFlag()
		return usagef("--%s: %w", f.Name, unfit(f, invalid.GetValue(), err))
	}
	return &usageError{err}
}

// nearestFlag asks whether a flag of the command was meant that is spelt almost so. Of
// one letter nobody can tell.
func nearestFlag(cmd *cobra.Command, name string) string {
	var known []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
	if near := nearest(name, known); len(name) > 2 && edits(name, near) <= 2 {
		return "; did you mean --" + near + "?"
	}
	return ""
}

// noCommand says that there is no such command below cmd, and which one may be meant.
func noCommand(cmd *cobra.Command, name string) error {
	cmd.SuggestionsMinimumDistance = 2
	_, above, _ := strings.Cut(cmd.CommandPath()+" ", " ")
	if near := cmd.SuggestionsFor(name); len(near) > 0 {
		return usagef("there is no command %q; did you mean %s?", above+name, strings.Join(near, " or "))
	}
	return usagef("there is no command %q", above+name)
}

// unfit says what a flag's value should have been, where err says that it is not.
func unfit(f *pflag.Flag, value string, err error) error {
	switch kind := f.Value.Type(); {
	case errors.Is(err, strconv.ErrRange):
		return fmt.Errorf("%s is too large", value)
	case kind == "int":
		return fmt.Errorf("%q is no whole number", value)
	case kind == "bool":
		return fmt.Errorf("%q is neither true nor false", value)
	default:
		return fmt.Errorf("%q: %w", value, err)
	}
}

// arguments checks a command's arguments by its own rule, after its flags: a flag
// that swallowed another one leaves arguments behind that nobody gave.
func (a *app) arguments(rule cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := a.filled(cmd); err != nil {
			return err
		}
		switch err := rule(cmd, args); {
		case err == nil:
			return nil
		case cmd.HasSubCommands():
			return noCommand(cmd, args[0])
		case rule(cmd, nil) == nil:
			return usagef("%s takes no arguments, and %q is one", cmd.Name(), args[0])
		default:
			return usagef("%s: %w: annals %s", cmd.Name(), err, cmd.Use)
		}
	}
}
