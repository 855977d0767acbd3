// Package datadir is the data folder: which parts it has, and in which state
// they may be found.
//
// The rule it exists for: a ledger is begun once, in an empty place, and never
// again by accident. A part that is missing beside the others is a loss to look
// into; whoever filled the place by making a new one would turn the loss into a
// second history. So what has been begun is written down first, in
// keys/stream.json, and everything else follows from that note:
//
//	no folder, nothing in it, or an empty keys/   Empty: a first start may begin
//	the note says "beginning"                     Begun: a first start was cut short, and goes on
//	the note says otherwise                       Whole: every part must be there
//
// The note also says whether the stream is in the folder or on a cluster, and
// when it was created, by which a re-created stream is told from the right one.
package datadir

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"annals/cmd/annals/internal/durable"
	"annals/internal/disk"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/go-json-experiment/json"
)

// The parts.
const (
	Stream      = "jetstream"
	Ledger      = "ledger"
	Projections = "projections"
	Keys        = "keys"
)

// What the signer keeps beside the parts: the last checkpoint that it signed, and
// the folder of those by keys that sign no more.
const (
	Checkpoint  = "checkpoint"
	Checkpoints = "checkpoints"
)

// What is kept of witnesses: the last checkpoint that met the policy, and the last
// one that any of them cosigned.
const (
	Witnessed = "witnessed"
	Cosigned  = "cosigned"
)

// Files in keys/ beside the keys. Access holds the API keys: it may be there before
// a ledger is, for who is to be let in is settled before anybody can be.
const (
	Access   = "access.json"
	Embed    = "embed" // what embed tokens are signed by
	noteName = "stream.json"
	lockName = "LOCK"
)

// State is how far the folder is.
type State int

// The states, as the package's comment tells them apart.
const (
	Empty State = iota
	Begun
	Whole
)

// Note is keys/stream.json.
type Note struct {
	Beginning bool      `json:"beginning,omitzero"` // the first start has not come to its end
	External  bool      `json:"external"`           // the stream is on a cluster, not in jetstream/
	Created   time.Time `json:"created,omitzero"`   // of the stream, as its server says
}

// Dir is a data folder.
type Dir struct {
	Root  string
	State State
	Note  Note
}

// Path returns where a part is.
func (d *Dir) Path(part string) string { return filepath.Join(d.Root, part) }

func (d *Dir) notePath() string { return filepath.Join(d.Root, Keys, noteName) }

// Errors that are told apart.
var (
	// ErrForeign: the folder is neither empty nor a data folder.
	ErrForeign = errors.New("is not empty and holds no ledger; name an empty folder, or one that does not exist")
	// ErrNone: there is no ledger.
	ErrNone = errors.New("holds no ledger; `annals serve --data` makes one, or name the right folder with --data")
)

// ErrInUse: another process has the folder.
var ErrInUse = errors.New("is in use by a running annals: stop that one first (SIGTERM or Ctrl-C), or name another folder")

// MissingError: a part is missing beside the others.
type MissingError struct {
	Root, Part string
}

func (e *MissingError) Error() string {
	what := map[string]string{
		Stream:      "records that the ledger has not folded yet would be lost with it: bring it back from the backup that the other parts are from, or, where there is none, go on with a new one: `annals epoch --data " + e.Root + "`",
		Ledger:      "bring it back from the backup that the other parts are from; it is not folded anew by itself, for nobody could say what was lost",
		Projections: "it holds only what can be derived: run `annals rebuild --data " + e.Root + "`",
		Keys:        "without its keys the ledger can sign no seeds and marks: bring it back from the backup that the other parts are from",
	}[e.Part]
	return fmt.Sprintf("%s: %s%c is missing beside the other parts; %s", e.Root, e.Part, filepath.Separator, what)
}

// Unusable says what to do where err is that a folder is a file, or another user's:
// nothing is lost or broken then. Any other error it returns as it is.
func Unusable(root string, err error) error {
	var at *fs.PathError
	switch {
	case !errors.As(err, &at):
		return err
	case errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("%s is not a folder: name one with --data: %w", root, at)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("this user may not use %s: run annals as whoever the folder belongs to, or name another with --data: %w", root, at)
	}
	return err
}

// Look reads a folder's state. It changes nothing. A part that is missing is
// not its concern: see [Dir.Complete].
func Look(root string) (*Dir, error) {
	d := &Dir{Root: filepath.Clean(root)}
	present, foreign, err := d.parts()
	if err != nil {
		return nil, err
	}
	b, err := os.ReadFile(d.notePath())
	switch {
	case err == nil:
		if err := json.Unmarshal(b, &d.Note, json.RejectUnknownMembers(true)); err != nil {
			return nil, fmt.Errorf("%s does not parse: bring it back from a backup: %w", d.notePath(), err)
		}
		d.State = Whole
		if d.Note.Beginning {
			d.State = Begun
		}
		return d, nil
	case !errors.Is(err, fs.ErrNotExist):
		return nil, Unusable(d.Root, err)
	case len(present) > 0:
		// Without the note: the keys are gone, or the note out of them.
		return nil, &MissingError{Root: d.Root, Part: Keys}
	case foreign:
		return nil, fmt.Errorf("%s %w", d.Root, ErrForeign)
	}
	return d, nil
}

// parts lists the parts that there are. A keys folder without a file in it, but
// for the lock and the API keys, is what a crash leaves before anything was begun,
// and counts as none.
func (d *Dir) parts() (present []string, foreign bool, err error) {
	names, err := os.ReadDir(d.Root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, Unusable(d.Root, fmt.Errorf("the data folder can't be read: %w", err))
	}
	for _, entry := range names {
		switch name := entry.Name(); {
		case name == Keys:
			files, err := os.ReadDir(d.Path(Keys))
			if err != nil {
				return nil, false, Unusable(d.Root, fmt.Errorf("the keys can't be read: %w", err))
			}
			counts := func(f fs.DirEntry) bool {
				return f.Name() != lockName && f.Name() != Access && f.Name() != Embed && !durable.Temporary(f.Name())
			}
			if slices.ContainsFunc(files, counts) {
				present = append(present, name)
			}
		case slices.Contains([]string{Stream, Ledger, Projections, Checkpoint, Checkpoints, Witnessed, Cosigned}, name):
			present = append(present, name)
		case name == "lost+found": // a file system's own, at the root of a volume
		default:
			foreign = true
		}
	}
	return present, foreign, nil
}

// Lock takes the folder for this process, and makes it where it is absent. What
// was looked at before may have changed until then: look again. Stream and ledger
// have locks of their own, but a first start has to do with neither yet.
func (d *Dir) Lock() (io.Closer, error) {
	if err := durable.Dir(d.Path(Keys)); err != nil {
		return nil, fmt.Errorf("the data folder can't be made: %w", err)
	}
	lock, err := vfs.Default.Lock(filepath.Join(d.Path(Keys), lockName))
	if err != nil {
		return nil, d.unlocked(err)
	}
	return lock, nil
}

// unlocked says why the folder could not be taken.
func (d *Dir) unlocked(err error) error {
	switch {
	case disk.Held(err):
		return fmt.Errorf("%s %w", d.Root, ErrInUse)
	case errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%s is on a read-only file system, and a server writes there: give it a folder that it can write; `annals verify --data` and `annals export --data` read this one as it is: %w", d.Root, err)
	}
	return fmt.Errorf("the data folder can't be written: %w", err)
}

// Begin writes down that a ledger is being begun in the folder. Where that was
// written down already it changes nothing.
func (d *Dir) Begin(external bool) error {
	if d.State != Empty {
		return nil
	}
	d.Note = Note{Beginning: true, External: external}
	b, err := d.Note.bytes()
	if err != nil {
		return err
	}
	if err := durable.New(d.notePath(), b); err != nil {
		return err
	}
	d.State = Begun
	return nil
}

// Finish writes down that every part is there.
func (d *Dir) Finish(created time.Time) error {
	if d.State != Begun {
		return nil
	}
	note := Note{External: d.Note.External, Created: created.UTC()}
	b, err := note.bytes()
	if err != nil {
		return err
	}
	if err := durable.Replace(d.notePath(), b); err != nil {
		return err
	}
	d.Note, d.State = note, Whole
	return nil
}

func (n Note) bytes() ([]byte, error) {
	b, err := json.Marshal(n)
	return append(b, '\n'), err
}

// Complete returns a *[MissingError] when a part of a whole folder is missing
// or has nothing in it.
func (d *Dir) Complete() error {
	if d.State != Whole {
		return nil
	}
	parts := []string{Ledger, Keys, Projections}
	if !d.Note.External {
		parts = append([]string{Stream}, parts...)
	}
	for _, part := range parts {
		files, err := os.ReadDir(d.Path(part))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if len(files) == 0 {
			return &MissingError{Root: d.Root, Part: part}
		}
	}
	return nil
}
