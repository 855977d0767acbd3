package ingest

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"

	"annals/activity"
	"annals/ledger/chain"
)

// PublishMessage publishes one message under [RootActivity], with its headers, and
// returns when the stream has it: a CloudEvent in binary mode can't be gathered with
// others, for headers are of all that a message carries. header must have none of
// JetStream's own. It asks once: an error that wraps [ErrUnknown] leaves it open whether
// the stream has it.
func PublishMessage(ctx context.Context, nc *nats.Conn, workspace string, header nats.Header, body []byte) (Ack, error) {
	if !activity.ValidWorkspace(workspace) {
		return Ack{}, fmt.Errorf("%w: %q", ErrSubject, workspace)
	}
	m := &nats.Msg{Subject: RootActivity + "." + workspace + "." + chain.OwnType, Header: header, Data: body}
	ack, err := publishOnce(ctx, nc, m)
	switch {
	case errors.Is(err, nats.ErrMaxPayload):
		return Ack{}, fmt.Errorf("%w: %d bytes beside its headers, of %d", ErrTooLarge, len(body), nc.MaxPayload())
	case err != nil:
		return Ack{}, err
	}
	return Ack{Sequence: ack.Sequence, Count: 1}, nil
}
