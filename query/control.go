package query

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"reflect"
	"time"

	"annals/internal/problem"
	"annals/ledger/chain"

	"github.com/danielgtaylor/huma/v2"
)

// Hole is a range of the stream that is missing, both ends too, and that no signed
// gap in the ledger admits.
type Hole struct {
	Epoch  uint32 `json:"epoch" doc:"Of the stream."`
	First  uint64 `json:"first" doc:"The first missing sequence of the stream."`
	Last   uint64 `json:"last" doc:"The last one."`
	Size   uint64 `json:"size" doc:"The ledger's entries before it: what a signed gap has to name."`
	Root   string `json:"root" doc:"The ledger's root there, in hexadecimal."`
	Folded bool   `json:"folded,omitzero" doc:"The gap has its entry and recording goes on, but its statement was rejected where it stands: it has to be signed again."`
}

// Submitted is the answer to a control message.
type Submitted struct {
	Status   string  `json:"status" enum:"recorded,accepted,rejected" doc:"recorded: it has an entry; accepted: it is in the stream, and not folded yet; rejected: it has an entry, which says that it was not let in."`
	Sequence uint64  `json:"sequence" doc:"Its sequence in the stream."`
	Index    *uint64 `json:"index,omitzero" doc:"Of its entry."`
	ULID     string  `json:"ulid,omitzero" doc:"Of its entry."`
	Code     string  `json:"code,omitzero" doc:"Why it was rejected."`
}

func submittedSchema(r huma.Registry) *huma.Schema {
	return r.Schema(reflect.TypeFor[Submitted](), true, "")
}

const (
	// maxControl is the largest control message that the fold reads.
	maxControl = chain.MaxBody
	// foldTimeout is how long the answer waits for the message's entry, where nothing
	// else is said.
	foldTimeout = 5 * time.Second
)

// submit publishes a control message that was signed elsewhere. It needs no other
// authority than its signatures: what they don't carry, no ledger lets in.
func (a *API) submit(w http.ResponseWriter, r *http.Request, _ *filter) error {
	if a.o.Submit == nil {
		return problem.New(problem.NotRecording, "")
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != octets {
		return problem.New(problem.UnsupportedMedia, "send the sealed control message as %s", octets)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxControl))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return problem.New(problem.TooLarge, "a control message has at most %d bytes", maxControl)
	case err != nil:
		return problem.New(problem.BadRequest, "the body did not arrive whole").From(err)
	}
	sequence, err := a.o.Submit(r.Context(), body)
	if err != nil {
		return err
	}
	out := Submitted{Status: "accepted", Sequence: sequence}
	ctx, cancel := context.WithTimeout(r.Context(), a.o.FoldTimeout)
	defer cancel()
	if receipt, err := a.o.Ledger.Await(ctx, sequence, 0); err == nil {
		out.Status, out.Index = "recorded", &receipt.Entry.Index
		out.ULID = receipt.Entry.ULID.String()
		if receipt.Entry.Kind == chain.KindRejection {
			out.Status = "rejected"
			out.Code, _ = chain.Reason(receipt.Entry.Code)
		}
	}
	return writeJSON(w, &out)
}
