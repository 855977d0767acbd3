package natsconfig

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"annals/cmd/annals/internal/durable"

	"github.com/nats-io/nkeys"
)

// SeedFile is where the seed of a user is, in the folder that was generated.
func SeedFile(dir, name string) string { return filepath.Join(dir, seedFolder, name+".nk") }

const seedFolder = "nkeys"

// seeds are the users' seeds in a folder. What is there stays, so that a
// configuration can be made again without anybody having to be given another.
type seeds struct {
	dir  string
	made []string // the names of those that were not there
}

// public returns a user's public key, and makes a pair where there is none.
func (s *seeds) public(name string) (string, error) {
	path := SeedFile(s.dir, name)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s.make(name, path)
	}
	if err != nil {
		return "", err
	}
	defer clear(text)
	pair, err := nkeys.FromSeed(bytes.TrimSpace(text))
	if err != nil {
		return "", fmt.Errorf("%s holds no seed of a NATS user (%w); bring it back, or remove it, and %s gets a new one", path, err, name)
	}
	defer pair.Wipe()
	public, err := pair.PublicKey()
	if err != nil || !nkeys.IsValidPublicUserKey(public) {
		return "", fmt.Errorf("%s holds the seed of another kind of key than a user's", path)
	}
	if err := private(path); err != nil {
		return "", err
	}
	return public, nil
}

func (s *seeds) make(name, path string) (string, error) {
	pair, err := makePair(path, nkeys.PrefixByteUser)
	if err != nil {
		return "", err
	}
	defer pair.Wipe()
	s.made = append(s.made, name)
	return pair.PublicKey()
}

// routePassword is what the servers of a cluster know each other by.
func (s *seeds) routePassword() (string, error) {
	path := filepath.Join(s.dir, seedFolder, "route.password")
	text, err := os.ReadFile(path)
	if err == nil {
		return string(bytes.TrimSpace(text)), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	var b [24]byte
	_, _ = rand.Read(b[:]) // never fails
	password := hex.EncodeToString(b[:])
	return password, durable.New(path, []byte(password+"\n"))
}
