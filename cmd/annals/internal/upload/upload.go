// Package upload records a file of JSON lines.
//
// The rule it exists for: every line is accounted for. A line was recorded, was
// there already, contradicts one that is there, was refused and why, or nobody
// knows yet; the report names its number, and the numbers add up to the file.
package upload

import (
	"context"
	"errors"
	"fmt"
	"io"

	"annals/activity"
	"annals/cmd/annals/internal/client"
)

// Bounds of a request, and of what is held until it is sent.
const (
	maxLines = 1000
	maxBytes = 2 << 20
	maxHeld  = 16 << 20
)

// Options of an upload. Client is required.
type Options struct {
	Client    client.Recorder
	Workspace string      // of records that don't name one; "": each must
	Progress  func(n int) // told of bytes that are dealt with; nil: nobody
}

// Run records the lines of an input and reports what became of each. The error
// says why it stopped before the end; the report is as far as it came.
func Run(ctx context.Context, in io.Reader, o Options) (*Report, error) {
	if o.Progress == nil {
		o.Progress = func(int) {}
	}
	u := &upload{o: o, report: &Report{}, baskets: map[string]*basket{}}
	err := u.run(ctx, newLines(in))
	if err != nil {
		u.report.unsent(u.baskets)
	}
	return u.report, err
}

// upload is one on its way. Lines wait in a basket for each workspace.
type upload struct {
	o       Options
	report  *Report
	baskets map[string]*basket
	held    int
}

type basket struct {
	lines   [][]byte
	numbers []int
	bytes   int
	again   bool // every line has an id, so it can be sent twice
}

func (u *upload) run(ctx context.Context, in *lines) error {
	u.o.Progress(in.mark)
	for {
		l, err := in.next()
		if errors.Is(err, io.EOF) {
			return u.flush(ctx)
		}
		if err != nil {
			return fmt.Errorf("reading line %d: %w", l.number, err)
		}
		u.report.Lines = l.number
		workspace, again, refusal := u.judge(&l)
		switch {
		case l.blank():
			u.report.Blank++
			u.o.Progress(l.size)
		case refusal != nil:
			u.report.add(l.number, client.Outcome{
				Status: "rejected", Code: refusal.Code.String(), Pointer: refusal.Pointer, Detail: refusal.Detail,
			})
			u.o.Progress(l.size)
		default:
			if err := u.put(ctx, workspace, &l, again); err != nil {
				return err
			}
		}
	}
}

// judge checks a line as the server will: what it would refuse need not be sent,
// and a line that names no workspace can't be.
func (u *upload) judge(l *line) (workspace string, again bool, refusal *activity.Refusal) {
	if l.bytes == nil && l.size > 1 {
		return "", false, &activity.Refusal{
			Code: activity.CodeRecordTooLarge, Detail: fmt.Sprintf("the line has %d bytes, a record at most %d", l.size, activity.MaxRecord),
		}
	}
	var keys activity.Keys
	if r := activity.Scan(l.bytes, &keys); r != nil {
		return "", false, r
	}
	workspace = u.o.Workspace
	if workspace == "" {
		workspace = keys.Workspace
	}
	if workspace == "" {
		return "", false, &activity.Refusal{
			Code: activity.CodeMissingWorkspace, Pointer: "/workspace", Detail: "the record names no workspace: add it, or give one for all with --workspace",
		}
	}
	return workspace, keys.ID != "", keys.Agree(workspace, "")
}

// put puts a line in its workspace's basket, and sends what is full.
func (u *upload) put(ctx context.Context, workspace string, l *line, again bool) error {
	b := u.baskets[workspace]
	if b == nil {
		b = &basket{again: true}
		u.baskets[workspace] = b
	}
	b.lines = append(b.lines, l.bytes)
	b.numbers = append(b.numbers, l.number)
	b.bytes += l.size
	b.again = b.again && again
	u.held += l.size
	switch {
	case u.held >= maxHeld:
		return u.flush(ctx)
	case len(b.lines) >= maxLines || b.bytes >= maxBytes:
		return u.send(ctx, workspace, b)
	}
	return nil
}

func (u *upload) flush(ctx context.Context) error {
	for workspace, b := range u.baskets {
		if err := u.send(ctx, workspace, b); err != nil {
			return err
		}
	}
	return nil
}

// send records a basket. Its lines leave it with what became of them, or, where
// no answer came, as unknown.
func (u *upload) send(ctx context.Context, workspace string, b *basket) error {
	delete(u.baskets, workspace)
	u.held -= b.bytes
	outcomes, err := u.o.Client.Publish(ctx, workspace, b.lines, b.again)
	for i, number := range b.numbers {
		o := client.Outcome{Status: "unknown"}
		if outcomes != nil {
			o = outcomes[i]
		}
		u.report.add(number, o)
	}
	u.o.Progress(b.bytes)
	return err
}
