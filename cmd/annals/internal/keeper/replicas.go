package keeper

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"annals/ingest"
	"annals/ledger"
)

// sayEvery is how often a replica says where it stands, though it hasn't moved:
// others tell from it that it lives.
const sayEvery = 20 * time.Second

// peers is what one replica knows of the others.
type peers struct {
	ready bool // their stream is there
	said  time.Time
	last  stand
	known map[string]*peer
}

// peer is one other replica.
type peer struct {
	heard    time.Time              // when its last word was first seen here: clocks aren't compared
	revision uint64                 // of that word
	pending  ingest.ReplicaPosition // what it said and this ledger can't judge yet
	checked  stand                  // the last that agrees with this ledger
	forked   string                 // what doesn't
	most     uint64                 // the furthest message of these
	slipped  time.Time              // when it was last heard to be behind that
}

// say tells the others where this replica stands.
func (p *peers) say(ctx context.Context, k *Keeper, own stand) error {
	if !p.ready {
		if err := ingest.EnsureReplicas(ctx, k.o.Conn); err != nil {
			return err
		}
		p.ready = true
	}
	now := k.o.Now()
	if own == p.last && now.Sub(p.said) < sayEvery && !now.Before(p.said) {
		return nil
	}
	err := ingest.TellReplica(ctx, k.o.Conn, ingest.ReplicaPosition{
		Name: own.name, Ledger: k.o.Ledger.ID(), Epoch: k.o.Ledger.Position().Epoch,
		Sequence: own.sequence, Size: own.size, Root: own.root, Replicas: k.o.Trim.Replicas,
	})
	if err != nil {
		p.ready = false // it may have been taken away
		return err
	}
	p.said, p.last = now, own
	return nil
}

// ask reads what the others said, and returns where they stand as far as this
// ledger can vouch for it.
//
// A position counts only once its root is this ledger's at its size: so what a
// trim says of a replica was checked by its signer, and a replica of another
// history stops all trimming before anything is lost to either.
func (p *peers) ask(ctx context.Context, k *Keeper, head *ledger.Head) (stands []stand, held []string, err error) {
	if !p.ready {
		return nil, []string{"this replica has nothing to say yet"}, nil
	}
	words, err := ingest.Replicas(ctx, k.o.Conn)
	if err != nil {
		p.ready = false
		return nil, nil, err
	}
	if p.known == nil {
		p.known = map[string]*peer{}
	}
	own := k.o.Trim.Replica
	for _, name := range slices.Sorted(maps.Keys(words)) {
		if !slices.Contains(k.o.Trim.Replicas, name) {
			held = append(held, fmt.Sprintf("replica %s says where it stands and is not named: name it with --replicas in every one, or, when it is no more, run `nats stream purge %s --subject annals.replica.%s`",
				name, ingest.ReplicaStream, name))
		}
	}
	for _, name := range k.o.Trim.Replicas {
		if name == own {
			continue
		}
		other := p.known[name]
		if other == nil {
			other = &peer{}
			p.known[name] = other
		}
		word, spoke := words[name]
		if !spoke {
			held = append(held, "replica "+name+" has not said yet where it stands: start it with --replica "+name+" and the same --replicas")
			continue
		}
		why, err := other.hear(k, head, word)
		if err != nil {
			return nil, nil, err
		}
		if why != "" {
			held = append(held, why)
			continue
		}
		other.checked.name = name
		stands = append(stands, other.checked)
	}
	return stands, held, nil
}

// hear takes a replica's word in, and says why it can't be relied on.
func (o *peer) hear(k *Keeper, head *ledger.Head, word ingest.ReplicaPosition) (held string, err error) {
	if word.Revision != o.revision {
		o.revision, o.heard = word.Revision, k.o.Now()
	}
	switch {
	case word.Ledger.IsZero():
		return fmt.Sprintf("what replica %s says can't be read: is it of a newer version?", word.Name), nil
	case word.Ledger != k.o.Ledger.ID():
		return fmt.Sprintf("replica %s is of another ledger (%s): give it a name and a stream of its own", word.Name, word.Ledger), nil
	case word.Epoch != head.State.Epoch:
		return fmt.Sprintf("replica %s is in epoch %d, this one in %d", word.Name, word.Epoch, head.State.Epoch), nil
	case !slices.Equal(word.Replicas, k.o.Trim.Replicas):
		return fmt.Sprintf("replica %s was told of the replicas %s, this one of %s: give all of them the same --replicas",
			word.Name, strings.Join(word.Replicas, ","), strings.Join(k.o.Trim.Replicas, ",")), nil
	}
	if word.Sequence < o.most {
		o.slipped = k.o.Now()
	}
	if o.pending.Size == 0 || word.Sequence < o.pending.Sequence {
		o.pending = word // else the older one first: it will be within reach sooner
	}
	if o.pending.Size <= head.Size {
		if held, err := o.judge(k); held != "" || err != nil {
			return held, err
		}
	}
	switch {
	case o.forked != "":
		return o.forked, nil
	case o.checked.size == 0:
		return fmt.Sprintf("replica %s stands at size %d, further than this one, which can't judge that yet", word.Name, word.Size), nil
	case !o.slipped.IsZero() && (word.Sequence < o.most || k.o.Now().Sub(o.slipped) < silence):
		// Two that take turns under one name are far one moment and back the next.
		return fmt.Sprintf("replica %s has gone back from message %d, to %d now: it was restored, or two run under its name", word.Name, o.most, word.Sequence), nil
	case k.o.Now().Sub(o.heard) >= silence:
		return fmt.Sprintf("replica %s, at message %d, has said nothing for %s: start it, or, when it is no more, leave it out of --replicas in every other one",
			word.Name, o.checked.sequence, k.o.Now().Sub(o.heard).Round(time.Second)), nil
	}
	return "", nil
}

// judge compares what is pending with this ledger, which has come so far. It says why the
// replica can't be relied on, but for a fork, which it notes.
func (o *peer) judge(k *Keeper) (held string, err error) {
	p := o.pending
	o.pending = ingest.ReplicaPosition{}
	root, err := k.o.Ledger.RootAt(p.Size)
	if err != nil {
		return "", err
	}
	reaches, err := k.o.Ledger.ReachedAt(p.Size)
	if err != nil {
		return "", err
	}
	switch {
	case reaches != p.Sequence:
		return fmt.Sprintf("replica %s says that its %d entries reach message %d, but they reach %d: it runs another program than annals", p.Name, p.Size, p.Sequence, reaches), nil
	case root == p.Root:
		o.most = max(o.most, p.Sequence)
		o.checked = stand{name: p.Name, sequence: p.Sequence, size: p.Size, root: p.Root}
	case o.forked == "":
		o.forked = fmt.Sprintf("replica %s has another root at size %d (%s) than this one (%s): there are two histories of this ledger; stop both, keep them as evidence, and compare each with a head that was kept outside",
			p.Name, p.Size, p.Root, root)
		k.o.Logger.Error("two replicas disagree", "why", o.forked)
	}
	return "", nil
}

// status is what is known of each other replica.
func (p *peers) status() (out []ReplicaStatus) {
	for _, name := range slices.Sorted(maps.Keys(p.known)) {
		o := p.known[name]
		out = append(out, ReplicaStatus{Name: name, Sequence: o.checked.sequence, Forked: o.forked})
	}
	return out
}
