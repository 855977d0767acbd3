package query

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"time"

	"annals/internal/problem"
	"annals/ledger"
	"annals/ledger/chain"
	"annals/ledger/proof"

	"github.com/danielgtaylor/huma/v2"
	"golang.org/x/mod/sumdb/note"
)

// proofTimeout is how long a receipt waits for a checkpoint that covers its entry.
// One is signed within a second; a client that waits longer should know why.
const proofTimeout = 10 * time.Second

// proof answers with an entry's receipt.
func (a *API) proof(w http.ResponseWriter, r *http.Request, f *filter) error {
	leaf, hash, err := a.entryOf(f)
	if err != nil {
		return err
	}
	if f.proving.ask == proof.Witnessed { // before the tag, which says whether it is
		if _, _, err := a.best(r.Context(), leaf.Entry.Index, f.proving.ask); err != nil {
			return err
		}
	}
	if current(w, r, a.proofTag(f, &leaf, hash)) {
		return nil
	}
	receipts, grade, err := a.Receipts(r.Context(), []uint64{leaf.Entry.Index}, !f.proving.bare, proof.Recorded)
	if err != nil {
		return err
	}
	w.Header().Set(HeaderGrade, string(grade))
	return write(w, plainText, receipts[0].Text())
}

// noSuchRecord is what is said of an entry that is not there, of another
// workspace's, and of any in a workspace that the token doesn't name.
func noSuchRecord(f *filter) error {
	return problem.New(problem.NoSuchRecord, "the workspace has no entry %s; check the ULID and the workspace", f.ulid)
}

// entryOf reads the entry that a request names by its ULID. A ULID is guessable,
// so the workspace is compared as well; the refusal doesn't tell another
// workspace's entry from none.
func (a *API) entryOf(f *filter) (chain.Leaf, chain.Hash, error) {
	_, index := chain.SplitULID(f.ulid)
	tag := a.o.Ledger.Tag(f.workspace) // for every one: it costs more than the comparisons
	leaf, hash, err := a.o.Ledger.Get(index)
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		return leaf, hash, noSuchRecord(f)
	case err != nil:
		return leaf, hash, err
	case leaf.Entry.ULID != f.ulid, leaf.Entry.Workspace != tag:
		return leaf, hash, noSuchRecord(f)
	}
	return leaf, hash, nil
}

// Receipts returns a receipt of each of the entries, all under one published
// checkpoint, for which it waits, ten seconds at most, and how well that founds them:
// [proof.Recorded], or [proof.Witnessed], for which it waits longer when asked for.
// With payload they show what was published; see [proof.NewReceipt]. The errors are
// problems.
func (a *API) Receipts(ctx context.Context, indexes []uint64, payload bool, ask proof.Grade) ([]*proof.Receipt, proof.Grade, error) {
	if len(indexes) == 0 {
		return nil, proof.Recorded, nil
	}
	last := uint64(0)
	for _, index := range indexes {
		last = max(last, index)
	}
	signed, grade, err := a.best(ctx, last, ask)
	if err != nil {
		return nil, "", err
	}
	hashes, err := a.o.Ledger.Inclusions(indexes, signed.Size)
	if err != nil {
		return nil, "", err
	}
	out := make([]*proof.Receipt, 0, len(indexes))
	err = a.o.Ledger.GetMany(indexes, func(leaf *chain.Leaf, _ chain.Hash) error {
		receipt := proof.NewReceipt(a.o.Ledger.ID(), leaf, payload)
		receipt.Hashes, receipt.Checkpoint = hashes[len(out)], signed.Note
		out = append(out, receipt)
		return nil
	})
	return out, grade, err
}

// covering returns a published checkpoint of a tree that has an entry.
func (a *API) covering(ctx context.Context, index uint64) (proof.Checkpoint, error) {
	if a.o.Checkpoint != nil {
		if size, signed := a.o.Checkpoint(); size > index {
			return proof.ParseCheckpoint(a.o.Witnesses.dress(size, signed))
		}
	}
	uncovered := func(err error) error {
		return problem.New(problem.NoCheckpoint, "entry %d is recorded, but no published checkpoint covers it yet; try again, and if it lasts, /readyz says why none is signed", index).From(err)
	}
	if a.o.AwaitCheckpoint == nil {
		return proof.Checkpoint{}, uncovered(errors.New("this server signs no checkpoints"))
	}
	ctx, cancel := context.WithTimeout(ctx, a.o.ProofTimeout)
	defer cancel()
	signed, err := a.o.AwaitCheckpoint(ctx, index+1)
	if err != nil {
		return proof.Checkpoint{}, uncovered(err)
	}
	return proof.ParseCheckpoint(signed)
}

// proofTag changes when a receipt at hand would no longer do: when what stands
// beside the entry is gone, when witnesses have cosigned for the entry, or other keys
// sign. That a later checkpoint exists makes the earlier receipt no worse.
func (a *API) proofTag(f *filter, leaf *chain.Leaf, hash chain.Hash) string {
	h := a.tag("proof", f)
	h.Write(hash[:])
	witnessed, _ := a.o.Witnesses.last()
	h.Write([]byte{bit(f.proving.bare), bit(leaf.Payload != nil), bit(leaf.Original != nil), bit(witnessed > leaf.Entry.Index)})
	if a.o.Checkpoint == nil {
		return etag(h)
	}
	_, signed := a.o.Checkpoint() // as the ledger signed it
	var unverified *note.UnverifiedNoteError
	if _, err := note.Open(signed, note.VerifierList()); errors.As(err, &unverified) {
		for _, s := range unverified.Note.UnverifiedSigs {
			h.Write(appendText(nil, s.Name))
			h.Write([]byte{byte(s.Hash >> 24), byte(s.Hash >> 16), byte(s.Hash >> 8), byte(s.Hash)})
		}
	}
	return etag(h)
}

// Consistency is the answer of /v1/consistency.
type Consistency struct {
	From   uint64   `json:"from" doc:"The smaller tree's size."`
	To     uint64   `json:"to" doc:"The larger tree's."`
	Hashes [][]byte `json:"hashes" doc:"RFC 6962, 2.1.2: in this order, each in base64. None from 0, or between two equal sizes."`
}

func consistencySchema(r huma.Registry) *huma.Schema {
	return r.Schema(reflect.TypeFor[Consistency](), true, "")
}

// consistency answers with the proof that one tree begins with another.
func (a *API) consistency(w http.ResponseWriter, _ *http.Request, f *filter) error {
	from, to := f.proving.from, f.proving.to
	most := a.published()
	open := !f.proving.ends
	if open {
		to = most
	}
	switch {
	case to > most:
		return problem.Parameter("to", "size_not_published", "no checkpoint of that size is published yet; the last has the size of /checkpoint")
	case from > to:
		return problem.Parameter("from", "empty_range", "it must not be above to, which is the last checkpoint's size where it isn't given")
	}
	hashes, err := a.o.Ledger.Consistency(from, to)
	if err != nil {
		return err
	}
	out := Consistency{From: from, To: to, Hashes: proof.Listed(hashes)}
	if !open { // then it is the same for ever
		a.forever(w.Header())
	}
	return writeJSON(w, &out)
}
