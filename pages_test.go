package annals_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// block is a fenced block of a page.
type block struct {
	page string
	line int // of its first line of content
	text string
}

// blocks returns a tree's fenced blocks of one language, in order of pages.
func blocks(t *tree, language string) (found []block) {
	for _, page := range slices.Sorted(maps.Keys(t.files)) {
		if filepath.Ext(page) != ".md" {
			continue
		}
		var b *block
		open := false
		for i, line := range strings.SplitAfter(string(t.files[page]), "\n") {
			trimmed := strings.TrimSpace(line)
			switch {
			case !open && strings.HasPrefix(trimmed, "```"):
				open = true
				if trimmed == "```"+language {
					b = &block{page: page, line: i + 2}
				}
			case open && trimmed == "```":
				if b != nil {
					found = append(found, *b)
				}
				open, b = false, nil
			case b != nil:
				b.text += line
			}
		}
	}
	return found
}

// TestPagesCompile compiles every Go block of every page. A block is a complete
// program, so that a reader can paste it into a file and run it.
func TestPagesCompile(t *testing.T) {
	programs := blocks(mustRead(t, os.DirFS(".")), "go")
	if len(programs) == 0 {
		t.Fatal("no Go block on any page: the README shows no publishing from Go")
	}
	if err := compile(t, programs); err != nil {
		t.Error(err)
	}
}

func TestPagesCompileBites(t *testing.T) {
	for name, text := range map[string]string{
		"snippet":    "p := 1\n",
		"unresolved": "package main\n\nfunc main() { annals.Publish() }\n",
		"no such":    "package main\n\nimport \"annals/ingest\"\n\nvar _ = ingest.NoSuchName\n\nfunc main() {}\n",
	} {
		t.Run(name, func(t *testing.T) {
			if err := compile(t, []block{{page: "a.md", line: 7, text: text}}); err == nil || !strings.Contains(err.Error(), "a.md:") {
				t.Errorf("compile returned %v, want an error in a.md", err)
			}
		})
	}
}

// compile compiles programs as packages of this module, without writing into it:
// an overlay tells the go command that they are there.
func compile(t *testing.T, programs []block) error {
	root, err := os.Getwd()
	if err != nil {
		return err
	}
	tmp := t.TempDir()
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	// -export compiles and doesn't link.
	args := []string{"list", "-export", "-overlay", filepath.Join(tmp, "overlay.json")}
	for i, p := range programs {
		if !strings.HasPrefix(p.text, "package main\n") && !strings.Contains(p.text, "\npackage main\n") {
			return fmt.Errorf("%s:%d: not a complete program", p.page, p.line)
		}
		dir := fmt.Sprintf("page_program_%d", i)
		file := filepath.Join(tmp, dir+".go")
		// The line directive makes the compiler speak of the page.
		if err := os.WriteFile(file, fmt.Appendf(nil, "//line %s:%d\n%s", p.page, p.line, p.text), 0o600); err != nil {
			return err
		}
		overlay.Replace[filepath.Join(root, dir, "main.go")] = file
		args = append(args, "./"+dir)
	}
	data, err := json.Marshal(overlay)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(tmp, "overlay.json"), data, 0o600); err != nil {
		return err
	}
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%w:\n%s", err, out)
	}
	return nil
}

// TestPagesCommands asks the binary for the help of every command that a page
// shows, and looks there for every flag that the page gives it.
func TestPagesCommands(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "annals")
	if runtime.GOOS == "windows" {
		bin += ".exe"
	}
	if out, err := exec.Command("go", "build", "-o", bin, "./cmd/annals").CombinedOutput(); err != nil {
		t.Fatalf("go build ./cmd/annals: %v\n%s", err, out)
	}
	help := func(words ...string) string {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		cmd := exec.CommandContext(ctx, bin, append(words, "--help")...)
		cmd.Dir = t.TempDir()
		out, err := cmd.CombinedOutput()
		if err != nil {
			return ""
		}
		return string(out)
	}
	house := mustRead(t, os.DirFS("."))
	shell := blocks(house, "sh")
	if len(shell) == 0 {
		t.Fatal("no shell block on any page")
	}
	for _, b := range shell {
		for _, c := range commands(b.text) {
			if why := unknown(c, help, string(house.files["Makefile"])); why != "" {
				t.Errorf("%s:%d: %s: %s", b.page, b.line, strings.Join(c, " "), why)
			}
		}
	}
}

// TestPagesCommandsAreMarked: what is not marked as the shell's is looked at by nobody.
func TestPagesCommandsAreMarked(t *testing.T) {
	for _, b := range unmarked(mustRead(t, os.DirFS("."))) {
		t.Errorf("%s:%d: a block with commands of ours is not marked ```sh", b.page, b.line)
	}
	pages := &tree{files: map[string][]byte{"a.md": []byte("```sh\nannals serve\n```\n\n```\nno command\n```\n\n```\nannals serve\n```\n")}}
	if got := unmarked(pages); len(got) != 1 || got[0].line != 10 {
		t.Errorf("of a page with one such block, in line 10: %v", got)
	}
}

// unmarked returns the blocks of no language in which our commands are.
func unmarked(t *tree) []block {
	return slices.DeleteFunc(blocks(t, ""), func(b block) bool { return len(commands(b.text)) == 0 })
}

func TestPagesCommandsBite(t *testing.T) {
	help := func(words ...string) string {
		return map[string]string{"serve": "Usage:\n  annals serve [flags]\n      --data DIR\n", "nosuch": "Usage:\n  annals [command]\n"}[strings.Join(words, " ")]
	}
	makefile := "test:\n\tgo test ./...\n"
	for line, good := range map[string]bool{
		"annals serve --data /tmp/x":                 true,
		"go run ./cmd/annals serve --data=x &":       true,
		"echo '{}' | annals serve":                   true,
		"make test":                                  true,
		"curl --insecure http://127.0.0.1:8080/v1":   true,
		"annals nosuch":                              false,
		"annals serve --dat /tmp/x":                  false,
		"sleep 1 && annals serve --verbose":          false,
		"annals serve \\\n  --data x \\\n  --nosuch": false,
		"make coffee":                                false,
	} {
		got := commands(line)
		why := ""
		for _, c := range got {
			why += unknown(c, help, makefile)
		}
		if (why == "") != good {
			t.Errorf("%q: read as %q, fault %q, want good %v", line, got, why, good)
		}
	}
}

var separator = regexp.MustCompile(`\|\||&&|[|;&\n]`)

// commands splits a shell block into the annals and make commands that it runs.
// Quotes are not minded: no command of ours needs a separator in one.
func commands(text string) (found [][]string) {
	text = strings.ReplaceAll(text, "\\\n", " ")
	for _, part := range separator.Split(text, -1) {
		words := strings.Fields(strings.TrimPrefix(strings.TrimSpace(part), "$ "))
		if len(words) > 2 && words[0] == "go" && words[1] == "run" && words[2] == "./cmd/annals" {
			words = append([]string{"annals"}, words[3:]...)
		}
		if len(words) > 1 && (words[0] == "annals" || words[0] == "make") {
			found = append(found, words)
		}
	}
	return found
}

// unknown says what of a command does not exist, or nothing.
func unknown(words []string, help func(...string) string, makefile string) string {
	if words[0] == "make" {
		if !strings.Contains("\n"+makefile, "\n"+words[1]+":") {
			return "no such target"
		}
		return ""
	}
	sub := []string{words[1]}
	text := help(sub...)
	// keys public: a command below a command.
	if len(words) > 2 && !strings.HasPrefix(words[2], "-") && strings.Contains(help(words[1], words[2]), "annals "+words[1]+" "+words[2]) {
		text = help(words[1], words[2])
	}
	if !strings.Contains(text, "annals "+words[1]) {
		return "no such command"
	}
	for _, w := range words[2:] {
		if w == "#" {
			break
		}
		if flag, _, _ := strings.Cut(w, "="); strings.HasPrefix(flag, "--") && !regexp.MustCompile(regexp.QuoteMeta(flag)+`\b`).MatchString(text) {
			return "no flag " + flag
		}
	}
	return ""
}
