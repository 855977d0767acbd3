package query

import (
	"context"
	"errors"
	"mime"
	"net/http"
	"runtime"
	"strings"
	"time"

	"annals/internal/access"
	"annals/internal/problem"
	"annals/ledger"
	"annals/ledger/chain"

	"github.com/oklog/ulid/v2"
)

// TailOptions bound the live tail. The zero value serves.
type TailOptions struct {
	Listeners    int           // at most so many streams at once; 0: 2,000
	QueueEvents  int           // events that wait for one listener; 0: 512
	QueueBytes   int           // bytes of those, or one event, however large; 0: 64 KiB
	Heartbeat    time.Duration // how often something is sent when nothing happens; 0: 15 s
	Retry        time.Duration // after how long a client shall come again; up to half as much is added, by chance; 0: 2 s
	WriteTimeout time.Duration // a client that takes no bytes for so long is cut off; up to half as much is added, by chance; 0: 10 s
	SlowAfter    time.Duration // one that takes none for so long while its queue fills is told, and dropped; 0: 2 s
	Lag          uint64        // entries that the hub may be behind the indexes; 0: 16,384
	SocketBytes  int           // that the system may hold for one that takes none; it may double that. 0: 64 KiB
	Reading      int           // listeners that read the indexes at once; 0: half as many as there are processors, at least 1
}

func (o TailOptions) withDefaults() TailOptions {
	for _, d := range []struct {
		at *int
		is int
	}{{&o.Listeners, 2000}, {&o.QueueEvents, 512}, {&o.QueueBytes, 64 << 10}, {&o.SocketBytes, 64 << 10}, {&o.Reading, max(1, runtime.GOMAXPROCS(0)/2)}} {
		if *d.at == 0 {
			*d.at = d.is
		}
	}
	for _, d := range []struct {
		at *time.Duration
		is time.Duration
	}{{&o.Heartbeat, 15 * time.Second}, {&o.Retry, 2 * time.Second}, {&o.WriteTimeout, stalledTimeout}, {&o.SlowAfter, 2 * time.Second}} {
		if *d.at == 0 {
			*d.at = d.is
		}
	}
	if o.Lag == 0 {
		o.Lag = 1 << 14
	}
	return o
}

// tail answers with a stream that ends when the client goes, or the server stops.
func (a *API) tail(w http.ResponseWriter, r *http.Request, f *filter) error {
	if !accepts(r, eventStream) {
		return problem.New(problem.NotAcceptable, "the tail is a stream of server-sent events: accept %s", eventStream)
	}
	b, err := a.beginning(r, f)
	if err != nil {
		return err
	}
	h := w.Header()
	if r.Method == http.MethodHead {
		h.Set("Content-Type", eventStream)
		return nil
	}
	q, _, err := a.question(nil, f, 0) // no bounds that are indexes: nothing of the indexes is asked
	if err != nil {
		return err
	}
	key := f.appendTo([]byte{bit(f.sentence)})
	if q.Groups != nil { // as they are now: who comes later may mean others
		grouping := q.Groups.Grouping()
		key = append(key, grouping[:]...)
	}
	l := &listener{
		question: question{query: q, key: string(key), workspace: f.workspace, sentence: f.sentence},
		o:        &a.hub.o, out: w, conn: http.NewResponseController(w),
		wake: make(chan struct{}, 1), next: b.next,
		patience: a.hub.patience(),
	}
	// The server's bound on an answer is none on a stream: each write has its own.
	// Where it can't be set nothing would end a write, so that is no server for it.
	if err := l.conn.SetWriteDeadline(time.Now().Add(l.patience)); err != nil {
		return err
	}
	if !a.hub.admit(l) {
		return problem.New(problem.TooManyListeners, "")
	}
	defer a.hub.dismiss(l)
	h.Set("Content-Type", eventStream)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx would gather it
	h.Set("Connection", "close")     // its deadlines are no others'
	// A token that ends takes its streams along.
	ctx, cancel := access.From(r.Context()).Alive(r.Context())
	defer cancel()
	defer context.AfterFunc(a.hub.stopped, cancel)()
	tighten(r, a.hub.o.SocketBytes)
	turn := &turn{ctx: ctx, of: a.turns}
	s := stream{hub: a.hub, listener: l, ctx: ctx, turn: turn, item: newItem(a, &filter{workspace: f.workspace, sentence: f.sentence, turn: turn})}
	s.run(b)
	return nil
}

// beginning is where a stream begins.
type beginning struct {
	next   uint64 // the first entry that is asked about
	id     string // of the workspace's last entry before that; "": not asked for
	newest int    // or begin with so many of the newest that there are
}

// beginning takes the id that a client has seen last: a client that comes again
// says it in a header, and means that rather than what its URL says.
func (a *API) beginning(r *http.Request, f *filter) (beginning, error) {
	if last := r.Header.Get(lastEventID); last != "" {
		after, err := ulid.ParseStrict(last)
		if err != nil {
			return beginning{}, problem.Parameter(lastEventID, "invalid_ulid", invalidULID)
		}
		return a.after(f.workspace, lastEventID, after)
	}
	switch {
	case f.tailing.resumes && f.tailing.last != 0:
		return beginning{}, problem.Parameter("last", "two_beginnings", "after says where to begin; give one of the two")
	case f.tailing.resumes:
		return a.after(f.workspace, "after", f.tailing.after)
	case f.tailing.last != 0:
		a.freshen(r.Context())
		folded, _ := a.o.Projections.Cursor()
		if err := a.level(folded); err != nil {
			return beginning{}, err
		}
		return beginning{newest: f.tailing.last}, nil
	}
	size, end, err := a.o.Ledger.WorkspaceHead(r.Context(), a.o.Ledger.Tag(f.workspace))
	if err != nil {
		return beginning{}, err
	}
	id, err := a.hub.idIn(end)
	return beginning{next: size, id: id}, err
}

// after is the beginning behind an entry of the workspace. Another workspace's is not
// told from none: ULIDs can be guessed. The zero ULID is before the first.
func (a *API) after(workspace, parameter string, id ulid.ULID) (beginning, error) {
	if id == ulid.Zero {
		return beginning{id: id.String()}, nil
	}
	_, index := chain.SplitULID(id)
	tag := a.o.Ledger.Tag(workspace) // whatever is found: the same work for both
	leaf, _, err := a.o.Ledger.Get(index)
	if err != nil && !errors.Is(err, ledger.ErrNotFound) {
		return beginning{}, err
	}
	if err != nil || leaf.Entry.ULID != id || leaf.Entry.Workspace != tag {
		return beginning{}, problem.Parameter(parameter, "foreign_ulid", "no entry of the workspace has this ULID; use one as its timeline or tail gave it, or begin without it")
	}
	return beginning{next: index + 1, id: id.String()}, nil
}

// accepts reports whether a request takes a media type (RFC 9110, 12.5.1): without
// an Accept header anything.
func accepts(r *http.Request, media string) bool {
	lines := r.Header.Values("Accept")
	if len(lines) == 0 {
		return true
	}
	kind, _, _ := strings.Cut(media, "/")
	best, quality := 0, false
	for part := range strings.SplitSeq(strings.Join(lines, ","), ",") {
		name, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		rank := 0
		switch name {
		case media:
			rank = 3
		case kind + "/*":
			rank = 2
		case "*/*":
			rank = 1
		}
		if rank > best {
			best, quality = rank, strings.Trim(params["q"], "0.") != "" || params["q"] == ""
		}
	}
	return quality
}
