// Package anchor keeps the last signed head where whoever can change the ledger
// can't: in a file on another machine's disk, in a NATS bucket of another account, in
// an object store that lets nothing be deleted.
//
// The rule it exists for: an anchor never goes back, and never to another history. So
// what stands there is read before each writing: a head of more entries, of another
// ledger, or one that this ledger's tree doesn't begin with, stays as it is, and the
// log says so. Nothing waits for an anchor.
package anchor

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"annals/cmd/annals/internal/audit"
	"annals/cmd/annals/internal/durable"
)

// Place is where a head is kept.
type Place interface {
	// Get returns what stands there; nil when nothing does.
	Get(ctx context.Context) ([]byte, error)
	// Put puts a head of a size there, in the place of what the last Get returned.
	Put(ctx context.Context, b []byte, size uint64) error
	// String names the place, without its secrets.
	String() string
	// Close lets go of it.
	Close() error
}

// ErrSpec marks what names no place.
var ErrSpec = errors.New("no anchor")

// Elsewhere reports whether a name is that of a place that isn't a plain file:
// `verify --remember` takes both.
func Elsewhere(spec string) bool {
	return strings.HasPrefix(spec, "nats://") || strings.HasPrefix(spec, "s3://")
}

// Open takes the name of a place:
//
//	file:PATH
//	nats://HOST:PORT/BUCKET[/KEY][?creds=FILE][&context=NAME]
//	s3://BUCKET/PREFIX[?endpoint=URL][&region=NAME][&retain-days=N]
//
// Nothing is connected to before it is needed. Errors wrap [ErrSpec].
func Open(spec string) (Place, error) {
	bad := func(format string, args ...any) (Place, error) {
		return nil, fmt.Errorf("%w: %q: %s", ErrSpec, spec, fmt.Sprintf(format, args...))
	}
	if path, ok := strings.CutPrefix(spec, "file:"); ok {
		if path = strings.TrimPrefix(path, "//"); path == "" {
			return bad("it names no file")
		}
		return file(filepath.Clean(path)), nil
	}
	u, err := url.Parse(spec)
	if err != nil {
		return bad("%v", err)
	}
	said := u.Query()
	allow := map[string][]string{"nats": {"creds", "context"}, "s3": {"endpoint", "region", "retain-days"}}[u.Scheme]
	if allow == nil {
		return bad("it begins with neither file:, nats:// nor s3://")
	}
	for name, values := range said {
		if !slices.Contains(allow, name) || len(values) != 1 || values[0] == "" {
			return bad("%s is none of its parameters, is empty or is there twice", name)
		}
	}
	path := strings.Split(strings.Trim(u.Path, "/"), "/")
	switch {
	case u.Scheme == "nats" && (path[0] == "" || len(path) > 2):
		return bad("behind the server it names a bucket, and perhaps a key in it")
	case u.Scheme == "nats":
		return newBucket(u, path), nil
	case u.Host == "":
		return bad("it names no bucket")
	}
	days := 0
	if text := said.Get("retain-days"); text != "" {
		if days, err = strconv.Atoi(text); err != nil || days < 1 || days > 36500 {
			return bad("retain-days is a number of days, 1 to 36500")
		}
	}
	return newObjects(u, strings.Trim(u.Path, "/"), days)
}

// Recall reads the head that a place keeps; nil when there is none. What stands there
// and is none is an error: to take it for none would forget what it is for.
func Recall(ctx context.Context, spec string) (*audit.Remembered, error) {
	p, err := Open(spec)
	if err != nil {
		return nil, err
	}
	b, err := p.Get(ctx)
	if err = errors.Join(err, p.Close()); err != nil {
		return nil, fmt.Errorf("the head in %s can't be read: %w", p, err)
	}
	if b == nil {
		return nil, nil
	}
	r, err := audit.ParseRemembered(b)
	if err != nil {
		return nil, fmt.Errorf("%s holds no head: %w", p, err)
	}
	return r, nil
}

// file is a file, best on a disk that isn't this machine's.
type file string

func (f file) String() string { return "file:" + string(f) }
func (f file) Close() error   { return nil }

func (f file) Get(context.Context) ([]byte, error) {
	b, err := os.ReadFile(string(f))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return b, err
}

func (f file) Put(_ context.Context, b []byte, _ uint64) error {
	return durable.Replace(string(f), b)
}
