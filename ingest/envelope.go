package ingest

import (
	"strconv"

	"github.com/nats-io/nats.go"

	"annals/ledger/chain"
)

// Headers of an atomic batch (nats-server 2.12 and later, ADR-50 of NATS).
const (
	headerBatch    = "Nats-Batch-Id"
	headerSequence = "Nats-Batch-Sequence"
	headerCommit   = "Nats-Batch-Commit"
)

// envelope is what a message is sent in. The connection copies what it is given,
// so one envelope serves them all.
type envelope struct {
	msg     nats.Msg
	scratch []byte
	id      []string // the batch's
	ndjson  []string
	commit  []string
	numbers [][]string // "1", "2", …
}

func newEnvelope() envelope {
	return envelope{
		msg: nats.Msg{Header: nats.Header{}},
		id:  []string{""}, ndjson: []string{chain.NDJSON}, commit: []string{"1"},
	}
}

// address prepares a message for sending, as the i-th, or last, of a batch unless
// that is "". What it returns is valid until the next is prepared.
func (e *envelope) address(m *message, batch string, i int, last bool) *nats.Msg {
	e.msg.Subject, e.msg.Reply = m.subject, ""
	e.msg.Data, e.scratch = m.body(e.scratch)
	clear(e.msg.Header)
	if m.ndjson() {
		e.msg.Header["Content-Type"] = e.ndjson
	}
	if e.id[0] = batch; batch != "" {
		for len(e.numbers) <= i {
			e.numbers = append(e.numbers, []string{strconv.Itoa(len(e.numbers) + 1)})
		}
		e.msg.Header[headerBatch], e.msg.Header[headerSequence] = e.id, e.numbers[i]
		if last { // it commits the batch
			e.msg.Header[headerCommit] = e.commit
		}
	}
	return &e.msg
}
