package cosign

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"annals/ledger/chain"
	"annals/ledger/proof"
)

const (
	askTimeout = 10 * time.Second // for all that one checkpoint needs of one witness
	maxAnswer  = 64 << 10         // bytes of an answer's body
	maxRetries = 3                // after a 409 that names a size

	// clockSkew is how far a new cosignature's time may be from ours. It was made
	// while we waited, so more is a clock that is wrong or a signature that is old.
	clockSkew = 10 * time.Minute
)

// The outcomes of asking a witness, as metrics name them.
const (
	outcomeOK           = "cosigned"
	outcomeUnreachable  = "unreachable"  // no answer, or none in time
	outcomeUnknownLog   = "unknown_log"  // 404
	outcomeUnknownKey   = "unknown_key"  // 403
	outcomeContradicted = "contradicted" // 422, 409 of another root
	outcomeAhead        = "ahead"        // 409, of more entries than we have
	outcomeInvalid      = "invalid"      // what it signed is not what it was asked
	outcomeUnkept       = "unkept"       // it was cosigned, and that could not be kept here
	outcomeRefused      = "refused"      // anything else
)

// outcomes are all of them.
var outcomes = []string{
	outcomeOK, outcomeUnreachable, outcomeUnknownLog, outcomeUnknownKey,
	outcomeContradicted, outcomeAhead, outcomeInvalid, outcomeUnkept, outcomeRefused,
}

// askError is why a witness did not cosign.
type askError struct {
	outcome string
	err     error
}

func (e *askError) Error() string { return e.err.Error() }
func (e *askError) Unwrap() error { return e.err }

func failed(outcome, format string, args ...any) error {
	return &askError{outcome, fmt.Errorf(format, args...)}
}

func outcomeOf(err error) string {
	if err == nil {
		return outcomeOK
	}
	if e, ok := errors.AsType[*askError](err); ok {
		return e.outcome
	}
	return outcomeRefused
}

// newClient is an HTTP client for witnesses: it follows no redirects, for a policy
// names whom to ask, and takes bodies as they are sent.
func newClient() *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.DisableCompression = true
	t.ResponseHeaderTimeout = askTimeout
	t.MaxResponseHeaderBytes = 16 << 10
	t.MaxIdleConnsPerHost = 1
	return &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// prefix checks a policy's URL of a witness and returns where to submit.
func prefix(w *proof.Witness, insecure bool) (string, error) {
	u, err := url.Parse(w.URL)
	switch {
	case err != nil:
		return "", fmt.Errorf("the URL of witness %s: %w", w.Name, err)
	case u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return "", fmt.Errorf("the URL of witness %s, %q, is not https://HOST/PATH", w.Name, w.URL)
	case u.Scheme == "https", u.Scheme == "http" && (insecure || local(u.Hostname())):
		return strings.TrimSuffix(u.String(), "/") + Path, nil
	}
	return "", fmt.Errorf("witness %s is at %q: only https, or http on this machine, is asked; say --insecure-witness-http if nobody on the way can keep it from answering", w.Name, w.URL)
}

func local(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// ask submits a checkpoint and returns the endpoint's cosignatures, at least one.
// What the witness said that it cosigned last is remembered, for the next time.
func (c *Collector) ask(ctx context.Context, e *endpoint, cp *proof.Checkpoint) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	for range 1 + maxRetries {
		old := e.size
		if old > cp.Size {
			e.size = 0 // ask it again the next time: it may have lied
			return nil, failed(outcomeAhead, "it has cosigned %d entries of this ledger, and here are %d", old, cp.Size)
		}
		r := Request{Old: old, Checkpoint: cp.Note}
		if old > 0 && old < cp.Size {
			var err error
			if r.Proof, err = c.o.Consistency(old, cp.Size); err != nil {
				return nil, fmt.Errorf("the proof from %d to %d entries: %w", old, cp.Size, err)
			}
		}
		status, media, body, err := c.post(ctx, e.url, r.Body())
		if err != nil {
			return nil, failed(outcomeUnreachable, "no answer: %w", err)
		}
		if status == http.StatusConflict && media == MediaSize {
			size, err := ParseSize(bytes.TrimSuffix(body, []byte("\n")))
			if err != nil {
				return nil, failed(outcomeRefused, "it names the size that it cosigned last, and that is %w", err)
			}
			if size != old {
				e.size = size
				continue
			}
			// It names the size that it was told: what differs is the root.
			return nil, contradicted(cp, status)
		}
		if status != http.StatusOK {
			return nil, refusal(cp, status)
		}
		lines, err := e.take(cp, body, c.o.Now())
		if err == nil {
			e.size = cp.Size
		}
		return lines, err
	}
	return nil, failed(outcomeRefused, "it named another size each time, %d times", maxRetries+1)
}

// take checks an answer's cosignatures. One that is wrong spoils them all.
func (e *endpoint) take(cp *proof.Checkpoint, body []byte, now time.Time) ([]string, error) {
	var lines []string
	for i := range e.witnesses {
		s, err := e.witnesses[i].Cosignature(cp.Text(), body)
		if errors.Is(err, proof.ErrNoCosignature) {
			continue
		}
		if err != nil {
			return nil, failed(outcomeInvalid, "what it answered is no cosignature of this checkpoint: %w", err)
		}
		if least, most := now.Add(-clockSkew).Unix(), now.Add(clockSkew).Unix(); s.Time < uint64(max(least, 0)) || s.Time > uint64(most) {
			return nil, failed(outcomeInvalid, "its cosignature is of %d, and it is %d (seconds since 1970): its clock or ours is wrong", s.Time, now.Unix())
		}
		lines = append(lines, s.Line)
	}
	if len(lines) == 0 {
		return nil, failed(outcomeInvalid, "its answer holds no cosignature by the key that the policy gives it")
	}
	return lines, nil
}

// refusal says what a status means (C2SP tlog-witness, add-checkpoint).
func refusal(cp *proof.Checkpoint, status int) error {
	switch status {
	case http.StatusNotFound:
		return failed(outcomeUnknownLog, "it does not follow %s (404): whoever runs it has to add the ledger's verifier key", cp.Origin)
	case http.StatusForbidden:
		return failed(outcomeUnknownKey, "it knows none of the keys that signed this checkpoint (403): whoever runs it has to add the one that `annals keys public` prints")
	case http.StatusUnprocessableEntity, http.StatusConflict:
		return contradicted(cp, status)
	}
	return failed(outcomeRefused, "it answered with %d %s", status, http.StatusText(status))
}

func contradicted(cp *proof.Checkpoint, status int) error {
	return failed(outcomeContradicted, "IT HAS COSIGNED ANOTHER HISTORY OF THIS LEDGER, or says so (%d): the checkpoint of %d entries does not follow from what it cosigned. "+
		"Ask it for that checkpoint and keep both: signed by one key, they are evidence", status, cp.Size)
}

// post sends a request once.
func (c *Collector) post(ctx context.Context, url string, body []byte) (status int, media string, answer []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, "", nil, err
	}
	req.Header.Set("Content-Type", "text/plain; charset=utf-8")
	res, err := c.o.Client.Do(req)
	if err != nil {
		return 0, "", nil, err
	}
	defer res.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err == nil && len(answer) > maxAnswer {
		err = fmt.Errorf("it sends more than %d bytes", maxAnswer)
	}
	return res.StatusCode, res.Header.Get("Content-Type"), answer, err
}

// consistent checks that a ledger's later checkpoint begins with an earlier tree.
func (c *Collector) consistent(from, to *proof.Checkpoint) error {
	var between []chain.Hash
	if from.Size < to.Size {
		var err error
		if between, err = c.o.Consistency(from.Size, to.Size); err != nil {
			return fmt.Errorf("the tree's nodes can't be read: %w", err)
		}
	}
	return proof.CheckConsistency(from.Size, from.Root, to.Size, to.Root, between)
}
