package query

import (
	"net/http"
	"net/url"
	"strings"
)

// The mux takes a segment that decodes to one slash for the end of the path and
// matches no wildcard with it, so an id that is just a slash could not be asked
// for. A segment of n encoded slashes is therefore routed as n+1 of them, and
// pathValue takes the one off again.

// routable returns the request as the mux can match it.
func routable(r *http.Request) *http.Request {
	escaped := r.URL.EscapedPath()
	if !strings.Contains(escaped, "/%2F") && !strings.Contains(escaped, "/%2f") {
		return r
	}
	segments := strings.Split(escaped, "/")
	for i, s := range segments {
		if onlySlashes(s) {
			segments[i] = s + "%2F"
		}
	}
	raw := strings.Join(segments, "/")
	decoded, err := url.PathUnescape(raw)
	if err != nil || raw == escaped {
		return r
	}
	u := *r.URL
	u.Path, u.RawPath = decoded, raw
	out := *r
	out.URL = &u
	return &out
}

// unslashed returns a request for a path that was published with a slash at its end as
// the mux knows it: without.
func unslashed(r *http.Request) *http.Request {
	if r.URL.EscapedPath() != LogPath+"/" {
		return r
	}
	u := *r.URL
	u.Path, u.RawPath = LogPath, ""
	out := *r
	out.URL = &u
	return &out
}

func onlySlashes(segment string) bool {
	v, err := url.PathUnescape(segment)
	return err == nil && v != "" && strings.Trim(v, "/") == ""
}

// pathValue is a wildcard's value as the client encoded it.
func pathValue(r *http.Request, name string) string {
	v := r.PathValue(name)
	if len(v) > 1 && strings.Trim(v, "/") == "" {
		return v[1:]
	}
	return v
}
