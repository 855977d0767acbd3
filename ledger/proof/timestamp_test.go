package proof

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"annals/ledger/chain"
)

// TestTimestamps has an auditor judge the tokens of a ledger, and one put into it that
// the fold would not have let in.
func TestTimestamps(t *testing.T) {
	b := newBuilder("timestamps")
	for i := range 20 {
		b.Record("w", fmt.Sprint(i), `{}`)
	}
	b.fold()
	size := uint64(15)
	b.Timestamp(size, rootOf(b.leaves[:size]), []byte("0a token"))
	b.Record("w", "last", `{}`)
	m := b.done()
	at := m.first(chain.KindControl, 20)
	c := Checkpoint{Origin: b.Settled.Origin, Size: size, Root: rootOf(b.leaves[:size])}
	text := c.Text()
	when := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	judge := func(err error) JudgeToken {
		return func(said, token []byte) (time.Time, error) {
			if string(said) != text || string(token) != "0a token" {
				t.Errorf("judged: %q over %q", token, said)
			}
			return when, err
		}
	}
	for name, c := range map[string]struct {
		judge  JudgeToken
		want   Finding
		notice NoticeName
	}{
		"trusted":      {judge(nil), Clean, Timestamped},
		"untrusted":    {judge(fmt.Errorf("%w: who is that", ErrUnproven)), Clean, TimestampUnproven},
		"nobody asked": {nil, Clean, TimestampUnproven},
		"none":         {judge(errors.New("it is over something else")), BadTimestamp, ""},
	} {
		r := audit(t, m, Options{Token: c.judge})
		said := NoticeName("")
		for _, n := range r.Notices {
			if n.Index != nil && *n.Index == uint64(at) {
				said = n.Notice
			}
		}
		if r.Verdict != c.want || said != c.notice || c.want != Clean && *r.Findings[0].Index != uint64(at) {
			t.Errorf("%s: %s, notice %q: %+v", name, r.Verdict, said, r.Findings)
		}
	}
	for name, c := range map[string]struct {
		change func(s *chain.Statement)
		want   Finding
	}{
		"no token":      {func(s *chain.Statement) { s.Body = []byte("text") }, MalformedEntry},
		"no state":      {func(s *chain.Statement) { s.Size, s.Root = 0, chain.Hash{} }, UnauthorisedControl},
		"another state": {func(s *chain.Statement) { s.Size-- }, UnauthorisedControl},
		"a later state": {func(s *chain.Statement) { s.Size = 1000 }, UnauthorisedControl},
	} {
		if r := audit(t, m.restate(at, c.change, nil, b.Keeper), Options{}); r.Verdict != c.want || *r.Findings[0].Index != uint64(at) {
			t.Errorf("%s: %+v", name, r.Findings)
		}
	}
}
