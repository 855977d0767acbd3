package ingest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// durabilitySubject asks every server for its JetStream settings. It belongs to
// the system account; the configurations that come with Annals let the ledger's
// account ask, and nothing more.
const durabilitySubject = "$SYS.REQ.SERVER.PING.JSZ"

// NotDurableError names the servers of the stream that acknowledge before they
// sync: with the server's default of two minutes a power cut takes every record
// acknowledged since, from all replicas if they share the power.
type NotDurableError struct {
	Servers  []string
	Interval time.Duration // the longest interval seen
}

func (e *NotDurableError) Error() string {
	return fmt.Sprintf("ingest: NATS server %s syncs its streams every %s, not before it acknowledges, so a power cut loses acknowledged records; set `jetstream { sync_interval: always }` in its configuration and restart it",
		strings.Join(e.Servers, ", "), e.Interval)
}

// UnseenDurabilityError names the servers of the stream that did not show how
// they sync. That is no proof that they don't, only that nothing here can vouch
// for it.
type UnseenDurabilityError struct{ Servers []string }

func (e *UnseenDurabilityError) Error() string {
	return fmt.Sprintf("ingest: NATS server %s does not show whether it syncs before it acknowledges; let the ledger's account import the service %s from the system account, as ingest/broker/accounts.conf does, and check that its configuration says `sync_interval: always`",
		strings.Join(e.Servers, ", "), durabilitySubject)
}

// CheckDurability asks each server that holds the stream whether it syncs before
// it acknowledges. A *[NotDurableError] is one that says it doesn't; an
// *[UnseenDurabilityError] is one that can't be asked, because the account may
// not, or that doesn't answer within two seconds. A server that was started with
// other settings than its file now holds answers with those it runs by.
func CheckDurability(ctx context.Context, nc *nats.Conn) error {
	holders, err := streamHolders(ctx, nc)
	if err != nil {
		return err
	}
	answers, err := askServers(ctx, nc, holders)
	if err != nil {
		return err
	}
	var lazy NotDurableError
	var unseen []string
	for _, name := range holders {
		switch a, ok := answers[name]; {
		case !ok:
			unseen = append(unseen, name)
		case !a.SyncAlways:
			lazy.Servers = append(lazy.Servers, name)
			lazy.Interval = max(lazy.Interval, time.Duration(a.SyncInterval))
		}
	}
	if lazy.Servers != nil {
		return &lazy
	}
	if unseen != nil {
		return &UnseenDurabilityError{Servers: unseen}
	}
	return nil
}

// streamHolders names the servers that hold a replica of the stream.
func streamHolders(ctx context.Context, nc *nats.Conn) ([]string, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("ingest: JetStream: %w", err)
	}
	s, err := js.Stream(ctx, Stream)
	if err != nil {
		return nil, fmt.Errorf("ingest: stream %s: %w", Stream, err)
	}
	cluster := s.CachedInfo().Cluster
	if cluster == nil || cluster.Leader == "" {
		return []string{nc.ConnectedServerName()}, nil
	}
	holders := []string{cluster.Leader}
	for _, r := range cluster.Replicas {
		holders = append(holders, r.Name)
	}
	slices.Sort(holders)
	return slices.Compact(holders), nil
}

type syncSettings struct {
	SyncAlways   bool  `json:"sync_always"`
	SyncInterval int64 `json:"sync_interval"` // ns
}

// askServers gathers the answers of all servers until every holder has spoken.
func askServers(ctx context.Context, nc *nats.Conn, holders []string) (map[string]syncSettings, error) {
	inbox := nc.NewInbox()
	sub, err := nc.SubscribeSync(inbox)
	if err != nil {
		return nil, fmt.Errorf("ingest: asking for the servers' sync settings: %w", err)
	}
	defer sub.Unsubscribe() //nolint:errcheck // a closed connection has no subscription left
	if err := nc.PublishRequest(durabilitySubject, inbox, nil); err != nil {
		return nil, fmt.Errorf("ingest: asking for the servers' sync settings: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	answers := make(map[string]syncSettings)
	for len(answers) < len(holders) {
		m, err := sub.NextMsgWithContext(ctx)
		switch {
		case errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrNoResponders):
			return answers, nil
		case err != nil:
			return nil, fmt.Errorf("ingest: asking for the servers' sync settings: %w", err)
		}
		var a struct {
			Server struct {
				Name string `json:"name"`
			} `json:"server"`
			Data struct {
				Config syncSettings `json:"config"`
			} `json:"data"`
		}
		if json.Unmarshal(m.Data, &a) == nil && slices.Contains(holders, a.Server.Name) {
			answers[a.Server.Name] = a.Data.Config
		}
	}
	return answers, nil
}
