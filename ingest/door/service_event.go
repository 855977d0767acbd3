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

// eventful reports whether a request's headers say that its body is a CloudEvent, or a
// format of them that nobody reads.
func eventful(header nats.Header) bool {
	_, is, _ := chain.EventOf(header, nil)
	return is
}

// event records the one CloudEvent that a request is, in either mode (NATS binding of
// CloudEvents 1.0): it is published as it came, so that the fold makes of it what it makes
// of an event that its producer publishes there. workspace is what the subject names, ""
// where only the event's own record does.
func (s *Service) event(ctx context.Context, workspace string, header nats.Header, body []byte, wants wants) (*batch, error) {
	if s.o.PublishEvent == nil || s.o.FoldVersion() < chain.FoldEvents {
		return nil, problem.New(problem.EventsNotRead, "")
	}
	// What is compared with the ledger's bytes is never nil, which is what was refused.
	body = append([]byte{}, body...)
	record, _, bad := chain.EventOf(header, body)
	var keys activity.Keys
	if workspace == "" && bad == nil && activity.Scan(record, &keys) == nil {
		workspace = strings.Clone(keys.Workspace)
	}
	b := newBatch(workspace, [][]byte{record}, false, func(_ []byte, keys *activity.Keys) ([]byte, string) { return body, strings.Clone(keys.ID) })
	s.strict(b, [][]byte{record}, false)
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
