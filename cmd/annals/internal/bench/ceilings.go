package bench

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"annals/cmd/annals/internal/load"
	"annals/ingest"
	"annals/ingest/broker"
	"annals/ledger/chain"

	"github.com/cockroachdb/pebble/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"
)

const (
	ceilingRecords = 200_000 // at most; more would say no more
	ceilingBatch   = 1000    // records in an atomic batch, and in a commit
	ceilingFlights = 4       // batches that wait for their acknowledgement
	ceilingLone    = 300     // records published one after the other
)

// measureCeilings measures what the machine does at best with the same bytes:
// JetStream with a raw client, Pebble with nothing but an append, SHA-256.
func measureCeilings(ctx context.Context, dir string, n int) (out []Measure, err error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	raw := make([]rawRecord, n)
	records := load.New(seedSingle)
	for i := range raw {
		raw[i].body, raw[i].subject = records.Next(nil)
		raw[i].subject = ingest.RootActivity + "." + raw[i].subject + "." + chain.OwnType
	}
	rate, lone, err := ceilingJetStream(ctx, filepath.Join(dir, "jetstream"), raw)
	if err != nil {
		return nil, err
	}
	out = append(out, Once("ceiling_jetstream", PerSecond, n, rate),
		Once("ceiling_publish_p50", Milliseconds, len(lone), Quantile(lone, 0.5)))
	if rate, err = ceilingPebble(filepath.Join(dir, "pebble"), raw); err != nil {
		return nil, err
	}
	hashed, bytes := ceilingHash(raw)
	return append(out, Once("ceiling_pebble", PerSecond, n, rate),
		Once("ceiling_sha256", PerSecond, n, hashed), Once("ceiling_sha256_bytes", Megabytes, n, bytes/1e6)), nil
}

type rawRecord struct {
	subject string
	body    []byte
}

// ceilingJetStream publishes a message a record in atomic batches, each synced
// before it is acknowledged, and then some records one after the other.
func ceilingJetStream(ctx context.Context, dir string, raw []rawRecord) (rate float64, lone []time.Duration, err error) {
	b, err := broker.Start(broker.Options{StoreDir: dir, Staging: broker.Memory()})
	if err != nil {
		return 0, nil, err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	nc, err := b.Connect(ingest.ConnOptions("ceiling", nil)...)
	if err != nil {
		return 0, nil, err
	}
	defer nc.Close()
	if err := ingest.EnsureStream(ctx, nc, ingest.StreamOptions{}); err != nil {
		return 0, nil, err
	}
	began := time.Now()
	if err := atomicBatches(nc, raw); err != nil {
		return 0, nil, err
	}
	rate = float64(len(raw)) / time.Since(began).Seconds()
	for i := range min(ceilingLone, len(raw)) {
		began := time.Now()
		answer, err := nc.RequestWithContext(ctx, raw[i].subject, raw[i].body)
		if err = refusedBy(answer, err); err != nil {
			return 0, nil, err
		}
		lone = append(lone, time.Since(began))
	}
	return rate, lone, nil
}

// atomicBatches publishes with some batches in flight (ADR-50 of NATS).
func atomicBatches(nc *nats.Conn, raw []rawRecord) error {
	inbox := nc.NewInbox()
	answers, err := nc.SubscribeSync(inbox)
	if err != nil {
		return err
	}
	flying := 0
	land := func() error {
		flying--
		return refusedBy(answers.NextMsg(30 * time.Second))
	}
	for len(raw) > 0 {
		batch := raw[:min(ceilingBatch, len(raw))]
		raw = raw[len(batch):]
		id := nuid.Next()
		for i := range batch {
			m := nats.Msg{Subject: batch[i].subject, Data: batch[i].body, Header: nats.Header{
				"Nats-Batch-Id": {id}, "Nats-Batch-Sequence": {strconv.Itoa(i + 1)},
			}}
			if i == len(batch)-1 {
				m.Header["Nats-Batch-Commit"] = []string{"1"}
				m.Reply = inbox
			}
			if err := nc.PublishMsg(&m); err != nil {
				return err
			}
		}
		if flying++; flying == ceilingFlights {
			if err := land(); err != nil {
				return err
			}
		}
	}
	for flying > 0 {
		if err := land(); err != nil {
			return err
		}
	}
	return nil
}

// refusedBy is an error that an answer of JetStream carries.
func refusedBy(answer *nats.Msg, err error) error {
	switch {
	case err != nil:
		return fmt.Errorf("JetStream does not answer: %w", err)
	case len(answer.Header.Get("Status")) > 0:
		return fmt.Errorf("JetStream refuses: status %s", answer.Header.Get("Status"))
	}
	var ack struct {
		Error *struct {
			Description string `json:"description"`
		} `json:"error"`
	}
	if err := unmarshal(answer.Data, &ack); err != nil {
		return fmt.Errorf("JetStream's answer %q: %w", answer.Data, err)
	}
	if ack.Error != nil {
		return fmt.Errorf("JetStream refuses: %s", ack.Error.Description)
	}
	return nil
}

// ceilingPebble appends the records under ascending keys, a thousand a commit,
// each commit synced.
func ceilingPebble(dir string, raw []rawRecord) (rate float64, err error) {
	db, err := pebble.Open(dir, &pebble.Options{MemTableSize: 32 << 20, FormatMajorVersion: pebble.FormatNewest, Logger: silent{}})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	began := time.Now()
	var key [8]byte
	for at := 0; at < len(raw); at += ceilingBatch {
		b := db.NewBatch()
		for i := at; i < min(at+ceilingBatch, len(raw)); i++ {
			binary.BigEndian.PutUint64(key[:], uint64(i))
			if err := b.Set(key[:], raw[i].body, nil); err != nil {
				return 0, err
			}
		}
		if err := b.Commit(pebble.Sync); err != nil {
			return 0, err
		}
	}
	return float64(len(raw)) / time.Since(began).Seconds(), nil
}

// silent drops what Pebble has to say about opening and closing.
type silent struct{}

func (silent) Infof(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(format string, args ...any) {
	panic(fmt.Sprintf(format, args...)) // it can't go on, and says so to nobody else
}

// ceilingHash hashes each record once, on one core: in records and in bytes a
// second.
func ceilingHash(raw []rawRecord) (rate, bytes float64) {
	began := time.Now()
	n := 0
	var sink byte
	for i := range raw {
		h := sha256.Sum256(raw[i].body)
		sink ^= h[0]
		n += len(raw[i].body)
	}
	took := time.Since(began).Seconds()
	_ = sink
	return float64(len(raw)) / took, float64(n) / took
}
