package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"annals/cmd/annals/internal/natscontext"
	"annals/ingest/door"
	"annals/internal/problem"
	"annals/query/client"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
)

// OverNATS records by requests on annals.api.record: what a producer is let in to do that
// reaches no HTTP server. Its outcomes are those of HTTP. Where access is configured a
// request is not told a duplicate or a conflict from a record (docs/receipts.md).
type OverNATS struct {
	nc   *nats.Conn
	most int // bytes of a request

	mu    sync.Mutex
	asked map[*asked]struct{} // requests under way
}

// asked is a request on a subject, and what ends it.
type asked struct {
	subject string
	end     context.CancelCauseFunc
}

// natsTimeout is more than a server waits for the stream and the ledger together.
const natsTimeout = 45 * time.Second

// Connect connects to the servers that a target says.
func Connect(target natscontext.Target, name string) (*OverNATS, error) {
	urls, opts, err := target.Resolve()
	if err != nil {
		return nil, err
	}
	c := &OverNATS{asked: map[*asked]struct{}{}}
	c.nc, err = nats.Connect(urls, append([]nats.Option{nats.Name(name), nats.MaxReconnects(-1), nats.ReconnectBufSize(-1), nats.ErrorHandler(c.failed)}, opts...)...)
	if bad, ok := errors.AsType[*url.Error](err); ok {
		err = bad.Err // the URL that it quotes is not for everybody
	}
	if err != nil {
		return nil, fmt.Errorf("no NATS server lets us in at %s: %w", redacted(urls), err)
	}
	c.most = int(c.nc.MaxPayload()) - requestRoom
	return c, nil
}

// redacted is servers' URLs as they may be shown: passwords are replaced.
func redacted(urls string) string {
	parts := strings.Split(urls, ",")
	for i, part := range parts {
		if u, err := url.Parse(strings.TrimSpace(part)); err == nil {
			parts[i] = u.Redacted()
		} else if at := strings.LastIndexByte(part, '@'); at >= 0 {
			parts[i] = "…" + part[at:]
		}
	}
	return strings.Join(parts, ",")
}

// failed hears what the server says beside its answers: that somebody may not publish on a
// subject is no answer, and who waits for one would wait in vain.
func (c *OverNATS) failed(_ *nats.Conn, _ *nats.Subscription, err error) {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for a := range c.asked {
		if strings.Contains(err.Error(), strconv.Quote(a.subject)) {
			a.end(err)
		}
	}
}

// asking returns a context that ends when the server refuses what is published on a subject.
func (c *OverNATS) asking(ctx context.Context, subject string) (context.Context, func()) {
	ctx, stop := context.WithTimeout(ctx, natsTimeout)
	ctx, end := context.WithCancelCause(ctx)
	a := &asked{subject, end}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked[a] = struct{}{}
	return ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.asked, a)
		end(nil)
		stop()
	}
}

// requestRoom is left for a request's headers.
const requestRoom = 4 << 10

// Close closes the connection.
func (c *OverNATS) Close() { c.nc.Close() }

// Publish records lines: see [Recorder]. They go in as many requests as they need, one
// after the other, so that the ledger has them in their order.
func (c *OverNATS) Publish(ctx context.Context, workspace string, lines [][]byte, again bool) (all []Outcome, _ error) {
	for rest := lines; len(rest) > 0; {
		n := c.fit(rest)
		got, err := persist(ctx, n, again, func() ([]Outcome, error) { return c.request(ctx, workspace, rest[:n]) })
		if got == nil {
			got = slices.Repeat([]Outcome{{Status: "unknown"}}, n)
		}
		all, rest = append(all, got...), rest[n:]
		if err != nil {
			return append(all, slices.Repeat([]Outcome{{Status: Unsent}}, len(rest))...), err
		}
	}
	return all, nil
}

// fit returns how many of the lines go into one request: at least one.
func (c *OverNATS) fit(lines [][]byte) (n int) {
	for size := 0; n < len(lines) && n < door.MaxRequested; n++ {
		if size += len(lines[n]) + 1; n > 0 && (size > c.most || several(lines[n]) || several(lines[n-1])) {
			break
		}
	}
	return n
}

// several reports whether a record was written over several lines: then it is asked for
// by itself.
func several(record []byte) bool { return bytes.IndexByte(record, '\n') >= 0 }

func (c *OverNATS) request(ctx context.Context, workspace string, lines [][]byte) ([]Outcome, error) {
	m := &nats.Msg{
		Subject: door.SubjectRecord + "." + workspace,
		Header:  nats.Header{door.HeaderWait: {"recorded"}, "Content-Type": {"application/x-ndjson"}},
		Data:    bytes.Join(lines, []byte{'\n'}),
	}
	if several(lines[0]) {
		m.Header["Content-Type"] = []string{"application/json"}
	}
	ctx, done := c.asking(ctx, m.Subject)
	defer done()
	got, err := c.nc.RequestMsgWithContext(ctx, m)
	switch {
	case err != nil && errors.Is(context.Cause(ctx), nats.ErrPermissionViolation):
		return nil, &Problem{Code: "permissions_violation", Status: http.StatusForbidden, Detail: "NATS doesn't let this user publish on " + m.Subject +
			": take a producer's seed or credentials for the workspace " + workspace + " (annals nats-config --workspace " + workspace + ")"}
	case errors.Is(err, nats.ErrNoResponders):
		return nil, client.Unreached("no ledger answers there on "+m.Subject+": is `annals serve` running, and does this account import the subject?", true, err)
	case errors.Is(err, nats.ErrMaxPayload):
		return nil, &Problem{Code: string(problem.TooLarge), Status: http.StatusRequestEntityTooLarge, Detail: fmt.Sprintf("the record has %d bytes, and the NATS server takes %d in one message", len(m.Data), c.nc.MaxPayload())}
	case err != nil:
		return nil, client.Unreached(fmt.Sprintf("no answer came over NATS from %s: %v", c.nc.ConnectedUrlRedacted(), err), false, err)
	}
	a := &client.Answer{Status: http.StatusOK, Body: got.Data}
	if got.Header.Get(micro.ErrorCodeHeader) == "" {
		return outcomes(a, len(lines))
	}
	p := new(problem.Problem)
	_ = json.Unmarshal(got.Data, p) // what is no problem is said to be none below
	a.Status = max(p.Status, http.StatusBadRequest)
	switch {
	case p.Code == problem.TooLarge: // the request was not: so the answer would have been
		return nil, client.Unreached("whether the records are in the ledger is not known: "+p.Detail, false, nil)
	case several(lines[0]) && a.Status == http.StatusUnprocessableEntity: // a record by itself
		o := Outcome{Status: "rejected", Code: string(p.Code), Detail: p.Detail}
		if len(p.Errors) > 0 && p.Errors[0].Pointer != nil {
			o.Pointer = *p.Errors[0].Pointer
		}
		return []Outcome{o}, nil
	}
	return outcomes(a, len(lines))
}
