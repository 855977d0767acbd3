package query

import (
	"context"
	"net/http"
	"time"

	"annals/internal/problem"
	"annals/ledger/proof"
)

// HeaderGrade says how well a receipt is founded: recorded, or witnessed.
const HeaderGrade = "Annals-Grade"

// witnessTimeout is how long who waits for witnesses waits at the most: they are not
// ours, and may be down.
const witnessTimeout = 20 * time.Second

// Witnesses is what the API knows of witnesses. Functions that are nil: there are
// none.
type Witnesses struct {
	// Last returns the last checkpoint that meets the policy of witnesses, with their
	// cosignatures; size 0 while there is none.
	Last func() (size uint64, note []byte)
	// Await returns the first of at least that size; it waits as long as ctx allows.
	Await func(ctx context.Context, size uint64) (note []byte, err error)
	// Dress adds to a checkpoint of a size the cosignatures that are there by now.
	Dress func(size uint64, note []byte) []byte
	// Status is served in /v1/ledger.
	Status func() *Witnessing
	// Timeout is how long a receipt waits for them. 0: 20 s.
	Timeout time.Duration
}

// Witnessing is how far witnesses have cosigned.
type Witnessing struct {
	Size      uint64          `json:"size" doc:"Entries of the last checkpoint that enough of them cosigned; /witnessed has it. 0: there is none yet."`
	Need      string          `json:"need" doc:"What the server's policy asks for."`
	Error     string          `json:"error,omitzero" doc:"Why no cosignatures are collected."`
	Witnesses []WitnessStatus `json:"witnesses" nullable:"false" doc:"Those that are asked."`
}

// WitnessStatus is one of them.
type WitnessStatus struct {
	Name  string `json:"name" doc:"That it has in the policy."`
	Size  uint64 `json:"size" doc:"Entries of the last checkpoint that it cosigned."`
	Error string `json:"error,omitzero" doc:"Why it cosigned none since."`
}

// last is the last checkpoint that meets the policy; size 0 when there is none.
func (w *Witnesses) last() (size uint64, note []byte) {
	if w.Last == nil {
		return 0, nil
	}
	return w.Last()
}

// dress adds the cosignatures that are there.
func (w *Witnesses) dress(size uint64, note []byte) []byte {
	if w.Dress == nil {
		return note
	}
	return w.Dress(size, note)
}

// witnessed answers with the last checkpoint that enough witnesses cosigned.
func (a *API) witnessed(w http.ResponseWriter, _ *http.Request, _ *filter) error {
	size, note := a.o.Witnesses.last()
	if size == 0 {
		return problem.New(problem.NotWitnessed, "")
	}
	w.Header().Set("Cache-Control", "no-cache")
	return write(w, plainText, note)
}

// best returns a checkpoint of a tree that has an entry, and how well it is founded.
// One that is witnessed comes before a later one that isn't. Where the caller asks
// for a witnessed one it waits for that, but not for ever: what it gets then is what
// it would have got without asking.
func (a *API) best(ctx context.Context, index uint64, ask proof.Grade) (proof.Checkpoint, proof.Grade, error) {
	if size, note := a.o.Witnesses.last(); size > index {
		c, err := proof.ParseCheckpoint(note)
		return c, proof.Witnessed, err
	}
	recorded, err := a.covering(ctx, index)
	if err != nil || ask != proof.Witnessed || a.o.Witnesses.Await == nil {
		return recorded, proof.Recorded, err
	}
	ctx, cancel := context.WithTimeout(ctx, a.o.Witnesses.Timeout)
	defer cancel()
	note, err := a.o.Witnesses.Await(ctx, index+1)
	if err != nil {
		return recorded, proof.Recorded, nil // it is recorded all the same, and the grade says no more
	}
	c, err := proof.ParseCheckpoint(note)
	return c, proof.Witnessed, err
}
