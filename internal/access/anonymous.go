package access

import "net/http"

// Bears reports whether a request says who it comes from: by an Authorization header,
// whatever stands in it, or by a client's certificate. Where nobody need be known,
// only what bears nothing is anonymous: a token that is not good must not pass for
// none.
func Bears(r *http.Request) bool {
	return len(r.Header.Values("Authorization")) > 0 || r.TLS != nil && len(r.TLS.VerifiedChains) > 0
}

// anonymous is who asks where nobody need be known. It has no scopes: what it may do
// is for the door to say that lets it in.
var anonymous = &Principal{Kind: ByNothing}

// EnterAnonymous is [Gate.Enter] for a request that bears nothing, at a door that asks
// for nothing. It is taken off what the address that it came from may ask, which has
// as much as a token. The error is a problem, [problem.RateLimited], and comes as late as
// a token's.
func (g *Gate) EnterAnonymous(w http.ResponseWriter, r *http.Request) (*Principal, error) {
	if g == nil {
		return developer, nil
	}
	who := "anonymous:" + Address(r.RemoteAddr)
	err := g.limits.spend(w.Header(), who, g.o.Now())
	if err != nil {
		g.hold(r.Context(), who)
	}
	return anonymous, err
}
