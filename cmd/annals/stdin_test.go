package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"
)

// silent is an input on which nobody writes anything, and which nobody closes. It says when
// somebody waits for it.
type silent struct {
	asked func()
	never chan struct{}
}

func (s *silent) Read([]byte) (int, error) {
	s.asked()
	<-s.never
	return 0, io.EOF
}

// TestInterruptedWhileReading: a command that waits for standard input ends when it is
// interrupted, and not only when somebody types on.
func TestInterruptedWhileReading(t *testing.T) {
	for name, args := range map[string][]string{
		"publish":   {"publish", "--url", "http://127.0.0.1:1", "--workspace", "ws_7", "-"},
		"catalogue": {"catalogue", "add", "--url", "http://127.0.0.1:1", "--workspace", "ws_7", "--yes", "-"},
		"import":    {"import", "--url", "http://127.0.0.1:1", "--workspace", "ws_7", "--format", "jsonl", "--report", filepath.Join(t.TempDir(), "report"), "-"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, interrupt := context.WithCancel(t.Context())
			in := &silent{asked: interrupt, never: make(chan struct{})}
			defer close(in.never)
			var said bytes.Buffer
			a := &app{in: in, out: &said, err: &said, args: args}
			root := a.root()
			root.SetArgs(args)
			if status := a.exit(root.ExecuteContextC(ctx)); status != exitFailure || !strings.Contains(said.String(), "interrupted") {
				t.Errorf("status %d: %s", status, said.String())
			}
		})
	}
}

// TestStdin: what is read is what there is, until its end, and its error is the input's.
func TestStdin(t *testing.T) {
	whole := strings.Repeat("a line\n", 100_000)
	broken := errors.New("broken")
	for _, want := range []error{nil, broken} {
		var rest io.Reader = strings.NewReader("")
		if want != nil {
			rest = &failing{want}
		}
		a := &app{in: io.MultiReader(strings.NewReader(whole), rest)}
		got, err := io.ReadAll(a.stdin(t.Context()))
		if string(got) != whole || !errors.Is(err, want) {
			t.Errorf("%d bytes and %v, want %d and %v", len(got), err, len(whole), want)
		}
	}
}

type failing struct{ err error }

func (f *failing) Read([]byte) (int, error) { return 0, f.err }
