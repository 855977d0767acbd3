package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"annals/ledger/chain"
)

// LadderOptions say how far to climb for messages that are missing.
type LadderOptions struct {
	// At is the last message before the hole. Whoever has the missing ones must have
	// this one too, or the one behind the hole, and none other in their places.
	At chain.Position
	// Step allows the leadership of a replicated stream to be moved from peer to peer.
	// Producers wait while it moves.
	Step bool
	// Mirror is a stream that mirrors the log; "": there is none.
	Mirror string
	// StepWait is how long a peer is given to take the leadership over, and a mirror to
	// answer. 0: 5 s.
	StepWait time.Duration
	Logger   *slog.Logger // nil discards
}

// maxClimbed bounds how many messages one climb brings.
const maxClimbed = 256

// Climb looks for the messages of a hole: at the stream's leader, then at each of
// its peers, by making it the leader, then in a mirror. It returns those that it
// found, from the first missing one on and without a hole, or a *[HoleError] that
// says what was tried. It never decides that anything is lost.
func Climb(ctx context.Context, nc *nats.Conn, hole *HoleError, o LadderOptions) ([]chain.Message, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.StepWait == 0 {
		o.StepWait = 5 * time.Second
	}
	l := &ladder{nc: nc, hole: hole, o: o}
	for _, rung := range []func(context.Context) ([]chain.Message, error){l.leader, l.peers, l.mirror} {
		found, err := rung(ctx)
		if len(found) > 0 || err != nil {
			return found, err
		}
	}
	still := *hole
	still.Tried = l.tried
	return nil, &still
}

type ladder struct {
	nc    *nats.Conn
	hole  *HoleError
	o     LadderOptions
	info  *jetstream.StreamInfo
	tried []string
}

// failed notes a rung that led nowhere.
func (l *ladder) failed(format string, args ...any) {
	why := fmt.Sprintf(format, args...)
	l.tried = append(l.tried, why)
	l.o.Logger.Info("looking for missing messages: "+why, "first", l.hole.Missing, "last", l.hole.Last())
}

// found says that a rung had the messages.
func (l *ladder) found(where string, messages []chain.Message) []chain.Message {
	l.o.Logger.Warn("missing messages were found", "where", where,
		"first", messages[0].Sequence, "last", messages[len(messages)-1].Sequence)
	return messages
}

// leader asks whoever leads.
func (l *ladder) leader(ctx context.Context) ([]chain.Message, error) {
	s, err := lookUp(ctx, l.nc)
	if err != nil {
		return nil, err
	}
	l.info = s.CachedInfo()
	name := "the stream's server"
	if c := l.info.Cluster; c != nil && c.Leader != "" {
		name = "the stream's leader " + c.Leader
	}
	messages, err := l.fetch(ctx, Stream)
	if err != nil {
		return nil, err
	}
	if len(messages) > 0 {
		return l.found(name, messages), nil
	}
	l.failed("%s has not got it", name)
	return nil, nil
}

// peers makes each peer of the leader lead, and asks it.
func (l *ladder) peers(ctx context.Context) ([]chain.Message, error) {
	c := l.info.Cluster
	if c == nil || len(c.Replicas) == 0 {
		return nil, nil
	}
	if !l.o.Step {
		l.failed("the leader was not stepped down again")
		return nil, nil
	}
	for _, peer := range c.Replicas {
		if peer.Offline {
			l.failed("peer %s is offline", peer.Name)
			continue
		}
		if err := l.stepTo(ctx, peer.Name); err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			l.failed("peer %s did not take the lead: %v", peer.Name, err)
			continue
		}
		if messages := l.ask(ctx, "peer "+peer.Name, Stream); len(messages) > 0 {
			return messages, nil
		}
	}
	return nil, ctx.Err()
}

// stepTo moves the leadership, and returns once the server says so.
func (l *ladder) stepTo(ctx context.Context, peer string) error {
	l.o.Logger.Warn("stepping the stream's leader down to look for missing messages at another peer", "to", peer)
	ctx, cancel := context.WithTimeout(ctx, l.o.StepWait)
	defer cancel()
	for {
		s, err := lookUp(ctx, l.nc)
		switch {
		case err != nil && ctx.Err() != nil:
			return err
		case err == nil && s.CachedInfo().Cluster != nil && s.CachedInfo().Cluster.Leader == peer:
			return nil
		case err == nil:
			// Asked again and again: an election that another peer won is held anew.
			_, err = requestOnce(ctx, l.nc, "$JS.API.STREAM.LEADER.STEPDOWN."+Stream,
				fmt.Appendf(nil, `{"placement":{"preferred":%q}}`, peer))
			if err != nil && ctx.Err() != nil {
				return err
			}
		}
		select {
		case <-time.After(250 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// mirror asks the mirror.
func (l *ladder) mirror(ctx context.Context) ([]chain.Message, error) {
	if l.o.Mirror == "" {
		return nil, nil
	}
	js, err := jetstream.New(l.nc)
	if err != nil {
		return nil, fmt.Errorf("ingest: JetStream: %w", err)
	}
	asking, cancel := context.WithTimeout(ctx, l.o.StepWait)
	defer cancel()
	s, err := js.Stream(asking, l.o.Mirror)
	if err != nil {
		l.failed("mirror %s: %v", l.o.Mirror, err)
		return nil, ctx.Err()
	}
	if m := s.CachedInfo().Config.Mirror; m == nil || m.Name != Stream {
		l.failed("stream %s is no mirror of %s", l.o.Mirror, Stream)
		return nil, nil
	}
	return l.ask(ctx, "mirror "+l.o.Mirror, l.o.Mirror), ctx.Err()
}

// ask fetches from whoever holds a copy of the stream, if it is a copy: a server
// that lost messages and used their sequences again has others in their place.
func (l *ladder) ask(ctx context.Context, who, stream string) []chain.Message {
	messages, err := l.fetch(ctx, stream)
	switch {
	case err != nil:
		l.failed("%s: %v", who, err)
		return nil
	case len(messages) == 0:
		l.failed("%s has not got it", who)
		return nil
	}
	if err := l.brackets(ctx, stream); err != nil {
		l.failed("%s has a message there and is no copy of this stream: %v", who, err)
		return nil
	}
	return l.found(who, messages)
}

// brackets compares the messages before and behind the hole with those that are
// known. One of them must be there, and none may be another.
func (l *ladder) brackets(ctx context.Context, stream string) error {
	compared := 0
	for _, at := range []chain.Position{l.o.At, {Sequence: l.hole.Next, Digest: l.hole.After}} {
		if at.Sequence == 0 || at.Digest.IsZero() {
			continue
		}
		m, err := fetch(ctx, l.nc, stream, at.Sequence, fmt.Appendf(nil, `{"seq":%d}`, at.Sequence))
		if errors.Is(err, errNoMessage) {
			continue
		}
		if err != nil {
			return err
		}
		if got := m.Digest(); got != at.Digest {
			return fmt.Errorf("at sequence %d it has another message (digest %s, not %s)", at.Sequence, got, at.Digest)
		}
		compared++
	}
	if compared == 0 {
		return errors.New("it has neither of the messages beside the hole")
	}
	return nil
}

// fetch gets what a stream holds of the hole, from its first sequence on.
func (l *ladder) fetch(ctx context.Context, stream string) (messages []chain.Message, err error) {
	for sequence := l.hole.Missing; sequence < l.hole.Next && len(messages) < maxClimbed; sequence++ {
		m, err := fetch(ctx, l.nc, stream, sequence, fmt.Appendf(nil, `{"seq":%d}`, sequence))
		if errors.Is(err, errNoMessage) {
			break
		}
		if err != nil {
			return nil, err
		}
		messages = append(messages, m)
	}
	return messages, nil
}
