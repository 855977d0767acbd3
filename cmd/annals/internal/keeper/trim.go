package keeper

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"annals/ingest"
	"annals/ledger"
	"annals/ledger/chain"
)

// TrimOptions say how much of the stream stays, and whose word it takes for the
// rest to go. Margin, Replica and Projected are required.
type TrimOptions struct {
	// Margin is how many entries keep their messages in the stream, at the least,
	// counted back from where the slowest replica stands; 1 or more. Entries, not
	// messages: one message may carry a thousand, and what the margin costs, on the
	// disk and when a server reads its stream after a crash, goes by entries.
	Margin uint64
	// Replica is this ledger's name, Replicas are all of them, sorted. With none
	// there is this one alone, and it tells nobody where it stands.
	Replica  string
	Replicas []string
	// Projected is how many entries the projections hold. What they lack stays in
	// the stream too.
	Projected func() uint64
	Every     time.Duration // how often it looks; 0: 5 s
}

// Alone is the name under which a ledger that no other shares its stream with
// stands in its trims.
const Alone = "alone"

// TrimStatus is where trimming stands.
type TrimStatus struct {
	Epoch    uint32          // of the stream that all of this is about
	Trimmed  uint64          // the last accepted trim lets messages go up to here; 0: there is none
	Removed  uint64          // up to here they are known to be gone
	Held     []string        // why nothing more may go at the moment, a sentence each
	Replicas []ReplicaStatus // the others, sorted by name
}

// ReplicaStatus is what is known of one replica.
type ReplicaStatus struct {
	Name     string
	Sequence uint64 // up to where it folded, checked against this ledger; 0: unknown
	Forked   string // how it showed another history than this ledger's; "": it didn't
}

const (
	trimEvery = 5 * time.Second
	// A trim is due when so much more would go: a part of the margin's entries, so
	// that the stream's length hardly shows it, and never so few messages that the
	// trim itself, and the mark that covers it, would make the next one due for ever.
	trimPart     = 10
	trimMessages = 16
	// silence is how long a replica may say nothing, and trimming may be held back,
	// before it is worth a warning; remind is how often the warning comes again.
	silence = time.Minute
	remind  = time.Hour
)

// trimmer is a keeper's memory of trimming. One goroutine uses it.
type trimmer struct {
	epoch   uint32    // that all of it is about: another stream's sequences mean nothing here
	next    time.Time // when to look again
	removed uint64    // up to where messages are known to be gone
	refused uint64    // the trim that the fold rejected; none is published after it
	peers   peers
	held    time.Time // since when trimming is held back; zero: it isn't
	warned  time.Time
}

// stand is how far a replica has come: what a trim's row and condition say.
type stand struct {
	name           string
	sequence, size uint64
	root           chain.Hash
}

// trim removes what an accepted trim lets go, and publishes the next one when it
// is due. It returns the sequence of what was published, 0 for nothing.
//
// The order is the whole of it: a trim is published, folded and durable before a
// message goes. A process that dies in between finds in the ledger's state what
// it still has to remove.
func (k *Keeper) trim(ctx context.Context) (uint64, error) {
	t := &k.trimmer
	head := k.o.Ledger.Head()
	if head.State.Epoch != t.epoch {
		*t = trimmer{epoch: head.State.Epoch}
	}
	if head.State.Trimmed > t.removed {
		if err := k.remove(ctx, head.State.Trimmed); err != nil {
			k.tell(k.o.Now(), &head, []string{err.Error()})
			return 0, err
		}
	}
	now := k.o.Now()
	if now.Before(t.next) && t.next.Sub(now) <= k.o.Trim.Every {
		return 0, nil
	}
	t.next = now.Add(k.o.Trim.Every)
	stands, held, err := k.stands(ctx, &head)
	if err != nil {
		k.tell(now, &head, append(held, err.Error()))
		return 0, err
	}
	if head.State.Trimmed < t.refused {
		held = append(held, "this ledger rejected its own trim: that is a fault of the program, report it")
	}
	k.tell(now, &head, held)
	if len(held) > 0 {
		return 0, nil
	}
	least := slowest(stands)
	through, due, err := trimDue(head.State.Trimmed, head.State.EpochIndex, least, k.o.Trim.Margin, k.o.Ledger.ReachedAt)
	if err != nil || !due {
		return 0, err
	}
	return k.publishTrim(ctx, &head, through, least, stands)
}

// slowest returns the stand that has come the least far.
func slowest(stands []stand) stand {
	return slices.MinFunc(stands, func(a, b stand) int { return cmp.Compare(a.sequence, b.sequence) })
}

// trimDue says up to where messages may go when the slowest replica stands at
// least, and whether so many more may that it is time. begun is the entry with which
// the epoch began: those before it have no message in this stream. reaches gives the
// sequence that so many entries reach.
func trimDue(trimmed, begun uint64, least stand, margin uint64, reaches func(size uint64) (uint64, error)) (through uint64, due bool, err error) {
	part := margin / trimPart
	if least.size <= begun+margin+part {
		return 0, false, nil
	}
	if through, err = reaches(least.size - margin); err != nil {
		return 0, false, err
	}
	through = min(through, least.sequence-1) // what it folded last always stays
	ripe, err := reaches(least.size - margin - part)
	return through, ripe > trimmed && through >= trimmed+trimMessages, err
}

// publishTrim publishes a trim, under the condition that the ledger is what the
// slowest replica said it was.
func (k *Keeper) publishTrim(ctx context.Context, head *ledger.Head, through uint64, least stand, stands []stand) (uint64, error) {
	id := k.o.Ledger.ID()
	trim := chain.Trim{Epoch: head.State.Epoch, Through: through}
	for _, s := range stands {
		trim.Replicas = append(trim.Replicas, chain.ReplicaPosition{Name: chain.ReplicaName(id, s.name), Sequence: s.sequence})
	}
	signer, err := k.o.Signer(&head.State)
	if err != nil {
		return 0, fmt.Errorf("no trim was signed: %w", err)
	}
	body := chain.SealTrim(id, head.State.Control, least.size, least.root, trim, signer)
	sequence, err := k.publish(ctx, chain.ControlTrim, body, head.State.ControlSequence)
	if err != nil {
		return 0, err
	}
	if err := k.folded(ctx, sequence); err != nil {
		return 0, err
	}
	if after := k.o.Ledger.Head(); after.State.Trimmed < through {
		k.trimmer.refused = through
	}
	return sequence, nil
}

// remove removes from the stream what an accepted trim lets go.
func (k *Keeper) remove(ctx context.Context, through uint64) error {
	if err := k.o.Check(ctx); err != nil {
		return fmt.Errorf("the stream was not trimmed: %w", err)
	}
	removed, err := ingest.Purge(ctx, k.o.Conn, through)
	if err != nil {
		return err
	}
	k.trimmer.removed = through
	if removed > 0 {
		k.o.Logger.Info("trimmed the stream", "through", through, "messages", removed)
	}
	return nil
}

// stands returns where each replica stands, this one among them, and why trimming
// is held back, if it is.
func (k *Keeper) stands(ctx context.Context, head *ledger.Head) (stands []stand, held []string, err error) {
	own, ok, err := k.own(head)
	if err != nil {
		return nil, nil, err
	}
	if !ok {
		held = append(held, "the projections hold nothing of this stream yet")
	}
	if len(k.o.Trim.Replicas) == 0 {
		return []stand{own}, held, nil
	}
	if ok {
		if err := k.trimmer.peers.say(ctx, k, own); err != nil {
			return nil, nil, err
		}
	}
	others, why, err := k.trimmer.peers.ask(ctx, k, head)
	return append(others, own), append(held, why...), err
}

// own is where this replica stands: all that is durable, and projected too, up to
// the end of a message.
func (k *Keeper) own(head *ledger.Head) (stand, bool, error) {
	s := stand{name: k.o.Trim.Replica, sequence: head.State.Sequence, size: head.Size, root: head.Root}
	projected := k.o.Trim.Projected()
	if projected >= s.size {
		return s, true, nil
	}
	if projected <= head.State.EpochIndex {
		return s, false, nil
	}
	last, _, err := k.o.Ledger.Get(projected - 1)
	if err != nil {
		return s, false, err
	}
	s.sequence, s.size = last.Entry.Reaches(), projected
	if e := &last.Entry; e.Place+1 < e.Count {
		s.size -= uint64(e.Place) + 1
	}
	s.root, err = k.o.Ledger.RootAt(s.size)
	return s, true, err
}

// tell says where trimming stands: for whoever asks, and in the log when it has
// been held back for a while.
func (k *Keeper) tell(now time.Time, head *ledger.Head, held []string) {
	t := &k.trimmer
	status := TrimStatus{Epoch: t.epoch, Trimmed: head.State.Trimmed, Removed: t.removed, Held: held, Replicas: t.peers.status()}
	k.status.Store(&status)
	switch {
	case len(held) == 0 && !t.held.IsZero():
		if !t.warned.IsZero() {
			k.o.Logger.Info("the stream may be trimmed again")
		}
		t.held, t.warned = time.Time{}, time.Time{}
	case len(held) > 0 && t.held.IsZero():
		t.held = now
	}
	if len(held) > 0 && now.Sub(t.held) >= silence && (t.warned.IsZero() || now.Sub(t.warned) >= remind) {
		t.warned = now
		k.o.Logger.Warn("the stream grows and can't be trimmed", "since", t.held.UTC().Format(time.RFC3339), "why", strings.Join(held, "; "))
	}
}

// TrimStatus returns where trimming stands; nil before the first look, and where
// nothing is trimmed. It may be called from any goroutine.
func (k *Keeper) TrimStatus() *TrimStatus { return k.status.Load() }
