package ingest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"annals/ledger/chain"
)

// SubjectEpoch is where the first message of a stream goes that carries a ledger on
// in place of a lost one.
const SubjectEpoch = RootControl + ".epoch"

// First returns the first message that the stream holds, with when the stream was
// created; ok is false for an empty one. Errors wrap [ErrNoStream].
func First(ctx context.Context, nc *nats.Conn) (m chain.Message, created time.Time, ok bool, err error) {
	asking, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	s, err := lookUp(asking, nc)
	if err != nil {
		return m, created, false, err
	}
	created = s.CachedInfo().Created
	m, err = following(ctx, nc, 1, ">")
	if errors.Is(err, errNoMessage) {
		return m, created, false, nil
	}
	return m, created, err == nil, err
}

// EpochOptions say where a ledger goes on.
type EpochOptions struct {
	// Stream is how the stream is made, where there is none.
	Stream StreamOptions
	// Guarded says that producers may be connected already. Then the stream listens to
	// the ledger alone until its first message is in it.
	Guarded bool
	// Seal returns the signed message, for a stream that was created then.
	Seal func(created time.Time) []byte
}

// BeginEpoch makes the stream where there is none, or takes one that has never held
// a message, and publishes the message that begins an epoch as its first. A
// *[NotEmptyError] says that the stream has begun otherwise. It may be called again
// after it was cut short: where the epoch's message is the first one already, given
// as done, it only lets producers in.
func BeginEpoch(ctx context.Context, nc *nats.Conn, o EpochOptions, done bool) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	js, err := jetstream.New(nc)
	if err != nil {
		return fmt.Errorf("ingest: JetStream: %w", err)
	}
	s, err := js.Stream(ctx, Stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		config := o.Stream.config()
		if o.Guarded {
			config.Subjects = []string{RootControl + ".>"}
		}
		s, err = js.CreateStream(ctx, config)
	}
	if err != nil {
		return fmt.Errorf("ingest: stream %s: %w", Stream, err)
	}
	info := s.CachedInfo()
	if !done {
		if info.State.LastSeq > 0 {
			return &NotEmptyError{Last: info.State.LastSeq}
		}
		_, err = publishOnce(ctx, nc, &nats.Msg{
			Subject: SubjectEpoch, Data: o.Seal(info.Created), Header: nats.Header{headerLast: {"0"}},
		})
		if wrong, ok := wrongLast(err); ok {
			return &NotEmptyError{Last: wrong}
		}
		if err != nil {
			return fmt.Errorf("ingest: publishing the first message of an epoch: %w", err)
		}
	}
	config := info.Config
	if len(config.Subjects) == len(Subjects) {
		return nil
	}
	config.Subjects = Subjects
	if _, err := js.UpdateStream(ctx, config); err != nil {
		return fmt.Errorf("ingest: letting producers into stream %s: %w", Stream, err)
	}
	return nil
}
