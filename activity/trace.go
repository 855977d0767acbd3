package activity

import (
	"slices"
	"strings"
)

// Trace is what a request says of the trace that it belongs to, spelt as in the
// headers of W3C Trace Context.
type Trace struct {
	Parent string `json:"traceparent,omitzero"`
	State  string `json:"tracestate,omitzero"`
}

// Bounds of W3C Trace Context. Of a tracestate 512 bytes have to be passed on; a
// longer one may be dropped, and is.
const (
	traceparentBytes = 55
	maxTracestate    = 512
	maxStates        = 32
	maxStatePart     = 256
)

// TraceOf returns the trace that the headers of one request name: none, unless there
// is one traceparent and it is valid. Without it the tracestate means nothing. Values
// of tracestate are one list; when anything in that is invalid, there is none.
func TraceOf(traceparent, tracestate []string) Trace {
	if len(traceparent) != 1 {
		return Trace{}
	}
	if _, _, ok := ParseTraceparent(traceparent[0]); !ok {
		return Trace{}
	}
	t := Trace{Parent: traceparent[0], State: strings.Join(tracestate, ",")}
	if !validTracestate(t.State) {
		t.State = ""
	}
	return t
}

// ParseTraceparent returns the ids of the trace, in 32 digits, and of the span that
// sent the request, in 16 (W3C Trace Context, 3.2). It takes version 00 alone: digits
// in lower case, neither id all zeros.
func ParseTraceparent(s string) (trace, span string, ok bool) {
	if len(s) != traceparentBytes || s[:3] != "00-" || s[35] != '-' || s[52] != '-' {
		return "", "", false
	}
	trace, span = s[3:35], s[36:52]
	for _, digits := range [...]string{trace, span, s[53:]} {
		if strings.Trim(digits, "0123456789abcdef") != "" {
			return "", "", false
		}
	}
	if strings.Trim(trace, "0") == "" || strings.Trim(span, "0") == "" {
		return "", "", false
	}
	return trace, span, true
}

// validTracestate holds a list to W3C Trace Context Level 2, 3.3.1.
func validTracestate(s string) bool {
	if len(s) > maxTracestate {
		return false
	}
	var keys []string
	for member := range strings.SplitSeq(s, ",") {
		member = strings.Trim(member, " \t")
		if member == "" {
			continue // an empty member is allowed
		}
		key, value, _ := strings.Cut(member, "=")
		if !validStateKey(key) || !validStateValue(value) || slices.Contains(keys, key) {
			return false
		}
		keys = append(keys, key)
	}
	return len(keys) <= maxStates
}

func validStateKey(s string) bool {
	if s == "" || len(s) > maxStatePart || strings.IndexByte("_-*/@", s[0]) >= 0 {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && !strings.ContainsRune("_-*/@", r)
	})
}

// validStateValue is told a value without blanks at its end.
func validStateValue(s string) bool {
	if s == "" || len(s) > maxStatePart {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' || r == '=' })
}
