package proof

import (
	"errors"
	"time"

	"annals/ledger/chain"
)

// ErrUnproven marks a timestamp token that is whole and whose authority the auditor
// has no reason to believe.
var ErrUnproven = errors.New("the authority is not one of those that are trusted")

// JudgeToken judges a timestamp token (RFC 3161) over a checkpoint's text: it returns
// the time that the token gives. An error that wraps [ErrUnproven] says that this is
// nobody's word whom the auditor trusts; the time is then what the token says. Any other
// says that the token is none over this text.
type JudgeToken func(text, token []byte) (time.Time, error)

// timestamp checks a timestamp token's entry: that it speaks of this ledger, and, where
// the auditor can judge tokens, what it proves.
func (j *joiner) timestamp(x uint64, s *chain.Statement) {
	token, err := chain.ParseTimestamp(s.Body)
	switch {
	case err != nil:
		j.found.at(x, MalformedEntry, "control entry %d: %v", x, err)
		return
	case s.Size == 0 && s.Root.IsZero():
		j.found.at(x, UnauthorisedControl, "control entry %d has a timestamp token, and names no state that it is of", x)
		return
	}
	j.state(x, s, nil, 0)
	if j.o.Token == nil || j.begun.genesis == nil {
		j.found.notice(x, TimestampUnproven, "control entry %d has a timestamp token over the first %d entries, which is not judged here", x, s.Size)
		return
	}
	c := Checkpoint{Origin: j.begun.genesis.Origin, Size: s.Size, Root: s.Root}
	at, err := j.o.Token([]byte(c.Text()), token)
	said := at.UTC().Format(time.RFC3339Nano)
	switch {
	case err == nil:
		j.found.notice(x, Timestamped, "control entry %d: the first %d entries stood there at %s, by a timestamp authority that is trusted here", x, s.Size, said)
	case errors.Is(err, ErrUnproven):
		j.found.notice(x, TimestampUnproven, "control entry %d has a timestamp token that says %s of the first %d entries: %v", x, said, s.Size, err)
	default:
		j.found.at(x, BadTimestamp, "the timestamp token in control entry %d is none over the first %d entries: %v", x, s.Size, err)
	}
}
