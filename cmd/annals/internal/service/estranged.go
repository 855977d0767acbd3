package service

import (
	"context"
	"errors"
	"fmt"
	"time"

	"annals/ingest"
)

// strangerError says that the stream is not the ledger's, and why it isn't its next
// one either, although it means to be.
type strangerError struct{ verdict, why error }

func (e *strangerError) Error() string { return fmt.Sprintf("%v; %v", e.verdict, e.why) }

// Unwrap returns both.
func (e *strangerError) Unwrap() []error { return []error{e.verdict, e.why} }

// estranged waits, on a stream that is not the ledger's, for the one that an
// operator has the ledger go on with: it returns nil once that is there. Meanwhile
// nothing is recorded or signed, and what was recorded is served.
//
// The ledger's own stream is waited for only where there was none at all. One that
// was rewound or forked once is not trusted again for a few messages that look right:
// the operator who brings it back starts the server anew.
func (p *pump) estranged(ctx context.Context, verdict error) error {
	if err := p.ledger.Flush(ctx); err != nil {
		return err
	}
	p.disown(verdict)
	p.hole.Store(nil) // it was the old stream's
	p.open()
	var before *strangerError
	if errors.As(verdict, &before) {
		verdict = before.verdict
	}
	for {
		if errors.Is(verdict, ingest.ErrNoStream) {
			switch err := p.back(ctx); {
			case err == nil:
				p.log.Warn("the ledger's stream is there again")
				p.unblock()
				return nil
			case isStranger(err):
				verdict = err
			case isVerdict(err):
				return err
			}
		}
		next, why, err := succeeds(ctx, p.ledger, p.nc)
		if next != nil {
			// Whoever begins an epoch lets producers in only after its first message.
			if why = ingest.CheckStream(ctx, p.nc, p.stream); why == nil {
				return nil
			}
		}
		switch {
		case err != nil:
			p.log.Debug("looking for the stream that the ledger goes on with failed; trying again", "error", err)
		case why != nil:
			p.disown(&strangerError{verdict: verdict, why: why})
		default:
			p.disown(verdict)
		}
		select {
		case <-time.After(p.holeRetry):
		case <-p.nudged:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// back returns nil if the ledger's own stream is there, and can be told by the
// message that the ledger folded last.
func (p *pump) back(ctx context.Context) error {
	at := p.ledger.Position()
	if at.Digest.IsZero() {
		return ingest.ErrNoStream
	}
	r, err := ingest.OpenReader(ctx, p.nc, ingest.ReaderOptions{Position: at, Identity: p.own(), Logger: p.log})
	if err == nil {
		r.Close()
	}
	return err
}

// disown says why the stream is not the ledger's, to whoever waits for a record and
// to whoever asks, and in the log each time that it is something new.
func (p *pump) disown(why error) {
	before := p.strange.Swap(&why)
	(*p.clear.Load())()
	if before == nil || (*before).Error() != why.Error() {
		p.log.Error("recording has stopped, and goes on by itself only with a stream that an operator begins a new epoch with; reads are served", "error", why)
	}
}
