package door

import (
	"annals/activity"
	"annals/internal/problem"
)

// held is a batch that is held to what its workspace's catalogue asks for.
func (d *door) held(workspace string, bodies [][]byte, events bool, frame framing) *batch {
	b := newBatch(workspace, bodies, events, frame)
	d.strict(b, bodies, events)
	return b
}

// strict refuses records that break their workspace's catalogue, where that asks for it:
// of an unknown type, or without the object or a field that their type has. What else is
// doubtful is for readers to see. An amendment says what changes and no more, so it is
// held to nothing.
//
// A catalogue that can't be looked up refuses nothing: to record comes first.
func (d *door) strict(b *batch, bodies [][]byte, events bool) {
	if d.o.Words == nil {
		return
	}
	words, err := d.o.Words(b.workspace)
	if err != nil {
		d.o.Logger.Error("the workspace's catalogue can't be read, so nothing is held to it", "workspace", b.workspace, "error", err)
		return
	}
	if !words.Strict() {
		return
	}
	for i, body := range bodies {
		if b.items[i].Status == rejected {
			continue
		}
		if events {
			record, bad := told(body)
			if bad != nil {
				continue // it was refused
			}
			body = record
		}
		if flag, breaks := breach(words, body); breaks {
			pointer := flag.Pointer
			b.items[i] = Fate{Status: rejected, ID: b.items[i].ID, Code: problem.Code(flag.Code), Pointer: &pointer, Detail: flag.Detail}
			b.frames[i] = nil
		}
	}
}

// breach returns the first thing in which a record breaks a catalogue.
func breach(words *activity.Vocabulary, record []byte) (activity.Flag, bool) {
	r, err := activity.Parse(record)
	if err != nil || r.Amends != "" {
		return activity.Flag{}, false
	}
	for _, f := range words.Check(r) {
		switch f.Code {
		case activity.FlagUnknownType, activity.FlagMissingObject, activity.FlagMissingField:
			return f, true
		}
	}
	return activity.Flag{}, false
}
