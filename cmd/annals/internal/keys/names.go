package keys

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"annals/cmd/annals/internal/durable"
	"annals/ledger/chain"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// NamesFile is where a folder of keys says what keys are called, by their ids. The
// ledger has no place for that: what stands there stays, and who holds a key is about a
// person.
const NamesFile = "names.json"

// Names are what keys are called.
type Names map[chain.Hash]string

// ReadNames reads a file of names; there are none where it isn't there.
func ReadNames(path string) (Names, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Names{}, nil
	}
	if err != nil {
		return nil, err
	}
	n := Names{}
	if err := json.Unmarshal(b, &n); err != nil {
		return nil, fmt.Errorf("%s: %w; it only says what keys are called, and may be removed", path, err)
	}
	for id, name := range n {
		if err := CheckName(name); err != nil {
			return nil, fmt.Errorf("%s: key %s: %w", path, id, err)
		}
	}
	return n, nil
}

// Save adds names to a file's.
func (n Names) Save(path string) error {
	have, err := ReadNames(path)
	if err != nil {
		return err
	}
	for id, name := range n {
		have[id] = name
	}
	b, err := json.Marshal(have, json.Deterministic(true), jsontext.WithIndent("  "))
	if err != nil {
		return err
	}
	return durable.Replace(path, append(b, '\n'))
}
