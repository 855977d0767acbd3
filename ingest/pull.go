package ingest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"annals/ledger/chain"
)

// The pull requests: two are open at any time, so that the server never waits for
// us; each asks for so many messages and bytes. What is asked for is what may lie
// unread in memory.
const (
	pullRequests  = 2
	pullMessages  = 4096
	pullBytes     = 8 << 20
	pullExpires   = 30 * time.Second
	pullHeartbeat = time.Second
	// deaf is how long nothing at all may come before the consumer counts as dead.
	deaf = 3 * pullHeartbeat
)

// errStale says that the consumer is of no more use and a new one is needed.
var errStale = errors.New("ingest: the consumer is gone")

// pull is one ephemeral consumer and the requests that are open on it.
//
// It speaks the protocol itself, for two reasons. What is asked for is what may lie
// unread in memory, and only whoever asks can keep that bound. And the server's
// status messages ("the consumer is deleted", "no messages") are commonly told from
// stream messages by a status in their header, which a producer can write too; a
// client that obeyed such a message would stop there at every try. nats-server
// 2.15 drops the status when it stores a message; rather than rest on that, we tell
// the two by the subject, where a status comes to the request's own inbox.
type pull struct {
	nc       *nats.Conn
	consumer string
	inbox    string // status messages come to inbox.<request>
	sub      *nats.Subscription
	in       chan *nats.Msg
	asked    int  // requests so far
	barren   bool // nothing came since the last request ended
	maxBytes int
}

// openPull makes a consumer that begins at a sequence.
func openPull(ctx context.Context, nc *nats.Conn, from uint64) (*pull, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("ingest: JetStream: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	c, err := js.CreateConsumer(ctx, Stream, jetstream.ConsumerConfig{
		DeliverPolicy:     jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:       max(from, 1),
		AckPolicy:         jetstream.AckNonePolicy,
		MemoryStorage:     true, // its state is ours; a lost consumer is made again
		Replicas:          1,
		InactiveThreshold: time.Minute,
	})
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, ErrNoStream
	}
	if err != nil {
		return nil, fmt.Errorf("ingest: a consumer on stream %s: %w", Stream, err)
	}
	return attach(nc, c.CachedInfo().Name)
}

// attach reads through a consumer.
func attach(nc *nats.Conn, consumer string) (_ *pull, err error) {
	p := &pull{
		nc: nc, consumer: consumer, inbox: nc.NewInbox(),
		in:       make(chan *nats.Msg, pullRequests*(pullMessages+2)+1024),
		maxBytes: max(pullBytes, 2*int(nc.MaxPayload())),
	}
	if p.sub, err = nc.ChanSubscribe(p.inbox+".*", p.in); err != nil {
		return nil, fmt.Errorf("ingest: reading stream %s: %w", Stream, err)
	}
	for range pullRequests {
		if err := p.ask(); err != nil {
			p.close()
			return nil, err
		}
	}
	return p, nil
}

// ask opens one more request.
func (p *pull) ask() error {
	p.asked++
	body := fmt.Appendf(nil, `{"batch":%d,"max_bytes":%d,"expires":%d,"idle_heartbeat":%d}`,
		pullMessages, p.maxBytes, pullExpires, pullHeartbeat)
	err := p.nc.PublishRequest("$JS.API.CONSUMER.MSG.NEXT."+Stream+"."+p.consumer, p.inbox+"."+strconv.Itoa(p.asked), body)
	if err != nil {
		return fmt.Errorf("ingest: reading stream %s: %w", Stream, err)
	}
	return nil
}

// accept sorts what came: a stream message (true), or a status, which it obeys.
// errStale, or any other error, asks for a new consumer.
func (p *pull) accept(m *nats.Msg) (chain.Message, bool, error) {
	if !strings.HasPrefix(m.Subject, p.inbox) {
		message, err := delivered(m)
		if err != nil {
			return chain.Message{}, false, err
		}
		p.barren = false
		return message, true, nil
	}
	status, text := m.Header.Get("Status"), m.Header.Get("Description")
	switch {
	case status == "100": // a heartbeat
		return chain.Message{}, false, nil
	case status == "408", status == "409" && text == "Batch Completed":
	case status == "409" && strings.HasPrefix(text, "Message Size Exceeds"):
		// A message may be larger than what one request may bring, if the server's
		// limit was higher once. Two requests that brought nothing say so.
		if p.barren {
			p.maxBytes *= 2
		}
		p.barren = true
	default:
		return chain.Message{}, false, fmt.Errorf("%w: %s %s", errStale, status, text)
	}
	return chain.Message{}, false, p.ask()
}

// close ends the subscription, and the consumer where the server can be reached.
func (p *pull) close() {
	p.sub.Unsubscribe() //nolint:errcheck // a closed connection has no subscription left
	if p.nc.IsConnected() {
		// Unanswered on purpose: an abandoned consumer ends by itself in a minute.
		p.nc.Publish("$JS.API.CONSUMER.DELETE."+Stream+"."+p.consumer, nil) //nolint:errcheck // as above
	}
}
