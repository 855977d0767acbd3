package cosign

import (
	"context"
	"fmt"
	"log/slog"
	"slices"

	"annals/ledger/proof"
)

// follow asks one endpoint about each round until ctx ends.
func (c *Collector) follow(ctx context.Context, e *endpoint) {
	for {
		cp, ok := c.due(ctx, e)
		if !ok {
			return
		}
		select {
		case c.room <- struct{}{}:
		case <-ctx.Done():
			return
		}
		lines, err := c.ask(ctx, e, &cp)
		<-c.room
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			err = c.add(&cp, lines)
		}
		if failures := c.answered(e, &cp, err); failures > 0 {
			if !c.o.wait(ctx, c.o.pause(failures)) {
				return
			}
			c.mu.Lock()
			e.resting = false
			c.mu.Unlock()
		}
	}
}

// due waits for a round that the endpoint has not cosigned.
func (c *Collector) due(ctx context.Context, e *endpoint) (proof.Checkpoint, bool) {
	for {
		c.mu.Lock()
		cp, changed := c.round.checkpoint, c.changed
		due := cp.Size > e.cosigned
		c.mu.Unlock()
		if due {
			return cp, true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return cp, false
		}
	}
}

// add keeps cosignatures, and shows them once they are on disk.
func (c *Collector) add(cp *proof.Checkpoint, lines []string) error {
	c.saving.Lock()
	defer c.saving.Unlock()
	c.mu.Lock()
	r, running := c.witnessed, c.round.checkpoint.Size == cp.Size
	if running {
		r = c.round
	}
	c.mu.Unlock()
	if r.checkpoint.Size != cp.Size {
		return nil // the policy was met without it, and again since
	}
	r.lines = append(slices.Clip(r.lines), lines...)
	n := r.note()
	_, met, err := c.o.Policy.Judge(n)
	if err != nil {
		return failed(outcomeUnkept, "no checkpoint of this ledger meets the policy: %w; its log lines must name the ledger's verifier key, or be left out", err)
	}
	met = met && c.o.Policy.Demands()
	if err := c.files.keep(met, n); err != nil {
		return failed(outcomeUnkept, "its cosignature can't be kept here, so it is not shown: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if running && c.round.checkpoint.Size == cp.Size {
		c.round.lines = r.lines
	}
	if met {
		if cp.Size > c.witnessed.checkpoint.Size {
			c.since = c.o.Now()
		}
		c.witnessed = r
	}
	c.signal()
	return nil
}

// answered takes down how an endpoint answered, and returns how often it failed in a
// row.
func (c *Collector) answered(e *endpoint, cp *proof.Checkpoint, err error) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	outcome := outcomeOf(err)
	e.counts[outcome]++
	switch {
	case err == nil:
		if e.err != nil {
			c.o.Logger.Info("a witness cosigns again", "witness", e.name, "size", cp.Size)
		}
		e.err, e.failures, e.resting, e.cosigned = nil, 0, false, cp.Size
	default:
		if e.err == nil || outcomeOf(e.err) != outcome {
			c.o.Logger.Log(context.Background(), levelOf(outcome), "a witness did not cosign; trying again", "witness", e.name, "url", e.url, "size", cp.Size, "error", err)
		}
		e.err, e.resting = err, true
		e.failures++
	}
	c.advance()
	return e.failures
}

// levelOf says how grave it is that a witness answered so: that it was shown more, or
// something else, than this ledger is as grave as can be.
func levelOf(outcome string) slog.Level {
	switch outcome {
	case outcomeContradicted, outcomeAhead, outcomeInvalid, outcomeUnkept:
		return slog.LevelError
	}
	return slog.LevelWarn
}

// Dress adds to a checkpoint of the ledger the cosignatures that are there.
func (c *Collector) Dress(size uint64, n []byte) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range []*round{&c.round, &c.witnessed} {
		if size > 0 && r.checkpoint.Size == size && len(r.lines) > 0 {
			return proof.WithCosignatures(n, r.lines...)
		}
	}
	return n
}

// Witnessed returns the last checkpoint that met the policy, with its cosignatures;
// size 0 when there is none.
func (c *Collector) Witnessed() (size uint64, n []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.witnessed.checkpoint.Size == 0 {
		return 0, nil
	}
	return c.witnessed.checkpoint.Size, c.witnessed.note()
}

// Await returns the first checkpoint of at least size entries that meets the policy.
// It waits as long as ctx allows.
func (c *Collector) Await(ctx context.Context, size uint64) ([]byte, error) {
	for {
		c.mu.Lock()
		r, ended, changed := c.witnessed, c.ended, c.changed
		why := c.refused
		c.mu.Unlock()
		switch {
		case r.checkpoint.Size >= max(size, 1):
			return r.note(), nil
		case ended:
			return nil, ErrStopped
		}
		select {
		case <-changed:
		case <-ctx.Done():
			if why == nil {
				why = fmt.Errorf("the policy asks for %s", c.o.Policy.Need())
			}
			return nil, fmt.Errorf("%w: %w", ctx.Err(), why)
		}
	}
}
