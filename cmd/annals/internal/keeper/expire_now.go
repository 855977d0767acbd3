package keeper

import (
	"context"
	"fmt"
	"sync"

	"annals/ledger/chain"
)

// Due is what a rule lets go.
type Due struct {
	Rule    chain.Rule
	Entries uint64 // that have a payload, are old enough, and are not held
}

// Due counts what each rule that stands would let go now, in the order of the rules. It
// reads every entry that is old enough, and publishes nothing. It may be called while
// Run runs.
func (k *Keeper) Due(ctx context.Context) ([]Due, error) {
	head := k.o.Ledger.Head()
	var all []Due
	for _, rule := range head.State.Rules() {
		d := Due{Rule: rule}
		millis, end, err := k.dueUntil(&head, &rule)
		if err == nil {
			err = k.eachDue(ctx, &head, &rule, millis, 0, end, func(*chain.Entry, chain.Hash) bool {
				d.Entries++
				return true
			})
		}
		if err != nil {
			return nil, fmt.Errorf("what is due under the rule in entry %d: %w", rule.At, err)
		}
		all = append(all, d)
	}
	return all, nil
}

// Expire has Run look at its next step for what is due, whatever ExpireEvery says, and
// returns once all of it is let go. The error is ctx's: Run goes on nonetheless.
func (k *Keeper) Expire(ctx context.Context) error {
	select {
	case <-k.expireAsked.join():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// asking is a round that was asked for and has not begun. Who asks while one runs is
// answered by the next: the running one may have passed what they mean.
type asking struct {
	mu   sync.Mutex
	done chan struct{} // nil: nobody asked
}

// join asks for a round, and returns what is closed when it is over.
func (a *asking) join() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.done == nil {
		a.done = make(chan struct{})
	}
	return a.done
}

// take begins the round: it returns what to close when it is over, nil if nobody asked.
func (a *asking) take() chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	done := a.done
	a.done = nil
	return done
}
