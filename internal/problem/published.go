package problem

// Under is the problem under the code that a published system has for it, which is a row
// of the table too. What was said of it stays, the headers with it.
func (p *Problem) Under(code Code) *Problem {
	other := New(code, "%s", p.Detail).With(p.Errors...).From(p.cause)
	other.header = p.GetHeaders()
	return other
}

// The codes of the activity-tracking backend, as it publishes them.
const (
	trackingInvalidInput Code = "INVALID_INPUT"
	trackingInvalidEvent Code = "INVALID_ACTIVITY_EVENT"
	trackingUnauthorized Code = "UNAUTHORIZED"
	trackingFailed       Code = "ACTIVITY_RECORD_FAILED"
	trackingUnavailable  Code = "ACTIVITY_RECORDER_UNAVAILABLE"
)
