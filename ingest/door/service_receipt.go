package door

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"annals/internal/problem"
	"annals/ledger/chain"
	"annals/ledger/proof"

	"github.com/go-json-experiment/json"
	"github.com/oklog/ulid/v2"
)

// ReceiptRequest is the body of a request on [SubjectReceipt]. It names an entry by
// its ULID, or by the sequence and place of an acknowledgement.
type ReceiptRequest struct {
	Workspace string  `json:"workspace,omitzero"` // where the subject doesn't name it
	ULID      string  `json:"ulid,omitzero"`
	Sequence  *uint64 `json:"sequence,omitzero"` // of the message in the stream
	Place     uint16  `json:"place,omitzero"`    // of the record in the message, from 0

	// SHA256 is the digest, in hexadecimal, of what was published: of the record, or
	// of the body that the door made of it. Without it, or with another's, the
	// receipt shows the entry alone, or there is none ([ServiceOptions.OnlyKnown]).
	SHA256 string `json:"sha256,omitzero"`
	// Payload asks for what was published beside the salt.
	Payload bool `json:"payload,omitzero"`
}

// maxReceiptRequest bounds a request.
const maxReceiptRequest = 4 << 10

// parseReceiptRequest reads a request; named is the workspace that its subject
// names, "" for none.
func parseReceiptRequest(named string, b []byte) (q ReceiptRequest, digest []byte, err error) {
	invalid := func(format string, args ...any) (ReceiptRequest, []byte, error) {
		return q, nil, problem.New(problem.InvalidBody, format, args...)
	}
	if len(b) > maxReceiptRequest {
		return invalid("the request has %d bytes, the most is %d", len(b), maxReceiptRequest)
	}
	if err := json.Unmarshal(b, &q, json.RejectUnknownMembers(true)); err != nil {
		return invalid("the request is no JSON object of workspace, ulid or sequence and place, sha256, payload: %s", problem.Misread(err))
	}
	switch {
	case named != "" && q.Workspace != "" && q.Workspace != named:
		return q, nil, problem.New("workspace_mismatch", "the subject names the workspace %s, the request another", named)
	case named != "":
		q.Workspace = named
	case q.Workspace == "":
		return q, nil, problem.New("missing_workspace", "name the workspace in the request or behind the subject")
	}
	if err := legal(q.Workspace); err != nil {
		return q, nil, err
	}
	if (q.ULID == "") == (q.Sequence == nil) {
		return invalid("name an entry by its ulid, or by sequence and place, and not by both")
	}
	digest, err = hex.DecodeString(q.SHA256)
	if err != nil || len(digest) != 0 && len(digest) != sha256.Size {
		return invalid("sha256 is 64 hexadecimal digits")
	}
	return q, digest, nil
}

// receipt answers with the receipt of an entry, as text.
func (s *Service) receipt(ctx context.Context, q *ReceiptRequest, digest []byte) ([]byte, string, error) {
	index, err := s.find(ctx, q, digest)
	if err != nil {
		return nil, "", err
	}
	if s.o.Receipts == nil {
		return nil, "", problem.New(problem.NoCheckpoint, "").From(errors.New("this service gives no receipts"))
	}
	receipts, _, err := s.o.Receipts(ctx, []uint64{index}, true, proof.Recorded)
	if err != nil {
		return nil, "", err
	}
	return shown(receipts[0], digest, q.Payload).Text(), "text/plain; charset=utf-8", nil
}

// shown is as much of a receipt as may be shown to somebody who knows a digest.
func shown(r *proof.Receipt, digest []byte, payload bool) *proof.Receipt {
	switch {
	case !knows(r, digest):
		r = r.WithoutPayload()
		r.Salt = nil
	case !payload:
		r = r.WithoutPayload()
	}
	return r
}

func knows(r *proof.Receipt, digest []byte) bool {
	if r.Payload == nil || len(digest) != sha256.Size {
		return false
	}
	leaf := r.Leaf()
	_, record := leaf.Record()
	want := [sha256.Size]byte(digest)
	return sha256.Sum256(r.Payload.Body) == want || record != nil && sha256.Sum256(record) == want
}

// find finds the entry that a request names. Another workspace's isn't told from
// none, nor, with OnlyKnown, one of which the digest is not known: that is seen here,
// before a checkpoint is waited for.
func (s *Service) find(ctx context.Context, q *ReceiptRequest, digest []byte) (index uint64, err error) {
	absent := func(what string) error {
		return problem.New(problem.NoSuchRecord, "the workspace has no entry %s", what)
	}
	var e chain.Entry
	tag := s.o.Tag(q.Workspace) // before it is known whether there is one: the same work for all
	var leaf chain.Leaf         // where it is needed
	var what string
	switch {
	case q.ULID != "":
		id, err := ulid.ParseStrict(q.ULID)
		if err != nil {
			return 0, problem.New(problem.InvalidBody, "ulid: 26 characters of Crockford's base 32, the first at most 7")
		}
		what = q.ULID
		_, index := chain.SplitULID(id)
		leaf, _, err = s.o.Get(index)
		if errors.Is(err, s.o.Absent) || err == nil && leaf.Entry.ULID != id {
			return 0, absent(what)
		} else if err != nil {
			return 0, err
		}
		e = leaf.Entry
	default:
		what = fmt.Sprintf("of place %d of message %d", q.Place, *q.Sequence)
		receipt, err := s.folded(ctx, *q.Sequence, q.Place)
		if errors.Is(err, s.o.Absent) {
			return 0, absent(what)
		} else if err != nil {
			return 0, err
		}
		e = receipt.Entry
	}
	if e.Workspace != tag {
		return 0, absent(what)
	}
	if !s.o.OnlyKnown {
		return e.Index, nil
	}
	if q.ULID == "" {
		if leaf, _, err = s.o.Get(e.Index); err != nil {
			return 0, err
		}
	}
	if !knows(proof.NewReceipt(chain.Hash{}, &leaf, true), digest) {
		return 0, absent(what)
	}
	return e.Index, nil
}

// folded waits for an entry, if its message is in the stream. For one that isn't
// nobody waits: sequences that may never come must hold no place.
func (s *Service) folded(ctx context.Context, sequence uint64, place uint16) (chain.Receipt, error) {
	now, cancel := context.WithCancel(ctx)
	cancel() // what is folded already is found without waiting
	receipt, err := s.o.Await(now, sequence, place)
	if err == nil || errors.Is(err, s.o.Absent) {
		return receipt, err
	}
	wait, cancel := context.WithTimeout(ctx, s.o.FoldTimeout)
	defer cancel()
	switch there, err := s.end.reaches(wait, sequence); {
	case err != nil:
		return receipt, problem.New(problem.NotYetRecorded, "whether the stream has message %d could not be asked; ask again", sequence).From(err)
	case !there:
		return receipt, problem.New(problem.NoSuchRecord, "the stream has no message %d yet; ask for one that was acknowledged", sequence)
	}
	receipt, err = s.o.Await(wait, sequence, place)
	switch {
	case err == nil, errors.Is(err, s.o.Absent):
		return receipt, err
	case wait.Err() != nil:
		return receipt, problem.New(problem.NotYetRecorded, "").From(err)
	}
	return receipt, problem.New(problem.RecordingStopped, "").From(err)
}
