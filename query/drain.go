package query

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// drain knows of every connection whether its request has arrived whole. At a
// stop those that have are answered; a client that is still sending, or only
// stays connected, must not hold the process up.
type drain struct {
	mu       sync.Mutex
	conns    map[net.Conn]bool // whole: nobody reads any more of the request
	deadline time.Time         // for those that aren't, once there is a stop
}

type drainKey struct{}

// link is a connection as its requests see it.
type link struct {
	drain *drain
	conn  net.Conn
	inner net.Conn // the system's own, inside of what bounds and encrypts it
}

// taken remembers the connection that it has accepted last. A server accepts one, and
// then asks for its context, before it accepts the next.
type taken struct {
	net.Listener
	last net.Conn
}

func (l *taken) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	l.last = c
	return c, err
}

// tighten bounds what the system holds of an answer that a client doesn't take, in bytes:
// by itself it grows to megabytes, for each of those who listen and don't read.
func tighten(r *http.Request, bytes int) {
	if l, ok := r.Context().Value(drainKey{}).(link); ok {
		if c, ok := l.inner.(interface{ SetWriteBuffer(bytes int) error }); ok {
			_ = c.SetWriteBuffer(bytes) // a connection that has ended
		}
	}
}

// watch makes a server report its connections, which it takes from inner in the end.
func (d *drain) watch(srv *http.Server, inner *taken) {
	d.conns = map[net.Conn]bool{}
	srv.ConnState = func(c net.Conn, s http.ConnState) {
		switch s {
		case http.StateClosed, http.StateHijacked:
			d.mu.Lock()
			delete(d.conns, c)
			d.mu.Unlock()
		default:
			d.mark(c, false)
		}
	}
	srv.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, drainKey{}, link{d, c, inner.last})
	}
}

func (d *drain) mark(c net.Conn, whole bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.conns[c] = whole
	if !whole && !d.deadline.IsZero() {
		_ = c.SetReadDeadline(d.deadline)
	}
}

// arrived notes that a request is there to its last byte. The server then waits
// for the client's going, and would take a deadline that a stop has just set for
// it, and end the request.
func (d *drain) arrived(c net.Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.conns[c] = true
	if !d.deadline.IsZero() {
		_ = c.SetReadDeadline(time.Time{})
	}
}

// stop gives clients that are still sending until a time. Whoever reads a body
// then is told that it didn't come; cut ends what is left.
func (d *drain) stop(deadline time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.deadline = deadline
	for c, whole := range d.conns {
		if !whole {
			_ = c.SetReadDeadline(deadline)
		}
	}
}

// cut closes the connections whose request never arrived. It is for those whose
// deadline the server has replaced by its own: it sets one for each header, also
// on a connection that was taken in the moment of the stop.
func (d *drain) cut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for c, whole := range d.conns {
		if !whole {
			_ = c.Close()
		}
	}
}

// follow notes when a request has arrived whole, and returns what it came over.
func follow(r *http.Request) link {
	l, ok := r.Context().Value(drainKey{}).(link)
	if !ok {
		return link{} // not served by Serve
	}
	l.asked()
	if r.ContentLength == 0 { // -1 is unknown
		l.drain.arrived(l.conn)
		return l
	}
	l.drain.mark(l.conn, false)
	r.Body = &followed{r.Body, l}
	return l
}

// asked notes that what came over the connection was a request, so far.
func (l *link) asked() {
	if v, ok := l.inner.(*visitor); ok {
		v.asked()
	}
}

// followed is a body that tells when it was read to its end, or as far as it
// will be.
type followed struct {
	io.ReadCloser
	link link
}

func (f *followed) Read(p []byte) (int, error) {
	n, err := f.ReadCloser.Read(p)
	switch {
	case err == io.EOF:
		f.link.drain.arrived(f.link.conn)
	case err != nil:
		f.link.drain.mark(f.link.conn, true)
	}
	return n, err
}
