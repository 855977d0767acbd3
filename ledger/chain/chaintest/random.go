package chaintest

import (
	"fmt"
	"math/rand/v2"

	"annals/ledger/chain"
)

// Random is a stream of about so many messages that a seed stands for: records and
// their repeats, lines, seeds, marks, trims, changes of keys, catalogues, lost messages with
// their notices, and streams that were made anew, in any order that the rules
// allow. A reader needs [Log.Follow], or what does the same.
func Random(seed uint64, messages int) *Stream {
	r := &random{tearing: tearing{Stream: NewKeyed(fmt.Sprint("random ", seed))}, Rand: rand.New(rand.NewPCG(seed, 12))}
	r.checkpoint = Signer("checkpoint")
	for len(r.Messages) < messages {
		r.step()
	}
	return r.Stream
}

type random struct {
	tearing
	*rand.Rand
	checkpoint chain.Signer
	named      int // keys that were made up
}

func (r *random) step() {
	switch r.IntN(16) {
	case 0:
		r.Seed()
	case 1:
		l := r.folded()
		root, _ := l.At(l.State.Size)
		r.Mark(l.State.Size, root, chain.HeadsRoot(l.Heads))
	case 2:
		l := r.folded()
		root, reached := l.At(l.State.Size)
		if least := max(l.State.Trimmed+1, l.State.Start.First); reached > least {
			r.Trim(l.State.Size, root, least, map[string]uint64{"a": reached})
		}
	case 3:
		r.rotate(&r.Keeper, chain.RoleLedger)
	case 4:
		r.rotate(&r.Operator, chain.RoleOperator)
	case 5:
		r.rotate(&r.checkpoint, chain.RoleCheckpoint)
	case 6:
		r.lose()
	case 7:
		size, root := r.stands()
		first := r.Next // counting on …
		if r.IntN(3) > 0 {
			first = 1 + uint64(r.IntN(int(r.Next)+2)) // … or anew
		}
		r.Begin(size, root, first)
	case 8:
		r.Publish("activity.ws_1._", `{"type":"a","actor":{"id":"x"}}`+"\n"+`{"type":"b"}`+"\n", "Content-Type", chain.NDJSON)
	case 9:
		if len(r.Messages) > 2 {
			r.Catalogue(r.folded().State.Tag(fmt.Sprint("ws_", r.IntN(3))), `{}`)
		}
	default:
		r.Record(fmt.Sprint("ws_", r.IntN(3)), fmt.Sprint(r.IntN(40)), fmt.Sprint(r.IntN(2)))
	}
}

// rotate gives a role another key, in good order or not.
func (r *random) rotate(old *chain.Signer, role chain.Role) {
	r.named++
	heir := Signer(fmt.Sprint("random key ", r.named))
	c := chain.KeyChange{Removed: []chain.Hash{old.Public(0).ID()}, Added: []chain.Key{heir.Public(role)}}
	signers := []chain.Signer{r.Root, *old}
	if r.IntN(3) == 0 {
		c.Reason, signers = chain.Revocation, signers[:1]
	}
	r.ChangeKeys(c, "", signers...)
	*old = heir
}

// lose loses a few messages, and admits it after a few more.
func (r *random) lose() {
	size, root := r.stands()
	first := r.Next
	r.Next += 1 + uint64(r.IntN(3))
	last := r.Next - 1
	r.records(r.IntN(4))
	r.Gap(size, root, first, last)
}
