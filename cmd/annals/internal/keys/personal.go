package keys

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"annals/cmd/annals/internal/durable"
	"annals/ledger/chain"

	"filippo.io/age"
)

// A key that a person holds is a file of theirs, not the folder's: 32 bytes as the
// folder's own, or those encrypted by a passphrase (age, with scrypt), which is told by
// its first line. Beside it lies its public half, a line of text: that one is given away.

// PublicSuffix ends the name of the file that a key's public half is in.
const PublicSuffix = ".pub"

const (
	ageHeader = "age-encryption.org/"
	// mostKeyFile bounds a key's file: an encrypted one has some 250 bytes.
	mostKeyFile = 64 << 10
	maxName     = 128
	// hardest is how much work a file may ask of whoever opens it: some seconds.
	hardest = 20
)

// scryptWork is how much work each guess at a passphrase is: 2^18 rounds, a second.
var scryptWork = 18

// NewPersonal makes an Ed25519 key in a file that isn't there yet, mode 0600, and its
// public half in a file beside it. passphrase encrypts it; "" doesn't. name is whom the
// holder is to be called; it goes into the public half.
func NewPersonal(path, name, passphrase string) (chain.Key, error) {
	if err := CheckName(name); err != nil {
		return chain.Key{}, err
	}
	for _, file := range []string{path, path + PublicSuffix} {
		if _, err := os.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
			return chain.Key{}, fmt.Errorf("%s is there already, and a key is never written over; choose another name", file)
		}
	}
	seed, err := newSeed()
	if err != nil {
		return chain.Key{}, err
	}
	signer, err := chain.NewSigner(seed)
	if err != nil {
		return chain.Key{}, err
	}
	public := signer.Public(0)
	if passphrase != "" {
		if seed, err = encrypt(seed, passphrase); err != nil {
			return chain.Key{}, err
		}
	}
	if err := durable.New(path, seed); err != nil {
		return chain.Key{}, err
	}
	return public, durable.New(path+PublicSuffix, []byte(PublicLine(public.Public, name)+"\n"))
}

func encrypt(seed []byte, passphrase string) ([]byte, error) {
	to, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return nil, err
	}
	to.SetWorkFactor(scryptWork)
	var b bytes.Buffer
	w, err := age.Encrypt(&b, to)
	if err == nil {
		_, err = w.Write(seed)
	}
	if err == nil {
		err = w.Close()
	}
	return b.Bytes(), err
}

// OpenPersonal reads a person's key. passphrase is asked for one where the file needs
// it. Mode 0600 is asked for as well: whoever reads the file can sign.
func OpenPersonal(path string, passphrase func() (string, error)) (chain.Signer, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return chain.Signer{}, fmt.Errorf("there is no key %s", path)
	case err != nil:
		return chain.Signer{}, err
	case !info.Mode().IsRegular() || info.Size() > mostKeyFile:
		return chain.Signer{}, fmt.Errorf("%s is no key", path)
	case info.Mode().Perm()&0o077 != 0:
		return chain.Signer{}, fmt.Errorf("others than you may read the key %s, and sign by it; chmod 600 %s, and think about who could", path, path)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return chain.Signer{}, err
	}
	if bytes.HasPrefix(b, []byte(ageHeader)) {
		if b, err = decrypt(b, passphrase); err != nil {
			return chain.Signer{}, fmt.Errorf("the key %s: %w", path, err)
		}
	}
	if len(b) != seedSize {
		return chain.Signer{}, fmt.Errorf("%s is no key: it has %d bytes, not %d; the public half, %s, doesn't sign", path, len(b), seedSize, PublicSuffix)
	}
	return chain.NewSigner(b)
}

func decrypt(b []byte, passphrase func() (string, error)) ([]byte, error) {
	said, err := passphrase()
	if err != nil {
		return nil, err
	}
	identity, err := age.NewScryptIdentity(said)
	if err != nil {
		return nil, err
	}
	identity.SetMaxWorkFactor(hardest)
	r, err := age.Decrypt(bytes.NewReader(b), identity)
	var wrong *age.NoIdentityMatchError
	if errors.As(err, &wrong) {
		return nil, errors.New("the passphrase is not the one that it was encrypted by")
	}
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(r, seedSize+1))
}

// PublicLine spells a public key: its 32 bytes in base64, and whose it is.
func PublicLine(public []byte, name string) string {
	return strings.TrimSpace(base64.StdEncoding.EncodeToString(public) + " " + name)
}

// ReadPublic reads a public key from a text that is one, or names a file that holds one;
// name is "" where it doesn't say.
func ReadPublic(text string) (public []byte, name string, err error) {
	if public, err := base64.StdEncoding.DecodeString(text); err == nil && len(public) == seedSize {
		return public, "", chain.CheckEd25519(public)
	}
	info, err := os.Stat(text)
	if err != nil {
		return nil, "", fmt.Errorf("%q is no public key, which is 44 characters of base64, and no file that holds one: %w", text, err)
	}
	if info.Size() == seedSize {
		return nil, "", fmt.Errorf("%s holds 32 bytes, which is a private key; name %s%s, and keep the key to yourself", text, text, PublicSuffix)
	}
	if info.Size() > mostKeyFile {
		return nil, "", fmt.Errorf("%s holds no public key", text)
	}
	b, err := os.ReadFile(text)
	if err != nil {
		return nil, "", err
	}
	if bytes.HasPrefix(b, []byte(ageHeader)) {
		return nil, "", fmt.Errorf("%s is an encrypted private key; name %s%s", text, text, PublicSuffix)
	}
	first, name, _ := strings.Cut(strings.TrimSpace(string(b)), " ")
	if public, err = base64.StdEncoding.DecodeString(first); err != nil || len(public) != seedSize {
		return nil, "", fmt.Errorf("%s holds no public key: that is 44 characters of base64, and whose it is", text)
	}
	if err := chain.CheckEd25519(public); err != nil {
		return nil, "", err
	}
	return public, name, CheckName(name)
}

// CheckName refuses a name that can't be shown in a line.
func CheckName(name string) error {
	if len(name) > maxName || !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return fmt.Errorf("a name has at most %d bytes, all of it printable, in one line", maxName)
	}
	return nil
}
