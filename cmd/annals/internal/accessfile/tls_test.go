package accessfile

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// issue makes a certificate with a number, and its key, in PEM.
func issue(t *testing.T, number int64) (cert, key []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(number), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	text, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: text})
}

// mounted is a folder of files as Kubernetes mounts a secret, and cert-manager has it
// changed: each name is a link to ..data/NAME, and ..data a link to a folder with a version
// of all of them. A new version comes by renaming one link.
type mounted struct {
	t    *testing.T
	root string
	n    int
	at   time.Time // when each version's files were written, for all alike
}

func mount(t *testing.T) *mounted {
	m := &mounted{t: t, root: t.TempDir(), at: time.Now().Add(-time.Hour).Truncate(time.Second)}
	for _, name := range []string{"tls.crt", "tls.key", "ca.crt"} {
		m.must(os.Symlink(filepath.Join("..data", name), m.path(name)))
	}
	return m
}

func (m *mounted) path(name string) string { return filepath.Join(m.root, name) }

func (m *mounted) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

// put is a new version, whose files are all as old as those before.
func (m *mounted) put(cert, key, ca []byte) {
	m.t.Helper()
	m.n++
	version := ".." + strings.Repeat("v", m.n)
	m.must(os.Mkdir(m.path(version), 0o700))
	for name, text := range map[string][]byte{"tls.crt": cert, "tls.key": key, "ca.crt": ca} {
		path := filepath.Join(m.path(version), name)
		m.must(os.WriteFile(path, text, 0o600))
		m.must(os.Chtimes(path, m.at, m.at))
	}
	m.must(os.Symlink(version, m.path("..data_tmp")))
	m.must(os.Rename(m.path("..data_tmp"), m.path("..data")))
}

// TestMounted: what is put in place of the files by renaming a link is served, though each
// file be as old as the one before. What can't be read is said, again and
// again, and the pair from before is served until it is mended.
func TestMounted(t *testing.T) {
	m := mount(t)
	ca, _ := issue(t, 1000)
	put := func(number int64) {
		cert, key := issue(t, number)
		m.put(cert, key, ca)
	}
	put(1)
	var log bytes.Buffer
	now := time.Now()
	config, err := TLS{Cert: m.path("tls.crt"), Key: m.path("tls.key"), ClientCA: m.path("ca.crt")}.
		config(slog.New(slog.NewTextHandler(&log, nil)), func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	serves := func(want int64) {
		t.Helper()
		c, err := config.GetConfigForClient(nil)
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := x509.ParseCertificate(c.Certificates[0].Certificate[0])
		if err != nil || leaf.SerialNumber.Int64() != want || c.ClientAuth != tls.VerifyClientCertIfGiven || c.MinVersion != tls.VersionTLS12 {
			t.Fatalf("served is %v, %v, want %d", leaf.SerialNumber, err, want)
		}
	}
	serves(1)
	put(2)
	serves(1) // for a second at most
	now = now.Add(lookEvery)
	serves(2)
	if !strings.Contains(log.String(), "were read again") {
		t.Errorf("%s", &log)
	}
	cert, _ := issue(t, 3)
	_, other := issue(t, 4)
	for name, broken := range map[string]func(){
		"a key that doesn't fit":  func() { m.put(cert, other, ca) },
		"no certificate":          func() { m.put([]byte("x"), other, ca) },
		"nothing":                 func() { m.put(nil, nil, nil) },
		"no authority":            func() { c, k := issue(t, 5); m.put(c, k, []byte("none")) },
		"a link that leads away":  func() { m.must(os.Remove(m.path("..data"))) },
		"a certificate for a key": func() { m.put(other, cert, ca) },
	} {
		log.Reset()
		broken()
		for range 2 {
			now = now.Add(lookEvery)
			serves(2)
		}
		if said := log.String(); strings.Count(said, "can't be read; the certificate from before is served") != 2 || strings.Contains(said, "PRIVATE KEY") {
			t.Errorf("%s: %s", name, said)
		}
	}
	log.Reset()
	put(6)
	now = now.Add(lookEvery)
	serves(6)
	if strings.Contains(log.String(), "level=ERROR") {
		t.Errorf("%s", &log)
	}
	// The same, written over in place.
	c, k := issue(t, 7)
	m.must(os.WriteFile(m.path("tls.crt"), c, 0o600))
	m.must(os.WriteFile(m.path("tls.key"), k, 0o600))
	now = now.Add(lookEvery)
	serves(7)
}

// TestSame: a file of the same size and age that was put in another's place is another.
func TestSame(t *testing.T) {
	dir, at := t.TempDir(), time.Now().Add(-time.Hour)
	stat := func(text string) os.FileInfo {
		t.Helper()
		path, fresh := filepath.Join(dir, "f"), filepath.Join(dir, "fresh")
		if err := os.WriteFile(fresh, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(fresh, at, at); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(fresh, path); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	a := stat("one")
	again, err := os.Stat(filepath.Join(dir, "f"))
	if err != nil || !same(a, again) {
		t.Errorf("a file is not what it was: %v", err)
	}
	if b := stat("two"); same(b, a) {
		t.Error("another file is taken for the one before")
	}
	if same(a, nil) {
		t.Error("a file is taken for none")
	}
}
