package projections

import "annals/ledger/chain"

// terms gathers what entries have to be found by, until it is added to a tail:
// the names of the lists that they belong to, one after the other in one buffer,
// and what their columns hold.
type terms struct {
	names   []byte
	ends    []int // of each name in names
	offsets []uint16

	entries    []timed
	quarters   []quarterRow
	workspaces []numbered

	workspace uint32
	offset    uint16
	field     Field
	last      chain.Hash // tag of the workspace …
	known     bool       // … whose number is workspace
	say       func(a, b string)
}

// timed is an entry's workspace and the time it occurred at.
type timed struct {
	workspace uint32
	occurred  int64
}

func (t *terms) reset() {
	t.names, t.ends, t.offsets = t.names[:0], t.ends[:0], t.offsets[:0]
	t.entries, t.quarters, t.workspaces = t.entries[:0], t.quarters[:0], t.workspaces[:0]
}

// forget forgets which number the last workspace has: the numbers begin anew.
func (t *terms) forget() { t.known = false }

// add adds an entry.
func (t *terms) add(f *facts, w *workspaces) {
	if t.say == nil {
		t.say = t.post // made once: a closure for each entry would be garbage
	}
	if tag := &f.entry.Workspace; !t.known || t.last != *tag {
		number, ok := w.of(tag)
		if !ok {
			t.workspaces = append(t.workspaces, w.add(tag))
			number = t.workspaces[len(t.workspaces)-1].number
		}
		t.workspace, t.last, t.known = number, *tag, true
	}
	t.offset = uint16(offsetOf(f.entry.Index))
	t.entries = append(t.entries, timed{t.workspace, occurredAt(f.entry, f.keys)})
	for _, t.field = range stored {
		f.has(t.field, t.say)
	}
}

// post adds the name of one value's list.
func (t *terms) post(a, b string) {
	t.names = appendList(t.names, t.workspace, t.field)
	t.names = t.field.appendName(t.names, a, b)
	t.ends = append(t.ends, len(t.names))
	t.offsets = append(t.offsets, t.offset)
}

// appendName appends a value of the field as it stands in a list's name.
func (f Field) appendName(dst []byte, a, b string) []byte {
	switch {
	case f == FieldIP:
		var room [64]byte
		return appendValue(dst, string(appendAddress(room[:0], a)))
	case f.paired():
		return appendValue(appendValue(dst, a), b)
	}
	return appendValue(dst, a)
}

// cutName undoes appendName.
func (f Field) cutName(name []byte) (Value, error) {
	a, rest, err := cutValue(name)
	if err != nil {
		return Value{}, err
	}
	v := Value{A: a}
	ok := true
	switch {
	case f == FieldIP:
		v.A, ok = addressText(a)
	case f.paired():
		v.B, rest, err = cutValue(rest)
	}
	if err != nil || !ok || len(rest) > 0 {
		return Value{}, errValue
	}
	return v, nil
}
