package main

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

// TestCompletedWords: the shell is given the words that a flag takes, and no files beside
// them.
func TestCompletedWords(t *testing.T) {
	for _, c := range []struct{ flag, want string }{
		{"timeline -o", "table json jsonl"},
		{"counts -o", "table json"},
		{"verify -o", "text json"},
		{"receipt -o", "text json receipt"},
		{"timeline --order", "recorded occurred"},
		{"tail --kind", "record duplicate conflict rejection control gap"},
		{"timeline --grade", "verified delegated asserted anonymous none"},
		{"counts --by", "day hour kind type group source outcome grade user object linked session ip"},
		{"serve --log-level", "debug info warn error"},
		{"serve --log-format", "text json"},
		{"erase --reason", "request order mistake secret contract"},
		{"keys rotate --role", "checkpoint ledger heads operator"},
		{"keys add --role", "eraser operator root ledger checkpoint heads"},
		{"keys threshold --role", "eraser operator root"},
		{"import --format", "activity_tracking app_platform cloudtrail csv jsonl ocsf user_activity user_activity_log useractivities"},
		{"evidence -o", ""}, // a file
		{"export -o", ""},   // a folder
		{"amend --reason", ""},
	} {
		var out bytes.Buffer
		args := append(append([]string{"__complete"}, strings.Fields(c.flag)...), "")
		a := &app{out: &out, err: io.Discard, args: args}
		root := a.root()
		root.SetArgs(args)
		root.SetOut(&out)
		root.SetErr(io.Discard)
		if err := root.Execute(); err != nil {
			t.Fatalf("%s: %v", c.flag, err)
		}
		lines := strings.Fields(out.String())
		directive := lines[len(lines)-1]
		if got := strings.Join(lines[:len(lines)-1], " "); got != c.want || (directive == ":4") != (c.want != "") { // 4: no files
			t.Errorf("%s: %q and %s, want %q", c.flag, got, directive, c.want)
		}
	}
}

// TestChoicesAreWhatTheHelpSays: a word that is completed stands in the help of its flag, or of
// its command, and each flag that is named is there.
func TestChoicesAreWhatTheHelpSays(t *testing.T) {
	root := new(app).root()
	for name, words := range choices() {
		at := strings.LastIndexByte(name, ' ') + 1
		if at == 0 {
			of := "timeline " // which has it, as others have
			if strings.HasPrefix(name, "log-") {
				of = "serve "
			}
			name, at = of+name, len(of)
		}
		cmd, rest, err := root.Find(strings.Fields(name[:at]))
		if err != nil || len(rest) > 0 || cmd.Flags().Lookup(name[at:]) == nil {
			t.Errorf("%s: there is no such flag: %v %v", name, rest, err)
			continue
		}
		said := cmd.Long + cmd.Flags().Lookup(name[at:]).Usage
		for _, w := range words {
			if !strings.Contains(said, w) {
				t.Errorf("%s: nobody says that it takes %s", name, w)
			}
		}
	}
}
