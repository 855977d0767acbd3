package door

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"

	"annals/activity"
	"annals/internal/problem"

	"github.com/go-json-experiment/json/jsontext"
)

const (
	mediaJSON   = "application/json"
	mediaNDJSON = "application/x-ndjson"
)

// read reads the body and takes it apart into the bytes of its records. lone says
// that the body is one record rather than a batch that holds one.
func read(w http.ResponseWriter, r *http.Request) (bodies [][]byte, lone bool, err error) {
	media, err := mediaOf(r.Header)
	if err != nil {
		return nil, false, err
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if err != nil {
		return nil, false, unread(err)
	}
	if media == mediaNDJSON {
		bodies, err = lines(body)
		return bodies, false, err
	}
	// What is no array is a record, or will be refused as one.
	if first := bytes.TrimLeft(body, " \t\r\n"); len(first) == 0 || first[0] != '[' {
		return [][]byte{body}, true, nil
	}
	bodies, err = elements(body)
	return bodies, false, err
}

// mediaOf holds the headers to what the door reads. A body without a type is
// refused too: a web page may send one to any address without being asked.
func mediaOf(h http.Header) (string, error) {
	if e := h.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return "", problem.New(problem.UnsupportedCode, "")
	}
	given := h.Get("Content-Type")
	media, params, err := mime.ParseMediaType(given)
	charset := params["charset"]
	if err != nil || media != mediaJSON && media != mediaNDJSON || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return "", problem.New(problem.UnsupportedMedia, "Content-Type is %q: send %s (a record, or an array of records) or %s (a record a line), in UTF-8", given, mediaJSON, mediaNDJSON)
	}
	return media, nil
}

func unread(err error) error {
	if large, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return problem.New(problem.TooLarge, "the body has more than %d bytes; send fewer records at once", large.Limit)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return problem.New(problem.BodyTimeout, "")
	}
	return problem.New(problem.BadRequest, "the body could not be read to its end; send it again").From(err)
}

// lines splits an NDJSON body as the stream's format does: at LF, one at the end
// closing the last line.
func lines(body []byte) ([][]byte, error) {
	body = bytes.TrimSuffix(body, []byte{'\n'})
	if len(body) == 0 {
		return nil, problem.New(problem.NoRecords, "")
	}
	if n := bytes.Count(body, []byte{'\n'}) + 1; n > MaxRecords {
		return nil, tooMany()
	}
	return bytes.Split(body, []byte{'\n'}), nil
}

// elements takes a JSON array apart without looking into its elements: what is
// wrong inside one is that one's fault. Only what hides where an element ends is
// the whole body's.
func elements(body []byte) ([][]byte, error) {
	d := jsontext.NewDecoder(bytes.NewBuffer(body), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if _, err := d.ReadToken(); err != nil { // the bracket, which is there
		return nil, broken(err, d)
	}
	var found [][]byte
	for d.PeekKind() != ']' {
		value, err := d.ReadValue()
		if err != nil {
			return nil, broken(err, d)
		}
		if len(found) == MaxRecords {
			return nil, tooMany()
		}
		end := d.InputOffset()
		found = append(found, body[end-int64(len(value)):end:end])
	}
	if _, err := d.ReadToken(); err != nil {
		return nil, broken(err, d)
	}
	if rest := bytes.TrimLeft(body[d.InputOffset():], " \t\r\n"); len(rest) > 0 {
		return nil, of(activity.CodeTrailingBytes, "", "something follows the array; send one array, or application/x-ndjson")
	}
	if len(found) == 0 {
		return nil, problem.New(problem.NoRecords, "")
	}
	return found, nil
}

// broken names the place where an array stops being JSON.
func broken(err error, d *jsontext.Decoder) error {
	pointer, detail := string(d.StackPointer()), "the array is not JSON: it breaks off"
	if syntax, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		pointer = string(syntax.JSONPointer)
		detail = "the array is not JSON: " + syntax.Err.Error()
	}
	return of(activity.CodeMalformedJSON, pointer, detail+"; nothing of it was recorded")
}

// of is a problem of the whole body, under the name that the ledger has for it.
func of(code activity.Code, pointer, detail string) *problem.Problem {
	c := problem.Code(code.String())
	return problem.New(c, "%s", detail).With(problem.At(pointer, c, detail))
}

func tooMany() error {
	return problem.New(problem.TooManyRecords, "a request may hold %d records; send fewer at once", MaxRecords)
}
