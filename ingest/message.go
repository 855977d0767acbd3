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

	"annals/ledger/chain"
)

// ackPrefix begins the reply subject of every message that a consumer delivers.
const ackPrefix = "$JS.ACK."

// errNotDelivered is a message without the reply of a delivered one.
var errNotDelivered = errors.New("ingest: a message without JetStream's delivery subject")

// delivered reads a message that a consumer delivered. Its sequence and timestamp
// stand in the reply subject, which has nine tokens, or two more (domain and
// account) after the second, and perhaps further ones at the end.
//
//	$JS.ACK.<stream>.<consumer>.<deliveries>.<sequence>.<consumer's>.<time>.<pending>
func delivered(m *nats.Msg) (chain.Message, error) {
	rest, ok := strings.CutPrefix(m.Reply, ackPrefix)
	if !ok {
		return chain.Message{}, errNotDelivered
	}
	skip := 3
	if strings.Count(rest, ".") > 6 {
		skip += 2
	}
	for range skip {
		_, rest, _ = strings.Cut(rest, ".")
	}
	sequence, rest, _ := strings.Cut(rest, ".")
	_, rest, _ = strings.Cut(rest, ".")
	stamp, _, _ := strings.Cut(rest, ".")
	seq, err := strconv.ParseUint(sequence, 10, 64)
	if err != nil {
		return chain.Message{}, errNotDelivered
	}
	at, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return chain.Message{}, errNotDelivered
	}
	return chain.Message{Subject: m.Subject, Header: headers(m.Header), Body: m.Data, Sequence: seq, Time: at}, nil
}

// headers drops an empty map: no header, an empty block and a malformed one are
// the same to the fold. nats.go gives a malformed block no map.
func headers(h nats.Header) map[string][]string {
	if len(h) == 0 {
		return nil
	}
	return h
}

// errNoMessage is the leader's word that it has no message at a sequence.
var errNoMessage = errors.New("ingest: the leader has no such message")

// codeNoMessage is the server's error code of it.
const codeNoMessage = 10037

// get fetches one message by sequence from the stream's leader.
func get(ctx context.Context, nc *nats.Conn, sequence uint64) (chain.Message, error) {
	return fetch(ctx, nc, Stream, sequence, fmt.Appendf(nil, `{"seq":%d}`, sequence))
}

// following fetches the first message at a sequence or behind it whose subject is
// one that the pattern stands for, from the stream's leader.
func following(ctx context.Context, nc *nats.Conn, sequence uint64, pattern string) (chain.Message, error) {
	return fetch(ctx, nc, Stream, sequence, fmt.Appendf(nil, `{"seq":%d,"next_by_subj":%q}`, max(sequence, 1), pattern))
}

// fetch asks a stream's leader for one message. The jetstream package's own call
// fails on a message with a malformed header block, which anyone may publish, so
// the answer is read here.
func fetch(ctx context.Context, nc *nats.Conn, stream string, sequence uint64, request []byte) (chain.Message, error) {
	m, err := requestOnce(ctx, nc, "$JS.API.STREAM.MSG.GET."+stream, request)
	if err != nil {
		return chain.Message{}, fmt.Errorf("ingest: message %d: %w", sequence, err)
	}
	var answer struct {
		Error   *apiError `json:"error"`
		Message struct {
			Subject  string    `json:"subject"`
			Sequence uint64    `json:"seq"`
			Header   []byte    `json:"hdrs"`
			Data     []byte    `json:"data"`
			Time     time.Time `json:"time"`
		} `json:"message"`
	}
	if err := json.Unmarshal(m.Data, &answer); err != nil {
		return chain.Message{}, fmt.Errorf("ingest: message %d: the server's answer: %w", sequence, err)
	}
	if e := answer.Error; e != nil {
		if e.Number == codeNoMessage {
			return chain.Message{}, errNoMessage
		}
		return chain.Message{}, fmt.Errorf("ingest: message %d: %w", sequence, e)
	}
	out := chain.Message{Subject: answer.Message.Subject, Body: answer.Message.Data, Sequence: answer.Message.Sequence, Time: answer.Message.Time.UnixNano()}
	if len(answer.Message.Header) > 0 {
		if h, err := nats.DecodeHeadersMsg(answer.Message.Header); err == nil {
			out.Header = headers(h)
		}
	}
	return out, nil
}

// requestOnce asks once, and gives up after five seconds even where the caller's
// context would wait for ever: a question lost with a server is never answered.
func requestOnce(ctx context.Context, nc *nats.Conn, subject string, body []byte) (*nats.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return nc.RequestWithContext(ctx, subject, body)
}

// apiError is an error as JetStream's API and its acknowledgements carry it.
type apiError struct {
	Status      int    `json:"code"`
	Number      int    `json:"err_code"`
	Description string `json:"description"`
}

func (e *apiError) Error() string {
	return fmt.Sprintf("the NATS server says: %s (%d)", e.Description, e.Number)
}
