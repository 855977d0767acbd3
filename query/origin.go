package query

import (
	"net/http"
	"regexp"
	"slices"
	"strings"

	"annals/internal/problem"
)

// secure sets the headers by which browsers keep answers to themselves: nothing of
// them is a page, a frame, or another site's. The page of /docs says more of itself.
func secure(h http.Header, r *http.Request) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	if r.TLS != nil {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// What pages of the origins on the list may send and read (Fetch Standard, 3.2).
const (
	corsMethods = "GET, HEAD, POST, DELETE"
	corsHeaders = "Accept, Annals-Workspace, Authorization, Content-Encoding, Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID, X-Request-Id, traceparent, tracestate"
	corsExposed = "Accept-Encoding, Allow, Annals-Grade, Content-Disposition, ETag, Idempotency-Replayed, Link, Location, RateLimit, RateLimit-Policy, Retry-After, WWW-Authenticate, X-Request-Id"
	corsSeconds = "600"
)

// eventHeader is an attribute of a CloudEvent in binary mode (HTTP Protocol Binding for
// CloudEvents 1.0.2, 3.1.3). Extensions have names of their own, so no list has them all.
var eventHeader = regexp.MustCompile(`^(?i:ce-[a-z0-9]+)$`)

// maxEventHeaders is more than any event has attributes.
const maxEventHeaders = 64

// allowed are the headers that a page may send that asks for some: those of the list,
// and what it names of an event's.
func allowed(asked []string) string {
	list, n := corsHeaders, 0
	for name := range strings.SplitSeq(strings.Join(asked, ","), ",") {
		if name = strings.TrimSpace(name); eventHeader.MatchString(name) && n < maxEventHeaders {
			list += ", " + name
			n++
		}
	}
	return list
}

// cors lets the pages of the origins on the list read answers, and says whether the
// request was a preflight, which is answered with that. Cookies are not let
// through: there are none, and tokens come in a header that a page has to set.
func (a *API) cors(w http.ResponseWriter, r *http.Request) (preflight bool) {
	if len(a.o.Origins) == 0 {
		return false
	}
	h := w.Header()
	h.Add("Vary", "Origin")
	origin := r.Header.Values("Origin")
	if len(origin) != 1 || !slices.Contains(a.o.Origins, origin[0]) {
		return false
	}
	h.Set("Access-Control-Allow-Origin", origin[0])
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		h.Set("Access-Control-Expose-Headers", corsExposed)
		return false
	}
	h.Set("Access-Control-Allow-Methods", corsMethods)
	h.Set("Access-Control-Allow-Headers", allowed(r.Header.Values("Access-Control-Request-Headers")))
	h.Set("Access-Control-Max-Age", corsSeconds)
	w.WriteHeader(http.StatusNoContent)
	return true
}

// ownSite refuses a request that changes something and that a page of another
// site makes a browser send: Sec-Fetch-Site shows it, or where that is missing
// Origin. Whoever is no browser sends neither, and the origins on the list may. What
// has a body is safe from such pages by its content type; this is for what has none.
func (a *API) ownSite(r *http.Request) error {
	if err := a.protection.Check(r); err != nil {
		return problem.New(problem.CrossSite, "").From(err)
	}
	return nil
}
