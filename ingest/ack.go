package ingest

import (
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
)

// Errors of publishing. Unless one says that the record was not accepted, it may be
// in the stream: publish it again with the same id and the ledger keeps one.
var (
	// ErrPending: the caller stopped waiting; the publisher has not. Why it has not
	// come to an end is wrapped too, where it is known.
	ErrPending = errors.New("ingest: the record is still on its way and the publisher goes on trying; to publish it again, use the same id")
	// ErrUnknown: no acknowledgement came, which says nothing about the record.
	ErrUnknown = errors.New("ingest: no acknowledgement came, so the record may or may not be in the stream; publish it again with the same id")
	// ErrStreamFull: the stream is at its size limit, or the server's disk is full.
	ErrStreamFull = errors.New("ingest: the stream is full and takes no more records; raise its max_bytes, make room on the server's disk, or let the ledger trim what it has folded")
	// ErrNoServer: nothing answers for the subject.
	ErrNoServer = errors.New("ingest: nothing answers on the record's subject; check the server's address and account, that this account imports the subject, and that `annals serve` has made the stream")
	// ErrSuppressed: the server took a message for one it has, by its Nats-Msg-Id,
	// a header that this package never sets.
	ErrSuppressed = errors.New("ingest: the server dropped the message as a duplicate, so the record was not accepted; remove whatever adds a Nats-Msg-Id header on the way")
	// ErrRefused: the server answered with an error that trying again won't mend.
	ErrRefused = errors.New("ingest: the server refused the record, so it was not accepted")
	// ErrTooLarge: the record doesn't fit in one message.
	ErrTooLarge = errors.New("ingest: the record is larger than the server takes in one message, so it was not accepted; make it smaller, or raise the server's max_payload")
	// ErrSubject: the workspace or type can't stand in a subject.
	ErrSubject = errors.New("ingest: no record can stand under this subject, so it was not accepted; a workspace is 1-64 of A-Z a-z 0-9 _ - and does not begin with _, a type is 1-128 of A-Z a-z 0-9 _ . -")
	// ErrEmpty: there is no record.
	ErrEmpty = errors.New("ingest: an empty record, which was not accepted; a record is a JSON object")
	// ErrClosed: the publisher was closed before the record was sent.
	ErrClosed = errors.New("ingest: the publisher is closed and the record was not accepted")
)

// Ack is the stream's acknowledgement of one record: it is accepted, synced to
// the disk, and will become an entry. Sequence and Place are what that entry will
// name, so they are what to wait for at the ledger.
type Ack struct {
	Sequence uint64 // of the message in the stream
	Place    uint16 // 0-based place of the record in the message
	Count    uint16 // records in the message
	// ID is the id that the publisher gave a record that had none; else "".
	ID string
}

// The server's error codes that pass.
const (
	codeNoResources   = 10023 // insufficient resources
	codeNotAvailable  = 10008 // JetStream system temporarily unavailable
	codeStorage       = 10047 // insufficient storage resources available
	codeStoreFailed   = 10077 // the store's own error, "maximum bytes exceeded" among others
	codeAccountFull   = 10002 // resource limits exceeded for account
	codeNotLeader     = 10009 // JetStream cluster can not handle request
	codeNoPeers       = 10005 // no suitable peers
	codeBatchPartial  = 10176 // atomic publish batch is incomplete
	codeBatchInflight = 10210 // too many atomic batches in flight
	codeStreamOffline = 10118 // stream is offline
	codeWrongLast     = 10071 // wrong last sequence: N
	codeWrongLastAny  = 10164 // wrong last sequence
)

// pubAck is the body of an acknowledgement.
type pubAck struct {
	Error     *apiError `json:"error"`
	Stream    string    `json:"stream"`
	Sequence  uint64    `json:"seq"`
	Duplicate bool      `json:"duplicate"`
	Count     uint64    `json:"count"`
}

// readAck reads the answer to a message or to the last one of a batch. Its error
// wraps one of those above; passes reports whether trying again may help.
func readAck(m *nats.Msg) (ack pubAck, passes bool, err error) {
	if len(m.Data) == 0 && m.Header.Get("Status") == "503" {
		return ack, true, ErrNoServer
	}
	if err := json.Unmarshal(m.Data, &ack); err != nil {
		return ack, true, fmt.Errorf("%w: an answer that is no acknowledgement: %w", ErrUnknown, err)
	}
	switch e := ack.Error; {
	case e == nil && ack.Duplicate:
		return ack, false, ErrSuppressed
	case e == nil && (ack.Stream == "" || ack.Sequence == 0):
		return ack, true, fmt.Errorf("%w: an answer that is no acknowledgement", ErrUnknown)
	case e == nil:
		return ack, false, nil
	default:
		switch e.Number {
		case codeStoreFailed:
			// The store's own words; a server that is stopping says it is closed.
			if strings.HasPrefix(e.Description, "maximum ") {
				return ack, true, fmt.Errorf("%w: %w", ErrStreamFull, e)
			}
			return ack, true, fmt.Errorf("%w: %w", ErrUnknown, e)
		case codeNoResources, codeStorage, codeAccountFull:
			return ack, true, fmt.Errorf("%w: %w", ErrStreamFull, e)
		case codeNoPeers, codeNotAvailable, codeNotLeader, codeStreamOffline, codeBatchPartial, codeBatchInflight:
			return ack, true, fmt.Errorf("%w: %w", ErrUnknown, e)
		}
		return ack, e.Status >= 500, fmt.Errorf("%w: %w", ErrRefused, e)
	}
}
