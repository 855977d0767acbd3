package ingest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// board is a small stream that holds the last word of each replica, under its name.
type board struct{ stream, root, about string }

// word is what stands on a board under a name.
type word struct {
	body     []byte
	revision uint64 // rises with each word
}

// ensure makes the stream on as many servers as hold the log, if there is none.
func (b *board) ensure(ctx context.Context, nc *nats.Conn) error {
	js, err := jetstream.New(nc)
	if err != nil {
		return fmt.Errorf("ingest: JetStream: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	log, err := js.Stream(ctx, Stream)
	if err != nil {
		return fmt.Errorf("ingest: stream %s: %w", Stream, err)
	}
	_, err = js.CreateStream(ctx, jetstream.StreamConfig{
		Name:              b.stream,
		Description:       b.about,
		Subjects:          []string{b.root + ".*"},
		Storage:           jetstream.FileStorage,
		Replicas:          log.CachedInfo().Config.Replicas,
		MaxMsgsPerSubject: 1,
		MaxMsgSize:        64 << 10,
		Discard:           jetstream.DiscardOld,
	})
	if err != nil && !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return fmt.Errorf("ingest: stream %s: %w", b.stream, err)
	}
	return nil
}

// tell puts a word in the place of a replica's last one.
func (b *board) tell(ctx context.Context, nc *nats.Conn, name string, body []byte) error {
	if !ValidReplica(name) {
		return fmt.Errorf("ingest: %q is no replica's name", name)
	}
	m, err := requestOnce(ctx, nc, b.root+"."+name, body)
	if err != nil {
		return fmt.Errorf("ingest: telling where replica %s stands: %w", name, err)
	}
	if _, _, err := readAck(m); err != nil {
		return fmt.Errorf("ingest: telling where replica %s stands: %w", name, err)
	}
	return nil
}

// read returns every word, by name.
func (b *board) read(ctx context.Context, nc *nats.Conn) (map[string]word, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("ingest: JetStream: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	s, err := js.Stream(ctx, b.stream)
	if err != nil {
		return nil, fmt.Errorf("ingest: stream %s: %w", b.stream, err)
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(b.root+".*"))
	if err != nil {
		return nil, fmt.Errorf("ingest: stream %s: %w", b.stream, err)
	}
	out := map[string]word{}
	for subject := range info.State.Subjects {
		m, err := s.GetLastMsgForSubject(ctx, subject)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue // replaced or withdrawn just now
		}
		if err != nil {
			return nil, fmt.Errorf("ingest: stream %s: %w", b.stream, err)
		}
		out[strings.TrimPrefix(subject, b.root+".")] = word{body: m.Data, revision: m.Sequence}
	}
	return out, nil
}
