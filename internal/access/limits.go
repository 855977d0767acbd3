package access

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"annals/internal/problem"

	"golang.org/x/time/rate"
)

// Limits bound what one token may ask, with the embed tokens that it made, and all of
// them together. 0 is the default.
type Limits struct {
	PerSecond float64 `json:"requests_per_second,omitzero"` // of a token; 500
	Burst     int     `json:"burst,omitzero"`               // that a token may have saved up; twice as many
	Queries   int     `json:"queries,omitzero"`             // of a token at once: timelines, counts, chains; 16
	Overall   int     `json:"queries_overall,omitzero"`     // of all tokens at once; 64
	Tails     int     `json:"tails,omitzero"`               // live tails of a token at once; 100
	Refusals  float64 `json:"refusals_per_second,omitzero"` // of an address, for tokens that are not good; 50, and ten times as many saved up
}

// Check refuses limits that would let nobody in.
func (l *Limits) Check() error {
	finite := func(f float64) bool { return f >= 0 && !math.IsInf(f, 0) }
	if !finite(l.PerSecond) || !finite(l.Refusals) || l.Burst < 0 || l.Queries < 0 || l.Overall < 0 || l.Tails < 0 {
		return fmt.Errorf("limits: each is a number above 0; leave out those that are to be as they are")
	}
	return nil
}

func (l Limits) filled() Limits {
	if l.PerSecond == 0 {
		l.PerSecond = 500
	}
	if l.Burst == 0 {
		l.Burst = max(1, int(2*l.PerSecond))
	}
	if l.Queries == 0 {
		l.Queries = 16
	}
	if l.Overall == 0 {
		l.Overall = 64
	}
	if l.Tails == 0 {
		l.Tails = 100
	}
	if l.Refusals == 0 {
		l.Refusals = 50
	}
	return l
}

// Work is what is counted while it goes on.
type Work int

// The kinds of work.
const (
	Query Work = iota // a search in the indexes
	Tail              // a live tail, for as long as it is open
)

// usage is what one token uses.
type usage struct {
	bucket  *rate.Limiter
	running [2]int // by kind of work
}

func (u *usage) idle(now time.Time) bool {
	return u.running == [2]int{} && u.bucket.TokensAt(now) >= float64(u.bucket.Burst())
}

// limiter keeps tokens to their limits.
type limiter struct {
	o       Limits
	mu      sync.Mutex
	by      map[string]*usage // by [Principal.payer]
	sweep   int               // how many there may be before those that are idle are forgotten
	queries int               // of all
}

// minSweep is how many tokens are remembered at the least.
const minSweep = 1024

func newLimiter(o Limits) *limiter {
	return &limiter{o: o.filled(), by: map[string]*usage{}, sweep: minSweep}
}

// strangers keeps addresses to what they may show of tokens that are not good.
func (l *limiter) strangers() *limiter {
	return newLimiter(Limits{PerSecond: l.o.Refusals, Burst: max(1, int(10*l.o.Refusals))})
}

// of finds a token's usage. Call it with l.mu held.
func (l *limiter) of(id string, now time.Time) *usage {
	if u := l.by[id]; u != nil {
		return u
	}
	if len(l.by) >= l.sweep {
		for id, u := range l.by {
			if u.idle(now) {
				delete(l.by, id)
			}
		}
		l.sweep = max(minSweep, 2*len(l.by))
	}
	u := &usage{bucket: rate.NewLimiter(rate.Limit(l.o.PerSecond), l.o.Burst)}
	l.by[id] = u
	return u
}

// spend takes a request off what a token may ask, and says in the headers what is
// left (draft-ietf-httpapi-ratelimit-headers-10); without headers in its error alone.
func (l *limiter) spend(h http.Header, id string, now time.Time) error {
	l.mu.Lock()
	u := l.of(id, now)
	allowed := u.bucket.AllowN(now, 1)
	left := max(u.bucket.TokensAt(now), 0)
	l.mu.Unlock()
	seconds := func(tokens float64) int { return int(math.Ceil(tokens / l.o.PerSecond)) }
	if h != nil {
		h.Set("RateLimit-Policy", fmt.Sprintf(`"token";q=%d;w=%d`, l.o.Burst, seconds(float64(l.o.Burst))))
		h.Set("RateLimit", fmt.Sprintf(`"token";r=%d;t=%d`, int(left), seconds(float64(l.o.Burst)-left)))
	}
	if allowed {
		return nil
	}
	var beyond *problem.Problem
	if h != nil {
		beyond = problem.New(problem.RateLimited, "")
	} else {
		beyond = problem.New(problem.RateLimited, "too many requests that were refused came from this address without a token that is good")
	}
	return beyond.WithHeader("Retry-After", strconv.Itoa(max(1, seconds(1-left))))
}

// begin counts work in, and returns what counts it out.
func (l *limiter) begin(id string, w Work, now time.Time) (end func(), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	u := l.of(id, now)
	most, what := l.o.Queries, "queries"
	if w == Tail {
		most, what = l.o.Tails, "live tails"
	}
	switch {
	case u.running[w] >= most:
		return nil, problem.New(problem.TooManyAtOnce, "the token has %d %s under way, which is the most; wait for one to end", most, what)
	case w == Query && l.queries >= l.o.Overall:
		return nil, problem.New(problem.TooManyAtOnce, "%d queries of all tokens are under way, which is the most; try again", l.o.Overall)
	}
	u.running[w]++
	if w == Query {
		l.queries++
	}
	return sync.OnceFunc(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		u.running[w]--
		if w == Query {
			l.queries--
		}
	}), nil
}
