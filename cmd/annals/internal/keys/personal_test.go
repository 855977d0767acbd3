package keys

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"annals/ledger/chain"
)

func says(passphrase string) func() (string, error) {
	return func() (string, error) { return passphrase, nil }
}

// TestPersonal: a person's key is made once, is nobody else's to read, and opens again by
// the passphrase that it was made with and by no other.
func TestPersonal(t *testing.T) {
	defer func(was int) { scryptWork = was }(scryptWork)
	scryptWork = 10
	for name, passphrase := range map[string]string{"plain": "", "encrypted": "correct horse"} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "key")
			public, err := NewPersonal(path, "Dana, DPO", passphrase)
			if err != nil {
				t.Fatal(err)
			}
			info, err := os.Stat(path)
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Error(info.Mode(), err)
			}
			signer, err := OpenPersonal(path, says(passphrase))
			if err != nil || signer.Public(0).ID() != public.ID() {
				t.Fatal("another key than was made", err)
			}
			read, whose, err := ReadPublic(path + PublicSuffix)
			if err != nil || string(read) != string(public.Public) || whose != "Dana, DPO" {
				t.Error(read, whose, err)
			}
			if read, whose, err = ReadPublic(PublicLine(public.Public, "")); err != nil || string(read) != string(public.Public) || whose != "" {
				t.Error(read, whose, err)
			}
			if _, _, err := ReadPublic(path); err == nil || !strings.Contains(err.Error(), "private key; name "+path+PublicSuffix) {
				t.Errorf("a private key passes for a public one: %v", err)
			}
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := NewPersonal(path, "", passphrase); err == nil {
				t.Error("a key is written over")
			}
			if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
				t.Error("the key has changed", err)
			}
			if passphrase == "" {
				return
			}
			if strings.Contains(string(before), string(signer.Sign(nil))) || len(before) == seedSize {
				t.Error("it is not encrypted")
			}
			if _, err := Open(path, chain.RoleEraser); err == nil || !strings.Contains(err.Error(), "is encrypted") {
				t.Errorf("an encrypted key is opened as one that isn't, or is called something else: %v", err)
			}
			if _, err := OpenPersonal(path, says("another")); err == nil || !strings.Contains(err.Error(), "passphrase is not the one") {
				t.Error(err)
			}
			none := errors.New("no terminal")
			if _, err := OpenPersonal(path, func() (string, error) { return "", none }); !errors.Is(err, none) {
				t.Error(err)
			}
			before[len(before)-1] ^= 1
			if err := os.WriteFile(path, before, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := OpenPersonal(path, says(passphrase)); err == nil {
				t.Error("a damaged file opens")
			}
		})
	}
}

func TestPersonalRefuses(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, b []byte, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for want, path := range map[string]string{
		"others than you may read": write("shown", make([]byte, seedSize), 0o644),
		"it has 31 bytes":          write("short", make([]byte, seedSize-1), 0o600),
		"it has 33 bytes":          write("long", make([]byte, seedSize+1), 0o600),
		"there is no key":          filepath.Join(dir, "none"),
		"is no key":                dir,
	} {
		if _, err := OpenPersonal(path, says("")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	good, err := chain.NewSigner(make([]byte, seedSize))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"nothing": "", "words": "Dana, DPO", "short": "AAAA Dana", "of small order": PublicLine(make([]byte, seedSize), "Dana"),
		"a name in two lines": PublicLine(good.Public(0).Public, "Dana\x1b[2J"),
	} {
		if _, _, err := ReadPublic(write("public", []byte(text), 0o600)); err == nil {
			t.Errorf("%s passes for a public key", name)
		}
	}
	if _, err := NewPersonal(filepath.Join(dir, "named"), "two\nlines", ""); err == nil {
		t.Error("a name in two lines")
	}
	if _, err := os.Stat(filepath.Join(dir, "named")); err == nil {
		t.Error("a key was made for it")
	}
}

func TestNames(t *testing.T) {
	path := filepath.Join(t.TempDir(), NamesFile)
	if n, err := ReadNames(path); err != nil || len(n) != 0 {
		t.Error(n, err)
	}
	for _, n := range []Names{{{1}: "Dana"}, {{2}: "Erin"}, {{1}: "Dana, DPO"}} {
		if err := n.Save(path); err != nil {
			t.Fatal(err)
		}
	}
	n, err := ReadNames(path)
	if err != nil || len(n) != 2 || n[chain.Hash{1}] != "Dana, DPO" || n[chain.Hash{2}] != "Erin" {
		t.Error(n, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Error("others may read whose the keys are", err)
	}
	if err := os.WriteFile(path, []byte(`{"xx":"Dana"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadNames(path); err == nil || !strings.Contains(err.Error(), "may be removed") {
		t.Error(err)
	}
}
