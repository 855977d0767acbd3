// Package cosign asks witnesses to cosign the ledger's checkpoints (C2SP
// tlog-witness), and keeps what they sign.
//
// The rule it exists for: a witness delays what is *witnessed*, and nothing else.
// It is asked beside the signing, one request at a time, with bounds on everything
// that it sends and on how long it takes; what it answers is checked against the
// policy's key and against the very text that it was asked about, and is on disk
// before anybody is told. One that is down, slow or lying is asked again later and
// later, and the others meanwhile as ever.
//
// A ledger signs faster than witnesses answer, and cosignatures of different
// checkpoints don't add up. So the witnesses are asked in rounds: all about one
// checkpoint, until the policy is met or nobody is left who might answer; the next
// round is about the newest one then.
package cosign

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"annals/ledger/chain"
	"annals/ledger/proof"
)

// How long a witness that failed is left alone: doubled with each failure in a row,
// and spread, so that many ledgers don't come back to it at once.
const (
	firstPause = time.Second
	lastPause  = time.Minute
)

// maxAsked bounds the requests under way.
const maxAsked = 16

// ErrStopped says that nothing is collected any more because the server stops.
var ErrStopped = errors.New("no more cosignatures are collected: the server is stopping")

// Options of a collector. Policy, Next, Consistency and Path are required.
type Options struct {
	// Policy names the witnesses, and how many of them make a checkpoint *witnessed*
	// (C2SP tlog-policy). Those without a URL are not asked.
	Policy *proof.Policy
	// Next returns the last checkpoint once it is of more than after entries.
	Next func(ctx context.Context, after uint64) (proof.Checkpoint, error)
	// Consistency is the proof that one tree begins with another (RFC 6962, 2.1.2).
	Consistency func(from, to uint64) ([]chain.Hash, error)
	// Path is the data folder, where cosignatures are kept.
	Path string
	// Insecure asks over plain http on other machines too.
	Insecure bool
	Logger   *slog.Logger     // nil discards
	Client   *http.Client     // nil: one of its own
	Now      func() time.Time // nil: time.Now

	write func(path string, data []byte) error                   // nil: to disk
	pause func(failures int) time.Duration                       // nil: backoff
	wait  func(ctx context.Context, d time.Duration) (over bool) // nil: a timer
}

// Collector collects the cosignatures of one ledger. Its methods are safe for
// concurrent use.
type Collector struct {
	o         Options
	files     files
	endpoints []*endpoint
	room      chan struct{} // one for each request under way
	saving    sync.Mutex    // held by whoever adds cosignatures

	mu        sync.Mutex
	newest    proof.Checkpoint // that was signed
	round     round            // that witnesses are asked about
	witnessed round            // the last one that met the policy; its lines grow while it is the round
	since     time.Time        // when witnessed first did
	refused   error            // why nothing is collected; nil: it is
	ended     bool
	changed   chan struct{} // closed, and made anew, when one of these changes
}

// round is a checkpoint with the cosignatures that came so far.
type round struct {
	checkpoint proof.Checkpoint // Note is as the ledger signed it
	lines      []string
}

func (r *round) note() []byte { return proof.WithCosignatures(r.checkpoint.Note, r.lines...) }

// endpoint is where witnesses are asked: those of a policy that share a URL are one.
type endpoint struct {
	name      string // of the first
	url       string
	witnesses []proof.Witness
	counts    map[string]uint64 // answers by outcome; under the collector's lock

	size uint64 // that it cosigned last, as far as is known; its own goroutine's

	// Under the collector's lock:
	cosigned uint64 // size of the last checkpoint that it cosigned for us
	failures int    // in a row
	resting  bool   // until its pause is over
	err      error  // why the last answer was none
}

// New returns a collector that goes on from what the data folder holds. A policy
// that asks nobody is an error.
func New(o Options) (*Collector, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Client == nil {
		o.Client = newClient()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.pause == nil {
		o.pause = pause
	}
	if o.wait == nil {
		o.wait = sleep
	}
	c := &Collector{o: o, files: newFiles(o.Path, o.write), room: make(chan struct{}, maxAsked), changed: make(chan struct{})}
	at := map[string]*endpoint{}
	for _, w := range o.Policy.Witnesses() {
		if w.URL == "" {
			continue
		}
		url, err := prefix(&w, o.Insecure)
		if err != nil {
			return nil, err
		}
		if at[url] == nil {
			at[url] = &endpoint{name: w.Name, url: url, counts: map[string]uint64{}}
			c.endpoints = append(c.endpoints, at[url])
		}
		at[url].witnesses = append(at[url].witnesses, w)
	}
	if len(c.endpoints) == 0 {
		return nil, errors.New("the policy gives no witness a URL, so there is nobody to ask: write `witness NAME VKEY URL`")
	}
	return c, nil
}

// pause is how long a witness is left alone after failing so often in a row.
func pause(failures int) time.Duration {
	d := min(firstPause<<min(failures-1, 10), lastPause)
	return d/2 + rand.N(d)
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Run collects until ctx ends. It returns no error: what fails is tried again, and
// the log says so.
func (c *Collector) Run(ctx context.Context) {
	defer c.end()
	next, err := c.begin(ctx)
	if err != nil {
		if ctx.Err() == nil {
			c.refuse(err)
			<-ctx.Done()
		}
		return
	}
	var running sync.WaitGroup
	defer running.Wait()
	for _, e := range c.endpoints {
		running.Go(func() { c.follow(ctx, e) })
	}
	for {
		if next, err = c.o.Next(ctx, next.Size); err != nil {
			return
		}
		c.mu.Lock()
		c.newest = next
		c.advance()
		c.mu.Unlock()
	}
}

// begin waits for a checkpoint that goes as far as what was collected before, and
// begins the first round with it.
func (c *Collector) begin(ctx context.Context) (proof.Checkpoint, error) {
	for after := uint64(0); ; {
		next, err := c.o.Next(ctx, after)
		if err != nil {
			return next, err
		}
		if err = c.adopt(&next); err == nil {
			return next, nil
		}
		if _, ok := errors.AsType[*BehindError](err); !ok {
			return next, err
		}
		c.refuse(err)
		after = next.Size
	}
}

// adopt takes over what the data folder holds, if the ledger has that tree still.
func (c *Collector) adopt(newest *proof.Checkpoint) error {
	kept := c.files.read(c.o.Logger)
	for i := range kept {
		old := &kept[i]
		if old.Size > newest.Size {
			return &BehindError{Path: old.path, Cosigned: old.Size, Size: newest.Size}
		}
		if err := c.consistent(&old.Checkpoint, newest); errors.Is(err, proof.ErrProof) {
			return &ContradictionError{Path: old.path, Cosigned: old.Checkpoint, Newest: *newest}
		} else if err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refused, c.newest, c.round = nil, *newest, round{checkpoint: *newest}
	for i := range kept {
		c.restore(&kept[i].Checkpoint)
	}
	c.signal()
	return nil
}

// restore puts a checkpoint with cosignatures where it was. The caller holds the
// lock.
func (c *Collector) restore(old *proof.Checkpoint) {
	r := round{checkpoint: *old}
	for _, e := range c.endpoints {
		for i := range e.witnesses {
			// Only what the policy's keys signed: it may be another policy now.
			if s, err := e.witnesses[i].Cosignature(old.Text(), signatures(old)); err == nil {
				r.lines = append(r.lines, s.Line)
				e.size, e.cosigned = max(e.size, old.Size), max(e.cosigned, old.Size)
			}
		}
	}
	if _, met, err := c.o.Policy.Judge(old.Note); err == nil && met && c.o.Policy.Demands() && old.Size > c.witnessed.checkpoint.Size {
		c.witnessed = r
	}
	if old.Size == c.round.checkpoint.Size && len(r.lines) > len(c.round.lines) {
		c.round.lines = r.lines
	}
}

// signatures are the lines of a note.
func signatures(c *proof.Checkpoint) []byte {
	return c.Note[bytes.LastIndex(c.Note, []byte("\n\n"))+2:]
}

// advance begins a round with the newest checkpoint, unless the one that runs may
// still meet the policy. The caller holds the lock.
func (c *Collector) advance() {
	size := c.round.checkpoint.Size
	if c.newest.Size <= size {
		return
	}
	if c.witnessed.checkpoint.Size < size {
		for _, e := range c.endpoints {
			if !e.resting && e.cosigned < size {
				return
			}
		}
	}
	c.round = round{checkpoint: c.newest}
	c.signal()
}

// signal tells whoever waits that something changed. The caller holds the lock.
func (c *Collector) signal() {
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *Collector) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	c.signal()
}

// refuse notes why nothing is collected.
func (c *Collector) refuse(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refused == nil {
		c.o.Logger.Error("no cosignatures are collected", "error", err)
	}
	c.refused = err
	c.signal()
}
