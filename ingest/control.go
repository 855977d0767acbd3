package ingest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"

	"annals/ledger/chain"
)

// Subjects of the two messages that begin a stream.
const (
	SubjectGenesis = RootControl + ".genesis"
	SubjectSeed    = RootControl + ".seed"
)

// Headers by which the server itself settles races (nats-server 2.15, JetStream's
// publish headers): the last sequence of the stream, or of a set of subjects.
const (
	headerLast        = "Nats-Expected-Last-Sequence"
	headerLastSubject = "Nats-Expected-Last-Subject-Sequence"
	headerLastOf      = "Nats-Expected-Last-Subject-Sequence-Subject"
)

// RaceError: another control message was published in the meantime, so this one
// was not accepted. Fold it, then decide anew.
type RaceError struct {
	Expected uint64 // the last control message's sequence, as the publisher knew it
	Last     uint64 // what the server says it is; 0 if it doesn't say
}

func (e *RaceError) Error() string {
	return fmt.Sprintf("ingest: the control message was not accepted: the last one in the stream is not at sequence %d any more (the server says %d); fold what came, then decide anew", e.Expected, e.Last)
}

// NotEmptyError: the stream holds messages already, so no ledger can begin in it.
type NotEmptyError struct {
	Last uint64 // the stream's last sequence; 0 if the server doesn't say
}

func (e *NotEmptyError) Error() string {
	return fmt.Sprintf("ingest: stream %s is not empty (its last sequence is %d), so no genesis was published: a ledger's genesis is its stream's first message; open the ledger that belongs to the stream, or give the new one a stream of its own", Stream, e.Last)
}

// PublishControl publishes a control message, framed and signed by the caller, if
// the stream holds no control message behind the one at sequence last (0: none at
// all). It returns the new one's sequence. A *[RaceError] says that it
// isn't; an error that wraps [ErrUnknown] leaves it open whether the message is in
// the stream, and the ledger's number in the statement settles that.
func PublishControl(ctx context.Context, nc *nats.Conn, subject string, body []byte, last uint64) (uint64, error) {
	if !strings.HasPrefix(subject, RootControl+".") {
		return 0, fmt.Errorf("ingest: a control message's subject begins with %s, unlike %q", RootControl, subject)
	}
	for expected := last; ; {
		ack, err := publishOnce(ctx, nc, &nats.Msg{Subject: subject, Data: body, Header: nats.Header{
			headerLastSubject: {strconv.FormatUint(expected, 10)},
			headerLastOf:      {RootControl + ".>"},
		}})
		wrong, ok := wrongLast(err)
		if !ok {
			return ack.Sequence, err
		}
		if wrong == 0 { // a cluster doesn't say
			if wrong, err = LastControl(ctx, nc); err != nil {
				return 0, err
			}
		}
		if wrong >= expected {
			return 0, &RaceError{Expected: last, Last: wrong}
		}
		// The message at last is no longer in the stream, lost or erased. What came
		// before it the publisher knows too, so nothing was published that it doesn't.
		expected = wrong
	}
}

// PublishGenesis publishes the two messages that begin a stream, both or none: the
// genesis, and seed 0. It returns their sequences. A *[NotEmptyError] says that
// the stream has begun already.
func PublishGenesis(ctx context.Context, nc *nats.Conn, genesis, seed []byte) (genesisAt, seedAt uint64, err error) {
	batch := nuid.Next()
	err = nc.PublishMsg(&nats.Msg{Subject: SubjectGenesis, Data: genesis, Header: nats.Header{
		headerBatch:    {batch},
		headerSequence: {"1"},
		headerLast:     {"0"},
	}})
	if err != nil {
		return 0, 0, fmt.Errorf("ingest: publishing the genesis: %w", err)
	}
	ack, err := publishOnce(ctx, nc, &nats.Msg{Subject: SubjectSeed, Data: seed, Header: nats.Header{
		headerBatch:    {batch},
		headerSequence: {"2"},
		headerCommit:   {"1"},
	}})
	if wrong, ok := wrongLast(err); ok {
		return 0, 0, &NotEmptyError{Last: wrong}
	}
	if err != nil {
		return 0, 0, err
	}
	return ack.Sequence - 1, ack.Sequence, nil
}

// LastSequence is the sequence of the last message that the stream ever had. Errors
// wrap [ErrNoStream] where there is no stream.
func LastSequence(ctx context.Context, nc *nats.Conn) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	s, err := lookUp(ctx, nc)
	if err != nil {
		return 0, err
	}
	return s.CachedInfo().State.LastSeq, nil
}

// LastControl is the sequence of the last control message in the stream, 0 when
// there is none.
func LastControl(ctx context.Context, nc *nats.Conn) (uint64, error) {
	m, err := requestOnce(ctx, nc, "$JS.API.STREAM.MSG.GET."+Stream, []byte(`{"last_by_subj":"`+RootControl+`.>"}`))
	if err != nil {
		return 0, fmt.Errorf("ingest: the last control message: %w", err)
	}
	var answer struct {
		Error   *apiError `json:"error"`
		Message struct {
			Sequence uint64 `json:"seq"`
		} `json:"message"`
	}
	if err := json.Unmarshal(m.Data, &answer); err != nil {
		return 0, fmt.Errorf("ingest: the last control message: the server's answer: %w", err)
	}
	switch e := answer.Error; {
	case e != nil && e.Number == codeNoMessage:
		return 0, nil
	case e != nil:
		return 0, fmt.Errorf("ingest: the last control message: %w", e)
	}
	return answer.Message.Sequence, nil
}

// publishOnce publishes a message and waits for its acknowledgement, and asks once.
func publishOnce(ctx context.Context, nc *nats.Conn, m *nats.Msg) (pubAck, error) {
	answer, err := nc.RequestMsgWithContext(ctx, m)
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return pubAck{}, ErrNoServer
	case err != nil:
		return pubAck{}, fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	ack, _, err := readAck(answer)
	return ack, err
}

// wrongLast finds in an error the server's word that an expectation doesn't hold,
// and the sequence that it names.
func wrongLast(err error) (last uint64, ok bool) {
	var e *apiError
	if !errors.As(err, &e) || e.Number != codeWrongLast && e.Number != codeWrongLastAny {
		return 0, false
	}
	_, number, _ := strings.Cut(e.Description, "sequence: ")
	last, _ = strconv.ParseUint(number, 10, 64)
	return last, true
}

// SubjectGap is where signed gaps are published. A reader that stands at a hole
// looks for them there, far behind it.
const SubjectGap = RootControl + ".gap"

// ControlsBehind returns the control messages on a subject, or a pattern of
// subjects, that stand in the stream behind a sequence, in order.
func ControlsBehind(ctx context.Context, nc *nats.Conn, subject string, sequence uint64) (messages []chain.Message, err error) {
	if !strings.HasPrefix(subject, RootControl+".") {
		return nil, fmt.Errorf("ingest: a control message's subject begins with %s, unlike %q", RootControl, subject)
	}
	for {
		m, err := following(ctx, nc, sequence+1, subject)
		if errors.Is(err, errNoMessage) {
			return messages, nil
		}
		if err != nil {
			return nil, err
		}
		messages = append(messages, m)
		sequence = m.Sequence
	}
}
