// Package audit runs an audit for the command line: of a folder, or of what a
// server or an export shows.
//
// The rule it exists for: a head that is to be checked against is kept outside
// of what it checks, and so is the key. A ledger whose end was cut off looks like
// a shorter ledger, from the inside; one that was written anew looks like another.
package audit

import (
	"context"
	"iter"
	"sync"
	"sync/atomic"

	"annals/ledger"
	"annals/ledger/chain"
	"annals/ledger/proof"
)

// Options of a run. The zero value serves.
type Options struct {
	// Remembered is a head that was kept outside; nil: there is none yet.
	Remembered *Remembered
	// Key is the verifier key that the auditor knows the ledger by; empty: none.
	Key string
	// Policy says which witnesses must have cosigned; nil: nobody asks.
	Policy *proof.Policy
	// Token judges timestamp tokens; nil: nobody does.
	Token proof.JudgeToken
	// Signed are the signed heads that stand beside a folder's ledger.
	Signed Signed
	// Progress is told how many entries were read, of how many, from many
	// goroutines; nil: nobody.
	Progress func(read, of uint64)
}

// Result is what a run found, and the head that it is of.
type Result struct {
	proof.Report
	Head proof.Head
	// Note is the checkpoint that the head was signed in; empty when it wasn't.
	Note string
}

// options are the audit's own options.
func (o *Options) options() proof.Options {
	po := proof.Options{Key: o.Key, Policy: o.Policy, Token: o.Token}
	if r := o.Remembered; r != nil {
		po.Remembered, po.Ledger = &r.Head, r.Ledger
		if r.Note != "" {
			po.RememberedNote = []byte(r.Note)
		}
	}
	return po
}

// Run audits a folder's ledger, with the signed heads beside it. Where the evidence is
// clean it reads the tables beside it too: an error beside a clean report says that one of
// them is damaged.
func Run(ctx context.Context, src *ledger.Source, o Options) (Result, error) {
	head, err := src.Head(ctx)
	if err != nil {
		// The audit says by itself what a head that can't be read means.
		head = proof.Head{}
	}
	po := o.options()
	po.Tag, po.Checkpoint, po.Retired = tags(src), o.Signed.Checkpoint, o.Signed.Retired
	o.preferWitnessed(&po, head.Size)
	tables := make(chan error, 1)
	go func() { tables <- src.CheckTables(ctx) }()
	report, err := proof.Audit(ctx, counted(src, head.Size, o.Progress), po)
	if beside := <-tables; err == nil && report.Verdict == proof.Clean {
		err = beside
	}
	r := Result{Report: report, Head: head}
	if c, err := proof.ParseCheckpoint(o.Signed.Checkpoint); err == nil && c.Size == head.Size && c.Root == head.Root {
		r.Note = string(o.Signed.Checkpoint)
	}
	return r, err
}

// counting is a source that says how far it was read.
type counting struct {
	proof.Source
	read atomic.Uint64
	of   uint64
	told func(read, of uint64)
}

func counted(src proof.Source, of uint64, told func(read, of uint64)) proof.Source {
	if told == nil {
		return src
	}
	return &counting{Source: src, of: of, told: told}
}

// Leaves is the source's, counted.
func (c *counting) Leaves(ctx context.Context, from, to uint64) iter.Seq2[chain.Leaf, error] {
	leaves := c.Source.Leaves(ctx, from, to)
	return func(yield func(chain.Leaf, error) bool) {
		n := uint64(0)
		defer func() { c.told(min(c.read.Add(n), c.of), c.of) }()
		for leaf, err := range leaves {
			n++
			if !yield(leaf, err) {
				return
			}
		}
	}
}

// tags returns how to recompute workspaces' tags, or nil where the genesis, which
// holds the key, can't be read. Each name is looked up once.
func tags(src *ledger.Source) func(string) chain.Hash {
	if _, err := src.Tag(chain.SystemWorkspace); err != nil {
		return nil
	}
	var known sync.Map
	return func(workspace string) chain.Hash {
		if tag, ok := known.Load(workspace); ok {
			return tag.(chain.Hash)
		}
		tag, _ := src.Tag(workspace) // as above
		known.Store(workspace, tag)
		return tag
	}
}
