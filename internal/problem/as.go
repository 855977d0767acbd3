package problem

// As returns the problem that an error is, or an internal one that tells nothing of
// the cause: for answers that are no HTTP.
func As(err error) *Problem { return of(err) }
