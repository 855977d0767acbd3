package cosign

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"annals/cmd/annals/internal/datadir"
	"annals/cmd/annals/internal/durable"
	"annals/ledger/proof"
)

// BehindError says that the ledger has not reached what witnesses cosigned: it was
// restored from an older copy, and may still get there from its stream.
type BehindError struct {
	Path           string
	Cosigned, Size uint64
}

func (e *BehindError) Error() string {
	return fmt.Sprintf("%s is of %d entries, cosigned, and the ledger signs for %d: it was restored from an older copy. "+
		"Nothing is collected before it has as many again", e.Path, e.Cosigned, e.Size)
}

// ContradictionError says that the ledger is not the one that witnesses cosigned.
type ContradictionError struct {
	Path             string
	Cosigned, Newest proof.Checkpoint
}

func (e *ContradictionError) Error() string {
	return fmt.Sprintf("WITNESSES COSIGNED ANOTHER HISTORY: %s is of %d entries with root %s, and the ledger's checkpoint of %d entries with root %s does not begin with that tree. "+
		"Keep this folder as it is, it is evidence; restore the ledger that was cosigned", e.Path, e.Cosigned.Size, e.Cosigned.Root, e.Newest.Size, e.Newest.Root)
}

// files are the two checkpoints that are kept with cosignatures: the last one that
// met the policy, and the last one that has any.
type files struct {
	paths [2]string
	put   func(path string, data []byte) error
}

func newFiles(dir string, put func(string, []byte) error) files {
	if put == nil {
		put = durable.Replace
	}
	return files{[2]string{filepath.Join(dir, datadir.Witnessed), filepath.Join(dir, datadir.Cosigned)}, put}
}

func (f *files) keep(met bool, n []byte) error {
	if met {
		return f.put(f.paths[0], n)
	}
	return f.put(f.paths[1], n)
}

// read reads what there is. What can't be read is passed over: cosignatures can be
// collected again.
func (f *files) read(log *slog.Logger) (out []kept) {
	for _, path := range f.paths {
		n, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		c, parsed := proof.ParseCheckpoint(n)
		if err = errors.Join(err, parsed); err != nil {
			log.Warn("a cosigned checkpoint can't be read, and is collected anew", "file", path, "error", err)
			continue
		}
		out = append(out, kept{path, c})
	}
	return out
}

// kept is a file that was read.
type kept struct {
	path string
	proof.Checkpoint
}
