package proof

import (
	"fmt"
	"strings"
	"testing"

	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
)

func TestForgedEpochs(t *testing.T) {
	m := torn()
	operator := chaintest.Signer("operator")
	body := func(change func(*chain.EpochStart)) func(*chain.Statement) {
		return func(s *chain.Statement) {
			e, err := chain.ParseEpochStart(s.Body)
			if err != nil {
				panic(err)
			}
			change(&e)
			s.Body = e.Append(nil)
		}
	}
	inEpoch := func(from, to int, epoch uint32) *memory {
		bad := m.clone()
		for i := from; i < to; i++ {
			bad.edit(i, func(e *chain.Entry) {
				e.Epoch = epoch
				if e.Kind != chain.KindGap {
					e.Commitment, _ = bad.rows[i].payload.Commitment(bad.id(), e, nil)
				}
			})
		}
		bad.relink(from, false)
		bad.seal()
		return bad
	}
	skipping := inEpoch(tornEpoch, tornSecondly, 2).restate(tornEpoch, body(func(e *chain.EpochStart) { e.Epoch = 2 }), nil, operator)
	skipping.rows = skipping.rows[:tornSecondGap] // what is said of gaps and trims is of epoch 1
	skipping.seal()
	for _, c := range []struct {
		name string
		bad  *memory
		at   int
		want Finding
	}{
		{"an epoch is left out", skipping, tornEpoch, UnauthorisedControl},
		{"the same", m.restate(tornEpoch, func(*chain.Statement) {}, nil, operator), -1, Clean},
		{"a stream of another name", m.restate(tornEpoch, body(func(e *chain.EpochStart) { e.Stream = "X" }), nil, operator), -1, Clean},
		{"signed by the root", m.restate(tornEpoch, func(*chain.Statement) {}, nil, chaintest.Signer("root")), tornEpoch, UnauthorisedControl},
		{"an epoch too far", m.restate(tornEpoch, body(func(e *chain.EpochStart) { e.Epoch = 2 }), nil, operator), tornEpoch, MalformedEntry},
		{"more of the old stream", m.restate(tornEpoch, body(func(e *chain.EpochStart) { e.Last++ }), nil, operator), tornEpoch, UnauthorisedControl},
		{"less of the old stream", m.restate(tornEpoch, body(func(e *chain.EpochStart) { e.Last-- }), nil, operator), tornEpoch, UnauthorisedControl},
		{"another first message", m.restate(tornEpoch, body(func(e *chain.EpochStart) { e.First++ }), nil, operator), tornEpoch, MalformedEntry},
		{"no stream", m.restate(tornEpoch, body(func(e *chain.EpochStart) { e.Stream = "" }), nil, operator), tornEpoch, MalformedEntry},
		{"no condition", m.restate(tornEpoch, func(s *chain.Statement) { s.Size, s.Root = 0, chain.Hash{} }, nil, operator), tornEpoch, UnauthorisedControl},
		{"an earlier state", m.restate(tornEpoch, func(s *chain.Statement) {
			s.Size--
			s.Root = rootOf(leavesOf(m, int(s.Size)))
		}, nil, operator), tornEpoch, UnauthorisedControl},
		{"another root", m.restate(tornEpoch, func(s *chain.Statement) { s.Root[0] ^= 1 }, nil, operator), tornEpoch, UnauthorisedControl},
		{"a record begins it", inEpoch(tornEpoch-1, tornEpoch, 1), tornEpoch - 1, MalformedEntry},
		{"its entry stays behind", inEpoch(tornEpoch, tornEpoch+1, 0), tornEpoch, MalformedEntry},
		{"a record stays behind", inEpoch(tornEpoch+2, tornEpoch+3, 0), tornEpoch + 2, MalformedEntry},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, chunk := range []int{2, 64} {
				r := audit(t, m.resign(c.bad), Options{Chunk: chunk})
				verdictAt(t, r, c.want, c.at)
				if strings.HasPrefix(c.name, "a record") && r.Total != 1 {
					t.Errorf("what follows is accused too: %v", details(r))
				}
			}
		})
	}
}

// TestEpochCutsAMessage: what an old stream's last message held can't be left out
// where the next one begins.
func TestEpochCutsAMessage(t *testing.T) {
	s := chaintest.NewKeyed("cut")
	s.Publish("activity.ws_1._", `{"type":"a","actor":{"id":"x"}}`+"\n"+`{"type":"b","actor":{"id":"x"}}`, "Content-Type", chain.NDJSON)
	l, err := chaintest.NewLog(s.Messages[0])
	if err == nil {
		err = l.Follow(s.Messages, func(int) int { return 1 })
	}
	if err != nil {
		t.Fatal(err)
	}
	root, _ := l.At(4)
	s.Begin(4, root, 1)
	s.Record("ws_1", "1", "1")
	m := memoryOf(s)
	mustBeClean(t, m, Options{})
	m.rows = append(m.rows[:3:3], m.rows[4:]...)
	m.relink(3, true)
	m = m.restate(3, func(s *chain.Statement) { s.Size, s.Root = 3, rootOf(leavesOf(m, 3)) }, nil, s.Operator)
	r := audit(t, m, Options{})
	verdictAt(t, r, MissingEntry, 3)
	if r.Total != 1 {
		t.Errorf("%v", details(r))
	}
}

// TestTrimBeforeItsEpoch: what was folded of the old stream says nothing of the
// new one, though the sequences are the same.
func TestTrimBeforeItsEpoch(t *testing.T) {
	s := chaintest.NewKeyed("trim before")
	s.Record("ws_1", "1", "1")
	s.Record("ws_1", "2", "1")
	s.Begin(4, memoryOf(s).head.Root, 1)
	for i := range 10 {
		s.Record("ws_1", fmt.Sprint("new", i), "1")
	}
	now := memoryOf(s).head
	s.Trim(now.Size, now.Root, 2, map[string]uint64{"a": 11})
	m := memoryOf(s)
	mustBeClean(t, m, Options{})
	trim := len(m.rows) - 1
	for size := 3; size <= 5; size++ { // entry 4 begins the epoch, as message 1
		bad := m.restate(trim, func(st *chain.Statement) {
			reached := m.rows[size-1].entry().Sequence
			st.Size, st.Root = uint64(size), rootOf(leavesOf(m, size))
			st.Body = (&chain.Trim{Epoch: 1, Through: 1, Replicas: []chain.ReplicaPosition{{Name: chain.ReplicaName(s.ID, "a"), Sequence: max(2, reached)}}}).Append(nil)
		}, nil, s.Keeper)
		for _, chunk := range []int{2, 64} {
			verdictAt(t, audit(t, bad, Options{Chunk: chunk}), UnauthorisedControl, trim)
		}
	}
}
