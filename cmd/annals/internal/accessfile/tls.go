package accessfile

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// TLS names the files that HTTPS is served by. The zero value is plain HTTP.
type TLS struct {
	Cert, Key string // PEM, the chain and its private key
	ClientCA  string // PEM: who signs clients' certificates; "": clients show none
}

// lookEvery is how often files are looked at for a change, at most.
const lookEvery = time.Second

// files serve what is in the files, and notice when they change. What can't be read
// then is said, and what was read before goes on.
type files struct {
	o   TLS
	log *slog.Logger
	now func() time.Time

	mu     sync.Mutex
	looked time.Time
	stamps [3]os.FileInfo // nil where there is none
	config *tls.Config
}

// Config reads the files, and returns a configuration that follows them.
func (o TLS) Config(log *slog.Logger) (*tls.Config, error) { return o.config(log, time.Now) }

func (o TLS) config(log *slog.Logger, now func() time.Time) (*tls.Config, error) {
	if o.Cert == "" || o.Key == "" {
		return nil, errors.New("TLS needs a certificate and its key: --tls-cert and --tls-key")
	}
	f := &files{o: o, log: log, now: now}
	if _, err := f.changed(); err != nil {
		return nil, err
	}
	if err := f.read(); err != nil {
		return nil, err
	}
	f.looked = now()
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return f.current(), nil },
	}, nil
}

// current is the configuration of the files as they are.
func (f *files) current() *tls.Config {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	if now.Sub(f.looked) < lookEvery {
		return f.config
	}
	f.looked = now
	before := f.stamps
	changed, err := f.changed()
	if err == nil && changed {
		err = f.read()
	}
	switch {
	case err != nil:
		f.stamps = before // look again: a certificate and its key are replaced one after the other
		f.log.Error("the TLS files changed and can't be read; the certificate from before is served", "error", err)
	case changed:
		f.log.Info("the TLS files changed, and were read again", "certificate", f.o.Cert)
	}
	return f.config
}

// changed reports whether a file is another than it was.
func (f *files) changed() (different bool, err error) {
	var now [3]os.FileInfo
	for i, path := range []string{f.o.Cert, f.o.Key, f.o.ClientCA} {
		if path == "" {
			continue
		}
		if now[i], err = os.Stat(path); err != nil {
			return false, err
		}
		different = different || !same(now[i], f.stamps[i])
	}
	f.stamps = now
	return different, nil
}

// same reports whether a file is what it was: the very file, as it was written. One that
// was put in its place by renaming is another, though it be as large and as old.
func same(a, b os.FileInfo) bool {
	return b != nil && os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

func (f *files) read() error {
	pair, err := tls.LoadX509KeyPair(f.o.Cert, f.o.Key)
	if err != nil {
		return fmt.Errorf("%s and %s: %w", f.o.Cert, f.o.Key, err)
	}
	config := &tls.Config{
		MinVersion:   tls.VersionTLS12,
		Certificates: []tls.Certificate{pair},
		// A stop waits for requests by their connection, and one of HTTP/2 has many.
		NextProtos: []string{"http/1.1"},
	}
	if f.o.ClientCA != "" {
		text, err := os.ReadFile(f.o.ClientCA)
		if err != nil {
			return err
		}
		config.ClientCAs = x509.NewCertPool()
		if !config.ClientCAs.AppendCertsFromPEM(text) {
			return fmt.Errorf("%s holds no certificate in PEM", f.o.ClientCA)
		}
		// Who shows none has to bring a token.
		config.ClientAuth = tls.VerifyClientCertIfGiven
	}
	f.config = config
	return nil
}
