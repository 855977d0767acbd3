package pack

import (
	"bytes"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"annals/ledger/proof"
)

// exact reads JSON that says nothing but what a T says, in the one way in which
// docs/format says it: no member that T doesn't have, none left out, none null, no
// name twice; numbers and base64 as they are printed. White space and the order of
// members are free.
func exact[T any](b []byte, into *T) error {
	if err := json.Unmarshal(b, into, json.RejectUnknownMembers(true)); err != nil {
		return err
	}
	printed, err := json.Marshal(into)
	if err != nil {
		return err
	}
	want, err := canonical(printed)
	if err != nil {
		return err
	}
	got, err := canonical(b)
	if err != nil {
		return err
	}
	if !bytes.Equal(want, got) {
		return fmt.Errorf("a member is missing, is null, or is written in another way than the format has")
	}
	return nil
}

// canonical drops white space and sorts members; numbers stay as they are written.
func canonical(b []byte) ([]byte, error) {
	v := jsontext.Value(bytes.Clone(b))
	err := v.Format(
		jsontext.Multiline(false), jsontext.SpaceAfterComma(false), jsontext.SpaceAfterColon(false),
		jsontext.ReorderRawObjects(true), jsontext.CanonicalizeRawInts(false), jsontext.CanonicalizeRawFloats(false),
		jsontext.PreserveRawStrings(false), jsontext.EscapeForHTML(false), jsontext.EscapeForJS(false),
	)
	return v, err
}

// line reads a line of entries.jsonl. What is certain not to break the form is not
// printed again to be compared.
func line(b []byte) (proof.Line, error) {
	l, err := proof.ParseLine(b)
	if err != nil {
		return l, err
	}
	if l.Index == 0 || l.Gone != nil || l.Entry == nil || bytes.Contains(b, []byte("null")) || len(l.Proof) == 0 && bytes.Contains(b, []byte("proof")) {
		l = proof.Line{}
		if err := exact(b, &l); err != nil {
			return l, err
		}
	}
	if l.Entry == nil {
		return l, fmt.Errorf("the line has no entry")
	}
	return l, nil
}

// lenient reads what it knows of JSON and passes over the rest.
func lenient(b []byte, into any) error { return json.Unmarshal(b, into) }
