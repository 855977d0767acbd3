package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

var errNothingToErase = errors.New("there is nothing to erase; what was erased before is not counted")

// eraseEach erases in each of the workspaces in turn: a statement is of one. Where there
// are several, one in which there is nothing to erase is passed over.
func (a *app) eraseEach(ctx context.Context, f *eraseFlags) error {
	if len(f.workspaces) == 1 {
		f.workspace = f.workspaces[0]
		return a.runErase(ctx, f)
	}
	var failed error
	nothing := 0
	for _, workspace := range f.workspaces {
		one := *f
		one.workspace = workspace
		if f.file != "" {
			one.file = fileOf(f.file, workspace)
		}
		err := a.runErase(ctx, &one)
		switch {
		case errors.Is(err, errNothingToErase):
			nothing++
		case err != nil && (f.yes || f.file != ""):
			return fmt.Errorf("workspace %s: %w", workspace, err)
		case err != nil: // what the other workspaces have is shown all the same
			failed = errors.Join(failed, fmt.Errorf("workspace %s: %w", workspace, err))
		}
	}
	if nothing == len(f.workspaces) {
		return errNothingToErase
	}
	return failed
}

// fileOf is the file of a workspace's own proposal: request.json is request-ws_7.json.
func fileOf(file, workspace string) string {
	extension := filepath.Ext(file)
	return strings.TrimSuffix(file, extension) + "-" + workspace + extension
}
