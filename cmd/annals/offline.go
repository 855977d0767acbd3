package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"annals/cmd/annals/internal/datadir"
	"annals/ledger"
)

// openForAudit opens the ledger in a data folder, damaged or not. The other parts
// need not be there: a copy of the ledger alone can be verified too.
func openForAudit(data string) (*ledger.Source, error) {
	src, err := ledger.OpenForAudit(filepath.Join(data, datadir.Ledger), ledger.Options{})
	return src, explain(data, err)
}

// explain says in a command's words why a data folder can't be opened.
func explain(data string, err error) error {
	switch {
	case errors.Is(err, ledger.ErrInUse):
		return fmt.Errorf("%s %w", data, datadir.ErrInUse)
	case errors.Is(err, ledger.ErrNoLedger):
		if _, statErr := os.Stat(filepath.Join(data, datadir.Keys)); statErr == nil {
			return &datadir.MissingError{Root: data, Part: datadir.Ledger}
		}
		return fmt.Errorf("%s %w", data, datadir.ErrNone)
	}
	return datadir.Unusable(data, err)
}
