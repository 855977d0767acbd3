package anchor

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"

	"annals/cmd/annals/internal/natscontext"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// bucket is a key of a NATS key-value bucket, in whichever account the credentials
// are of. It is made by whoever owns that account, and never here.
type bucket struct {
	target    natscontext.Target
	name, key string

	mu       sync.Mutex
	nc       *nats.Conn
	kv       jetstream.KeyValue
	revision uint64 // that the last Get saw; 0: none
}

func newBucket(u *url.URL, path []string) *bucket {
	b := &bucket{name: path[0], key: "head"}
	if len(path) == 2 {
		b.key = path[1]
	}
	b.target = natscontext.Target{Creds: u.Query().Get("creds"), Context: u.Query().Get("context")}
	if u.Host != "" {
		server := url.URL{Scheme: "nats", User: u.User, Host: u.Host}
		b.target.URL = server.String()
	}
	return b
}

// String implements [Place].
func (b *bucket) String() string { return "nats:" + b.name + "/" + b.key }

// open connects. The caller holds the lock.
func (b *bucket) open(ctx context.Context) error {
	if b.kv != nil {
		return nil
	}
	server, opts, err := b.target.Resolve()
	if err != nil {
		return err
	}
	if b.nc == nil {
		if b.nc, err = nats.Connect(server, append(opts, nats.Name("annals anchor"), nats.MaxReconnects(-1))...); err != nil {
			return fmt.Errorf("connecting: %w", err)
		}
	}
	js, err := jetstream.New(b.nc)
	if err != nil {
		return err
	}
	if b.kv, err = js.KeyValue(ctx, b.name); err != nil {
		b.kv = nil
		return fmt.Errorf("the bucket %s: %w; its account's owner makes it with `nats kv add %s --history 64`", b.name, err, b.name)
	}
	return nil
}

// Get implements [Place].
func (b *bucket) Get(ctx context.Context) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.open(ctx); err != nil {
		return nil, err
	}
	entry, err := b.kv.Get(ctx, b.key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		b.revision = 0
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	b.revision = entry.Revision()
	return entry.Value(), nil
}

// Put implements [Place]: it fails where somebody else has put something there since.
func (b *bucket) Put(ctx context.Context, value []byte, _ uint64) (err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.open(ctx); err != nil {
		return err
	}
	if b.revision == 0 {
		b.revision, err = b.kv.Create(ctx, b.key, value)
		return err
	}
	b.revision, err = b.kv.Update(ctx, b.key, value, b.revision)
	return err
}

// Close implements [Place].
func (b *bucket) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.nc != nil {
		b.nc.Close()
		b.nc, b.kv = nil, nil
	}
	return nil
}
