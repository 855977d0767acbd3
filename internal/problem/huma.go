package problem

import (
	"errors"
	"net/http"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
)

// Install makes huma answer in our problems: its own say `body.items[3].x` where
// RFC 9457's readers expect a JSON pointer. huma keeps its error model in package
// variables, so this is once for the process.
var Install = sync.OnceFunc(func() {
	huma.NewError = fromHuma
	huma.NewErrorWithContext = func(ctx huma.Context, status int, detail string, errs ...error) huma.StatusError {
		p := fromHuma(status, detail, errs...)
		if p, ok := p.(*Problem); ok && ctx != nil {
			p.RequestID = RequestID(ctx.Context())
			url := ctx.URL()
			p.Instance = url.EscapedPath()
		}
		return p
	}
})

// ofStatus names what huma itself refuses, by the status it does so with.
var ofStatus = map[int]Code{
	http.StatusBadRequest:            BadRequest,
	http.StatusNotFound:              NoSuchPath,
	http.StatusMethodNotAllowed:      MethodNotAllowed,
	http.StatusNotAcceptable:         NotAcceptable,
	http.StatusRequestTimeout:        BodyTimeout,
	http.StatusRequestEntityTooLarge: TooLarge,
	http.StatusUnsupportedMediaType:  UnsupportedMedia,
	http.StatusUnprocessableEntity:   InvalidBody,
	http.StatusServiceUnavailable:    NotReady,
}

// fromHuma is huma.NewError. An error that is a problem already stays as it is; a
// validation that found only parameters wrong is a 400, huma's 422 is for bodies.
func fromHuma(status int, detail string, errs ...error) huma.StatusError {
	var parts []Part
	body := false
	for _, err := range errs {
		if err == nil {
			continue
		}
		if p, ok := errors.AsType[*Problem](err); ok {
			return p
		}
		part := Part{Detail: err.Error()}
		if d, ok := err.(huma.ErrorDetailer); ok {
			if detail := d.ErrorDetail(); detail != nil {
				part = partOf(detail)
			}
		}
		body = body || part.Pointer != nil
		parts = append(parts, part)
	}
	code, known := ofStatus[status]
	switch {
	case status == http.StatusUnprocessableEntity && len(parts) > 0 && !body:
		code = InvalidParameter
	case !known && status < 500:
		code = BadRequest
	case !known:
		code = Internal
	}
	p := New(code, "")
	if code == Internal { // what went wrong inside isn't told
		return p.From(errors.Join(append([]error{errors.New(detail)}, errs...)...))
	}
	if detail != "" {
		p.Detail = detail
	}
	return p.With(parts...)
}

func partOf(d *huma.ErrorDetail) Part {
	where, rest, _ := strings.Cut(d.Location, ".")
	switch where {
	case "body":
		return At(pointerOf(rest), InvalidBody, d.Message)
	case "path", "query", "header", "cookie":
		return Of(rest, InvalidParameter, d.Message)
	}
	if at, ok := strings.CutPrefix(d.Location, "body["); ok { // the body is an array
		return At(pointerOf("["+at), InvalidBody, d.Message)
	}
	return Part{Parameter: d.Location, Detail: d.Message}
}

// pointerOf turns huma's items[3].x into an RFC 6901 pointer: /items/3/x. A dot
// inside a member's name can't be told from one between names; huma doesn't say.
func pointerOf(location string) string {
	var b strings.Builder
	escape := strings.NewReplacer("~", "~0", "/", "~1")
	for part := range strings.SplitSeq(strings.ReplaceAll(location, "[", ".["), ".") {
		if part == "" {
			continue
		}
		if n, ok := strings.CutPrefix(part, "["); ok {
			part = strings.TrimSuffix(n, "]")
		}
		b.WriteByte('/')
		b.WriteString(escape.Replace(part))
	}
	return b.String()
}
