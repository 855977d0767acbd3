package door

import (
	"bytes"
	"errors"
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
	mediaEvent  = "application/cloudevents+json"
	mediaEvents = "application/cloudevents-batch+json"
)

// sent is the body of a request, taken apart.
type sent struct {
	bodies [][]byte // of the records
	lone   bool     // the body is one record rather than a batch that holds one
	events bool     // the records are CloudEvents, in the JSON event format
	whole  []byte   // the body itself, decoded
}

// read reads the body and takes it apart into the bytes of its records.
func read(w http.ResponseWriter, r *http.Request) (s sent, err error) {
	media, err := mediaOf(r.Header)
	if err != nil {
		return s, err
	}
	body, err := decoded(w, r)
	if err != nil {
		return s, err
	}
	s.whole = body
	first := bytes.TrimLeft(body, " \t\r\n")
	array := len(first) > 0 && first[0] == '['
	switch {
	case media == mediaBinary:
		s.lone, s.events = true, true
		event, err := binaryEvent(r.Header, body)
		s.bodies = [][]byte{event}
		return s, err
	case media == mediaNDJSON:
		s.bodies, err = lines(body, MaxRecords)
	case media == mediaEvents && !array:
		return s, of(activity.CodeMalformedJSON, "", "a batch of events is a JSON array")
	case media == mediaEvent || !array:
		// What is no array is a record, or will be refused as one.
		s.bodies, s.lone = [][]byte{body}, true
	default:
		s.bodies, err = elements(body)
	}
	s.events = media == mediaEvent || media == mediaEvents
	return s, err
}

// mediaOf holds the headers to what the door reads. A body without a type is
// refused too: a web page may send one to any address without being asked.
func mediaOf(h http.Header) (string, error) {
	given := h.Get("Content-Type")
	if given == mediaJSON && len(h.Values("Ce-Specversion")) == 0 {
		return mediaJSON, nil // what nearly all send
	}
	media, params, err := mime.ParseMediaType(given)
	if len(h.Values("Ce-Specversion")) > 0 && !strings.HasPrefix(media, "application/cloudevents") {
		return mediaBinary, nil // the data may be anything, or nothing
	}
	charset := params["charset"]
	known := media == mediaJSON || media == mediaNDJSON || media == mediaEvent || media == mediaEvents
	if err != nil || !known || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return "", problem.New(problem.UnsupportedMedia, "Content-Type is %q: send %s (a record, or an array of records), %s (a record a line), %s or %s, in UTF-8, or a CloudEvent in binary mode", given, mediaJSON, mediaNDJSON, mediaEvent, mediaEvents)
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
// closing the last line. There are no more than most.
func lines(body []byte, most int) ([][]byte, error) {
	body = bytes.TrimSuffix(body, []byte{'\n'})
	if len(body) == 0 {
		return nil, problem.New(problem.NoRecords, "")
	}
	if n := bytes.Count(body, []byte{'\n'}) + 1; n > most {
		return nil, tooMany(most)
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
			return nil, tooMany(MaxRecords)
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

func tooMany(most int) error {
	return problem.New(problem.TooManyRecords, "a request may hold %d records; send fewer at once", most)
}
