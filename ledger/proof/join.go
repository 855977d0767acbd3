package proof

import (
	"context"
	"fmt"

	"annals/ledger/chain"
)

// joiner takes checked chunks in order and checks what holds them together. It is
// the audit's one sequential step, so what it does for a sound entry is little: a
// few comparisons and one map.
//
// It places what it reads by the index that each entry claims, not by counting:
// so one missing entry doesn't make every later one look wrong, whether the
// source's places moved up or not.
type joiner struct {
	ctx   context.Context
	src   Source
	o     Options
	head  Head
	begun beginning
	found *findings
	pipe  *pipeline
	err   error

	queue []*chunk // chunks being joined; more than one only while looking ahead
	at    int      // next item of queue[0]
	ended bool     // the pipeline has no more
	want  uint64   // index of the next entry
	read  uint64   // items read

	tree    *tree
	differ  []node // stored nodes that are wrong, the first few
	watch   watched
	changes []keyChange

	damage   damage
	rules    rules
	heads    workspaces
	reached  reached
	late     []statementAt
	erasures erasures
	law      law
	placed   []standing // every hold, the released too
	payloads struct{ checked, notKept, unchecked uint64 }
}

func newJoiner(ctx context.Context, src Source, o Options, head Head, begun beginning, found *findings, pipe *pipeline) *joiner {
	return &joiner{
		ctx: ctx, src: src, o: o, head: head, begun: begun, found: found, pipe: pipe,
		tree: newTree(o.Chunk), damage: newDamage(), rules: newRules(&begun), heads: newWorkspaces(o.Chunk),
		reached: newReached(o.Chunk), watch: watch(o), erasures: newErasures(), law: law{rules: chain.FirstRules()},
	}
}

func (j *joiner) run() error {
	for it := j.peek(0); it != nil; it = j.peek(0) {
		if it.readable && it.entry.Index == j.want {
			j.place(it)
			j.advance()
			j.want++
			continue
		}
		j.align(it)
	}
	if j.err != nil {
		return j.err
	}
	return j.finish()
}

// peek returns the k-th item from here on, nil beyond the end.
func (j *joiner) peek(k int) *item {
	if len(j.queue) > 0 && j.at+k < len(j.queue[0].items) {
		return &j.queue[0].items[j.at+k]
	}
	k += j.at
	for i := 0; ; i++ {
		if i == len(j.queue) && !j.pull() {
			return nil
		}
		n := len(j.queue[i].items)
		if k < n {
			return &j.queue[i].items[k]
		}
		k -= n
	}
}

// advance goes on to the next item; the one before it is not to be used any more.
func (j *joiner) advance() {
	j.at++
	j.read++
	for len(j.queue) > 0 && j.at >= len(j.queue[0].items) {
		j.at -= len(j.queue[0].items)
		j.pipe.release(j.queue[0])
		j.queue = j.queue[1:]
	}
}

// maxDiffer bounds the wrong nodes that are remembered.
const maxDiffer = 4096

// pull takes the next chunk into the queue.
func (j *joiner) pull() bool {
	if j.err != nil || j.ended {
		return false
	}
	ck, err := j.pipe.next()
	if err != nil || ck == nil {
		j.ended, j.err = true, err
		return false
	}
	if len(ck.items) == 0 {
		// A head may claim any size: go on only where something is left to read.
		if j.ended, j.err = j.nothingFrom(ck.to); j.ended || j.err != nil {
			return false
		}
	}
	j.queue = append(j.queue, ck)
	j.payloads.checked += ck.payloads
	j.payloads.notKept += ck.notKept
	j.payloads.unchecked += ck.unchecked
	for _, n := range ck.differ {
		if len(j.differ) < maxDiffer {
			j.differ = append(j.differ, n)
		}
	}
	added, err := j.tree.add(ck)
	if err == nil {
		err = j.compareUpper(j.ctx, ck.from, added)
	}
	if err != nil {
		j.err = err
		return false
	}
	j.watch.pass(j.tree)
	return true
}

// nothingFrom reports whether the source has no entry from an index on.
func (j *joiner) nothingFrom(index uint64) (bool, error) {
	for _, err := range j.src.Leaves(j.ctx, index, j.head.Size) {
		return false, err
	}
	return true, nil
}

// place judges the entry that claims the index that is due.
func (j *joiner) place(it *item) {
	x := j.want
	if len(j.damage.weak) > 0 {
		j.evidence(it)
	}
	named, guilt := j.attest(x, it)
	if it.form == nil && guilt <= unproven {
		if guilt == unproven {
			j.damage.doubt(x, it)
		}
		j.accept(x, it)
		return
	}
	j.reject(x, it, named, guilt)
}

// accept takes an entry whose bytes are those that were recorded, and holds it to
// the rules.
func (j *joiner) accept(x uint64, it *item) {
	e := &it.entry
	if it.trouble != nil && j.damage.unproven[x] == nil {
		j.blameBeside(x, it.trouble)
	}
	if e.Kind == chain.KindDuplicate || e.Kind == chain.KindConflict {
		j.repeats(x, it)
	}
	if e.Kind == chain.KindControl {
		roster := j.rules.roster
		j.control(x, e)
		if roster != j.rules.roster {
			j.walked(x, e)
		}
	}
	j.rules.entry(j, x, e)
	j.reached.set(x, e)
	j.follow(x, it)
}

// blameBeside reports what is wrong with what stands beside a sound entry.
func (j *joiner) blameBeside(x uint64, t *trouble) {
	if t.names && j.damage.between(t.about, t.about+1, 1) > 0 {
		return // the other entry that it is about isn't sound
	}
	if t.finding == PayloadMissing {
		j.erasures.missing[x] = t // unless it is erased
		return
	}
	j.found.at(x, t.finding, "%s", t.detail)
}

// report writes down what was found.
func (j *joiner) report() Report {
	r := Report{
		Entries: j.read, Payloads: j.payloads.checked, NotKept: j.payloads.notKept, Unchecked: j.payloads.unchecked,
	}
	if j.begun.id != nil {
		r.Ledger = *j.begun.id
	}
	if root, ok := j.tree.rootAt(j.tree.size); ok {
		r.Root = root
	}
	r.settle(j.found)
	return r
}

// span is a run of indexes [from, to).
type span struct{ from, to uint64 }

func (s span) String() string {
	if s.to == s.from+1 {
		return fmt.Sprintf("entry %d", s.from)
	}
	return fmt.Sprintf("entries %d to %d", s.from, s.to-1)
}
