// Package witness is a witness: it cosigns checkpoints of logs that it follows, each
// only if it is the continuation of the last one that it cosigned (C2SP tlog-witness,
// tlog-cosignature).
//
// The rule it exists for: of one log it never cosigns two histories. So the check
// against what was cosigned last and the keeping of what is cosigned now are one
// step, under one lock, and a checkpoint is on disk before its cosignature leaves.
// After a write that failed nobody knows what a restart would find: nothing more is
// cosigned of that log before one. Two histories that a log signed are kept, both.
package witness

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"annals/cmd/annals/internal/cosign"
	"annals/cmd/annals/internal/durable"
	"annals/ledger/chain"
	"annals/ledger/proof"

	notes "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
)

// Why a checkpoint is not cosigned. The status that each is answered with is in one
// table; see [Witness.ServeHTTP].
var (
	// ErrOrigin: nobody follows that log.
	ErrOrigin = errors.New("this witness does not follow that log")
	// ErrSignature: none of the log's keys signed it, or not validly.
	ErrSignature = errors.New("none of the log's keys that this witness knows signed the checkpoint")
	// ErrOldSize: the old size is above the checkpoint's.
	ErrOldSize = errors.New("the old size is above the checkpoint's")
	// ErrUnproven: the consistency proof does not lead from what was cosigned to it.
	ErrUnproven = errors.New("the consistency proof does not verify")
	// ErrForked: what was cosigned has the same size and another root.
	ErrForked = errors.New("ANOTHER HISTORY: the checkpoint that this witness cosigned at that size has another root")
	// ErrDisk: an earlier write failed; a restart settles what is on disk.
	ErrDisk = errors.New("what this witness cosigned last could not be kept; mend its disk and start it again")
)

// StaleError says which size was cosigned last, where the request named another.
type StaleError struct{ Size uint64 }

func (e *StaleError) Error() string {
	return fmt.Sprintf("the last checkpoint that was cosigned has %d entries", e.Size)
}

// Options of a witness. Path and Logs are required, Name for a folder that has no
// key yet.
type Options struct {
	Path string   // the folder
	Name string   // the key's name, a URL without scheme: witness.example/w1
	Logs []string // note verifier keys of the logs to follow; several of one origin are one log

	Logger *slog.Logger // nil discards
	// Replace puts a file in its place so that a power cut leaves it there; nil:
	// [durable.Replace].
	Replace func(path string, data []byte) error
}

// Witness follows logs. Its methods are safe for concurrent use.
type Witness struct {
	o      Options
	signer note.Signer
	vkey   string
	logs   map[string]*log
	lock   io.Closer

	closing sync.Once
	closed  error

	counting sync.Mutex
	answers  map[int]uint64 // by status
}

// log is one log that is followed.
type log struct {
	origin string
	dir    string
	keys   []note.Verifier

	mu     sync.Mutex
	last   head // cosigned; size 0 before the first
	note   []byte
	failed error // of a write
	forks  uint64
}

// head is what a checkpoint says in its first three lines.
type head struct {
	size uint64
	root chain.Hash
}

// Open opens a witness, and makes its key in a folder that is absent or empty.
func Open(o Options) (*Witness, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Replace == nil {
		o.Replace = durable.Replace
	}
	w := &Witness{o: o, logs: map[string]*log{}, answers: map[int]uint64{}}
	for _, vkey := range o.Logs {
		if err := w.follow(vkey); err != nil {
			return nil, err
		}
	}
	if len(w.logs) == 0 {
		return nil, errors.New("a witness of no log: name each with its verifier key, as `annals keys public` prints it")
	}
	if err := ours(o.Path); err != nil {
		return nil, err
	}
	var err error
	if w.lock, err = lock(o.Path); err != nil {
		return nil, err
	}
	if err := w.open(); err != nil {
		return nil, errors.Join(err, w.lock.Close())
	}
	return w, nil
}

func (w *Witness) open() error {
	var err error
	if w.signer, w.vkey, err = openKey(w.o.Path, w.o.Name); err != nil {
		return err
	}
	own, err := notes.NewVerifierForCosignatureV1(w.vkey)
	if err != nil {
		return err
	}
	for _, l := range w.logs {
		if err := l.load(own); err != nil {
			return err
		}
	}
	return nil
}

// Close lets go of the folder. Closing twice is closing once.
func (w *Witness) Close() error {
	w.closing.Do(func() { w.closed = w.lock.Close() })
	return w.closed
}

// VKey is the witness's verifier key (C2SP signed-note, type 4).
func (w *Witness) VKey() string { return w.vkey }

// follow adds a log's key.
func (w *Witness) follow(vkey string) error {
	k, err := proof.ParseKey(vkey)
	if err != nil {
		return err
	}
	var v note.Verifier
	if k.Type == 1 {
		v, err = note.NewVerifier(vkey)
	} else {
		v, err = notes.NewMLDSAVerifier(vkey)
	}
	if err != nil {
		return err
	}
	l := w.logs[k.Origin]
	if l == nil {
		sum := sha256.Sum256([]byte(k.Origin))
		l = &log{origin: k.Origin, dir: filepath.Join(w.o.Path, logsFolder, hex.EncodeToString(sum[:]))}
		w.logs[k.Origin] = l
	}
	if !slices.ContainsFunc(l.keys, func(o note.Verifier) bool { return o.KeyHash() == v.KeyHash() }) {
		l.keys = append(l.keys, v)
	}
	return nil
}

// parse reads a checkpoint's text (C2SP tlog-checkpoint). Extension lines may follow
// the root: they are signed with it, and a witness says nothing about them.
func parse(text string) (origin string, h head, err error) {
	lines := strings.SplitN(text, "\n", 4)
	if len(lines) < 4 || lines[0] == "" {
		return "", h, errors.New("its text has no origin, size and root")
	}
	if h.size, err = cosign.ParseSize([]byte(lines[1])); err != nil {
		return "", h, fmt.Errorf("its size: %w", err)
	}
	root, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(root) != len(h.root) {
		return "", h, errors.New("its root is not 32 bytes in base64")
	}
	h.root = chain.Hash(root)
	return lines[0], h, nil
}

// Add is add-checkpoint: it cosigns a checkpoint that continues what was cosigned
// last, and returns the signature line. The errors are those above, a *[StaleError],
// or one that wraps [cosign.ErrRequest].
func (w *Witness) Add(r *cosign.Request) ([]byte, error) {
	malformed := func(err error) error { return fmt.Errorf("%w: the checkpoint: %w", cosign.ErrRequest, err) }
	_, err := note.Open(r.Checkpoint, note.VerifierList())
	unverified, ok := errors.AsType[*note.UnverifiedNoteError](err)
	if !ok {
		return nil, malformed(err)
	}
	origin, next, err := parse(unverified.Note.Text)
	if err != nil {
		return nil, malformed(err)
	}
	l := w.logs[origin]
	if l == nil {
		return nil, fmt.Errorf("%w: %q", ErrOrigin, origin)
	}
	opened, err := note.Open(r.Checkpoint, note.VerifierList(l.keys...))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSignature, err)
	}
	if r.Old > next.size {
		return nil, ErrOldSize
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed != nil {
		return nil, fmt.Errorf("%w: %w", ErrDisk, l.failed)
	}
	if r.Old != l.last.size {
		return nil, &StaleError{l.last.size}
	}
	if err := l.continues(next, r.Proof); err != nil {
		w.contradicted(l, next, r.Checkpoint, err)
		return nil, err
	}
	return w.cosign(l, next, opened)
}

// continues checks that a checkpoint is what was cosigned last, or goes on from it.
// The caller holds the lock.
func (l *log) continues(next head, hashes []chain.Hash) error {
	switch {
	case l.last.size == 0 && next.size > 0:
		// The first one is taken as it comes: C2SP tlog-witness has the proof empty.
		if len(hashes) > 0 {
			return fmt.Errorf("%w: from no entries it is empty", ErrUnproven)
		}
		return nil
	case l.last.size > 0 && next.size == l.last.size && next.root != l.last.root:
		return ErrForked
	case next.size == l.last.size && len(hashes) > 0:
		return fmt.Errorf("%w: between equal sizes it is empty", ErrUnproven)
	case next.size == l.last.size && next.size > 0:
		return nil // RFC 6962 has no proof between equal sizes
	}
	if err := proof.CheckConsistency(l.last.size, orEmpty(l.last), next.size, next.root, hashes); err != nil {
		return fmt.Errorf("%w: %w", ErrUnproven, err)
	}
	return nil
}

// orEmpty is a head's root: of no entries, that of the empty tree.
func orEmpty(h head) chain.Hash {
	if h.size == 0 {
		return sha256.Sum256(nil)
	}
	return h.root
}

// cosign signs, keeps, and only then returns. The caller holds the lock.
func (w *Witness) cosign(l *log, next head, opened *note.Note) ([]byte, error) {
	// What the log's keys signed, without what others put there.
	signed, err := note.Sign(&note.Note{Text: opened.Text, Sigs: opened.Sigs}, w.signer)
	if err != nil {
		return nil, err
	}
	if err := l.keep(signed, w.o.Replace); err != nil {
		l.failed = err
		w.o.Logger.Error("a checkpoint could not be kept, so it was not cosigned, and nothing more of its log is before a restart", "log", l.origin, "size", next.size, "error", err)
		return nil, fmt.Errorf("%w: %w", ErrDisk, err)
	}
	if next.size != l.last.size {
		w.o.Logger.Debug("cosigned", "log", l.origin, "size", next.size)
	}
	l.last, l.note = next, signed
	return signed[bytes.LastIndex(signed[:len(signed)-1], []byte("\n"))+1:], nil
}

// Log is what is known of one log.
type Log struct {
	Origin     string `json:"origin"`
	Size       uint64 `json:"size"`                // of the last checkpoint that was cosigned
	Checkpoint string `json:"checkpoint,omitzero"` // that one, with the cosignature
	Evidence   uint64 `json:"evidence"`            // how often one was shown since the start that does not follow
	Error      string `json:"error,omitzero"`      // why nothing is cosigned
}

// Logs are those that are followed, by origin.
func (w *Witness) Logs() (out []Log) {
	for _, origin := range slices.Sorted(maps.Keys(w.logs)) {
		l := w.logs[origin]
		l.mu.Lock()
		row := Log{Origin: origin, Size: l.last.size, Checkpoint: string(l.note), Evidence: l.forks}
		if l.failed != nil {
			row.Error = l.failed.Error()
		}
		l.mu.Unlock()
		out = append(out, row)
	}
	return out
}

// sized names a file after a size, so that files sort by it.
func sized(size uint64) string {
	s := strconv.FormatUint(size, 10)
	return strings.Repeat("0", 20-len(s)) + s
}
