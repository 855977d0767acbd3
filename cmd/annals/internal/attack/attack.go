package attack

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// Kind is a way to attack.
type Kind string

// The kinds.
const (
	Stalled   Kind = "stalled"   // live tails that nobody reads
	Slowloris Kind = "slowloris" // connections whose header, or whose body, never ends
	Queries   Kind = "queries"   // the dearest questions, many at once
	Headers   Kind = "headers"   // headers without an end
	Tokens    Kind = "tokens"    // tokens that are not good
)

// Orders say whom to attack, and how. All are required.
type Orders struct {
	Kind      Kind     `json:"kind"`
	Address   string   `json:"address"` // HOST:PORT of the server, over plain HTTP
	Workspace string   `json:"workspace"`
	Readers   []string `json:"readers"`     // tokens that may read the workspace
	Recorder  string   `json:"recorder"`    // one that may record in it
	Many      int      `json:"connections"` // at once
}

// Tally is what came of an attack.
type Tally struct {
	Opened   int         `json:"opened"`   // connections
	Refused  int         `json:"refused"`  // attempts to connect that the system refused
	Answered map[int]int `json:"answered"` // by status
	Cut      int         `json:"cut"`      // connections that the server ended without an answer, or in the middle of one
}

// TurnedAway is how many attempts were answered by a refusal, or cut.
func (t *Tally) TurnedAway() (n int) {
	for status, times := range t.Answered {
		if status >= http.StatusBadRequest {
			n += times
		}
	}
	return n + t.Cut
}

// attacker attacks, and counts.
type attacker struct {
	Orders
	mu    sync.Mutex
	tally Tally
	first sync.WaitGroup // connections that have not been opened yet
}

// Run attacks until ctx ends. begun is called once the attack is on: each connection was
// opened, or could not be. What fails is counted, and tried again.
func Run(ctx context.Context, o Orders, begun func()) (*Tally, error) {
	a := &attacker{Orders: o, tally: Tally{Answered: map[int]int{}}}
	err := a.run(ctx, begun)
	return &a.tally, err
}

func (a *attacker) run(ctx context.Context, begun func()) error {
	attack, ok := map[Kind]func(context.Context, net.Conn, int) error{
		Stalled: a.stall, Slowloris: a.drip, Queries: a.query, Headers: a.swell, Tokens: a.guess,
	}[a.Kind]
	if !ok || a.Many < 1 || a.Address == "" || len(a.Readers) == 0 {
		return fmt.Errorf("attack: these are no orders: a %q of %d connections to %q, with %d tokens", a.Kind, a.Many, a.Address, len(a.Readers))
	}
	var all sync.WaitGroup
	a.first.Add(a.Many)
	for i := range a.Many {
		all.Go(func() { a.again(ctx, i, attack) })
	}
	a.first.Wait()
	begun()
	all.Wait()
	return nil
}

// pause is between two attempts to connect that the system refused.
const pause = 10 * time.Millisecond

// again opens a connection, attacks over it, and begins anew when it has ended.
func (a *attacker) again(ctx context.Context, i int, attack func(context.Context, net.Conn, int) error) {
	tried := sync.OnceFunc(a.first.Done)
	defer tried()
	for ctx.Err() == nil {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", a.Address)
		tried()
		if err != nil {
			a.count(ctx, func(t *Tally) { t.Refused++ })
			sleep(ctx, pause)
			continue
		}
		a.count(ctx, func(t *Tally) { t.Opened++ })
		stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
		if err := attack(ctx, conn, i); err != nil {
			a.count(ctx, func(t *Tally) { t.Cut++ })
		}
		stop()
		_ = conn.Close()
	}
}

// count counts what came of something, unless it ended because the attack does.
func (a *attacker) count(ctx context.Context, f func(*Tally)) {
	if ctx.Err() != nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	f(&a.tally)
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// answer reads an answer to its end, and says whether another request may follow on the
// connection.
func (a *attacker) answer(ctx context.Context, from *bufio.Reader) (goesOn bool, err error) {
	res, err := http.ReadResponse(from, nil)
	if err != nil {
		return false, err
	}
	_, err = io.Copy(io.Discard, res.Body)
	if err = errors.Join(err, res.Body.Close()); err != nil {
		return false, err
	}
	a.count(ctx, func(t *Tally) { t.Answered[res.StatusCode]++ })
	return !res.Close, nil
}
