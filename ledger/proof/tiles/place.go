package tiles

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Options of reading. The zero value serves.
type Options struct {
	// Client fetches; nil: one of its own. Its redirect policy and time limit are
	// replaced in a copy.
	Client *http.Client
	// Token is sent to a server with each request, as a bearer token (RFC 6750, 2.1);
	// "": none is.
	Token string
	// Attempts is how often a file is asked for before its source is given up; 0
	// means 4.
	Attempts int
	// Pause is the time before the second attempt, which doubles for each later one;
	// 0 means 250 ms.
	Pause time.Duration
	// Limit is the longest that one answer may take, from the request to its last
	// byte; 0 means 30 s.
	Limit time.Duration
	// Parallel is how many files are fetched at once; 0 means 16.
	Parallel int
}

func (o Options) filled() Options {
	if o.Client == nil {
		o.Client = &http.Client{Transport: transport()}
	}
	if o.Attempts <= 0 {
		o.Attempts = 4
	}
	if o.Pause <= 0 {
		o.Pause = 250 * time.Millisecond
	}
	if o.Limit <= 0 {
		o.Limit = 30 * time.Second
	}
	if o.Parallel <= 0 {
		o.Parallel = 16
	}
	return o
}

// transport keeps as many connections as files are fetched at once.
func transport() http.RoundTripper {
	t, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return http.DefaultTransport
	}
	t = t.Clone()
	t.MaxIdleConnsPerHost = 64
	return t
}

// Place is where a log's files are: below a URL, or in a folder. Its methods may be
// called from many goroutines at once.
type Place struct {
	o     Options
	base  *url.URL // nil: a folder
	root  *os.Root
	slots chan struct{}
}

// Open names a place: http:// and https:// are fetched from, file:// and anything
// without a scheme is a folder, as `annals export` writes one. No file is read yet.
func Open(where string, o Options) (*Place, error) {
	o = o.filled()
	p := &Place{o: o, slots: make(chan struct{}, o.Parallel)}
	u, err := url.Parse(where)
	scheme := ""
	if err == nil {
		scheme = u.Scheme
	}
	switch {
	case scheme == "http" || scheme == "https":
		if u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
			return nil, fmt.Errorf("proof/tiles: %q is no log's URL: give https://HOST/PREFIX, without ? or #", where)
		}
		u.Path = strings.TrimRight(u.Path, "/")
		p.base = u
		client := *o.Client
		client.CheckRedirect = stay
		client.Timeout = 0 // each attempt has its own limit
		p.o.Client = &client
		return p, nil
	case scheme == "file":
		if u.Host != "" && u.Host != "localhost" {
			return nil, fmt.Errorf("proof/tiles: %q names a host: a folder is file:///PATH", where)
		}
		where = filepath.FromSlash(u.Path)
	case strings.Contains(where, "://"):
		return nil, fmt.Errorf("proof/tiles: %q: only http://, https://, file:// and folders are read", where)
	}
	if p.root, err = os.OpenRoot(where); err != nil {
		return nil, fmt.Errorf("proof/tiles: %q is no URL (https://HOST/PREFIX), and as a folder it can't be read: %w", where, err)
	}
	return p, nil
}

// Close lets go of the place.
func (p *Place) Close() error {
	if p.root != nil {
		return p.root.Close()
	}
	p.o.Client.CloseIdleConnections()
	return nil
}

// Folder reports whether the place is a folder.
func (p *Place) Folder() bool { return p.root != nil }

// String is the place's name; a password in a URL is replaced.
func (p *Place) String() string {
	if p.root != nil {
		return p.root.Name()
	}
	return p.base.Redacted()
}

// ErrAbsent says that a file is not there: the server or the folder says so
// plainly.
var ErrAbsent = errors.New("it is not there")

// The most bytes that a file of each kind can have. One more is read, to see that
// there is more.
const (
	maxCheckpoint = 1_000_000
	maxKeys       = 64 << 20
	maxBundle     = Width * (2 + 1<<16 - 1)
	maxTile       = Width * 32
)

// Checkpoint returns the log's signed head as it is served.
func (p *Place) Checkpoint(ctx context.Context) ([]byte, error) {
	return p.read(ctx, CheckpointPath, maxCheckpoint)
}

// Witnessed returns the last signed head that enough witnesses cosigned, by the
// server's own policy: an earlier one than [Place.Checkpoint] mostly. The error wraps
// [ErrAbsent] when there is none; a log that is no Annals has none.
func (p *Place) Witnessed(ctx context.Context) ([]byte, error) {
	return p.read(ctx, WitnessedPath, maxCheckpoint)
}

// Keys returns the key history as it is served. The error wraps [ErrAbsent] when
// there is none.
func (p *Place) Keys(ctx context.Context) ([]byte, error) {
	if p.root == nil {
		b, err := p.read(ctx, KeysPath, maxKeys)
		if !errors.Is(err, ErrAbsent) {
			return b, err
		}
	}
	return p.read(ctx, KeysFile, maxKeys)
}

// Read returns a file as it is served. A log may have dropped a partial one for the
// full one that came after it: its beginning serves then. Nothing is checked; what
// is longer than such a file can be is cut off one byte behind that.
func (p *Place) Read(ctx context.Context, name Name) ([]byte, error) {
	b, err := p.read(ctx, name.Path(), name.most())
	if !errors.Is(err, ErrAbsent) || name.Width == Width {
		return b, err
	}
	full := name
	full.Width = Width
	if b, fullErr := p.read(ctx, full.Path(), name.most()); !errors.Is(fullErr, ErrAbsent) {
		return name.cut(b), fullErr
	}
	return nil, err
}

// read returns a file's bytes, at most one more than most.
func (p *Place) read(ctx context.Context, path string, most int64) ([]byte, error) {
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if p.root == nil {
		return p.fetch(ctx, path, most)
	}
	f, err := p.root.Open(filepath.FromSlash(path))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNotFolder) {
		return nil, fmt.Errorf("proof/tiles: %s in %s: %w", path, p, ErrAbsent)
	}
	if err != nil {
		return nil, fmt.Errorf("proof/tiles: %w", err)
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, fmt.Errorf("proof/tiles: %w", err)
	}
	return b, nil
}
