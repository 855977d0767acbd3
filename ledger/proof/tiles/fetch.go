package tiles

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"mime"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// errNotFolder is what a path through a file gives.
const errNotFolder = syscall.ENOTDIR

// maxPause bounds the time between two attempts, whatever a server asks for.
const maxPause = 15 * time.Second

// fetch asks for a file, several times when that may help.
func (p *Place) fetch(ctx context.Context, path string, most int64) ([]byte, error) {
	url := p.base.String() + "/" + path
	pause := p.o.Pause
	for attempt := 1; ; attempt++ {
		b, wait, err := p.ask(ctx, url, most)
		var again *againError
		if !errors.As(err, &again) {
			return b, err
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if attempt == p.o.Attempts {
			return nil, fmt.Errorf("proof/tiles: GET %s failed %d times; the last time: %w", p.String()+"/"+path, attempt, again.err)
		}
		// Not all at the same moment: half of the pause is drawn.
		wait = max(wait, pause/2+rand.N(pause/2+1))
		select {
		case <-time.After(min(wait, maxPause)):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		pause = min(2*pause, maxPause)
	}
}

// againError is a failure that another attempt may not have.
type againError struct{ err error }

func (e *againError) Error() string { return e.err.Error() }

// ask asks for a file once. wait is how long the server wants to be left alone.
func (p *Place) ask(ctx context.Context, url string, most int64) (b []byte, wait time.Duration, err error) {
	limited, cancel := context.WithTimeoutCause(ctx, p.o.Limit, fmt.Errorf("no whole answer within %v", p.o.Limit))
	defer cancel()
	req, err := http.NewRequestWithContext(limited, http.MethodGet, url, nil)
	if err != nil {
		return nil, 0, fmt.Errorf("proof/tiles: %w", err)
	}
	if p.o.Token != "" {
		req.Header.Set("Authorization", "Bearer "+p.o.Token)
	}
	if near(p.base.Hostname()) {
		// Entries are hashes mostly: packing them costs more than sending them here.
		req.Header.Set("Accept-Encoding", "identity")
	}
	why := func(err error) error {
		if limited.Err() != nil {
			return context.Cause(limited)
		}
		return err
	}
	resp, err := p.o.Client.Do(req)
	var left *redirectError
	switch {
	case errors.As(err, &left):
		return nil, 0, fmt.Errorf("proof/tiles: GET %s: %w", req.URL.Redacted(), left)
	case err != nil:
		return nil, 0, &againError{why(err)}
	}
	defer func() { _ = resp.Body.Close() }()
	switch code := resp.StatusCode; {
	case code == http.StatusNotFound || code == http.StatusGone:
		return nil, 0, fmt.Errorf("proof/tiles: GET %s: %s: %w", req.URL.Redacted(), resp.Status, ErrAbsent)
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		return nil, 0, fmt.Errorf("proof/tiles: GET %s: %s: it asks for a token that may audit (annals: --token-file)", req.URL.Redacted(), resp.Status)
	case code == http.StatusTooManyRequests || code == http.StatusRequestTimeout || code >= 500:
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		return nil, time.Duration(seconds) * time.Second, &againError{errors.New(resp.Status)}
	case code != http.StatusOK:
		return nil, 0, fmt.Errorf("proof/tiles: GET %s: %s", req.URL.Redacted(), resp.Status)
	}
	keys := strings.HasSuffix(url, "/"+KeysPath) || strings.HasSuffix(url, "/"+KeysFile)
	if kind := page(resp.Header.Get("Content-Type")); kind != "" && !(keys && strings.HasSuffix(kind, "json")) {
		return nil, 0, fmt.Errorf("proof/tiles: GET %s: the answer is %s, not a log's file: something else answers for the log", req.URL.Redacted(), kind)
	}
	body, err := plain(resp)
	if err != nil {
		return nil, 0, &againError{why(err)}
	}
	var buffer bytes.Buffer
	buffer.Grow(int(min(most, max(resp.ContentLength, 0)) + bytes.MinRead))
	if _, err := buffer.ReadFrom(io.LimitReader(body, most+1)); err != nil {
		return nil, 0, &againError{why(err)}
	}
	return buffer.Bytes(), 0, nil
}

// plain unpacks an answer that came packed though nobody asked for it, as C2SP
// tlog-tiles lets a log do. What was asked for, the transport has unpacked.
func plain(resp *http.Response) (io.Reader, error) {
	if !strings.EqualFold(resp.Header.Get("Content-Encoding"), "gzip") {
		return resp.Body, nil
	}
	return gzip.NewReader(resp.Body)
}

// near reports whether a host is this machine.
func near(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// page returns a content type that no file of a log has, and that portals, error
// pages and web applications answer with whatever was asked for; else "".
func page(header string) string {
	kind, _, err := mime.ParseMediaType(header)
	if err != nil {
		return ""
	}
	if kind == "text/html" || kind == "application/xhtml+xml" || strings.HasSuffix(kind, "/json") || strings.HasSuffix(kind, "+json") || strings.HasSuffix(kind, "/xml") {
		return kind
	}
	return ""
}

// redirectError is an answer that sends its visitor where they didn't want to go.
type redirectError struct{ to string }

func (e *redirectError) Error() string {
	return "the server sends its visitors to " + e.to + "; if that is where the log is now, give that URL"
}

// stay follows redirects within a host, and never to a weaker scheme.
func stay(req *http.Request, via []*http.Request) error {
	first := via[0].URL
	if req.URL.Host != first.Host || req.URL.Scheme != first.Scheme && req.URL.Scheme != "https" || len(via) > 5 {
		return &redirectError{req.URL.Redacted()}
	}
	return nil
}
