package audit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"annals/cmd/annals/internal/durable"
	"annals/ledger/chain"
	"annals/ledger/proof"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Remembered is a head that is kept in a file of its own.
type Remembered struct {
	Ledger chain.Hash `json:"ledger"` // the ledger's id
	proof.Head
	// Note is the checkpoint that the head was signed in; empty when it wasn't. Of two
	// histories it is one half of the evidence.
	Note string `json:"note,omitzero"`
}

// Recall reads a remembered head; nil when the file isn't there yet. A file that
// doesn't parse is an error: to take it for none would forget what it is for.
func Recall(path string) (*Remembered, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the remembered head can't be read: %w", err)
	}
	r, err := ParseRemembered(b)
	if err != nil {
		return nil, fmt.Errorf("%s holds no remembered head; name another file, or bring that one back: %w", path, err)
	}
	return r, nil
}

// ParseRemembered reads what [Remembered.Bytes] prints.
func ParseRemembered(b []byte) (*Remembered, error) {
	r := new(Remembered)
	if err := json.Unmarshal(b, r, json.RejectUnknownMembers(true)); err != nil {
		return nil, err
	}
	if r.Ledger.IsZero() {
		return nil, errors.New("it names no ledger")
	}
	return r, nil
}

// Bytes prints a remembered head.
func (r *Remembered) Bytes() ([]byte, error) {
	b, err := json.Marshal(r, jsontext.Multiline(true))
	return append(b, '\n'), err
}

// Remember writes a head over the one that was remembered.
func Remember(path string, r Remembered) error {
	b, err := r.Bytes()
	if err != nil {
		return err
	}
	return durable.Replace(path, b)
}

// Place refuses a file that could not be written when all is well: in a folder that
// isn't there.
func Place(path string) error {
	info, err := os.Stat(filepath.Dir(path))
	switch {
	case err != nil:
		return fmt.Errorf("the head can't be remembered in %s: %w", path, err)
	case !info.IsDir():
		return fmt.Errorf("the head can't be remembered in %s: %s is no folder", path, filepath.Dir(path))
	}
	return nil
}

// Outside refuses a file inside the data folder: whoever can cut the ledger's
// end off there can change the file as well.
func Outside(path, data string) error {
	file, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	folder, err := filepath.Abs(data)
	if err != nil {
		return err
	}
	below, err := filepath.Rel(folder, file)
	if err == nil && below != ".." && !strings.HasPrefix(below, ".."+string(filepath.Separator)) {
		return fmt.Errorf("%s is inside %s: keep the remembered head where whoever changes the ledger can't change it, best on another machine", path, data)
	}
	return nil
}
