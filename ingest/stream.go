package ingest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Stream is the name of the stream that holds the log.
const Stream = "ANNALS"

// The roots of the stream's subjects (docs/format/messages.md).
const (
	RootActivity = "activity"       // producers publish here, themselves
	RootVouched  = "vouched"        // doors publish here, for a producer
	RootControl  = "annals.control" // the ledger's own signed statements
)

// Subjects are what the stream listens on.
var Subjects = []string{RootActivity + ".>", RootVouched + ".>", RootControl + ".>"}

// duplicateWindow is the smallest that the server allows. JetStream drops a
// message whose Nats-Msg-Id it saw within the window, across the whole stream:
// one tenant's id would suppress another's record, acknowledged and lost. The
// ledger tells duplicates apart by itself.
const duplicateWindow = 100 * time.Millisecond

// StreamOptions are the choices that are an operator's. A zero field is the
// default when the stream is made, and no opinion when it exists.
type StreamOptions struct {
	// Replicas is how many servers hold the stream: 1, 3 or 5; default 1.
	Replicas int
	// MaxBytes is the size at which the stream takes no more and producers wait;
	// default none: until the disk, or the account, is full.
	MaxBytes int64
}

// config is the stream as it has to be.
//
// No age and no count: what the ledger has not folded must not go. Discard new:
// a full stream refuses, an acknowledged record is never pushed out. No maximum
// message size: what is too large for a record becomes a rejection, with its
// evidence, rather than an error that only the producer sees. DenyDelete and
// DenyPurge stay off: they don't stop a stream's deletion, permissions do, and
// they would stop lawful erasure and the trimming of folded messages.
// AllowDirect stays off: any replica may answer a direct get, one that is behind
// too, and a hole must not be judged by that.
func (o StreamOptions) config() jetstream.StreamConfig {
	if o.Replicas == 0 {
		o.Replicas = 1
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = -1
	}
	return jetstream.StreamConfig{
		Name:               Stream,
		Description:        "annals: the log that the ledger is folded from; never trim it by age or count",
		Subjects:           Subjects,
		Retention:          jetstream.LimitsPolicy,
		MaxConsumers:       -1,
		MaxMsgs:            -1,
		MaxBytes:           o.MaxBytes,
		MaxMsgsPerSubject:  -1,
		MaxMsgSize:         -1,
		Discard:            jetstream.DiscardNew,
		Storage:            jetstream.FileStorage,
		Replicas:           o.Replicas,
		Duplicates:         duplicateWindow,
		AllowAtomicPublish: true,
		PersistMode:        jetstream.DefaultPersistMode,
	}
}

// EnsureStream makes the stream when there is none, and otherwise checks that it
// is configured as it must be: a *[DriftError] names each field that is not. It
// never changes a stream: a field that drifted has been changed by someone, or is
// older than this version, and either is an operator's to settle.
func EnsureStream(ctx context.Context, nc *nats.Conn, o StreamOptions) error {
	js, err := jetstream.New(nc)
	if err != nil {
		return fmt.Errorf("ingest: JetStream: %w", err)
	}
	s, err := js.Stream(ctx, Stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		s, err = js.CreateStream(ctx, o.config())
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			s, err = js.Stream(ctx, Stream) // another process was faster
		}
	}
	switch {
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return fmt.Errorf("ingest: this account of the server has no JetStream; connect as the ledger's user, in the account that holds the stream: %w", err)
	case err != nil:
		return fmt.Errorf("ingest: stream %s: %w", Stream, err)
	}
	return drifted(o, s)
}

// CheckStream is [EnsureStream] of a stream that has to be there: where there is
// none, the error wraps [ErrNoStream].
func CheckStream(ctx context.Context, nc *nats.Conn, o StreamOptions) error {
	s, err := lookUp(ctx, nc)
	if err != nil {
		return err
	}
	return drifted(o, s)
}

func drifted(o StreamOptions, s jetstream.Stream) error {
	if drift := compare(o, s.CachedInfo().Config); len(drift) > 0 {
		return &DriftError{Fields: drift}
	}
	return nil
}

// Drift is one field of the stream's configuration that is not as it must be.
// The names are those of the configuration's JSON, as `nats stream info` has them.
type Drift struct {
	Field     string
	Want, Got string
}

// DriftError says which fields of an existing stream are not as they must be.
type DriftError struct{ Fields []Drift }

func (e *DriftError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "ingest: stream %s is not configured as the ledger needs it:", Stream)
	for _, f := range e.Fields {
		fmt.Fprintf(&b, " %s is %s, not %s;", f.Field, f.Got, f.Want)
	}
	b.WriteString(" find out who changed it, then set it back with `nats stream edit` (a field that can't be edited needs a new stream under a new epoch)")
	return b.String()
}

// compare lists what differs between the stream as it must be and as it is.
func compare(o StreamOptions, got jetstream.StreamConfig) []Drift {
	want := o.config()
	var drift []Drift
	check := func(field string, w, g any) {
		if ws, gs := fmt.Sprint(w), fmt.Sprint(g); ws != gs {
			drift = append(drift, Drift{Field: field, Want: ws, Got: gs})
		}
	}
	check("name", want.Name, got.Name)
	check("subjects", sorted(want.Subjects), sorted(got.Subjects))
	check("retention", want.Retention, got.Retention)
	check("storage", want.Storage, got.Storage)
	check("discard", want.Discard, got.Discard)
	check("max_msgs", want.MaxMsgs, got.MaxMsgs)
	check("max_age", want.MaxAge, got.MaxAge)
	check("max_msgs_per_subject", want.MaxMsgsPerSubject, got.MaxMsgsPerSubject)
	check("discard_new_per_subject", false, got.DiscardNewPerSubject)
	check("max_msg_size", want.MaxMsgSize, got.MaxMsgSize)
	check("max_consumers", want.MaxConsumers, got.MaxConsumers)
	check("duplicate_window", want.Duplicates, got.Duplicates)
	check("allow_atomic", want.AllowAtomicPublish, got.AllowAtomicPublish)
	check("persist_mode", want.PersistMode, got.PersistMode)
	check("allow_direct", want.AllowDirect, got.AllowDirect)
	check("no_ack", false, got.NoAck)
	check("sealed", false, got.Sealed)
	check("deny_delete", false, got.DenyDelete)
	check("deny_purge", false, got.DenyPurge)
	// Each of these would let a message replace, expire or remake another.
	check("allow_rollup_hdrs", false, got.AllowRollup)
	check("allow_msg_ttl", false, got.AllowMsgTTL)
	check("allow_msg_counter", false, got.AllowMsgCounter)
	check("allow_msg_schedules", false, got.AllowMsgSchedules)
	check("allow_batched", false, got.AllowBatchPublish)
	// And these would bring messages in, or take them out, past the accounts.
	check("mirror", false, got.Mirror != nil)
	check("sources", 0, len(got.Sources))
	check("subject_transform", false, got.SubjectTransform != nil)
	check("republish", false, got.RePublish != nil)
	if o.Replicas != 0 {
		check("num_replicas", want.Replicas, got.Replicas)
	}
	if o.MaxBytes != 0 {
		check("max_bytes", want.MaxBytes, got.MaxBytes)
	}
	return drift
}

func sorted(s []string) []string {
	s = slices.Clone(s)
	slices.Sort(s)
	return s
}
