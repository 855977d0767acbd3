package query

import (
	"net/http"

	"annals/internal/problem"
)

const (
	plainText = "text/plain; charset=utf-8"
	octets    = "application/octet-stream"
)

// checkpoint answers with the last signed checkpoint: bytes that were signed, as
// they were signed, with the cosignatures that have come.
func (a *API) checkpoint(w http.ResponseWriter, _ *http.Request, _ *filter) error {
	size, note, err := a.signed()
	if err != nil {
		return err
	}
	note = a.o.Witnesses.dress(size, note)
	// It is another one a second later. Whoever keeps it asks whether it still is.
	w.Header().Set("Cache-Control", a.kept("no-cache"))
	return write(w, plainText, note)
}

// signed returns the last checkpoint, or the problem that there is none.
func (a *API) signed() (size uint64, note []byte, err error) {
	if a.o.Checkpoint != nil {
		size, note = a.o.Checkpoint()
	}
	if size == 0 {
		return 0, nil, problem.New(problem.NoCheckpoint, "")
	}
	return size, note, nil
}

// published is the size up to which tiles are served: what is served for ever is
// only what a signature stands for.
func (a *API) published() uint64 {
	if a.o.Checkpoint == nil {
		return a.o.Ledger.Head().Size
	}
	size, _ := a.o.Checkpoint()
	return size
}

// kept adds to a Cache-Control whose it is: behind access it is the asker's own, and
// no cache on the way keeps it.
func (a *API) kept(how string) string {
	if a.o.Access != nil {
		return "private, " + how
	}
	return how
}
