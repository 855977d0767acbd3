package ingest

import "strings"

// route is a pattern of paths, taken apart.
type route struct {
	segments []string // "" in the place of a name
	names    []string // of those
	rest     bool     // whatever follows matches, too
}

func parseRoute(pattern string) (r route, err error) {
	trimmed, ok := strings.CutPrefix(pattern, "/")
	if !ok {
		return r, routeError(pattern)
	}
	parts := strings.Split(trimmed, "/")
	for i, part := range parts {
		name, named := strings.CutPrefix(part, "{")
		if named {
			if name, ok = strings.CutSuffix(name, "}"); !ok {
				return r, routeError(pattern)
			}
		}
		if _, dots := strings.CutSuffix(name, "..."); part == "…" || named && dots {
			if i != len(parts)-1 {
				return r, routeError(pattern)
			}
			r.rest = true
			return r, nil
		}
		if strings.ContainsAny(name, "{}") || named && name == "" {
			return r, routeError(pattern)
		}
		if named {
			r.segments, r.names = append(r.segments, ""), append(r.names, name)
		} else {
			r.segments, r.names = append(r.segments, part), append(r.names, "")
		}
	}
	return r, nil
}

type routeError string

func (e routeError) Error() string {
	return "ingest: " + string(e) + " is no route: one is /sessions/{session}/steps, or ends in /… for whatever follows"
}

// match says which session and project a path names, and whether it is one of the
// route's.
func (r *route) match(path string) (session, project string, ok bool) {
	rest, ok := strings.CutPrefix(path, "/")
	if !ok {
		return "", "", false
	}
	for i, want := range r.segments {
		segment, behind, more := strings.Cut(rest, "/")
		switch name := r.names[i]; {
		case name == "" && segment != want, name != "" && segment == "":
			return "", "", false
		case name == "session":
			session = segment
		case name == "project":
			project = segment
		}
		if last := i == len(r.segments)-1; last {
			return session, project, !more || r.rest
		} else if !more {
			return "", "", false
		}
		rest = behind
	}
	return session, project, r.rest
}
