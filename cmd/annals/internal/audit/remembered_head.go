package audit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"annals/cmd/annals/internal/durable"
	"annals/ledger/chain"
	"annals/ledger/proof"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// RememberedHead is a workspace's signed head that is kept in a file of its own.
type RememberedHead struct {
	Ledger    chain.Hash `json:"ledger"` // the ledger's id
	Workspace string     `json:"workspace"`
	Head      string     `json:"head"` // the signed note
}

// RecallHead reads a workspace's remembered head; nil when the file isn't there yet.
// A file that holds something else is an error: to take it for none would forget
// what it is for.
func RecallHead(path, workspace string) (*RememberedHead, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the remembered head can't be read: %w", err)
	}
	r := new(RememberedHead)
	err = json.Unmarshal(b, r, json.RejectUnknownMembers(true))
	if err == nil {
		_, err = proof.ParseWorkspaceHead([]byte(r.Head))
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s holds no remembered head of a workspace; name another file, or bring that one back: %w", path, err)
	case r.Workspace != workspace:
		return nil, fmt.Errorf("%s holds the remembered head of workspace %s; keep that of %s in a file of its own", path, r.Workspace, workspace)
	}
	return r, nil
}

// RememberHead writes a workspace's head over the one that was remembered.
func RememberHead(path string, r RememberedHead) error {
	b, err := json.Marshal(r, jsontext.Multiline(true))
	if err != nil {
		return err
	}
	return durable.Replace(path, append(b, '\n'))
}
