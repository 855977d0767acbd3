package problem

import "errors"

// As returns the problem that an error is, or an internal one that tells nothing of
// the cause: for answers that are no HTTP.
func As(err error) *Problem { return of(err) }

// Is reports whether an error is a problem of a code.
func Is(err error, c Code) bool {
	p, ok := errors.AsType[*Problem](err)
	return ok && p.Code == c
}
