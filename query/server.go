package query

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"annals/internal/access"

	"golang.org/x/net/netutil"
)

// Timeouts of the server, and the defaults of [Bounds]: who sends or takes bytes too slowly doesn't keep a
// connection.
const (
	readHeaderTimeout = 10 * time.Second
	readTimeout       = 60 * time.Second
	writeTimeout      = 90 * time.Second
	stalledTimeout    = 10 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 64 << 10
	drainTimeout      = 15 * time.Second
	// maxConnections are open at once: all tails that there may be, and as many
	// besides. More wait for one to end, in the system's queue and not in ours.
	maxConnections = 4096

	// How long a request may go on arriving after a stop, and how long its reader
	// then has to answer that it didn't.
	arriveTimeout = 750 * time.Millisecond
	cutTimeout    = 250 * time.Millisecond
)

// Serve answers on a listener until ctx ends; then it takes no more connections,
// lets requests under way finish, for 15 s at most, and returns nil. A request
// that has not arrived whole within 750 ms is cut off: that its client stalls is
// no fault of the stop.
func (a *API) Serve(ctx context.Context, l net.Listener) error {
	b := &a.o.Bounds
	late := access.NewLateness(unaskedPerSecond, unaskedLingers)
	return a.serve(ctx, l, bounds{time.Duration(b.HeaderSeconds) * time.Second, time.Duration(b.BodySeconds) * time.Second, b.Connections, late})
}

// bounds are what clients have to keep to who don't say who they are yet.
type bounds struct {
	header, request time.Duration // in which either has to arrive
	connections     int
	late            *access.Lateness // of those that end without having asked; nil: they end at once
}

// answered is when an answer has to have gone out. It counts from the header on, as
// the time that a body has to arrive does, and a body that comes as late as it may is
// left as long for its answer as by the defaults.
func (b bounds) answered() time.Duration {
	return max(writeTimeout, b.request+writeTimeout-readTimeout)
}

// serve is Serve with other bounds.
func (a *API) serve(ctx context.Context, l net.Listener, b bounds) error {
	if b.late != nil {
		l = newLingering(l, b.late, b.connections, ctx.Done())
	}
	inner := &taken{Listener: l}
	l = netutil.LimitListener(inner, b.connections)
	if a.o.TLS != nil { // outermost: the server looks for TLS there, and for HTTP/2 in it
		l = tls.NewListener(l, a.o.TLS)
	}
	srv := &http.Server{
		Handler:           a,
		ReadHeaderTimeout: b.header,
		ReadTimeout:       b.request,
		WriteTimeout:      b.answered(),
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    a.o.Bounds.HeaderBytes,
		ErrorLog:          slog.NewLogLogger(a.o.Logger.Handler(), slog.LevelWarn),
	}
	var d drain
	d.watch(srv, inner)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	d.stop(time.Now().Add(arriveTimeout))
	a.hub.close()
	defer time.AfterFunc(arriveTimeout+cutTimeout, d.cut).Stop()
	err := srv.Shutdown(limit)
	if err != nil {
		err = errors.Join(err, srv.Close())
	}
	a.hub.running.Wait() // whoever stops the server closes the ledger next
	if e := <-served; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, e)
	}
	return err
}
