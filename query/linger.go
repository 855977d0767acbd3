package query

import (
	"net"
	"sync"
	"sync/atomic"
	"time"

	"annals/internal/access"
)

// Connections that end without having asked for anything: whose header is too large, comes
// too slowly, is none, or whose TLS never is. Each costs the server as much as a small
// request, and nothing of them can be counted against a token.
const (
	unaskedPerSecond = 10 // of an address, which are closed at once
	unaskedLingers   = 10 * time.Second
	// unaskedBytes may come behind a connection's last request: its body, and what of the
	// next one was there when the client went.
	unaskedBytes = 8 << 10
)

// lingering has such connections stay open for a while, unread, where many come from one
// address: who waits for the end of each before the next is held up, and who doesn't has as
// many fewer connections. They are an eighth of all at the most, so that to end many
// connections keeps nobody out who wouldn't be by opening them.
type lingering struct {
	net.Listener
	late    *access.Lateness
	stopped <-chan struct{} // nobody lingers any more
	places  chan struct{}   // holds one for each that lingers
}

// newLingering returns a listener whose connections don't linger once stopped is closed.
func newLingering(l net.Listener, late *access.Lateness, connections int, stopped <-chan struct{}) *lingering {
	return &lingering{l, late, stopped, make(chan struct{}, connections/8)}
}

func (l *lingering) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	v := &visitor{Conn: c, of: l}
	v.unasked.Store(unaskedBytes + 1)
	return v, nil
}

// linger waits before a connection from somewhere is closed.
func (l *lingering) linger(remote net.Addr) {
	wait := l.late.Of(access.Address(remote.String()), time.Now())
	if wait <= 0 {
		return
	}
	select {
	case l.places <- struct{}{}:
		defer func() { <-l.places }()
	default:
		return
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
	case <-l.stopped:
	}
}

// visitor is a connection that knows how much has come over it since its last request.
type visitor struct {
	net.Conn
	of      *lingering
	unasked atomic.Int64
	closing sync.Once
}

// asked notes that a request has come, or has been answered.
func (v *visitor) asked() { v.unasked.Store(0) }

func (v *visitor) Read(p []byte) (int, error) {
	n, err := v.Conn.Read(p)
	v.unasked.Add(int64(n))
	return n, err
}

func (v *visitor) Close() error {
	v.closing.Do(func() {
		if v.unasked.Load() > unaskedBytes {
			v.of.linger(v.RemoteAddr())
		}
	})
	return v.Conn.Close()
}

// SetWriteBuffer bounds what the system holds of what is sent, where it can.
func (v *visitor) SetWriteBuffer(bytes int) error {
	if c, ok := v.Conn.(interface{ SetWriteBuffer(bytes int) error }); ok {
		return c.SetWriteBuffer(bytes)
	}
	return nil
}
