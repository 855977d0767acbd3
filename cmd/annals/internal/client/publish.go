package client

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"annals/query/client"

	"github.com/go-json-experiment/json"
)

// Outcome is what became of one record.
type Outcome struct {
	Status    string  `json:"status"` // recorded, duplicate, conflict, rejected, accepted, unknown; [Unsent]
	ID        string  `json:"id"`
	ULID      string  `json:"ulid"`
	Index     *uint64 `json:"index"`
	Kind      string  `json:"kind"`
	EntryHash string  `json:"entry_hash"`
	Code      string  `json:"code"`
	Pointer   string  `json:"pointer"`
	Detail    string  `json:"detail"`
	Doubts    []Doubt `json:"doubts"`
}

// Doubt is what of a record can't be read, though it is recorded.
type Doubt struct {
	Code    string `json:"code"`
	Pointer string `json:"pointer"`
	Detail  string `json:"detail"`
}

// items are what an answer says of records, one after the other.
type items struct {
	Items []Outcome `json:"items"`
}

// Unsent is the status of a record that has surely reached no stream: nobody was
// there to send it to, or the server said that it stored nothing.
const Unsent = "unsent"

// How often a request that got no good answer is sent again, and how long after.
const (
	publishTries = 6
	publishPause = 200 * time.Millisecond
)

// Recorder records lines: a [Client] over HTTP, or [OverNATS].
type Recorder interface {
	// Publish records lines under a workspace and returns what became of each, in
	// their order. again says that every line has an id, so that sending them a
	// second time is harmless; then passing troubles are waited out. With an error
	// the outcomes say what is known, as far as anything is.
	Publish(ctx context.Context, workspace string, lines [][]byte, again bool) ([]Outcome, error)
}

// Publish records lines over HTTP: see [Recorder].
func (c *Client) Publish(ctx context.Context, workspace string, lines [][]byte, again bool) ([]Outcome, error) {
	body, media := together(lines)
	path := "/v1/workspaces/" + url.PathEscape(workspace) + "/records?wait=recorded"
	return persist(ctx, len(lines), again, func() ([]Outcome, error) {
		a, err := c.Do(ctx, http.MethodPost, path, body, "Content-Type", media)
		if err != nil {
			return nil, err
		}
		return outcomes(a, len(lines))
	})
}

// persist sends a request for n lines, and again after passing troubles, where it may.
func persist(ctx context.Context, n int, again bool, send func() ([]Outcome, error)) ([]Outcome, error) {
	unsent := true // of every try so far
	for try := 1; ; try++ {
		outcomes, err := send()
		unsent = unsent && notStored(err)
		if unsent {
			outcomes = slices.Repeat([]Outcome{{Status: Unsent}}, n)
		}
		if err == nil || !again || try == publishTries || !passing(err) {
			return outcomes, err
		}
		select {
		case <-time.After(publishPause << (try - 1)):
		case <-ctx.Done():
			return outcomes, err
		}
	}
}

// together makes one body of records: a line each, or an array where one has line feeds
// of its own, which are kept.
func together(lines [][]byte) (body []byte, media string) {
	if !slices.ContainsFunc(lines, several) {
		return append(bytes.Join(lines, []byte{'\n'}), '\n'), "application/x-ndjson"
	}
	body = append([]byte{'['}, bytes.Join(lines, []byte{','})...)
	return append(body, ']'), "application/json"
}

// notStored reports whether a request that failed has surely stored nothing: it was
// not sent, or refused before anything of it was published.
func notStored(err error) bool {
	var none *UnreachedError
	var p *Problem
	return errors.As(err, &none) && none.Unsent ||
		errors.As(err, &p) && (p.Code == "not_recording" || p.Code != "" && p.Status/100 == 4 && p.Status != http.StatusRequestTimeout)
}

// passing reports whether sending the same again may help.
func passing(err error) bool {
	var none *UnreachedError
	var p *Problem
	return errors.As(err, &none) || errors.As(err, &p) && p.Code != "not_recording" && (p.Status == http.StatusServiceUnavailable || p.Status == http.StatusGatewayTimeout)
}

// outcomes reads the answer to n lines.
func outcomes(a *client.Answer, n int) ([]Outcome, error) {
	// A problem may have items too: what became of each as far as it is known.
	var told items
	unread := json.Unmarshal(a.Body, &told)
	switch {
	case a.Status == http.StatusOK && unread != nil:
		return nil, client.Foreign(unread)
	case a.Status == http.StatusOK && len(told.Items) != n:
		return nil, client.Foreign(errors.New("it answered for " + strconv.Itoa(len(told.Items)) + " of " + strconv.Itoa(n) + " records"))
	case a.Status == http.StatusOK:
		return told.Items, nil
	}
	err := a.Problem()
	var p *Problem
	switch {
	case !errors.As(err, &p):
		return nil, err
	case p.Code == "all_refused" && len(p.Errors) == n:
		return refused(p, n), nil
	case len(told.Items) == n:
		return told.Items, err
	}
	return nil, err
}

// refused takes apart the answer to a batch in which no record was one: each
// place begins with the record's.
func refused(p *Problem, n int) []Outcome {
	out := make([]Outcome, n)
	for _, e := range p.Errors {
		number, rest, _ := strings.Cut(strings.TrimPrefix(e.Pointer, "/"), "/")
		i, err := strconv.Atoi(number)
		if err != nil || i < 0 || i >= n {
			continue
		}
		if rest != "" {
			rest = "/" + rest
		}
		out[i] = Outcome{Status: "rejected", Code: e.Code, Pointer: rest, Detail: e.Detail}
	}
	return out
}
