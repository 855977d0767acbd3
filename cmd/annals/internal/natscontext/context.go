// Package natscontext says how to connect to a cluster: by a URL, or by a
// context of the nats command line, so that whoever has set that up for `nats`
// need not say it again.
//
// The rule it exists for: what is said explicitly wins over what a context says,
// and what a context says that isn't understood here is an error, not ignored:
// a connection with other rights than its owner meant is worse than none.
package natscontext

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/nats-io/nats.go"
)

// Target is where to connect to, and as whom.
type Target struct {
	URL     string // nats://host:port, several separated by commas
	Creds   string // file of a user's credentials (JWT and seed)
	Nkey    string // file of a user's seed
	CA      string // file of who signed the servers' certificates (PEM)
	Context string // name of a context, or a path to its file
}

// settings are the members of a context's file that say how to connect. The
// others of the command line's (its lister's description, JetStream's domain of
// its own commands) have no bearing on a connection.
type settings struct {
	Description  string         `json:"description"`
	URL          string         `json:"url"`
	Token        string         `json:"token"`
	User         string         `json:"user"`
	Password     string         `json:"password"`
	Creds        string         `json:"creds"`
	Nkey         string         `json:"nkey"`
	Cert         string         `json:"cert"`
	Key          string         `json:"key"`
	CA           string         `json:"ca"`
	InboxPrefix  string         `json:"inbox_prefix"`
	TLSHandshake bool           `json:"tls_first"`
	Rest         jsontext.Value `json:",embed"`
}

// refused are the settings that would change who or what is connected to, and
// that this program does not speak.
var refused = []string{"nsc", "socks_proxy", "user_jwt", "user_seed", "windows_cert_store", "jetstream_domain", "jetstream_api_prefix"}

// Resolve returns the servers to connect to and the options to do it with.
func (t Target) Resolve() (url string, opts []nats.Option, err error) {
	var s settings
	if t.Creds != "" && t.Nkey != "" {
		return "", nil, errors.New("credentials and a seed are two users: give one of the two")
	}
	if t.Context != "" {
		if s, err = read(t.Context); err != nil {
			return "", nil, err
		}
	}
	if t.URL != "" {
		s.URL = t.URL
	}
	if t.Creds != "" {
		s.Creds, s.Nkey, s.User, s.Token = t.Creds, "", "", ""
	}
	if t.Nkey != "" {
		s.Creds, s.Nkey, s.User, s.Token = "", t.Nkey, "", ""
	}
	if t.CA != "" {
		s.CA = t.CA
	}
	if s.URL == "" {
		return "", nil, errors.New("the NATS context names no server: give one with --nats")
	}
	return s.URL, s.options(&err), err
}

func (s *settings) options(failed *error) []nats.Option {
	var opts []nats.Option
	switch {
	case s.Creds != "":
		if _, err := os.Stat(home(s.Creds)); err != nil {
			*failed = fmt.Errorf("the credentials file can't be read: %w", err)
		}
		opts = append(opts, nats.UserCredentials(home(s.Creds)))
	case s.Nkey != "":
		o, err := nats.NkeyOptionFromSeed(home(s.Nkey))
		if err != nil {
			*failed = fmt.Errorf("the nkey file %s: %w", s.Nkey, err)
			return nil
		}
		opts = append(opts, o)
	case s.User != "":
		opts = append(opts, nats.UserInfo(s.User, s.Password))
	case s.Token != "":
		opts = append(opts, nats.Token(s.Token))
	}
	if s.CA != "" {
		opts = append(opts, nats.RootCAs(home(s.CA)))
	}
	if s.Cert != "" {
		opts = append(opts, nats.ClientCert(home(s.Cert), home(s.Key)))
	}
	if s.TLSHandshake {
		opts = append(opts, nats.TLSHandshakeFirst())
	}
	if s.InboxPrefix != "" {
		opts = append(opts, nats.CustomInboxPrefix(s.InboxPrefix))
	}
	return opts
}

// read reads a context: NAME is context/NAME.json in the configuration folder of
// the nats command line.
func read(name string) (settings, error) {
	var s settings
	path, err := file(name)
	if err != nil {
		return s, err
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, fmt.Errorf("there is no NATS context %q (%s); `nats context ls` lists those there are", name, path)
	}
	if err != nil {
		return s, fmt.Errorf("the NATS context %q: %w", name, err)
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return s, fmt.Errorf("the NATS context %q (%s) does not parse: %w", name, path, err)
	}
	return s, s.understood(name)
}

// understood refuses a context with a setting in force that is not spoken here.
func (s *settings) understood(name string) error {
	var rest map[string]jsontext.Value
	if len(s.Rest) == 0 {
		return nil
	}
	if err := json.Unmarshal(s.Rest, &rest); err != nil {
		return err
	}
	for _, field := range refused {
		if v := string(rest[field]); v != "" && v != `""` && v != "null" && v != "false" {
			return fmt.Errorf("the NATS context %q sets %s, which annals does not speak: make a context without it, or use --nats and --creds", name, field)
		}
	}
	return nil
}

func file(name string) (string, error) {
	if strings.ContainsRune(name, filepath.Separator) {
		return name, nil
	}
	config := os.Getenv("XDG_CONFIG_HOME")
	if config == "" {
		dir, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("finding the NATS context %q: %w", name, err)
		}
		config = filepath.Join(dir, ".config")
	}
	return filepath.Join(config, "nats", "context", name+".json"), nil
}

// home resolves the ~ that the nats command line allows in paths.
func home(path string) string {
	rest, ok := strings.CutPrefix(path, "~/")
	if !ok {
		return path
	}
	dir, err := os.UserHomeDir()
	if err != nil {
		return path
	}
	return filepath.Join(dir, rest)
}
