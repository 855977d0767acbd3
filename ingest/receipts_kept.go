package ingest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"annals/activity"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go/jetstream"
)

// Claim is what an acknowledgement says of one record: that it was accepted. Nobody
// signed it.
type Claim struct {
	Stream    string `json:"stream"`
	Sequence  uint64 `json:"sequence"` // of the message in the stream
	Place     uint16 `json:"place"`    // of the record in the message, from 0
	Workspace string `json:"workspace"`
	ID        string `json:"id,omitzero"` // the record's
	SHA256    string `json:"sha256"`      // of the bytes as published, in hexadecimal
	At        string `json:"at"`          // when the acknowledgement came, by the producer's clock
}

// claimOf digests what was taken.
func claimOf(t *taken) Claim {
	h := sha256.Sum256(t.record)
	c := Claim{
		Stream: t.stream, Sequence: t.sequence, Place: t.place, ID: t.id,
		SHA256: hex.EncodeToString(h[:]), At: t.at.UTC().Format(time.RFC3339Nano),
	}
	if parts := strings.SplitN(t.subject, ".", 3); len(parts) > 1 {
		c.Workspace = parts[1]
	}
	var keys activity.Keys
	if c.ID == "" && activity.Scan(t.record, &keys) == nil {
		c.ID = strings.Clone(keys.ID)
	}
	return c
}

// name tells a claim from every other: sequences begin anew where a stream was made
// anew.
func (c *Claim) name() string {
	return fmt.Sprintf("%d-%d-%.8s", c.Sequence, c.Place, c.SHA256)
}

// KeptClaim is a claim, and its receipt's text once it has come.
type KeptClaim struct {
	Claim
	Receipt []byte // nil: none yet
}

// The names under which claims and receipts are kept, in a folder: a file of claims
// for each start, a claim a line, and a file for each receipt. In a bucket, each is
// a key.
const (
	claimsFile    = "claims-"
	claimsSuffix  = ".jsonl"
	receiptSuffix = ".tlog-proof"
	claimKey      = "claim."
	receiptKey    = "receipt."
)

// keptReceipts is the folder or the bucket.
type keptReceipts struct {
	dir    string
	bucket jetstream.KeyValue

	mu     sync.Mutex
	claims *os.File // opened at the first claim
}

func openKept(o *ReceiptOptions) (*keptReceipts, error) {
	k := &keptReceipts{dir: o.Dir, bucket: o.Bucket}
	if k.dir == "" {
		return k, nil
	}
	return k, os.MkdirAll(k.dir, 0o700)
}

func (k *keptReceipts) close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.claims == nil {
		return nil
	}
	f := k.claims
	k.claims = nil
	return errors.Join(f.Sync(), f.Close())
}

// putClaims writes claims down and returns how many were. In a folder they survive
// the process at once, and a power cut with the next few seconds.
func (k *keptReceipts) putClaims(ctx context.Context, claims []Claim) (written int, err error) {
	if k.bucket != nil {
		for i := range claims {
			b, err := json.Marshal(&claims[i])
			if err != nil {
				return i, err
			}
			if _, err := k.bucket.Put(ctx, claimKey+claims[i].name(), b); err != nil {
				return i, err
			}
		}
		return len(claims), nil
	}
	var lines bytes.Buffer
	for i := range claims {
		b, err := json.Marshal(&claims[i])
		if err != nil {
			return 0, err
		}
		lines.Write(append(b, '\n'))
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.claims == nil {
		name := claimsFile + time.Now().UTC().Format("20060102T150405.000000000Z") + claimsSuffix
		k.claims, err = os.OpenFile(filepath.Join(k.dir, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return 0, err
		}
	}
	if _, err := k.claims.Write(lines.Bytes()); err != nil {
		return 0, err
	}
	return len(claims), nil
}

// putReceipt keeps a receipt, whole or not at all.
func (k *keptReceipts) putReceipt(ctx context.Context, c *Claim, text []byte) error {
	if k.bucket != nil {
		_, err := k.bucket.Put(ctx, receiptKey+c.name(), text)
		return err
	}
	f, err := os.CreateTemp(k.dir, ".receipt-*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), filepath.Join(k.dir, c.name()+receiptSuffix))
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// ReadReceipts yields what a folder keeps, in the order in which it was
// acknowledged: claims, each with its receipt if that has come. A claim that a
// crash cut short ends its file.
func ReadReceipts(dir string) iter.Seq2[KeptClaim, error] {
	k := &keptReceipts{dir: dir}
	return k.all(context.Background())
}

// ReadReceiptBucket is [ReadReceipts] of a bucket.
func ReadReceiptBucket(ctx context.Context, bucket jetstream.KeyValue) iter.Seq2[KeptClaim, error] {
	k := &keptReceipts{bucket: bucket}
	return k.all(ctx)
}

func (k *keptReceipts) all(ctx context.Context) iter.Seq2[KeptClaim, error] {
	if k.bucket != nil {
		return k.inBucket(ctx)
	}
	return k.inFolder()
}

func (k *keptReceipts) inFolder() iter.Seq2[KeptClaim, error] {
	return func(yield func(KeptClaim, error) bool) {
		entries, err := os.ReadDir(k.dir)
		if err != nil {
			yield(KeptClaim{}, err)
			return
		}
		var files []string
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), claimsFile) && strings.HasSuffix(e.Name(), claimsSuffix) {
				files = append(files, e.Name())
			}
		}
		slices.Sort(files)
		for _, name := range files {
			if !k.inFile(name, yield) {
				return
			}
		}
	}
}

// maxClaim bounds a claim's line.
const maxClaim = 16 << 10

// inFile yields the claims of one file; false says that nobody wants more.
func (k *keptReceipts) inFile(name string, yield func(KeptClaim, error) bool) bool {
	path := filepath.Join(k.dir, name)
	f, err := os.Open(path)
	if err != nil {
		return yield(KeptClaim{}, err)
	}
	defer f.Close()
	lines := bufio.NewReaderSize(f, maxClaim)
	for n := 1; ; n++ {
		line, err := lines.ReadSlice('\n')
		if err != nil && len(line) < maxClaim {
			return true // the end, or what a crash left of a line
		}
		c, err := parseClaim(line)
		if err != nil {
			return yield(KeptClaim{}, fmt.Errorf("%s:%d: %w", path, n, err))
		}
		kept := KeptClaim{Claim: c}
		kept.Receipt, err = os.ReadFile(filepath.Join(k.dir, c.name()+receiptSuffix))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return yield(kept, err)
		}
		if !yield(kept, nil) {
			return false
		}
	}
}

// parseClaim reads a claim as it is written down.
func parseClaim(b []byte) (Claim, error) {
	var c Claim
	if err := json.Unmarshal(b, &c, json.RejectUnknownMembers(true)); err != nil {
		return c, fmt.Errorf("no claim: %w", err)
	}
	if digest, err := hex.DecodeString(c.SHA256); err != nil || len(digest) != sha256.Size || c.SHA256 != strings.ToLower(c.SHA256) {
		return c, errors.New("no claim: its sha256 is not 64 hexadecimal digits")
	}
	if c.Sequence == 0 || !activity.ValidWorkspace(c.Workspace) && c.Workspace != activity.SystemWorkspace {
		return c, errors.New("no claim: it names no message, or no workspace")
	}
	return c, nil
}

func (k *keptReceipts) inBucket(ctx context.Context) iter.Seq2[KeptClaim, error] {
	return func(yield func(KeptClaim, error) bool) {
		lister, err := k.bucket.ListKeysFiltered(ctx, claimKey+">")
		if err != nil {
			yield(KeptClaim{}, err)
			return
		}
		defer lister.Stop() //nolint:errcheck // nothing is left to be stopped
		for key := range lister.Keys() {
			kept, err := k.fromBucket(ctx, key)
			if !yield(kept, err) || err != nil {
				return
			}
		}
	}
}

func (k *keptReceipts) fromBucket(ctx context.Context, key string) (KeptClaim, error) {
	value, err := k.bucket.Get(ctx, key)
	if err != nil {
		return KeptClaim{}, fmt.Errorf("%s: %w", key, err)
	}
	c, err := parseClaim(value.Value())
	if err != nil {
		return KeptClaim{}, fmt.Errorf("%s: %w", key, err)
	}
	receipt, err := k.bucket.Get(ctx, receiptKey+c.name())
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
		return KeptClaim{Claim: c}, nil
	case err != nil:
		return KeptClaim{Claim: c}, err
	}
	return KeptClaim{Claim: c, Receipt: receipt.Value()}, nil
}
