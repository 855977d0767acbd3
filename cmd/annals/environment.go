package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// prefix begins the environment variables that are read.
const prefix = "ANNALS_"

// passwordVariable has no flag: what stands on a command line can be read by
// every process of the machine. The NATS configurations in deploy read it too.
const passwordVariable = prefix + "NATS_PASSWORD"

// tokenVariable has no flag for the same reason.
const tokenVariable = prefix + "TOKEN"

// fromEnvironment sets the flags that the command line left out. A variable that
// no command knows is an error: one that is misspelt must not be the default in
// silence. Nor may an empty one.
func (a *app) fromEnvironment(cmd *cobra.Command) error {
	known := variables(cmd.Root())
	for _, pair := range a.environ {
		name, value, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(name, prefix) {
			continue
		}
		if !slices.Contains(known, name) {
			return usagef("the environment variable %s is not known; did you mean %s?", name, nearest(name, known))
		}
		flag := cmd.Flags().Lookup(flagOf(name))
		if flag == nil || flag.Changed {
			continue
		}
		if err := flag.Value.Set(value); err != nil {
			return usagef("the environment variable %s: %w", name, unfit(flag, value, err))
		}
		if textual(flag) && said(flag) == "" {
			return usagef("the environment variable %s is empty; unset it, or give it a value", name)
		}
	}
	return nil
}

func variables(root *cobra.Command) []string {
	names := []string{passwordVariable, tokenVariable}
	var walk func(*cobra.Command)
	walk = func(above *cobra.Command) {
		for _, cmd := range above.Commands() {
			cmd.Flags().VisitAll(func(f *pflag.Flag) {
				if f.Name != "help" {
					names = append(names, variableOf(f.Name))
				}
			})
			walk(cmd)
		}
	}
	walk(root)
	slices.Sort(names)
	return slices.Compact(names)
}

func variableOf(flag string) string {
	return prefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

func flagOf(variable string) string {
	return strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(variable, prefix), "_", "-"))
}

// nearest returns the name with the fewest edits from what was written.
func nearest(name string, known []string) string {
	best, least := "", -1
	for _, k := range known {
		if d := edits(name, k); least < 0 || d < least {
			best, least = k, d
		}
	}
	return best
}

// edits is the Levenshtein distance of two names.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			replaced := diagonal
			if a[i-1] != b[j-1] {
				replaced++
			}
			diagonal = row[j]
			row[j] = min(row[j]+1, row[j-1]+1, replaced)
		}
	}
	return row[len(b)]
}
