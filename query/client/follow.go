package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
)

// Following says what is to be heard of as it is recorded.
type Following struct {
	Filter           // Since, Until and AsOf don't go with what is to come, and are refused
	After     string // begin behind this ULID; "": from now on
	Last      int    // or begin with so many of the newest that there are, at most [MaxLimit]
	Sentences bool   // what each record tells, in words

	// Lost, unless nil, is told why a stream ended, and after how long the client
	// comes again.
	Lost func(why error, again time.Duration)
	// Silence is how long a stream may show no sign of life before it is lost: the
	// server sends one every 15 s. 0: 45 s.
	Silence time.Duration
}

// EndedError says that a server ended a stream, and why: slow, stopping, failed.
type EndedError struct {
	Reason string `json:"reason"`
	Detail string `json:"detail"`
	After  string `json:"after"` // the ULID to go on behind
}

func (e *EndedError) Error() string {
	return fmt.Sprintf("the server ended the stream: %s (%s)", e.Detail, e.Reason)
}

// Bounds of the wait before a client comes again.
const (
	firstWait = 2 * time.Second // where the server has said nothing else
	maxWait   = 30 * time.Second
)

// Follow iterates what is recorded in a workspace as it is recorded, in the
// ledger's order, each entry once. It comes again by itself when the stream is
// lost, however long the server is away, and goes on behind what it has heard.
//
// It ends with ctx, without an error; or with one when the server refuses, or when
// it can't be reached the first time. Whoever keeps the last item's ULID can go on
// with it in After another day.
func (c *Client) Follow(ctx context.Context, workspace string, f Following) iter.Seq2[*Item, error] {
	return func(yield func(*Item, error) bool) {
		t, err := c.tail(workspace, f)
		if err != nil {
			yield(nil, err)
			return
		}
		for ctx.Err() == nil {
			more, err := t.stream(ctx, yield)
			switch {
			case !more || ctx.Err() != nil:
				return
			case !t.opened, isRefusal(err):
				yield(nil, err)
				return
			}
			again := t.wait()
			if f.Lost != nil {
				f.Lost(err, again)
			}
			select {
			case <-time.After(again):
			case <-ctx.Done():
			}
		}
	}
}

// tail is one Follow, over all of its streams.
type tail struct {
	client  *Client
	http    http.Client
	url     string
	silence time.Duration

	after  string // the last id
	opened bool   // a stream was, once
	failed int    // streams in a row of which none came to anything
	retry  time.Duration
}

func (c *Client) tail(workspace string, f Following) (*tail, error) {
	if !f.Since.IsZero() || !f.Until.IsZero() || f.AsOf != 0 {
		return nil, errors.New("what is to come has no times of recording, and no tree size: leave since, until and as_of out, or ask for the timeline")
	}
	q, err := f.parameters()
	if err != nil {
		return nil, err
	}
	if f.Last != 0 {
		q.Set("last", strconv.Itoa(f.Last))
	}
	if f.Sentences {
		q.Set("with", "sentence")
	}
	t := &tail{client: c, http: *c.http, after: f.After, silence: cmp.Or(f.Silence, 45*time.Second)}
	t.http.Timeout = 0 // of a whole answer; a stream's has no end
	t.url = c.base + "/v1/workspaces/" + url.PathEscape(workspace) + "/tail"
	if len(q) > 0 {
		t.url += "?" + q.Encode()
	}
	return t, nil
}

// isRefusal reports whether coming again would be answered in the same way.
func isRefusal(err error) bool {
	var p *Problem
	return errors.As(err, &p) && p.Status < http.StatusInternalServerError
}

// wait is how long to wait before coming again: what the server asked for, and
// longer with each time that it was in vain.
func (t *tail) wait() time.Duration {
	wait := cmp.Or(t.retry, firstWait)
	for range t.failed {
		wait = min(2*wait, maxWait)
	}
	t.failed++
	return wait
}

// stream hears one stream to its end. more is false when yield wants no more.
func (t *tail) stream(ctx context.Context, yield func(*Item, error) bool) (more bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	alive := time.AfterFunc(t.silence, cancel)
	defer alive.Stop()
	body, err := t.open(ctx)
	if err != nil {
		return true, err
	}
	defer body.Close()
	t.opened = true
	e := newEvents(&lively{body, alive, t.silence})
	e.id = t.after
	for {
		s, err := e.next()
		if e.retry != 0 {
			t.retry = e.retry
		}
		switch {
		case ctx.Err() != nil:
			return true, fmt.Errorf("the server at %s has shown no sign of life for %s", t.client.base, t.silence)
		case err == io.EOF:
			return true, fmt.Errorf("the server at %s ended the stream", t.client.base)
		case err != nil:
			return true, t.client.unreached(err)
		}
		t.failed = 0
		if s.name == "record" && s.data != "" {
			item := new(Item)
			if err := item.Parse([]byte(s.data)); err != nil {
				return true, err
			}
			alive.Stop() // who takes an item may take its time
			more := yield(item, nil)
			alive.Reset(t.silence)
			if !more {
				return false, nil
			}
		}
		t.after = e.id
		if s.name == "stopping" || s.name == "dropped" {
			end := new(EndedError)
			if err := json.Unmarshal([]byte(s.data), end); err != nil {
				return true, Foreign(err)
			}
			return true, end
		}
	}
}

// open asks for a stream, behind what was heard.
func (t *tail) open(ctx context.Context) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.url, nil)
	if err != nil {
		return nil, err
	}
	t.client.authorize(req)
	req.Header.Set("Accept", "text/event-stream")
	if t.after != "" {
		req.Header.Set("Last-Event-ID", t.after)
	}
	res, err := t.http.Do(req)
	if err != nil {
		return nil, t.client.unreached(err)
	}
	media, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if res.StatusCode == http.StatusOK && media == "text/event-stream" {
		return res.Body, nil
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return nil, t.client.unreached(err)
	}
	return nil, (&Answer{res.StatusCode, res.Header, body}).Problem()
}

// lively is a body that tells of each sign of life.
type lively struct {
	io.Reader
	alive   *time.Timer
	silence time.Duration
}

func (l *lively) Read(b []byte) (int, error) {
	n, err := l.Reader.Read(b)
	if n > 0 {
		l.alive.Reset(l.silence)
	}
	return n, err
}
