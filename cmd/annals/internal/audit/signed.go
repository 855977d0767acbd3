package audit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"annals/cmd/annals/internal/datadir"
)

// Signed are the signed heads that a data folder keeps beside its ledger.
type Signed struct {
	Checkpoint []byte   // nil when there is none
	Retired    [][]byte // the last ones by keys that no longer sign
	Witnessed  []byte   // the last one that enough witnesses cosigned; nil when there is none
}

// ReadSigned reads a data folder's signed heads. A folder without any is no error.
func ReadSigned(data string) (Signed, error) {
	var s Signed
	var err error
	s.Checkpoint, err = os.ReadFile(filepath.Join(data, datadir.Checkpoint))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return s, fmt.Errorf("the checkpoint can't be read: %w", err)
	}
	s.Witnessed, err = os.ReadFile(filepath.Join(data, datadir.Witnessed))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return s, fmt.Errorf("the witnessed checkpoint can't be read: %w", err)
	}
	list, err := os.ReadDir(filepath.Join(data, datadir.Checkpoints))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return s, fmt.Errorf("the retired checkpoints can't be read: %w", err)
	}
	for _, f := range list {
		if _, err := strconv.ParseUint(f.Name(), 10, 64); err != nil {
			continue // half written
		}
		b, err := os.ReadFile(filepath.Join(data, datadir.Checkpoints, f.Name()))
		if err != nil {
			return s, fmt.Errorf("a retired checkpoint can't be read: %w", err)
		}
		s.Retired = append(s.Retired, b)
	}
	return s, nil
}
