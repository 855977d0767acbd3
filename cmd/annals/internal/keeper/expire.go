package keeper

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"annals/ingest"
	"annals/ledger"
	"annals/ledger/chain"
)

const (
	// expireAtOnce is how many entries one expiry lets go. Their ranges fit into a
	// statement however far they lie apart.
	expireAtOnce = 8192
	// lookAtOnce is how many entries are read at a time.
	lookAtOnce = 1024
	// expireLate is how much later than its time something expires: the stream's clock
	// may be behind ours.
	expireLate = time.Minute
)

// expirer is where the keeper stands in looking for what is due. It is made anew after
// a start, and whenever rules or holds change.
type expirer struct {
	next  time.Time // when to look again
	rules chain.Rules
	holds chain.Holds
	from  map[uint64]uint64 // by rule: nothing before this index is due by it any more
	asked chan struct{}     // closed when the round is over that somebody asked for; nil: nobody did
}

// expire publishes expiries for what the rules let go, when it is time to look.
func (k *Keeper) expire(ctx context.Context) error {
	now := k.o.Now()
	x := &k.expirer
	if x.asked == nil {
		x.asked = k.expireAsked.take()
	}
	if x.asked == nil && (k.o.ExpireEvery == 0 || now.Before(x.next)) {
		return nil
	}
	state := k.o.Ledger.Head().State
	if x.from == nil || !slices.Equal(x.rules, state.Rules()) || !slices.Equal(x.holds, state.Holds()) {
		x.rules, x.holds, x.from = state.Rules(), state.Holds(), map[uint64]uint64{}
	}
	more := false
	for _, rule := range x.rules {
		again, err := k.expireBy(ctx, rule)
		if err != nil {
			return fmt.Errorf("what is due under the rule in entry %d: %w", rule.At, err)
		}
		more = more || again
	}
	if !more {
		x.next = now.Add(k.o.ExpireEvery)
		if x.asked != nil {
			close(x.asked)
			x.asked = nil
		}
	}
	return nil
}

// expireBy publishes expiries by a rule. more says that there may be more at once.
func (k *Keeper) expireBy(ctx context.Context, rule chain.Rule) (more bool, err error) {
	head := k.o.Ledger.Head()
	s := &head.State
	millis, end, err := k.dueUntil(&head, &rule)
	if err != nil || end == 0 {
		return false, err
	}
	due := map[chain.Hash]map[uint64]chain.Hash{} // leaf hashes by index, by tag
	found := 0
	err = k.eachDue(ctx, &head, &rule, millis, k.expirer.from[rule.At], end, func(e *chain.Entry, hash chain.Hash) bool {
		if due[e.Workspace] == nil {
			due[e.Workspace] = map[uint64]chain.Hash{}
		}
		due[e.Workspace][e.Index] = hash
		found++
		return found < expireAtOnce
	})
	if err != nil {
		return false, err
	}
	if found == 0 {
		k.expirer.from[rule.At] = end
		return false, nil
	}
	for _, tag := range slices.SortedFunc(maps.Keys(due), func(a, b chain.Hash) int { return bytes.Compare(a[:], b[:]) }) {
		if err := k.publishExpiry(ctx, rule, tag, due[tag]); err != nil {
			return false, err
		}
	}
	// What the fold rejects is looked at again at the next time, and not at once.
	return found == expireAtOnce && k.o.Ledger.Head().State.Erasures > s.Erasures, nil
}

// dueUntil returns the time that counts for what is due now, in milliseconds, and the
// index before which entries are old enough for a rule.
func (k *Keeper) dueUntil(head *ledger.Head, rule *chain.Rule) (millis int64, end uint64, err error) {
	if rule.Period == chain.KeepForever {
		return 0, 0, nil
	}
	s := &head.State
	millis = chain.Millis(s.Millis, s.Wall, k.o.Now().Add(-k.o.late).UnixNano())
	end, err = k.o.Ledger.IndexAt(millis - int64(rule.Period)*1000 + 1)
	return millis, min(end, head.Size), err
}

// eachDue calls do with each of the entries [from, end) that a rule lets go, and its
// leaf hash, until do returns false.
func (k *Keeper) eachDue(ctx context.Context, head *ledger.Head, rule *chain.Rule, millis int64, from, end uint64, do func(*chain.Entry, chain.Hash) (more bool)) error {
	held, err := k.holds(head)
	if err != nil {
		return err
	}
	rules := head.State.Rules()
	more := true
	for ; from < end && more; from += lookAtOnce {
		if err := ctx.Err(); err != nil {
			return err
		}
		indexes := slices.Collect(chain.Indexes([]chain.Range{{From: from, To: min(from+lookAtOnce, end)}}))
		err := k.o.Ledger.GetMany(indexes, func(leaf *chain.Leaf, hash chain.Hash) error {
			e := &leaf.Entry
			selected := e.Selected(hash)
			if leaf.Payload == nil || !selected.Erasable() || !more {
				return nil // it is gone already
			}
			selected.Type = leaf.Type()
			if rules.Lets(rule, &selected, millis) != nil || slices.ContainsFunc(held, func(h chain.Hold) bool { return h.Covers(e.Workspace, e.Index) }) {
				return nil
			}
			more = do(e, hash)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// holds returns what the holds that stand cover.
func (k *Keeper) holds(head *ledger.Head) (held []chain.Hold, err error) {
	for _, by := range head.State.Holds() {
		leaf, _, err := k.o.Ledger.Get(by.At)
		if err != nil {
			return nil, err
		}
		h, ok := leaf.Entry.Hold()
		if !ok {
			return nil, fmt.Errorf("entry %d is no hold that parses", by.At)
		}
		held = append(held, h)
	}
	return held, nil
}

// publishExpiry publishes the expiry of a workspace's entries and waits until it is
// folded. That somebody else's control message came first is no error: it is looked at
// again.
func (k *Keeper) publishExpiry(ctx context.Context, rule chain.Rule, tag chain.Hash, leaves map[uint64]chain.Hash) error {
	head := k.o.Ledger.Head()
	e := chain.Erase{
		Role: chain.RoleLedger, Reason: chain.EraseExpired, Rule: rule.At, Workspace: tag, Parts: 1,
		Ranges: chain.Ranges(slices.Values(slices.Sorted(maps.Keys(leaves)))),
	}
	var err error
	if e.Leaves, err = chain.SelectionHash(k.o.Ledger.ID(), tag, e.Ranges, func(index uint64) (chain.Hash, error) { return leaves[index], nil }); err != nil {
		return err
	}
	e.Selection = e.Leaves
	signer, err := k.o.Signer(&head.State)
	if err != nil {
		return fmt.Errorf("no expiry was signed: %w", err)
	}
	body := chain.SealExpiry(k.o.Ledger.ID(), head.State.Control, head.Size, head.Root, e, signer)
	sequence, err := k.publish(ctx, chain.ControlExpire, body, head.State.ControlSequence)
	if race, ok := errors.AsType[*ingest.RaceError](err); ok {
		return k.folded(ctx, race.Last)
	}
	if err != nil {
		return err
	}
	k.o.Logger.Info("payloads expire", "rule", rule.At, "entries", e.Count(), "sequence", sequence)
	return k.folded(ctx, sequence)
}
