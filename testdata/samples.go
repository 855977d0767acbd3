// Package testdata holds the sample activity that the demo publishes.
//
// The rule it exists for: what the README of this folder says of the samples is
// what the binary carries.
package testdata

import (
	"embed"
	"io/fs"
)

//go:embed activity/*.jsonl
var files embed.FS

// Activity is the folder of sample files: JSON lines, to be published in the
// order of their names.
func Activity() fs.FS {
	sub, err := fs.Sub(files, "activity")
	if err != nil {
		panic(err) // the name is valid
	}
	return sub
}
