package face

// Refusal says why a request is not one that a published system takes.
type Refusal struct {
	// Code is what the published system calls it, "" where it has no name for it.
	Code    string
	Pointer string // RFC 6901, into the body; "" is all of it
	Detail  string // what is wrong there, and what to do
}

// Error returns "code at pointer: detail".
func (r *Refusal) Error() string {
	s := r.Detail
	if r.Pointer != "" {
		s = "at " + r.Pointer + ": " + s
	}
	if r.Code != "" {
		s = r.Code + ": " + s
	}
	return s
}
