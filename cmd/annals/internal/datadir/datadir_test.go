package datadir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// whole makes a folder as a finished first start leaves it.
func whole(t *testing.T, external bool) *Dir {
	t.Helper()
	d, err := Look(filepath.Join(t.TempDir(), "data"))
	if err != nil {
		t.Fatal(err)
	}
	lock, err := d.Lock()
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := d.Begin(external); err != nil {
		t.Fatal(err)
	}
	parts := []string{Ledger, Projections}
	if !external {
		parts = append(parts, Stream)
	}
	for _, part := range parts {
		if err := os.Mkdir(d.Path(part), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(d.Path(part), "something"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Finish(time.Unix(1, 2)); err != nil {
		t.Fatal(err)
	}
	return d
}

func look(t *testing.T, root string) *Dir {
	t.Helper()
	d, err := Look(root)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestStates(t *testing.T) {
	root := filepath.Join(t.TempDir(), "data")
	is := func(what string, want State) *Dir {
		t.Helper()
		d := look(t, root)
		if d.State != want {
			t.Errorf("%s: state %d, want %d", what, d.State, want)
		}
		return d
	}
	d := is("no folder", Empty)
	lock, err := d.Lock()
	if err != nil {
		t.Fatal(err)
	}
	is("locked", Empty)
	// What a crash leaves of writing the note.
	if err := os.WriteFile(filepath.Join(root, Keys, ".writing-1"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	d = is("half a note", Empty)
	if err := d.Begin(true); err != nil {
		t.Fatal(err)
	}
	d = is("begun", Begun)
	if !d.Note.External {
		t.Error("the note forgot where the stream is")
	}
	if err := d.Begin(false); err != nil || !d.Note.External {
		t.Errorf("begun again, otherwise: %v", err)
	}
	created := time.Unix(1_800_000_000, 5)
	if err := d.Finish(created); err != nil {
		t.Fatal(err)
	}
	d = is("finished", Whole)
	if !d.Note.Created.Equal(created) || !d.Note.External {
		t.Errorf("the note says %+v", d.Note)
	}
	if _, err := d.Lock(); !errors.Is(err, ErrInUse) {
		t.Errorf("locked twice: %v", err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestUnlocked: whoever can't take the folder is told why, and is sent to no process
// that isn't there.
func TestUnlocked(t *testing.T) {
	d := whole(t, false)
	for _, c := range []struct {
		err   error
		inUse bool
		says  string
	}{
		{&fs.PathError{Op: "fcntl", Path: "lock", Err: syscall.EAGAIN}, true, "in use"},
		{&fs.PathError{Op: "open", Path: "lock", Err: syscall.EROFS}, false, "read-only file system"},
		{&fs.PathError{Op: "open", Path: "lock", Err: syscall.EACCES}, false, "can't be written"},
		{&fs.PathError{Op: "open", Path: "lock", Err: syscall.ENOSPC}, false, "no space left"},
	} {
		err := d.unlocked(c.err)
		if errors.Is(err, ErrInUse) != c.inUse || strings.Contains(err.Error(), "in use") != c.inUse || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v: %v", c.err, err)
		}
	}
}

func TestComplete(t *testing.T) {
	for _, external := range []bool{false, true} {
		d := whole(t, external)
		if err := d.Complete(); err != nil {
			t.Errorf("external %v: %v", external, err)
		}
		for _, part := range []string{Stream, Ledger, Projections} {
			if external && part == Stream {
				continue
			}
			for name, take := range map[string]func(string) error{
				"gone":    os.RemoveAll,
				"emptied": func(p string) error { return os.Remove(filepath.Join(p, "something")) },
			} {
				d := whole(t, external)
				if err := take(d.Path(part)); err != nil {
					t.Fatal(err)
				}
				err := look(t, d.Root).Complete()
				var missing *MissingError
				if !errors.As(err, &missing) || missing.Part != part {
					t.Errorf("%s %s: %v", part, name, err)
				}
			}
		}
	}
}

func TestLookRefuses(t *testing.T) {
	var missing *MissingError
	d := whole(t, false)
	if err := os.RemoveAll(d.Path(Keys)); err != nil {
		t.Fatal(err)
	}
	if _, err := Look(d.Root); !errors.As(err, &missing) || missing.Part != Keys {
		t.Errorf("keys gone: %v", err)
	}
	d = whole(t, false)
	if err := os.Remove(d.notePath()); err != nil {
		t.Fatal(err)
	}
	if _, err := Look(d.Root); !errors.As(err, &missing) || missing.Part != Keys {
		t.Errorf("note gone: %v", err)
	}
	if err := os.WriteFile(d.notePath(), []byte(`{"external":false,"external":true}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Look(d.Root); err == nil || !strings.Contains(err.Error(), "does not parse") {
		t.Errorf("note that says two things: %v", err)
	}
	foreign := t.TempDir()
	if err := os.WriteFile(filepath.Join(foreign, "thesis.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Look(foreign); !errors.Is(err, ErrForeign) {
		t.Errorf("somebody else's folder: %v", err)
	}
	volume := t.TempDir()
	if err := os.Mkdir(filepath.Join(volume, "lost+found"), 0o700); err != nil {
		t.Fatal(err)
	}
	if d := look(t, volume); d.State != Empty {
		t.Error("a new volume does not count as empty")
	}
	file := filepath.Join(foreign, "thesis.txt")
	if _, err := Look(file); err == nil {
		t.Error("a file passes for a folder")
	}
}

// TestUnusable: whose folder it is, and that it is none, are no failures of a disk. An
// error of any other kind stays what it was.
func TestUnusable(t *testing.T) {
	denied := fmt.Errorf("ledger: storage failed: %w; free space", &fs.PathError{Op: "open", Path: "data/ledger", Err: syscall.EACCES})
	if err := Unusable("data", denied); err == nil || !errors.Is(err, fs.ErrPermission) ||
		err.Error() != "this user may not use data: run annals as whoever the folder belongs to, or name another with --data: open data/ledger: permission denied" {
		t.Errorf("another user's folder: %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Look(file); err == nil || !strings.HasPrefix(err.Error(), file+" is not a folder: name one with --data: ") {
		t.Errorf("a file in a folder's place: %v", err)
	}
	for _, err := range []error{nil, ErrNone, syscall.EACCES, &fs.PathError{Op: "write", Path: "data/x", Err: syscall.ENOSPC}} {
		if got := Unusable("data", err); got != err {
			t.Errorf("%v became %v", err, got)
		}
	}
}
