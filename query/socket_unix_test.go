//go:build unix

package query

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"syscall"
	"testing"
)

// keeping is a listener that remembers what it took.
type keeping struct {
	net.Listener
	mu   sync.Mutex
	took []*net.TCPConn
}

func (k *keeping) Accept() (net.Conn, error) {
	c, err := k.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.took = append(k.took, tcp)
	}
	return c, err
}

// sending is how much the system holds of what the last connection sends (socket(7)).
func (k *keeping) sending(t *testing.T) (bytes int) {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	raw, err := k.took[len(k.took)-1].SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if e := raw.Control(func(fd uintptr) { bytes, err = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_SNDBUF) }); e != nil || err != nil {
		t.Fatal(e, err)
	}
	return bytes
}

// TestTightened: what the system holds for a tail that takes nothing is bounded, and for
// other answers is what it is by itself.
func TestTightened(t *testing.T) {
	const most = 16 << 10
	s := serve(t, Options{Tail: TailOptions{SocketBytes: most}})
	l := new(keeping)
	addr := listening(t, func(ctx context.Context, inner net.Listener) error {
		l.Listener = inner
		return s.api.Serve(ctx, l)
	})
	client := http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	get := func(path string) *http.Response {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := client.Do(r)
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatal(res, err)
		}
		return res
	}
	usual := get("/v1/workspaces/ws/timeline")
	if _, err := io.Copy(io.Discard, usual.Body); err != nil {
		t.Fatal(err)
	}
	usual.Body.Close()
	before := l.sending(t) // of a connection that stays open
	tail := get("/v1/workspaces/ws/tail")
	defer tail.Body.Close()
	if after := l.sending(t); after > 2*most || before <= 2*most {
		t.Errorf("the system holds %d bytes for a tail, and %d for others", after, before)
	}
}
