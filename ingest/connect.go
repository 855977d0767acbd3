package ingest

import (
	"errors"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
)

// ConnOptions are the connection's settings that the [Publisher] and the
// [Reader] work best with; append those that say who you are. They reconnect for
// ever, and don't hold back what is published while there is no connection: the
// publisher sends again by itself, and half an atomic batch sent late is none.
// log may be nil.
func ConnOptions(name string, log *slog.Logger) []nats.Option {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return []nats.Option{
		nats.Name(name),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(100 * time.Millisecond),
		nats.ReconnectJitter(50*time.Millisecond, 500*time.Millisecond),
		nats.ReconnectBufSize(-1),
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) {
			if errors.Is(err, nats.ErrBadHeaderMsg) {
				// Somebody published it, and it is an entry like any other.
				log.Debug("a message with a malformed header block", "error", err)
				return
			}
			log.Warn("NATS connection", "error", err)
		}),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log.Warn("NATS connection lost; reconnecting", "error", err)
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			log.Info("NATS connection is back", "server", nc.ConnectedUrlRedacted())
		}),
	}
}
