package door_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"annals/ingest"
	"annals/ingest/door"
	"annals/ledger/chain"

	"github.com/nats-io/nats.go"
)

// TestEventThatIsNotTaken: what keeps an event from the stream is answered as it is of a
// record: that recording has stopped, or else that it may be tried again.
func TestEventThatIsNotTaken(t *testing.T) {
	s := reply(t)
	s.options.FoldVersion = func() uint16 { return chain.FoldEvents }
	for name, c := range map[string]struct {
		err  error
		code string
	}{
		"stopped":   {fmt.Errorf("%w: secret", door.ErrStopped), "not_recording"},
		"no answer": {fmt.Errorf("%w: secret", ingest.ErrUnknown), "unavailable"},
		"full":      {ingest.ErrStreamFull, "stream_full"},
		"too large": {ingest.ErrTooLarge, "publish_refused"},
		"whatever":  {errors.New("secret"), "unavailable"},
	} {
		s.service.Close()
		s.event = func(context.Context, string, nats.Header, []byte) (ingest.Ack, error) { return ingest.Ack{}, c.err }
		s.serve()
		_, p := s.request(door.SubjectRecord+".ws_7", `{}`,
			"ce-specversion", "1.0", "ce-id", "e1", "ce-source", "/s", "ce-type", "a.b", "ce-authtype", "system", "Content-Type", "application/json")
		if p == nil || string(p.Code) != c.code {
			t.Errorf("%s: %v, want %s", name, p, c.code)
		}
	}
}
