package door

import (
	"context"
	"maps"
	"slices"
	"strings"

	"annals/activity"
	"annals/ingest"
	"annals/internal/problem"
	"annals/ledger/chain"

	"github.com/nats-io/nats.go"
)

// event records the one CloudEvent that a request is, in either mode (NATS binding of
// CloudEvents 1.0): it is published as it came, so that the fold makes of it what it makes
// of an event that its producer publishes there. record is what it tells, or bad why it
// tells none.
func (s *Service) event(ctx context.Context, workspace string, header nats.Header, body, record []byte, bad *activity.Refusal, wants wants) (*batch, error) {
	if s.o.PublishEvent == nil || s.o.FoldVersion() < chain.FoldEvents {
		return nil, problem.New(problem.EventsNotRead, "")
	}
	// What is compared with the ledger's bytes is never nil, which is what was refused.
	body = append([]byte{}, body...)
	if workspace == "" && bad == nil {
		workspace = named(record)
	}
	b := s.held(workspace, [][]byte{record}, false, func(_ []byte, keys *activity.Keys) ([]byte, string) { return body, strings.Clone(keys.ID) })
	if bad != nil {
		b.frames[0], b.items[0] = nil, refusal(bad)
	}
	o := s.door.o
	// Published at once, and not by what is waited for: [ErrStopped] is Publish's to say.
	o.Publish = func(ctx context.Context, workspace string, frame []byte) (wait, error) {
		ack, err := s.o.PublishEvent(ctx, workspace, kept(header), frame)
		if err != nil {
			return nil, err
		}
		return func(context.Context) (ingest.Ack, error) { return ack, nil }, nil
	}
	return b, (&door{o: o}).record(ctx, b, true, wants)
}

// kept are the headers by which an event is one. Others are the request's: what is
// expected of the answer, or whatever a producer would have the stream do.
func kept(header nats.Header) nats.Header {
	out := nats.Header{}
	for _, name := range slices.Sorted(maps.Keys(header)) {
		if name == "Content-Type" || strings.HasPrefix(name, "ce-") {
			out[name] = header[name]
		}
	}
	return out
}
