package main

import (
	"strings"

	"annals/cmd/annals/internal/imports"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// choices are the words of flags that take no others, by command and flag: what the shell
// completes. A flag that any command has by one meaning stands under its name alone.
func choices() map[string][]string {
	roles := []string{"eraser", "operator", "root"}
	all := map[string][]string{
		"kind":                {"record", "duplicate", "conflict", "rejection", "control", "gap"},
		"grade":               {"verified", "delegated", "asserted", "anonymous", "none"},
		"order":               {"recorded", "occurred"},
		"log-level":           {"debug", "info", "warn", "error"},
		"log-format":          {"text", "json"},
		"timeline output":     {"table", "json", "jsonl"},
		"tail output":         {"table", "jsonl"},
		"counts output":       {"table", "json"},
		"bench output":        {"table", "json"},
		"record output":       {"text", "json"},
		"verify output":       {"text", "json"},
		"reconcile output":    {"text", "json"},
		"receipt output":      {"text", "json", "receipt"},
		"counts by":           {"day", "hour", "kind", "type", "group", "source", "outcome", "grade", "user", "object", "linked", "session", "ip"},
		"erase reason":        {"request", "order", "mistake", "secret", "contract"},
		"keys rotate role":    {"checkpoint", "ledger", "heads", "operator"},
		"keys add role":       append(roles[:3:3], "ledger", "checkpoint", "heads"),
		"keys threshold role": roles,
	}
	for _, f := range imports.Formats() {
		all["import format"] = append(all["import format"], f.Name)
	}
	return all
}

// complete has the shell complete the words of the flags of a command and all below it.
func complete(cmd *cobra.Command, all map[string][]string) {
	_, path, _ := strings.Cut(cmd.CommandPath(), " ") // without the program's name
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		for _, name := range []string{f.Name, path + " " + f.Name} {
			if words, ok := all[name]; ok {
				_ = cmd.RegisterFlagCompletionFunc(f.Name, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
			}
		}
	})
	for _, sub := range cmd.Commands() {
		complete(sub, all)
	}
}
