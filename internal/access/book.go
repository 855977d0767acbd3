package access

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"
)

// Key is what is known of an API key. The key itself is known to its holder alone.
type Key struct {
	ID         string
	Name       string // what people call it
	Subject    string // whom it stands for; see [Principal]
	OnBehalf   bool
	Scopes     Scopes
	Workspaces Workspaces
	Created    time.Time
	By         string // who minted it
	Expires    time.Time
	Revoked    time.Time // zero: it is not
	RevokedBy  string
	LastUsed   time.Time // to the minute; zero: never
}

// State says in a word whether a key lets anybody in at a time.
func (k *Key) State(now time.Time) string {
	switch {
	case !k.Revoked.IsZero():
		return "revoked"
	case !now.Before(k.Expires):
		return "expired"
	}
	return "active"
}

// Bounds of a key.
const (
	MaxName    = 100
	MaxSubject = 128 // that of a producer (docs/format/messages.md)
	MaxKeys    = 100_000
	MaxLife    = 10 * 366 * 24 * time.Hour

	DefaultLife = 90 * 24 * time.Hour // where nothing else is said
)

// Request is what a new key is to be.
type Request struct {
	Name       string
	Subject    string // "": the name
	OnBehalf   bool
	Scopes     Scopes
	Workspaces Workspaces
	Life       time.Duration
	By         string
}

// Errors of a book.
var (
	// ErrNoSuchKey: no key has that id, or none that the asker may see.
	ErrNoSuchKey = errors.New("there is no such key")
	// ErrFull: the book holds as many keys as it can.
	ErrFull = fmt.Errorf("there are %d keys already, revoked and expired ones among them; delete those from the file while the server is stopped", MaxKeys)
)

// InvalidError says what is wrong with a request for a key.
type InvalidError struct{ Member, Why string }

func (e *InvalidError) Error() string { return e.Member + ": " + e.Why }

func (q *Request) check() error {
	if q.Subject == "" {
		q.Subject = q.Name
	}
	for _, text := range []struct {
		member, value string
		most          int
	}{{"name", q.Name, MaxName}, {"subject", q.Subject, MaxSubject}} {
		switch {
		case text.value == "" || len(text.value) > text.most || strings.TrimSpace(text.value) != text.value:
			return &InvalidError{text.member, fmt.Sprintf("give 1 to %d bytes, without white space at either end", text.most)}
		case !utf8.ValidString(text.value) || strings.ContainsFunc(text.value, func(r rune) bool { return !unicode.IsPrint(r) }):
			return &InvalidError{text.member, "it has characters that can't be printed"}
		case tokenShaped.MatchString(text.value):
			return &InvalidError{text.member, "it looks like a token; what is named here is shown to others"}
		}
	}
	switch {
	case q.Scopes == 0 || q.Scopes&^All != 0:
		return &InvalidError{"scopes", "name at least one: " + All.String()}
	case !q.Workspaces.all && len(q.Workspaces.names) == 0:
		return &InvalidError{"workspaces", "name at least one, or * for all of them"}
	case q.Life < time.Second || q.Life > MaxLife:
		return &InvalidError{"expires", fmt.Sprintf("a key lives from a second to %d days", MaxLife/(24*time.Hour))}
	}
	return nil
}

// kept is a key as the book holds it.
type kept struct {
	Key
	digest digest
	grants []Grant
	used   atomic.Int64 // Unix seconds

	mintedTold, revokedTold bool // the ledger was told; held by the book's mu

	ends context.Context
	end  context.CancelFunc
}

func (k *kept) shown() Key {
	out := k.Key
	if at := k.used.Load(); at != 0 {
		out.LastUsed = time.Unix(at, 0).UTC()
	}
	return out
}

// Book holds API keys. Finding one takes no lock.
type Book struct {
	save func([]byte) error

	byDigest atomic.Pointer[map[digest]*kept]
	touched  atomic.Bool // a key was used, and that is not saved
	changed  chan struct{}

	mu   sync.Mutex // of whoever changes it
	keys []*kept    // in the order of their minting
	// By workspace: ids of embed tokens that were revoked, until when they are
	// remembered; and what ends when one is, or a key that names the workspace.
	embeds  map[string]map[string]time.Time
	streams map[string]embedStreams
}

// NewBook returns a book with what [Book] saved before, nil for an empty one. save
// is given all that there is to keep, and must not return before it is durable; it
// holds no key, only hashes.
func NewBook(saved []byte, save func([]byte) error) (*Book, error) {
	b := &Book{save: save, changed: make(chan struct{}, 1), embeds: map[string]map[string]time.Time{}, streams: map[string]embedStreams{}}
	if saved != nil {
		if err := b.parse(saved); err != nil {
			return nil, err
		}
	}
	b.index()
	return b, nil
}

// index lets what is in keys be found. Call it with b.mu held.
func (b *Book) index() {
	m := make(map[digest]*kept, len(b.keys))
	for _, k := range b.keys {
		m[k.digest] = k
	}
	b.byDigest.Store(&m)
}

// Len is how many keys there ever were.
func (b *Book) Len() int { return len(*b.byDigest.Load()) }

// Add mints a key. The token is returned here, once: what is kept is its hash.
func (b *Book) Add(q Request, now time.Time) (Key, string, error) {
	if err := q.check(); err != nil {
		return Key{}, "", err
	}
	id, token := newKey()
	now = now.UTC().Truncate(time.Second)
	k := newKept(Key{
		ID: id, Name: q.Name, Subject: q.Subject, OnBehalf: q.OnBehalf, Scopes: q.Scopes, Workspaces: q.Workspaces,
		Created: now, By: q.By, Expires: now.Add(q.Life),
	}, digestOf(token))
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.keys) >= MaxKeys {
		return Key{}, "", ErrFull
	}
	before := b.keys
	b.keys = append(slices.Clip(b.keys), k)
	if err := b.write(); err != nil {
		b.keys = before
		return Key{}, "", err
	}
	b.index()
	b.change()
	return k.Key, token, nil
}

func newKept(key Key, d digest) *kept {
	k := &kept{Key: key, digest: d, grants: []Grant{{key.Scopes, key.Workspaces}}}
	k.ends, k.end = context.WithCancel(context.Background())
	if !key.Revoked.IsZero() {
		k.end()
	}
	return k
}

// Revoke ends a key, at once: what it has under way that goes on, such as a live
// tail, ends too. within bounds whose keys may be ended. A key that is revoked
// already stays as it is.
func (b *Book) Revoke(id string, within Workspaces, by string, now time.Time) (Key, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.IndexFunc(b.keys, func(k *kept) bool { return k.ID == id && within.Cover(k.Workspaces) })
	if i < 0 {
		return Key{}, ErrNoSuchKey
	}
	old := b.keys[i]
	if !old.Revoked.IsZero() {
		return old.shown(), nil
	}
	key := old.Key
	key.Revoked, key.RevokedBy = now.UTC().Truncate(time.Second), by
	revoked := newKept(key, old.digest)
	revoked.used.Store(old.used.Load())
	revoked.mintedTold = old.mintedTold
	before := b.keys
	b.keys = slices.Clone(b.keys)
	b.keys[i] = revoked
	if err := b.write(); err != nil {
		b.keys = before
		return Key{}, err
	}
	b.index()
	old.end()
	b.endEmbedsOf(old.Workspaces)
	b.change()
	return revoked.shown(), nil
}

// List returns the keys that name no workspace beyond within, the oldest first.
func (b *Book) List(within Workspaces) []Key {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := []Key{}
	for _, k := range b.keys {
		if within.Cover(k.Workspaces) {
			out = append(out, k.shown())
		}
	}
	return out
}

// find returns who a key stands for. The look-up is by the key's SHA-256: how long
// it takes tells of the hash, which nobody can choose, and of no secret.
func (b *Book) find(token string, now time.Time) (*Principal, error) {
	if !isKey(token) {
		return nil, &RefusedError{"the API key is not whole; it has " + fmt.Sprint(keyText) + " characters"}
	}
	k := (*b.byDigest.Load())[digestOf(token)]
	if k == nil {
		return nil, &RefusedError{"no such API key is known here"}
	}
	switch k.State(now) {
	case "revoked":
		return nil, &RefusedError{"the API key " + k.ID + " was revoked"}
	case "expired":
		return nil, &RefusedError{"the API key " + k.ID + " expired at " + k.Expires.Format(time.RFC3339)}
	}
	// To the minute: it is written down now and then, and is no one's diary.
	if at := now.Truncate(time.Minute).Unix(); k.used.Load() < at {
		k.used.Store(at)
		b.touched.Store(true)
	}
	return &Principal{
		Kind: ByKey, ID: k.ID, Subject: k.Subject, OnBehalf: k.OnBehalf, Grants: k.grants,
		Expires: k.Expires, revoked: k.ends,
	}, nil
}

// SaveUsed saves when keys were used last, where that has changed.
func (b *Book) SaveUsed() error {
	if !b.touched.Swap(false) {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	err := b.write()
	if err != nil {
		b.touched.Store(true)
	}
	return err
}

// write saves the book. Call it with b.mu held.
func (b *Book) write() error {
	text, err := b.print()
	if err != nil {
		return err
	}
	return b.save(text)
}

// parseDigest reads a hash as it is saved.
func parseDigest(s string) (d digest, err error) {
	raw, err := hex.DecodeString(s)
	if err != nil || len(raw) != len(d) {
		return d, errors.New("it is not 64 hexadecimal digits")
	}
	return digest(raw), nil
}

// nameOf is how a key is called in an error.
func nameOf(id, name string) string { return cmp.Or(id, name, "without an id") }
