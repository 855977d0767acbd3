// Package journal tells the ledger what happens at its own doors: keys that are
// minted and revoked, who was not let in, who audits, and, where that is asked for,
// who reads. They are records of the system's workspace.
//
// The rule it exists for: the ledger hears of each change of access, if later, and of
// attempts by their number, so that nobody can fill it by being refused. What is
// told holds no secret: ids, names, and reasons that the gate has put in words.
package journal

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"annals/internal/access"
	"annals/internal/problem"

	"github.com/oklog/ulid/v2"
)

// The types of the records.
const (
	typeConfigured = "access.configured" // the server was started with access
	typeMinted     = "access.key_minted"
	typeRevoked    = "access.key_revoked"
	typeRefused    = "access.refused" // attempts, counted
	typeUsed       = "access.used"    // audits, exports and reads, counted
)

// Options of a journal. Publish and Book are required.
type Options struct {
	// Publish publishes a record under a type, and returns once it is acknowledged.
	Publish func(ctx context.Context, r Record) error
	Book    *access.Book
	Reads   bool          // tell of reads too, not only of audits
	Every   time.Duration // how often what is counted is told; 0: a minute
	Logger  *slog.Logger
}

// Bounds of what is counted between two tellings. What is beyond is counted without
// being told apart.
const (
	maxTallies   = 64
	maxAddresses = 8
	maxWords     = 200
)

// tally is how often one thing happened.
type tally struct {
	who, what, where string
	count            int
	first, last      time.Time
	addresses        []string
}

// Journal counts, and tells.
type Journal struct {
	o Options

	mu      sync.Mutex
	start   *Record // how the server was started, until it is told; nil: it is
	refused []*tally
	used    []*tally
	untold  map[string]*Record // what was counted and could not be told yet, by type
}

// New returns a journal, which tells nothing until it runs.
func New(o Options) *Journal {
	if o.Every == 0 {
		o.Every = time.Minute
	}
	return &Journal{o: o}
}

// Refused counts a request that was not let in. who is nil where nobody knows.
func (j *Journal) Refused(r *http.Request, who *access.Principal, why error) {
	id := ""
	if who != nil {
		id = who.ID
	}
	what := why.Error()
	if p := problem.As(why); p.Code != problem.Internal {
		what = string(p.Code)
	}
	address, _, _ := net.SplitHostPort(r.RemoteAddr)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.refused = count(j.refused, id, what[:min(len(what), maxWords)], "", address)
}

// Used counts an operation that somebody was let in to, of a workspace, "*" for the
// whole ledger, "" for none.
func (j *Journal) Used(who *access.Principal, anyOf access.Scopes, operation, workspace string) {
	told := anyOf&access.Audit != 0 || strings.HasSuffix(operation, "embed-token") || strings.HasSuffix(operation, "-export") || j.o.Reads && anyOf&access.Read != 0
	if workspace == access.Anywhere || !told {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.used = count(j.used, who.ID, operation, workspace, "")
}

// count adds to one of some tallies.
func count(all []*tally, who, what, where, address string) []*tally {
	now := time.Now().UTC()
	find := func() int {
		return slices.IndexFunc(all, func(t *tally) bool { return t.who == who && t.what == what && t.where == where })
	}
	i := find()
	if i < 0 && len(all) >= maxTallies-1 {
		who, what, where = "", "others", ""
		i = find()
	}
	if i < 0 {
		i = len(all)
		all = append(all, &tally{who: who, what: what, where: where, first: now})
	}
	t := all[i]
	t.count++
	t.last = now
	if address != "" && len(t.addresses) < maxAddresses && !slices.Contains(t.addresses, address) {
		t.addresses = append(t.addresses, address)
	}
	return all
}

// Configured notes how the server was started. Run tells it, under an id that stays:
// what was told twice is a duplicate.
func (j *Journal) Configured(how map[string]any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.start = &Record{Type: typeConfigured, ID: newID(), At: time.Now(), Data: how}
}

// Run tells what there is to tell, until ctx ends, and then the rest.
func (j *Journal) Run(ctx context.Context) {
	tick := time.NewTicker(j.o.Every)
	defer tick.Stop()
	stop := ctx.Done()
	// What is being told is told to its end: it would be told a second time else.
	ctx = context.WithoutCancel(ctx)
	for {
		j.started(ctx)
		j.changes(ctx)
		select {
		case <-j.o.Book.Changed():
		case <-tick.C:
			j.counted(ctx)
		case <-stop:
			last, cancel := context.WithTimeout(ctx, 5*time.Second)
			defer cancel()
			j.started(last)
			j.changes(last)
			j.counted(last)
			return
		}
	}
}

// started tells how the server was started. A stream that is away at that moment is
// told when it is back.
func (j *Journal) started(ctx context.Context) {
	j.mu.Lock()
	r := j.start
	j.mu.Unlock()
	if r == nil || !j.tell(ctx, *r) {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.start == r {
		j.start = nil
	}
}

// changes tells what became of keys. What can't be told now is told the next time;
// what was told twice, because a crash came between, is a duplicate by its id.
func (j *Journal) changes(ctx context.Context) {
	var told []access.Change
	for _, c := range j.o.Book.Untold() {
		if !j.tell(ctx, changed(c)) {
			break
		}
		told = append(told, c)
	}
	if err := j.o.Book.Told(told); err != nil {
		j.o.Logger.Warn("that changes of access were told is not written down; they will be told again", "error", err)
	}
}

// counted tells what was counted. What can't be told is told again as it is, under the
// id that it has: it may have arrived, and only its acknowledgement not. Until then the
// next is counted on.
func (j *Journal) counted(ctx context.Context) {
	for _, c := range []struct {
		typ string
		of  *[]*tally
	}{{typeRefused, &j.refused}, {typeUsed, &j.used}} {
		for { // what waited, and then what was counted since
			r := j.sum(c.typ, c.of)
			if r == nil || !j.tell(ctx, *r) {
				break
			}
			j.mu.Lock()
			delete(j.untold, c.typ)
			j.mu.Unlock()
		}
	}
}

// sum returns the record of a type that waits to be told: the one that could not be, or
// what was counted since; nil: there is nothing.
func (j *Journal) sum(typ string, of *[]*tally) *Record {
	j.mu.Lock()
	defer j.mu.Unlock()
	if r := j.untold[typ]; r != nil || len(*of) == 0 {
		return r
	}
	r := summed(typ, *of)
	*of = nil
	if j.untold == nil {
		j.untold = map[string]*Record{}
	}
	j.untold[typ] = &r
	return &r
}

func (j *Journal) tell(ctx context.Context, r Record) bool {
	err := j.o.Publish(ctx, r)
	if err != nil && ctx.Err() == nil {
		j.o.Logger.Warn("the ledger was not told what happened at its doors; it will be", "type", r.Type, "error", err)
	}
	return err == nil
}

func newID() string { return ulid.MustNew(ulid.Now(), rand.Reader).String() }
