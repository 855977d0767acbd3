// Package samples publishes the sample activity as a producer would: over a NATS
// connection, through the SDK, with no other way in.
//
// The rule it exists for: what a demo shows is compared with what was published,
// counted here from the records' own bytes, so that a demo can fail.
package samples

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"

	"annals/activity"
	"annals/ingest"
	"annals/ledger/chain"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
)

// What the samples are made of (testdata/README.md).
var composition = map[chain.Kind]int{
	chain.KindRecord: 88, chain.KindDuplicate: 3, chain.KindConflict: 1, chain.KindRejection: 2,
}

// Published is what became of the samples.
type Published struct {
	Records int
	kinds   map[chain.Kind]int
	lines   []sample
}

// sample is one line and what became of it.
type sample struct {
	workspace string
	body      []byte
	kind      chain.Kind
	pending   *ingest.Pending
}

// Publish publishes the lines of every file, in the order of the files' names,
// and returns once each is recorded, as await says.
func Publish(ctx context.Context, server string, files fs.FS, await func(context.Context, uint64, uint16) (chain.Receipt, error)) (p *Published, err error) {
	nc, err := nats.Connect(server, ingest.ConnOptions("annals demo", nil)...)
	if err != nil {
		return nil, fmt.Errorf("connecting as a producer: %w", err)
	}
	defer nc.Close()
	publisher, err := ingest.NewPublisher(nc, ingest.PublisherOptions{})
	if err != nil {
		return nil, err
	}
	defer func() {
		if closeErr := publisher.Close(ctx); err == nil {
			err = closeErr
		}
	}()
	p = &Published{kinds: map[chain.Kind]int{}}
	if p.lines, err = read(files); err != nil {
		return nil, err
	}
	p.Records = len(p.lines)
	for i := range p.lines {
		l := &p.lines[i]
		if l.pending, err = publisher.PublishAsync(ctx, l.workspace, chain.OwnType, l.body); err != nil {
			return nil, err
		}
	}
	for i := range p.lines {
		ack, err := p.lines[i].pending.Wait(ctx)
		if err != nil {
			return nil, err
		}
		receipt, err := await(ctx, ack.Sequence, ack.Place)
		if err != nil {
			return nil, err
		}
		p.lines[i].kind = receipt.Entry.Kind
		p.kinds[receipt.Entry.Kind]++
	}
	return p, nil
}

func read(files fs.FS) ([]sample, error) {
	names, err := fs.Glob(files, "*.jsonl") // sorted
	if err != nil {
		return nil, err
	}
	var out []sample
	for _, name := range names {
		b, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		for n, line := range bytes.Split(bytes.TrimSuffix(b, []byte{'\n'}), []byte{'\n'}) {
			var at struct {
				Workspace string `json:"workspace"`
			}
			if err := json.Unmarshal(line, &at); err != nil {
				return nil, fmt.Errorf("%s:%d: %w", name, n+1, err)
			}
			out = append(out, sample{workspace: at.Workspace, body: line})
		}
	}
	return out, nil
}

// String counts what became of the samples.
func (p *Published) String() string {
	return fmt.Sprintf("%d recorded, %d duplicates, %d conflict, %d rejected",
		p.kinds[chain.KindRecord], p.kinds[chain.KindDuplicate], p.kinds[chain.KindConflict], p.kinds[chain.KindRejection])
}

// Check returns an error when something else became of the samples than must.
func (p *Published) Check() error {
	for kind, want := range composition {
		if got := p.kinds[kind]; got != want {
			return fmt.Errorf("%d entries of kind %s, and there must be %d", got, kind, want)
		}
	}
	return nil
}

// Shown counts the samples that a timeline of the workspace must show: records
// and conflicts, of a user unless "", of an object (type/id) unless "".
func (p *Published) Shown(workspace, user, object string) (n int) {
	for i := range p.lines {
		l := &p.lines[i]
		if l.workspace != workspace || l.kind != chain.KindRecord && l.kind != chain.KindConflict {
			continue
		}
		r, err := activity.Parse(l.body)
		if err == nil && (user == "" || concerns(r, user)) && (object == "" || touches(r, object)) {
			n++
		}
	}
	return n
}

func concerns(r *activity.Record, user string) bool {
	return r.Actor != nil && r.Actor.ID == user || r.OnBehalfOf != nil && r.OnBehalfOf.ID == user
}

func touches(r *activity.Record, object string) bool {
	all := r.Linked
	if r.Object != nil {
		all = append(all, *r.Object)
	}
	for _, o := range all {
		if o.Type+"/"+o.ID == object {
			return true
		}
	}
	return false
}
