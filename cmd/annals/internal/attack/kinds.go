package attack

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// path is one below the workspace that is attacked.
func (a *attacker) path(rest string) string {
	return "/v1/workspaces/" + url.PathEscape(a.Workspace) + rest
}

func (a *attacker) get(path, token string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: " + a.Address + "\r\nAuthorization: Bearer " + token + "\r\n\r\n"
}

// smallBuffer is what a connection takes of an answer before somebody reads it.
const smallBuffer = 4 << 10

// stall opens a live tail from the beginning of the ledger and reads its status, and
// nothing of the rest.
func (a *attacker) stall(ctx context.Context, conn net.Conn, i int) error {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetReadBuffer(smallBuffer)
	}
	const fromTheBeginning = "/tail?after=00000000000000000000000000"
	if _, err := io.WriteString(conn, a.get(a.path(fromTheBeginning), a.Readers[i%len(a.Readers)])); err != nil {
		return err
	}
	// No more than the head: what a reader holds back would be read.
	status, err := bufio.NewReaderSize(conn, 16).ReadString('\n')
	if err != nil {
		return err
	}
	var code int
	if _, err := fmt.Sscanf(status, "HTTP/1.1 %d", &code); err != nil {
		return err
	}
	a.count(ctx, func(t *Tally) { t.Answered[code]++ })
	if code != http.StatusOK {
		return nil
	}
	// Until the server has cut it, which a write to it shows: nobody reads.
	for ctx.Err() == nil {
		sleep(ctx, time.Second)
		if _, err := io.WriteString(conn, "\r\n"); err != nil {
			return err
		}
	}
	return nil
}

// dripEvery is how often a connection that drips sends one byte more.
const dripEvery = time.Second

// drip sends a header that never ends, or a body.
func (a *attacker) drip(ctx context.Context, conn net.Conn, i int) error {
	begin := "GET " + a.path("/timeline") + " HTTP/1.1\r\nHost: " + a.Address + "\r\nX-A: "
	if i%2 == 1 {
		begin = "POST " + a.path("/records") + " HTTP/1.1\r\nHost: " + a.Address + "\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\nAuthorization: Bearer " + a.Recorder + "\r\n\r\n{"
	}
	if _, err := io.WriteString(conn, begin); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() {
		_, err := a.answer(ctx, bufio.NewReader(conn))
		ended <- err
	}()
	t := time.NewTicker(dripEvery)
	defer t.Stop()
	for {
		select {
		case err := <-ended:
			return err
		case <-t.C:
			if _, err := io.WriteString(conn, " "); err != nil {
				return <-ended
			}
		}
	}
}

// dearest is a question that no index answers by itself: all but what is not there, of
// every kind, by when it occurred, with sentences.
var dearest = func() string {
	q := "/timeline?limit=1000&with=sentence&order=occurred&kind=record,duplicate,conflict,rejection"
	for i := range 16 {
		q += fmt.Sprintf("&type!=none%d.*", i)
	}
	return q
}()

// query asks the dearest question, again and again.
func (a *attacker) query(ctx context.Context, conn net.Conn, i int) error {
	request := a.get(a.path(dearest), a.Readers[i%len(a.Readers)])
	return a.ask(ctx, conn, func(int) string { return request })
}

// ask sends a request as soon as the one before is answered.
func (a *attacker) ask(ctx context.Context, conn net.Conn, request func(n int) string) error {
	answers := bufio.NewReader(conn)
	for n := 0; ctx.Err() == nil; n++ {
		if _, err := io.WriteString(conn, request(n)); err != nil {
			return err
		}
		if goesOn, err := a.answer(ctx, answers); err != nil || !goesOn {
			return err
		}
	}
	return nil
}

// swollen is more than any header may have.
var swollen = strings.Repeat("x", 1<<20)

// swell sends a header that is too large, in the name of everybody and of nobody.
func (a *attacker) swell(ctx context.Context, conn net.Conn, i int) error {
	name := "X-A: "
	if i%2 == 1 {
		name = "Authorization: Bearer "
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_, _ = io.WriteString(conn, "GET "+a.path("/timeline")+" HTTP/1.1\r\nHost: "+a.Address+"\r\n"+name+swollen)
	}()
	_, err := a.answer(ctx, bufio.NewReader(conn))
	_ = conn.Close()
	<-sent
	return err
}

// bad are tokens of each form, none of which is good: keys that nobody was given, embed
// tokens that nobody signed, and others' that nobody knows.
func bad(n int) string {
	switch n % 3 {
	case 0:
		return fmt.Sprintf("ann_%016x_%043d", n, n)
	case 1:
		return "ane_" + base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"id":"%016x","ws":"ws_7","exp":9999999999,"by":"x"}`, n)) + "." + strings.Repeat("A", 43)
	}
	return "eyJhbGciOiJSUzI1NiIsImtpZCI6InJzYS0xIn0." + base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"sub":"u%d"}`, n)) + "." + strings.Repeat("A", 342)
}

// guess shows one token after the other.
func (a *attacker) guess(ctx context.Context, conn net.Conn, i int) error {
	return a.ask(ctx, conn, func(n int) string { return a.get(a.path("/timeline"), bad(i+n*a.Many)) })
}
