package query

import (
	"context"
	"slices"
	"sync"

	"annals/activity"
	"annals/ledger/chain"
	"annals/projections"
)

// hub reads each new entry once, on behalf of everybody who listens.
//
// It follows the indexes' cursor, so that what a tail has sent a page shows too,
// and never waits for a listener: one whose queue is full goes on by the indexes,
// at its own pace, until it has caught up. Entries of workspaces that nobody
// listens to cost a look into a map; while nobody listens, nothing is read at all.
type hub struct {
	api     *API
	o       TailOptions
	metrics *tailMetrics
	reading chan struct{}   // holds a place for each listener that may read the indexes at once
	stopped context.Context // ends with the server
	stop    func()
	printed printed
	running sync.WaitGroup // what reads the ledger, for who closes it

	mu        sync.Mutex
	listeners map[*listener]struct{} // all of them, those that are catching up too
	groups    map[chain.Hash]*group  // those that have caught up, by workspace
	attached  int                    // how many those are
	at        uint64                 // the entries before are handed out
	keys      activity.Keys          // of an entry that comes without
	cancel    context.CancelFunc     // ends the reading; nil while nobody is attached
}

// group is who listens to a workspace.
type group struct {
	topics []*topic
	items  [2]*item // prints entries without and with sentences
}

// topic is a question that one listener or several ask: it is put to an entry
// once for all of them.
type topic struct {
	question
	matcher   *projections.Matcher
	listeners []*listener
}

// question is what a listener wants to hear of.
type question struct {
	query     projections.Query
	key       string // equal for equal questions
	workspace string
	sentence  bool
}

func newHub(a *API, o TailOptions) *hub {
	o = o.withDefaults()
	h := &hub{
		api: a, o: o, metrics: newTailMetrics(),
		reading:   make(chan struct{}, o.Reading),
		listeners: map[*listener]struct{}{},
		groups:    map[chain.Hash]*group{},
	}
	h.stopped, h.stop = context.WithCancel(context.Background())
	return h
}

// admit takes a listener in, as long as there is room.
func (h *hub) admit(l *listener) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.listeners) >= h.o.Listeners {
		return false
	}
	h.listeners[l] = struct{}{}
	h.metrics.listeners.Set(float64(len(h.listeners)))
	return true
}

// dismiss forgets a listener.
func (h *hub) dismiss(l *listener) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.detach(l)
	delete(h.listeners, l)
	if len(h.listeners) == 0 {
		h.printed.forget()
	}
	h.metrics.listeners.Set(float64(len(h.listeners)))
}

// attach has the hub hand a listener what comes. It returns the index from which
// on it does; what the listener lacks before that is for it to read.
func (h *hub) attach(l *listener) uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.cancel == nil {
		ctx, cancel := context.WithCancel(context.Background())
		h.cancel = cancel
		h.at, _ = h.api.o.Projections.Cursor()
		h.running.Go(func() { h.run(ctx) })
	}
	from := max(h.at, l.next)
	l.attach(from)
	g := h.groups[l.query.Workspace]
	if g == nil {
		g = &group{}
		for i := range g.items {
			g.items[i] = newItem(h.api, &filter{workspace: l.workspace, sentence: i == 1})
		}
		h.groups[l.query.Workspace] = g
	}
	i := slices.IndexFunc(g.topics, func(t *topic) bool { return t.key == l.key })
	if i < 0 {
		i = len(g.topics)
		g.topics = append(g.topics, &topic{question: l.question, matcher: l.query.Matcher()})
	}
	g.topics[i].listeners = append(g.topics[i].listeners, l)
	h.attached++
	return from
}

// detach has the hub hand a listener nothing more. Call it with h.mu held.
func (h *hub) detach(l *listener) {
	g := h.groups[l.query.Workspace]
	if g == nil {
		return
	}
	for i, t := range g.topics {
		at := slices.Index(t.listeners, l)
		if at < 0 {
			continue
		}
		t.listeners = slices.Delete(t.listeners, at, at+1)
		if len(t.listeners) == 0 {
			g.topics = slices.Delete(g.topics, i, i+1)
		}
		h.left(l.query.Workspace, 1)
		return
	}
}

// left counts those that are attached no more, and ends the reading with the last.
func (h *hub) left(workspace chain.Hash, n int) {
	if len(h.groups[workspace].topics) == 0 {
		delete(h.groups, workspace)
	}
	if h.attached -= n; h.attached == 0 && h.cancel != nil {
		h.cancel()
		h.cancel = nil
	}
}

// handed is how many entries are read in one go: what is gone through under one
// iterator, which keeps the store's replaced files on the disk.
const handed = 4096

// run hands out entries as the indexes take them in, until ctx ends.
func (h *hub) run(ctx context.Context) {
	for ctx.Err() == nil {
		at, ok := h.position(ctx)
		if !ok {
			return
		}
		err := h.api.o.Projections.Wait(ctx, at+1)
		if err == nil {
			h.erasures() // of skipped ones too
			if cursor, _ := h.api.o.Projections.Cursor(); cursor > at+h.o.Lag {
				h.skip(ctx)
			} else {
				err = h.handOut(ctx, at, min(cursor, at+handed))
			}
		}
		if err != nil {
			h.fail(ctx, err)
			return
		}
	}
}

// position returns how far the entries are handed out; ok is false once ctx, which
// ends under the lock, has ended: another run may have begun.
func (h *hub) position(ctx context.Context) (at uint64, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.at, ctx.Err() == nil
}

// handOut reads entries and puts each into the queues of those who want it.
func (h *hub) handOut(ctx context.Context, from, to uint64) error {
	erasures := h.erasures()
	for leaf, err := range h.api.o.Ledger.Leaves(ctx, from, to) {
		if err != nil {
			return err
		}
		if err := h.offer(ctx, &leaf, erasures); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// erasures returns how many erasures the ledger has, and lets go of what was printed
// before the last one. Ask before an entry is read that is to be kept printed.
func (h *hub) erasures() uint64 {
	head := h.api.o.Ledger.Head()
	h.printed.erased(head.State.Erasures)
	return head.State.Erasures
}

// offer puts an entry, read when the ledger had so many erasures, into the queues.
func (h *hub) offer(ctx context.Context, leaf *chain.Leaf, erasures uint64) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	h.at = leaf.Entry.Index + 1
	h.metrics.entries.Inc()
	g := h.groups[leaf.Entry.Workspace]
	if g == nil {
		return nil
	}
	if h.scan(leaf, g) {
		defer h.keys.Forget() // an erased record must not stay in memory
	}
	var events [2]*event
	for _, t := range slices.Backward(g.topics) { // backward: one may go
		if !t.matcher.Match(leaf) {
			continue
		}
		with := 0
		if t.sentence {
			with = 1
		}
		if events[with] == nil {
			e, err := newEvent(g.items[with], leaf)
			if err != nil {
				return err
			}
			e.erasures = erasures
			events[with] = e
			h.printed.put(e, t.sentence)
		}
		before := len(t.listeners)
		t.listeners = slices.DeleteFunc(t.listeners, func(l *listener) bool { return !l.offer(events[with]) })
		if gone := before - len(t.listeners); gone > 0 {
			if len(t.listeners) == 0 {
				g.topics = slices.DeleteFunc(g.topics, func(o *topic) bool { return o == t })
			}
			h.metrics.behind.Add(float64(gone))
			h.left(leaf.Entry.Workspace, gone)
		}
	}
	return nil
}

// scan reads what an entry says, where it comes without its keys and several ask:
// else each of them would.
func (h *hub) scan(leaf *chain.Leaf, g *group) bool {
	if leaf.Keys != nil || len(g.topics) < 2 || !leaf.Scan(&h.keys) {
		return false
	}
	leaf.Keys = &h.keys
	return true
}

// everybody takes all listeners off the hub and tells each one something.
func (h *hub) everybody(ctx context.Context, tell func(l *listener, at uint64)) (ended bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if ctx.Err() != nil {
		return true
	}
	for tag, g := range h.groups {
		n := 0
		for _, t := range g.topics {
			for _, l := range t.listeners {
				tell(l, h.at)
			}
			n += len(t.listeners)
		}
		g.topics = nil
		h.left(tag, n)
	}
	return false
}

// skip leaves a burst that came faster than it can be handed out to the indexes:
// there a listener reads what it wants and no more.
func (h *hub) skip(ctx context.Context) {
	h.everybody(ctx, func(l *listener, at uint64) {
		h.metrics.behind.Inc()
		l.fallBehind(at)
	})
}

// fail ends all listening that depends on the hub: it can't read.
func (h *hub) fail(ctx context.Context, err error) {
	if ended := h.everybody(ctx, func(l *listener, _ uint64) { l.fail() }); !ended {
		h.api.o.Logger.Error("the live tail can't be read", "error", err)
	}
}

// close has every listener told that the server stops, and gives those who take
// nothing little time to hear it.
func (h *hub) close() {
	h.stop()
	h.mu.Lock()
	defer h.mu.Unlock()
	for l := range h.listeners {
		l.hurry()
	}
}
