package access

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
)

// Options of a gate.
type Options struct {
	Keys *Book // API keys

	// Verify says whose a bearer token is that has not the form of ours, such as one
	// of an OpenID provider; its errors are for the log, but for a [*RefusedError]'s.
	// nil: there are none.
	Verify func(ctx context.Context, token string) (*Principal, error)

	// Refused is told of each request that was not let in, with the reason, which
	// holds nothing secret; who is nil where nobody knows. nil: nobody is told.
	Refused func(r *http.Request, who *Principal, why error)
	// Used is told of each that was, with the scopes of which one was needed, what was
	// asked for, and where. nil: nobody is.
	Used func(who *Principal, anyOf Scopes, operation, workspace string)

	// EmbedKey signs embed tokens; nil: there are none.
	EmbedKey []byte

	// Certificates are the clients' certificates that need no token, once the TLS
	// listener has verified them.
	Certificates []Certificate

	Limits Limits

	// Hold is how long whoever is beyond a limit waits for being told so, at the least: of
	// a token, and of an address, no more than ten a second are told. So who asks again at
	// once, whatever Retry-After says, costs little. 0: they don't wait.
	Hold time.Duration

	Now func() time.Time // nil: [time.Now]
}

// Gate finds out who asks. A nil gate is that of a server without access control:
// everybody is a developer, who may do everything.
type Gate struct {
	o            Options
	limits       *limiter
	strangers    *limiter // by address: who was not let in
	late         *Lateness
	certificates certificates
}

// NewGate returns a gate. The error says what of the certificates or limits can't be.
func NewGate(o Options) (*Gate, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if err := o.Limits.Check(); err != nil {
		return nil, err
	}
	known, err := parseCertificates(o.Certificates)
	if err != nil {
		return nil, err
	}
	limits := newLimiter(o.Limits)
	return &Gate{o, limits, limits.strangers(), NewLateness(toldPerSecond, toldAfter), known}, nil
}

// How often a second a token, or an address, is told that it is beyond a limit, and how
// late at the most.
const (
	toldPerSecond = 10
	toldAfter     = 10 * time.Second
)

// Enter returns who a request comes from, and takes it off what their token may ask.
// The answer's headers say what is left. The errors are problems: those of
// [Gate.Authenticate], and [problem.RateLimited], for addresses too that show nothing but
// tokens which are not good. A good token gets in whatever else comes from its address: it
// may be a proxy's.
func (g *Gate) Enter(w http.ResponseWriter, r *http.Request) (*Principal, error) {
	p, err := g.Authenticate(r)
	switch {
	case g == nil:
		return p, err
	case err != nil:
		if beyond := g.Stranger(r); beyond != nil {
			return nil, beyond
		}
		return nil, err
	}
	if err = g.limits.spend(w.Header(), p.payer(), g.o.Now()); err != nil {
		g.refused(r, p, err)
		g.hold(r.Context(), p.payer())
	}
	return p, err
}

// Stranger counts that a request was refused of which nobody knows whose it is. The error
// is a problem, [problem.RateLimited], where too many of its address were, and comes late.
func (g *Gate) Stranger(r *http.Request) error {
	if g == nil {
		return nil
	}
	address := Address(r.RemoteAddr)
	err := g.strangers.spend(nil, address, g.o.Now())
	if err != nil {
		g.hold(r.Context(), addressPrefix+address)
	}
	return err
}

// addressPrefix tells an address from a token.
const addressPrefix = "address "

// CheckURL is [CheckURL] for a request, and tells of one that was refused. What is told
// of it is to hold nothing of its URL.
func (g *Gate) CheckURL(r *http.Request) error {
	err := CheckURL(r.URL)
	if err != nil {
		g.refused(r, nil, err)
	}
	return err
}

// refused tells of a request that was not let in.
func (g *Gate) refused(r *http.Request, who *Principal, why error) {
	if g != nil && g.o.Refused != nil {
		g.o.Refused(r, who, why)
	}
}

// hold waits before somebody is told that they are beyond a limit. Many who came together
// are not told, and don't come again, together.
func (g *Gate) hold(ctx context.Context, who string) {
	if g.o.Hold <= 0 {
		return
	}
	t := time.NewTimer(max(g.o.Hold, g.late.Of(who, g.o.Now())) + rand.N(g.o.Hold/2+1))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// Authorize is [Principal.Authorize] for an operation that a request asks for, and
// tells of how it went.
func (g *Gate) Authorize(r *http.Request, p *Principal, anyOf Scopes, operation, workspace string) error {
	err := p.Authorize(anyOf, workspace)
	switch {
	case g == nil:
	case err != nil:
		g.refused(r, p, err)
	case g.o.Used != nil:
		g.o.Used(p, anyOf, operation, workspace)
	}
	return err
}

// Begin counts work in that a token may have only so much of at once. Whoever began
// it calls end. The error is a problem: [problem.TooManyAtOnce].
func (g *Gate) Begin(ctx context.Context, p *Principal, w Work) (end func(), err error) {
	if g == nil {
		return func() {}, nil
	}
	if end, err = g.limits.begin(p.payer(), w, g.o.Now()); err != nil {
		g.hold(ctx, p.payer())
	}
	return end, err
}

// RefusedError says why a token is not good, in words that its holder may read.
type RefusedError struct{ Why string }

func (e *RefusedError) Error() string { return e.Why }

// maxToken bounds a bearer token: those of providers have a few KiB at most.
const maxToken = 16 << 10

// notGood is what is said of a token that is not let in for a reason that is
// nobody's but the operator's.
const notGood = "the token is not good here; get a new one, or ask an administrator of this server (its log says why)"

// Authenticate returns who a request comes from. It reads the Authorization header,
// and where there is none the client's certificate; what stands in a URL lets nobody
// in. The error is a problem.
func (g *Gate) Authenticate(r *http.Request) (*Principal, error) {
	if g == nil {
		return developer, nil
	}
	p, err := g.authenticate(r)
	if err == nil {
		return p, nil
	}
	g.refused(r, nil, err)
	var refused *RefusedError
	switch {
	case errors.Is(err, errNoToken):
		return nil, Unauthenticated("")
	case errors.As(err, &refused):
		return nil, Unauthenticated(refused.Why)
	}
	return nil, Unauthenticated(notGood)
}

var errNoToken = errors.New("no bearer token came")

func (g *Gate) authenticate(r *http.Request) (*Principal, error) {
	given := r.Header.Values("Authorization")
	if len(given) == 0 {
		if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
			return g.certificates.find(r.TLS)
		}
		return nil, errNoToken
	}
	if len(given) > 1 {
		return nil, &RefusedError{"there are two Authorization headers; send one"}
	}
	scheme, token, _ := strings.Cut(given[0], " ")
	token = strings.TrimLeft(token, " ")
	switch {
	case !strings.EqualFold(scheme, "Bearer"):
		return nil, &RefusedError{"the Authorization header has another scheme; write `Authorization: Bearer TOKEN`"}
	case token == "" || len(token) > maxToken || strings.ContainsAny(token, " \t,"):
		return nil, &RefusedError{"the Authorization header holds no token; write `Authorization: Bearer TOKEN`"}
	case strings.HasPrefix(token, keyPrefix):
		return g.o.Keys.find(token, g.o.Now())
	case strings.HasPrefix(token, embedPrefix):
		return g.embed(r, token)
	case g.o.Verify != nil:
		return g.o.Verify(r.Context(), token)
	}
	return nil, ErrUnknown
}

// ErrUnknown refuses a token that has not the form of an API key, where no others
// are known, or not this one.
var ErrUnknown error = &RefusedError{"this is no API key of this server, whose keys begin with " + keyPrefix}
