package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"annals/cmd/annals/internal/load"

	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/fsck"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
	"k8s.io/klog/v2"
)

const (
	origin   = "annals.invalid/beside"
	logBatch = 4096 // leaves: whole bundles of 256, so that none is written twice
	logAhead = 4 * logBatch
)

// log is Tessera's POSIX log: a Merkle tree over leaves in files, each synced.
type log struct {
	dir      string
	verifier note.Verifier
	appender *tessera.Appender
	reader   tessera.LogReader
	shutdown func(context.Context) error
	cancel   context.CancelFunc
}

func newLog(ctx context.Context, dir string) (*log, error) {
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	private, public, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		return nil, err
	}
	signer, err := note.NewSigner(private)
	if err != nil {
		return nil, err
	}
	l := &log{dir: dir}
	if l.verifier, err = note.NewVerifier(public); err != nil {
		return nil, err
	}
	driver, err := posix.New(ctx, posix.Config{Path: dir})
	if err != nil {
		return nil, err
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	l.cancel = cancel
	l.appender, l.shutdown, l.reader, err = tessera.NewAppender(running, driver, tessera.NewAppendOptions().
		WithCheckpointSigner(signer).
		WithBatching(logBatch, time.Second).
		WithPushback(2*logAhead).
		WithCheckpointInterval(time.Second))
	if err != nil {
		cancel()
		return nil, err
	}
	return l, nil
}

// append adds n leaves, the records of the bulk, and waits until each is
// integrated into the tree on the disk.
func (l *log) append(ctx context.Context, n int) (time.Duration, error) {
	records := load.New(seedBulk)
	futures, failed := make(chan tessera.IndexFuture, logAhead), make(chan error, 1)
	began := time.Now()
	go func() {
		var err error
		for f := range futures {
			if _, e := f(); e != nil && err == nil {
				err = e
			}
		}
		failed <- err
	}()
	for range n {
		record, _ := records.Next(nil)
		futures <- l.appender.Add(ctx, tessera.NewEntry(record))
	}
	close(futures)
	if err := <-failed; err != nil {
		return 0, err
	}
	took := time.Since(began)
	return took, l.published(ctx, uint64(n))
}

// published waits until the checkpoint is of the whole log: fsck reads that.
func (l *log) published(ctx context.Context, size uint64) error {
	for late := time.Now().Add(30 * time.Second); time.Now().Before(late); time.Sleep(50 * time.Millisecond) {
		raw, err := l.reader.ReadCheckpoint(ctx)
		if err != nil {
			if errors.Is(err, os.ErrNotExist) {
				continue
			}
			return err
		}
		var first string
		var at uint64
		if _, err := fmt.Sscan(string(raw), &first, &at); err == nil && at == size {
			return nil
		}
	}
	return errors.New("no checkpoint of the whole log came within 30 seconds")
}

// fsck checks the whole log, with some workers.
func (l *log) fsck(ctx context.Context, workers int) (time.Duration, error) {
	check := fsck.New(origin, l.verifier, client.FileFetcher{Root: l.dir}, leaves, fsck.Opts{N: uint(workers)})
	began := time.Now()
	err := check.Check(ctx)
	return time.Since(began), err
}

// leaves are the leaf hashes of a bundle's entries.
func leaves(bundle []byte) ([][]byte, error) {
	var entries api.EntryBundle
	if err := entries.UnmarshalText(bundle); err != nil {
		return nil, err
	}
	hashes := make([][]byte, 0, len(entries.Entries))
	for _, e := range entries.Entries {
		hashes = append(hashes, rfc6962.DefaultHasher.HashLeaf(e))
	}
	return hashes, nil
}

func (l *log) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err := l.shutdown(ctx)
	l.cancel()
	return err
}
