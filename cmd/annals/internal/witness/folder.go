package witness

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"annals/cmd/annals/internal/durable"
	"annals/ledger/proof"

	"github.com/cockroachdb/pebble/v2/vfs"
	notes "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
)

// The folder: the key, and for each log, under the SHA-256 of its origin, the last
// checkpoint that was cosigned and what contradicts it.
const (
	keyFile        = "key"
	lockFile       = "LOCK"
	logsFolder     = "logs"
	lastFile       = "checkpoint"
	evidenceFolder = "evidence"
)

// cosignatureType is the signature type of cosignature/v1 (C2SP tlog-cosignature).
const cosignatureType = 4

// mostEvidence bounds the contradictions that are kept of a log: anybody can send one
// that is only badly proven.
const mostEvidence = 64

// ours refuses a folder that holds something else than a witness.
func ours(path string) error {
	names, err := os.ReadDir(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the witness's folder can't be read: %w", err)
	}
	for _, e := range names {
		switch name := e.Name(); {
		case name == keyFile, name == lockFile, name == logsFolder, name == "lost+found", durable.Temporary(name):
		default:
			return fmt.Errorf("%s holds %s, which is no witness's: name an empty folder, or one that does not exist", path, name)
		}
	}
	return nil
}

// lock takes the folder for this process, and makes it where it is absent.
func lock(path string) (io.Closer, error) {
	if err := durable.Dir(path); err != nil {
		return nil, fmt.Errorf("the witness's folder can't be made: %w", err)
	}
	l, err := vfs.Default.Lock(filepath.Join(path, lockFile))
	if err != nil {
		return nil, fmt.Errorf("%s is in use by a running witness, or can't be written: two of them with one key would cosign two histories: %w", path, err)
	}
	return l, nil
}

// openKey reads the folder's key, and makes one where there is nothing yet.
func openKey(path, name string) (note.Signer, string, error) {
	file := filepath.Join(path, keyFile)
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(filepath.Join(path, logsFolder)); err == nil {
			return nil, "", fmt.Errorf("%s is missing beside what it cosigned: bring it back from a backup", file)
		}
		if b, err = newKey(name); err == nil {
			err = durable.New(file, b)
		}
	}
	if err != nil {
		return nil, "", fmt.Errorf("the witness's key: %w", err)
	}
	s, vkey, err := parseKey(b)
	switch {
	case err != nil:
		return nil, "", fmt.Errorf("%s is no key of a witness: %w", file, err)
	case name != "" && name != s.Name():
		return nil, "", fmt.Errorf("%s is the key of the witness %s: leave --name out, or give another folder", file, s.Name())
	}
	return s, vkey, nil
}

// newKey makes a private key, as signed-note writes one.
func newKey(name string) ([]byte, error) {
	if name == "" || strings.ContainsAny(name, "+ \t\r\n") {
		return nil, fmt.Errorf("a new witness needs a name, with --name: a URL without scheme, such as witness.example/w1, not %q", name)
	}
	seed := make([]byte, 1+32)
	seed[0] = cosignatureType
	if _, err := rand.Read(seed[1:]); err != nil {
		return nil, err
	}
	return []byte("PRIVATE+KEY+" + name + "+00000000+" + base64.StdEncoding.EncodeToString(seed) + "\n"), nil
}

func parseKey(b []byte) (note.Signer, string, error) {
	text := strings.TrimSuffix(string(b), "\n")
	s, err := notes.NewSignerForCosignatureV1(text)
	if err != nil {
		return nil, "", err
	}
	// PRIVATE+KEY+name+hash+base64, and base64 may hold a + itself.
	parts := strings.SplitN(text, "+", 5)
	seed, err := base64.StdEncoding.DecodeString(parts[len(parts)-1])
	if err != nil || len(seed) != 33 || seed[0] != cosignatureType {
		return nil, "", errors.New("it is of another type than cosignature/v1 (4)")
	}
	return s, proof.VKey(s.Name(), cosignatureType, public(seed[1:])), nil
}

// Public returns the verifier key of a witness's folder, which may be in use.
func Public(path string) (string, error) {
	b, err := os.ReadFile(filepath.Join(path, keyFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%s holds no witness; `annals witness --data %s --name NAME --log VKEY` makes one", path, path)
	}
	if err != nil {
		return "", err
	}
	_, vkey, err := parseKey(b)
	return vkey, err
}

// load reads what was cosigned last. A file that is no checkpoint which this witness
// cosigned is an error: to take it for none would cosign a second history.
func (l *log) load(own note.Verifier) error {
	path := filepath.Join(l.dir, lastFile)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	bad := func(err error) error {
		return fmt.Errorf("%s is not the last checkpoint that was cosigned of %s: %w; bring it back: while nobody knows what was cosigned nothing more is", path, l.origin, err)
	}
	opened, err := note.Open(b, note.VerifierList(own))
	if err != nil {
		return bad(err)
	}
	origin, last, err := parse(opened.Text)
	if err != nil {
		return bad(err)
	}
	if origin != l.origin {
		return bad(fmt.Errorf("it is of %q", origin))
	}
	l.last, l.note = last, b
	return nil
}

// keep writes down what is cosigned.
func (l *log) keep(n []byte, replace func(string, []byte) error) error {
	if err := durable.Dir(l.dir); err != nil {
		return err
	}
	return replace(filepath.Join(l.dir, lastFile), n)
}

// contradicted keeps and shows two checkpoints that the log signed and that don't
// follow from each other. The caller holds the log's lock.
func (w *Witness) contradicted(l *log, next head, shown []byte, why error) {
	if l.last.size == 0 {
		return // nothing was cosigned, so nothing is contradicted
	}
	l.forks++
	log := w.o.Logger.With("log", l.origin, "cosigned", string(l.note), "shown", string(shown))
	sum := sha256.Sum256(shown)
	name := sized(next.size) + "-" + hex.EncodeToString(sum[:8])
	dir := filepath.Join(l.dir, evidenceFolder)
	err := durable.Dir(dir)
	var names []os.DirEntry
	if err == nil {
		names, err = os.ReadDir(dir)
	}
	// Two roots of one size prove themselves; what lacks a proof makes room for them.
	if err == nil && (len(names) < mostEvidence || errors.Is(why, ErrForked) && len(names) < 2*mostEvidence) {
		if path := filepath.Join(dir, name); !present(names, name) {
			err = w.o.Replace(path, bytes.Join([][]byte{l.note, shown}, []byte("\n")))
		}
	}
	if err != nil {
		log.Error("what contradicts a cosigned checkpoint could not be kept", "error", err)
	}
	log.Error("not cosigned: it does not follow from what was", "why", why, "evidence", filepath.Join(dir, name))
}

func present(names []os.DirEntry, name string) bool {
	return slices.ContainsFunc(names, func(e os.DirEntry) bool { return e.Name() == name })
}
