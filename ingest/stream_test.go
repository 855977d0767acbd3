package ingest_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"annals/ingest"
	"annals/ingest/broker"
)

func TestEnsureStreamMakesOnce(t *testing.T) {
	s := start(t)
	s.say(t, "activity.ws_1.a", "{}")
	for range 2 {
		if err := ingest.EnsureStream(t.Context(), s.ledger, ingest.StreamOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if last := s.last(t); last != 1 {
		t.Fatalf("the stream was made anew: its last sequence is %d", last)
	}
}

// TestDrift changes one field of a stream that is as it must be, and expects that
// field, and no other, to be named.
func TestDrift(t *testing.T) {
	b, err := broker.Start(broker.Options{StoreDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	nc, err := b.Connect()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if err := ingest.EnsureStream(t.Context(), nc, ingest.StreamOptions{}); err != nil {
		t.Fatal(err)
	}
	made, err := js.Stream(t.Context(), ingest.Stream)
	if err != nil {
		t.Fatal(err)
	}
	right := made.CachedInfo().Config
	for _, c := range []struct {
		field     string
		want, got string
		change    func(*jetstream.StreamConfig)
		o         ingest.StreamOptions
	}{
		{field: "subjects", got: "[activity.> vouched.>]", change: func(c *jetstream.StreamConfig) { c.Subjects = []string{"vouched.>", "activity.>"} }},
		{field: "retention", got: "Interest", change: func(c *jetstream.StreamConfig) { c.Retention = jetstream.InterestPolicy }},
		{field: "storage", got: "Memory", change: func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage }},
		{field: "discard", got: "DiscardOld", change: func(c *jetstream.StreamConfig) { c.Discard = jetstream.DiscardOld }},
		{field: "max_msgs", want: "-1", got: "9", change: func(c *jetstream.StreamConfig) { c.MaxMsgs = 9 }},
		{field: "max_age", want: "0s", got: "1h0m0s", change: func(c *jetstream.StreamConfig) { c.MaxAge = time.Hour }},
		{field: "max_msgs_per_subject", got: "3", change: func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 3 }},
		{field: "max_msg_size", got: "1024", change: func(c *jetstream.StreamConfig) { c.MaxMsgSize = 1024 }},
		{field: "max_consumers", got: "7", change: func(c *jetstream.StreamConfig) { c.MaxConsumers = 7 }},
		{field: "duplicate_window", want: "100ms", got: "2m0s", change: func(c *jetstream.StreamConfig) { c.Duplicates = 2 * time.Minute }},
		{field: "allow_atomic", got: "false", change: func(c *jetstream.StreamConfig) { c.AllowAtomicPublish = false }},
		{field: "allow_direct", got: "true", change: func(c *jetstream.StreamConfig) { c.AllowDirect = true }},
		{field: "deny_delete", got: "true", change: func(c *jetstream.StreamConfig) { c.DenyDelete = true }},
		{field: "deny_purge", got: "true", change: func(c *jetstream.StreamConfig) { c.DenyPurge = true }},
		{field: "allow_rollup_hdrs", got: "true", change: func(c *jetstream.StreamConfig) { c.AllowRollup = true }},
		{field: "allow_msg_ttl", got: "true", change: func(c *jetstream.StreamConfig) { c.AllowMsgTTL = true }},
		{field: "no_ack", got: "true", change: func(c *jetstream.StreamConfig) { c.NoAck, c.AllowAtomicPublish = true, true }},
		{field: "republish", got: "true", change: func(c *jetstream.StreamConfig) {
			c.RePublish = &jetstream.RePublish{Source: "activity.>", Destination: "copy.>"}
		}},
		{field: "subject_transform", got: "true", change: func(c *jetstream.StreamConfig) {
			c.SubjectTransform = &jetstream.SubjectTransformConfig{Source: "activity.a.>", Destination: "activity.b.>"}
		}},
		{field: "max_bytes", want: "4096", got: "-1", change: func(*jetstream.StreamConfig) {}, o: ingest.StreamOptions{MaxBytes: 4096}},
		{field: "num_replicas", want: "3", got: "1", change: func(*jetstream.StreamConfig) {}, o: ingest.StreamOptions{Replicas: 3}},
	} {
		t.Run(c.field, func(t *testing.T) {
			config := right
			config.Metadata = nil
			c.change(&config)
			remake(t, js, config)
			var drift *ingest.DriftError
			if err := ingest.EnsureStream(t.Context(), nc, c.o); !errors.As(err, &drift) {
				t.Fatalf("got %v, want a DriftError", err)
			}
			if len(drift.Fields) != 1 || drift.Fields[0].Field != c.field || drift.Fields[0].Got != c.got || c.want != "" && drift.Fields[0].Want != c.want {
				t.Fatalf("got %+v", drift.Fields)
			}
			if !strings.Contains(drift.Error(), c.field) {
				t.Errorf("the error does not name the field: %v", drift)
			}
		})
	}
}

// remake makes the stream anew with another configuration.
func remake(t *testing.T, js jetstream.JetStream, config jetstream.StreamConfig) {
	t.Helper()
	if err := js.DeleteStream(t.Context(), ingest.Stream); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Fatal(err)
	}
	afterDeleting(t, func() error {
		_, err := js.CreateStream(t.Context(), config)
		return err
	})
}

// afterDeleting makes a stream where one was. The server is still deleting the old
// one's folder when it says that it is gone, and can't make the new one's before.
func afterDeleting(t *testing.T, make func() error) {
	t.Helper()
	const storeFails = 10049 // nats-server's JSStreamStoreFailedF
	for began := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		err := make()
		var api *jetstream.APIError
		if err == nil {
			return
		}
		if !errors.As(err, &api) || api.ErrorCode != storeFails || time.Since(began) > time.Minute {
			t.Fatal(err)
		}
	}
}

// TestAsyncPersistenceIsRefused: this persist mode acknowledges before it writes,
// and the server does not allow it beside atomic publishing, so it drifts in two.
func TestAsyncPersistenceIsRefused(t *testing.T) {
	s := start(t)
	remake(t, s.js, jetstream.StreamConfig{
		Name: ingest.Stream, Subjects: ingest.Subjects, Discard: jetstream.DiscardNew,
		Duplicates: 100 * time.Millisecond, PersistMode: jetstream.AsyncPersistMode,
	})
	var drift *ingest.DriftError
	if err := ingest.EnsureStream(t.Context(), s.ledger, ingest.StreamOptions{}); !errors.As(err, &drift) {
		t.Fatalf("got %v, want a DriftError", err)
	}
	if !strings.Contains(drift.Error(), "persist_mode is Async") {
		t.Errorf("got %v", drift)
	}
}

func TestDurability(t *testing.T) {
	t.Run("the embedded server syncs", func(t *testing.T) {
		s := start(t)
		if err := ingest.CheckDurability(t.Context(), s.ledger); err != nil {
			t.Fatal(err)
		}
	})
	lazy := func(t *testing.T, imports string) *nats.Conn {
		_, nc := plain(t, "a", `
			accounts {
				A { jetstream: enabled, users: [{user: a, password: a}], `+imports+` }
				SYS { exports: [{service: "$SYS.REQ.SERVER.PING.JSZ", response_type: stream}] }
			}
			system_account: SYS`)
		return nc
	}
	t.Run("a server with the default interval is refused", func(t *testing.T) {
		nc := lazy(t, `imports: [{service: {account: SYS, subject: "$SYS.REQ.SERVER.PING.JSZ"}}]`)
		var not *ingest.NotDurableError
		if err := ingest.CheckDurability(t.Context(), nc); !errors.As(err, &not) {
			t.Fatalf("got %v, want a NotDurableError", err)
		}
		if not.Interval != 2*time.Minute || len(not.Servers) != 1 || not.Servers[0] != "plain" {
			t.Errorf("got %+v", not)
		}
	})
	t.Run("an account that may not ask is told so", func(t *testing.T) {
		nc := lazy(t, "")
		var unseen *ingest.UnseenDurabilityError
		if err := ingest.CheckDurability(t.Context(), nc); !errors.As(err, &unseen) {
			t.Fatalf("got %v, want an UnseenDurabilityError", err)
		}
	})
}
