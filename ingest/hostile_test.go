package ingest_test

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"annals/ingest"
	"annals/ingest/broker"
	"annals/ledger/chain"
)

// wire is a client that writes the NATS protocol by hand, and so what no client
// library would write.
type wire struct {
	net.Conn
	in *bufio.Reader
}

func dial(t *testing.T, address string) *wire {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	w := &wire{Conn: c, in: bufio.NewReader(c)}
	w.line(t, "INFO")
	fmt.Fprintf(w, "CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":true}\r\nSUB _INBOX.wire 1\r\n")
	return w
}

// line reads up to a line that begins with prefix.
func (w *wire) line(t *testing.T, prefix string) {
	t.Helper()
	w.SetDeadline(time.Now().Add(10 * time.Second))
	for {
		l, err := w.in.ReadString('\n')
		if err != nil {
			t.Fatalf("waiting for %s: %v", prefix, err)
		}
		if strings.HasPrefix(l, prefix) {
			return
		}
	}
}

// publish publishes, and waits for the acknowledgement. header may be empty.
func (w *wire) publish(t *testing.T, subject, header, body string) {
	t.Helper()
	if header == "" {
		fmt.Fprintf(w, "PUB %s _INBOX.wire %d\r\n%s\r\n", subject, len(body), body)
	} else {
		fmt.Fprintf(w, "HPUB %s _INBOX.wire %d %d\r\n%s%s\r\n", subject, len(header), len(header)+len(body), header, body)
	}
	w.line(t, "{")
}

// TestHeadersAsPublished publishes header blocks of every kind and reads them by
// both ways in: as a consumer delivers them, and by sequence. The fold takes
// either, so they must be equal to the byte.
//
// The server has one account here. On the way from PRODUCERS it puts a header of
// its own into each block and takes it out again, which mends some malformed ones.
func TestHeadersAsPublished(t *testing.T) {
	srv, nc := plain(t, "", "jetstream: { sync_interval: always }")
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	s := &bench{ledger: nc, js: js}
	w := dial(t, srv.Addr().String())
	for _, c := range []struct {
		name, header, body string
		want               map[string][]string
	}{
		{name: "none but the block", header: "NATS/1.0\r\n\r\n", body: "b"},
		{name: "one", header: "NATS/1.0\r\nContent-Type: application/x-ndjson\r\n\r\n", body: "{}", want: map[string][]string{"Content-Type": {"application/x-ndjson"}}},
		{name: "order within a name", header: "NATS/1.0\r\nce-a: 1\r\nb: 2\r\nce-a:3\r\n\r\n", body: "{}", want: map[string][]string{"ce-a": {"1", "3"}, "b": {"2"}}},
		{name: "case", header: "NATS/1.0\r\ncontent-type: x\r\n\r\n", body: "{}", want: map[string][]string{"content-type": {"x"}}},
		{name: "leading white space", header: "NATS/1.0\r\na: \t x \r\n\r\n", body: "{}", want: map[string][]string{"a": {"x "}}},
		{name: "malformed: no version", header: "HTTP/1.1\r\na: b\r\n\r\n", body: "one"},
		{name: "malformed: no colon", header: "NATS/1.0\r\nContent-Type\r\n\r\n", body: "two"},
		{name: "malformed: no end", header: "NATS/1.0\r\nContent-Type", body: "three"},
		{name: "malformed: garbage", header: "\x00\xff\xfe\r\n", body: "four"},
		{name: "malformed, and empty", header: "NATS/1.0\r\nx\r\n\r\n", body: ""},
		// Each of these would look to a client like the server's word on a consumer. This
		// server drops the status when it stores; the reader does not rest on that.
		{name: "dressed as the end of a consumer", header: "NATS/1.0 409 Consumer Deleted\r\nx: y\r\n\r\n", want: map[string][]string{"x": {"y"}}},
		{name: "dressed as a heartbeat", header: "NATS/1.0 100 Idle Heartbeat\r\nx: y\r\n\r\n", want: map[string][]string{"x": {"y"}}},
		{name: "dressed as no messages", header: "NATS/1.0 404 No Messages\r\nx: y\r\n\r\n", want: map[string][]string{"x": {"y"}}},
		{name: "dressed as no responders", header: "NATS/1.0 503\r\nx: y\r\n\r\n", want: map[string][]string{"x": {"y"}}},
		{name: "too short a status", header: "NATS/1.0 4\r\n\r\n", body: "five"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.publish(t, "activity.ws_1.a", c.header, c.body)
			last := s.last(t)
			got := read(t, reader(t, s.ledger, chain.Position{Sequence: last - 1}), last)[0]
			if len(got.Header) != len(c.want) || len(c.want) > 0 && !reflect.DeepEqual(got.Header, c.want) {
				t.Errorf("header: got %q, want %q", got.Header, c.want)
			}
			if (got.Header == nil) != (c.want == nil) {
				t.Errorf("header: got %#v, want %#v", got.Header, c.want)
			}
			if string(got.Body) != c.body {
				t.Errorf("body: got %q, want %q", got.Body, c.body)
			}
			fetched, err := ingest.Get(t.Context(), s.ledger, last)
			if err != nil {
				t.Fatal(err)
			}
			if got.Digest() != fetched.Digest() || got.Time != fetched.Time || !bytes.Equal(got.Body, fetched.Body) || !reflect.DeepEqual(got.Header, fetched.Header) {
				t.Errorf("delivered %+v, by sequence %+v", got, fetched)
			}
		})
	}
}

// TestOddMessages: whatever the server stores is delivered; the fold makes an
// entry of each.
func TestOddMessages(t *testing.T) {
	s := startIn(t, broker.Options{StoreDir: t.TempDir()}, ingest.StreamOptions{})
	w := dial(t, s.Addr().String())
	for _, c := range []struct{ subject, body string }{
		{"activity.w", "{}"},
		{"activity.w.a.>", "{}"},
		{"activity.*.a", "{}"},
		{"activity.w.$SYS.x", "{}"},
		{"activity.ü.日本", "{}"},
		{"activity." + strings.Repeat("w", 200) + ".a", "{}"},
		{"activity.w.a", ""},
		{"activity.w.a", "\x00\xff"},
		{"activity.w.a", strings.Repeat("x", 1<<20)},
	} {
		before := s.last(t)
		w.publish(t, c.subject, "", c.body)
		after := s.last(t)
		if after != before+1 {
			t.Errorf("%.40s: not stored", c.subject)
			continue
		}
		got := read(t, reader(t, s.ledger, chain.Position{Sequence: before}), after)[0]
		if got.Subject != c.subject || string(got.Body) != c.body || got.Header != nil {
			t.Errorf("%.40s: got %q, %d bytes, header %v", c.subject, got.Subject, len(got.Body), got.Header)
		}
	}
}

// TestSkippedMessagesAreFetched: a consumer passes over a message that the stream
// holds, as one on a replicated stream did. Here a filter makes it.
func TestSkippedMessagesAreFetched(t *testing.T) {
	s := start(t)
	for i := range 40 {
		s.say(t, fmt.Sprintf("activity.ws_%d.a", i%4), fmt.Sprint(i))
	}
	c, err := s.js.CreateConsumer(t.Context(), ingest.Stream, jetstream.ConsumerConfig{
		AckPolicy: jetstream.AckNonePolicy, FilterSubject: "activity.ws_3.>",
	})
	if err != nil {
		t.Fatal(err)
	}
	r := reader(t, s.ledger, chain.Position{})
	if err := r.ReadThrough(c.CachedInfo().Name); err != nil {
		t.Fatal(err)
	}
	got := read(t, r, 40)
	for i, m := range got {
		if string(m.Body) != fmt.Sprint(i) {
			t.Fatalf("message %d is %q", i, m.Body)
		}
	}
}

// TestLargerThanARequest: a message from a time when the server took larger ones
// than it does now, and than a pull request asks for.
func TestLargerThanARequest(t *testing.T) {
	dir := t.TempDir()
	s := startIn(t, broker.Options{StoreDir: dir, MaxPayload: 20 << 20}, ingest.StreamOptions{})
	s.say(t, "activity.w.a", "before")
	s.say(t, "activity.w.a", strings.Repeat("x", 19<<20))
	s.say(t, "activity.w.a", "after")
	s.ledger.Close()
	s.Close()
	s = startIn(t, broker.Options{StoreDir: dir}, ingest.StreamOptions{})
	if got := read(t, reader(t, s.ledger, chain.Position{}), 3); len(got[1].Body) != 19<<20 {
		t.Errorf("got %d bytes", len(got[1].Body))
	}
}
