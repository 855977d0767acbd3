package chain

import (
	"errors"
	"fmt"
)

// The versions of the fold. A version says what is made of a message that is not a
// control message: which bytes are a record, and what they tell.
const (
	FoldRecords uint16 = 1 // a message, or a line of it, is a record
	FoldEvents  uint16 = 2 // … or a CloudEvent that tells one (docs/format/cloudevents.md)

	// LatestFold is the newest that this program knows.
	LatestFold = FoldEvents
)

// SealFoldVersion frames and signs, as the body of a control message, that from the
// next message on the stream is folded by a version. why is kept beside the entry and
// may be erased.
func SealFoldVersion(ledger Hash, control uint64, version uint16, why string, signers ...Signer) []byte {
	return SealControl(Statement{
		Ledger: ledger, Number: control, Type: ControlFold, Body: be16(nil, version),
	}, []byte(why), signers...)
}

// ParseFoldVersion parses the body of a statement of type [ControlFold]. An error wraps
// [ErrMalformed], or [ErrUnsupported] for a version that only a newer program knows.
func ParseFoldVersion(body []byte) (uint16, error) {
	c := cursor{b: body}
	version := c.u16()
	switch {
	case !c.done() || version == 0:
		return version, malformed("fold version of %d bytes", len(body))
	case version > LatestFold:
		return version, unsupported("fold version %d", version)
	}
	return version, nil
}

// foldBy lets another version of the fold begin with the next message.
func (s *State) foldBy(st *Statement) error {
	version, err := ParseFoldVersion(st.Body)
	if err != nil && !errors.Is(err, ErrUnsupported) {
		return err
	}
	// A version that is past is refused, one that is yet to be known halts.
	if version <= s.Version {
		return fmt.Errorf("it announces fold version %d, but version %d is in force", version, s.Version)
	}
	if err == nil {
		s.Version = version
	}
	return err
}
