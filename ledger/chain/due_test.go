package chain_test

import (
	"testing"
	"time"

	"annals/ledger/chain"
)

// TestDueToTheMillisecond: something expires at its time plus the period, by the
// ledger's own clock, and not a millisecond before; a rule of a workspace's and the one
// that every ledger begins with.
func TestDueToTheMillisecond(t *testing.T) {
	for name, c := range map[string]struct {
		period uint64 // s
		index  uint64 // what is to expire
		rule   uint64
	}{
		"a record by a rule":           {period: 3 * day, index: 2, rule: 11},
		"a rejection by the first one": {period: 30 * day, index: 7},
	} {
		for late, want := range map[int64]string{-1: notDue, 0: expired, 1: expired} {
			s, l := erasable(t, "due")
			if c.rule > 0 {
				s.Retain(chain.Retention{Role: chain.RoleOperator, Workspace: l.State.Tag("ws_7"), Types: "*", Period: c.period})
				if got := next(t, l, s); got != "control 0/1 retention" {
					t.Fatal(got)
				}
			}
			due := int64(l.Entries[c.index].Entry.ULID.Time()) + int64(c.period)*1000
			wait(t, s, l, time.Duration(c.period-day/2)*time.Second) // a mark a little before: no time is clamped
			// Between two milliseconds: the ledger's time has no finer ones.
			s.Now = (due+late)*int64(time.Millisecond) + 999_999
			if got := expire(t, s, l, c.rule, "ws_7", c.index); got != want {
				t.Errorf("%s, %d ms late: %s, want %s", name, late, got, want)
			}
			e := l.Entries[len(l.Entries)-1].Entry
			if at := int64(e.ULID.Time()); at != due+late {
				t.Errorf("%s: the entry's time is %d ms off", name, at-due-late)
			}
		}
	}
}
