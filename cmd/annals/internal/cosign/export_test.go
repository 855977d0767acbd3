package cosign

import (
	"context"
	"time"
)

// Hooks replaces what a test can't wait for, or wants to fail. nil leaves a hook as
// it is.
func (o *Options) Hooks(write func(string, []byte) error, pause func(int) time.Duration, wait func(context.Context, time.Duration) bool) {
	o.write, o.pause, o.wait = write, pause, wait
}

// The outcomes that tests name.
const (
	Cosigned     = outcomeOK
	Unreachable  = outcomeUnreachable
	UnknownLog   = outcomeUnknownLog
	UnknownKey   = outcomeUnknownKey
	Contradicted = outcomeContradicted
	Ahead        = outcomeAhead
	Invalid      = outcomeInvalid
	Unkept       = outcomeUnkept
	Refused      = outcomeRefused
)

// Outcomes counts the answers of the first endpoint.
func (c *Collector) Outcomes() map[string]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[string]uint64{}
	for outcome, n := range c.endpoints[0].counts {
		out[outcome] = n
	}
	return out
}

// Pause is the pause after so many failures in a row.
var Pause = pause
