package bench

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"annals/cmd/annals/internal/load"
	"annals/ledger"
	"annals/ledger/chain"
)

// appendLines is how many records of a workspace are in a message.
const appendLines = 128

// appendInProcess hands messages to a ledger as fast as it takes them, parsing
// included, without a stream. They are written to a file first, so that making
// records is no part of the figure and a million of them take no memory.
func appendInProcess(ctx context.Context, dir string, n int, progress func(done, total int)) (out Published, err error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	spool := filepath.Join(dir, "messages")
	if err := spoolMessages(spool, n); err != nil {
		return out, err
	}
	f, err := os.Open(spool)
	if err != nil {
		return out, err
	}
	defer f.Close()
	l, err := newLedger(filepath.Join(dir, "ledger"))
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	before, cpu, began := l.Head().Size, processor(), time.Now()
	if err := appendAll(ctx, l, bufio.NewReaderSize(f, 1<<20), n, progress); err != nil {
		return out, err
	}
	if err := l.Flush(ctx); err != nil {
		return out, err
	}
	out = Published{Records: n, Wall: time.Since(began), CPU: processor() - cpu}
	if got := l.Head().Size - before; got != uint64(n) {
		return out, fmt.Errorf("%d entries came of %d records", got, n)
	}
	return out, nil
}

// newLedger makes a ledger with keys that everybody knows.
func newLedger(dir string) (*ledger.Ledger, error) {
	secret := func(name string) [sha256.Size]byte { return sha256.Sum256([]byte("annals bench " + name)) }
	sign := func(name string) (chain.Signer, error) {
		seed := secret(name)
		return chain.NewSigner(seed[:])
	}
	root, err := sign("root")
	if err != nil {
		return nil, err
	}
	keeper, err := sign("keeper")
	if err != nil {
		return nil, err
	}
	g := chain.Genesis{
		Origin: "annals.invalid/bench", Stream: "ANNALS", Created: load.Began * 1e6, FirstSequence: 1, Partitions: 1,
		Nonce: secret("nonce"), KeyCommitment: chain.KeyCommitment(secret("workspace key")),
		Keys: []chain.Key{root.Public(chain.RoleRoot), keeper.Public(chain.RoleLedger)},
	}
	first := chain.Message{
		Subject: chain.ControlGenesis.Subject(), Sequence: 1, Time: g.Created, Body: g.Seal(secret("workspace key"), root),
	}
	second := chain.Message{
		Subject: chain.ControlSeed.Subject(), Sequence: 2, Time: g.Created,
		Body: chain.SealSeed(g.LedgerID(), 1, 0, secret("seed"), keeper),
	}
	return ledger.Create(dir, first, second, ledger.Options{})
}

// spoolMessages writes n records to a file, gathered into messages as a publisher
// gathers them: each as the lengths of subject and body, and both.
func spoolMessages(path string, n int) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriterSize(f, 1<<20)
	write := func(workspace string, body []byte) {
		subject := "activity." + workspace + "." + chain.OwnType
		var head [8]byte
		binary.BigEndian.PutUint32(head[:], uint32(len(subject)))
		binary.BigEndian.PutUint32(head[4:], uint32(len(body)))
		_, _ = w.Write(head[:]) // Flush says what went wrong
		_, _ = w.WriteString(subject)
		_, _ = w.Write(body)
	}
	type gathered struct {
		body  []byte
		lines int
	}
	waiting := map[string]*gathered{}
	var order []string // so that the file is the same each time
	records := load.New(seedLines)
	var record []byte
	for range n {
		var workspace string
		record, workspace = records.Next(record[:0])
		g := waiting[workspace]
		if g == nil {
			g = new(gathered)
			waiting[workspace] = g
			order = append(order, workspace)
		}
		g.body = append(append(g.body, record...), '\n')
		if g.lines++; g.lines == appendLines {
			write(workspace, g.body)
			g.body, g.lines = g.body[:0], 0
		}
	}
	for _, workspace := range order {
		if g := waiting[workspace]; g.lines > 0 {
			write(workspace, g.body)
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return f.Sync() // or the disk is still busy with it when the clock runs
}

// appendAll appends the messages of a file, which hold n records.
func appendAll(ctx context.Context, l *ledger.Ledger, spool io.Reader, n int, progress func(done, total int)) error {
	ndjson := map[string][]string{"Content-Type": {chain.NDJSON}}
	position := l.Position()
	at := int64(load.Began * 1e6)
	size := l.Head().Size
	for {
		var head [8]byte
		switch _, err := io.ReadFull(spool, head[:]); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		subject := int(binary.BigEndian.Uint32(head[:]))
		b := make([]byte, subject+int(binary.BigEndian.Uint32(head[4:]))) // the ledger keeps it
		if _, err := io.ReadFull(spool, b); err != nil {
			return err
		}
		position.Sequence++
		at += int64(time.Millisecond)
		m := chain.Message{Subject: string(b[:subject]), Header: ndjson, Body: b[subject:], Sequence: position.Sequence, Time: at}
		if err := l.Append(ctx, []chain.Message{m}); err != nil {
			return err
		}
		progress(int(min(l.Head().Size-size, uint64(n))), n)
	}
}
