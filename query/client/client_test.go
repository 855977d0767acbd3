package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"annals/query/client"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// answering is a server that answers everything alike.
func answering(t *testing.T, status int, body string) *client.Client {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(srv.Close)
	c, err := client.New(srv.URL+"/", client.Options{HTTP: srv.Client()})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestNewRefuses(t *testing.T) {
	for _, base := range []string{"", "127.0.0.1:8080", "localhost", "ftp://x", "http://", "nats://127.0.0.1:4222", "http://x/?a=b", "http://x/#a"} {
		if _, err := client.New(base, client.Options{}); err == nil {
			t.Errorf("%q passes for a server", base)
		}
	}
}

func TestProblems(t *testing.T) {
	c := answering(t, 404, `{"type":"/docs#no_such_record","title":"No such record","status":404,"detail":"the workspace has no entry X","code":"no_such_record","request_id":"r1","more":1}`)
	_, err := c.Record(t.Context(), "ws_7", "X")
	var p *client.Problem
	if !errors.As(err, &p) || p.Status != 404 || p.Code != "no_such_record" || p.RequestID != "r1" || !strings.Contains(err.Error(), "the workspace has no entry X") {
		t.Errorf("%v", err)
	}
	for status, body := range map[int]string{200: "<html>", 502: "Bad Gateway", 500: "", 404: `{}`} {
		want := "not a server of annals"
		if status >= 500 {
			want = fmt.Sprint("answered ", status)
		}
		c := answering(t, status, body)
		_, timeline := c.Timeline(t.Context(), "ws_7", client.Query{})
		_, counts := c.Counts(t.Context(), "ws_7", client.Counting{By: client.Day})
		_, record := c.Record(t.Context(), "ws_7", "X")
		for _, err := range []error{timeline, counts, record} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%d %s: %v", status, body, err)
			}
		}
	}
	var none *client.UnreachedError
	gone, err := client.New("http://127.0.0.1:1", client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := gone.Timeline(t.Context(), "ws_7", client.Query{}); !errors.As(err, &none) || !none.Unsent {
		t.Errorf("nobody there: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := gone.Timeline(ctx, "ws_7", client.Query{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestRedirects: a reader is sent on within the server's host, and nowhere else.
func TestRedirects(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("another server was asked") }))
	defer elsewhere.Close()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/here"):
			http.Redirect(w, r, "/there"+r.URL.Path, http.StatusFound)
		case strings.HasPrefix(r.URL.Path, "/there"):
			_, _ = io.WriteString(w, "{}")
		default:
			http.Redirect(w, r, elsewhere.URL+r.URL.Path, http.StatusFound)
		}
	}))
	defer srv.Close()
	for base, want := range map[string]string{srv.URL + "/here": "", srv.URL: "sends its visitors to " + elsewhere.URL} {
		c, err := client.New(base, client.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Get(t.Context(), "/keys", nil, ""); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", base, err)
		}
	}
}

// TestParameters looks at what is asked of the server, percent-encoding and all.
func TestParameters(t *testing.T) {
	var got string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.URL.EscapedPath() + "?" + r.URL.RawQuery
		_, _ = io.WriteString(w, `{}`)
	}))
	defer srv.Close()
	c, err := client.New(srv.URL, client.Options{HTTP: srv.Client()})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 22, 8, 0, 0, 5, time.FixedZone("", 2*3600))
	filter := client.Filter{
		Where: []client.Condition{
			client.Is(client.User, "a,b!", "c&d"), client.Not(client.User, "é"), client.Is(client.Object, client.Ref("a/b%", "c/d%")), client.Is(client.Linked, client.Ref("app", "")),
			client.Is(client.Dimension("new!"), "x"), client.Not(client.Dimension("50%"), "y"), client.Is(client.User, "z"),
		},
		Since: at, Until: at, OccurredSince: at, OccurredUntil: at, AsOf: 7,
	}
	const asked = "as_of=7&dimension.50%2525%21=y&dimension.new%2521=x&linked=app%2F&object=a%252Fb%2525%2Fc%2Fd%25&occurred_since=2026-11-22T06%3A00%3A00.000000005Z&occurred_until=2026-11-22T06%3A00%3A00.000000005Z&"
	const timed = "since=2026-11-22T06%3A00%3A00.000000005Z&until=2026-11-22T06%3A00%3A00.000000005Z&user=a%2Cb%21&user=c%26d&user=z&user%21=%C3%A9"
	for _, q := range []client.Query{{}, {Filter: filter}, {ByOccurred: true, Oldest: true, Limit: 3, Cursor: "c", Sentences: true}} {
		if _, err := c.Timeline(t.Context(), "ws", q); err != nil {
			t.Fatal(err)
		}
		want := "/v1/workspaces/ws/timeline?"
		switch {
		case q.Where != nil:
			want += asked + timed
		case q.Oldest:
			want += "cursor=c&first=oldest&limit=3&order=occurred&with=sentence"
		}
		if got != want {
			t.Errorf("%s\nwant\n%s", got, want)
		}
	}
	if _, err := c.Counts(t.Context(), "ws", client.Counting{By: string(client.Dimension("new!")), Occurred: true, Zone: "Asia/Kathmandu", Top: 5}); err != nil {
		t.Fatal(err)
	}
	if want := "/v1/workspaces/ws/counts?by=dimension.new%2521&time=occurred&top=5&tz=Asia%2FKathmandu"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	got = ""
	empty := client.Filter{Where: []client.Condition{client.Is(client.User)}}
	if _, err := c.Timeline(t.Context(), "ws", client.Query{Filter: empty}); err == nil || got != "" {
		t.Errorf("a filter without a value is asked as %q", got)
	}
	if _, err := c.Counts(t.Context(), "ws", client.Counting{Filter: empty, By: client.Day}); err == nil || got != "" {
		t.Errorf("a filter without a value is counted as %q", got)
	}
}

// TestServed asks a real server with what means something in URLs.
func TestServed(t *testing.T) {
	s := serve()
	defer s.close()
	c, err := client.New(s.http.URL, client.Options{HTTP: s.http.Client()})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	for name, where := range map[string][]client.Condition{
		"3": {client.Is(client.Dimension("new!"), "50%")},
		"4": {client.Is(client.Linked, client.Ref("a/b", "c/d")), client.Is(client.IP, "10.0.0.0/8")},
		"5": {client.Is(client.Group, "user"), client.Is(client.Kind, "record")},
		"2": {client.Is(client.Dimension("org"), "org_1"), client.Not(client.Dimension("org"), "org_2")},
	} {
		page, err := c.Timeline(ctx, "ws_7", client.Query{Filter: client.Filter{Where: where}})
		if err != nil || len(page.Items) != 1 || page.Items[0].Index != uint64(name[0]-'0') || page.Total != 1 || page.Truncated || page.NextCursor != "" {
			t.Errorf("%s: %+v, %v", name, page, err)
		}
	}
	var all []uint64
	for item, err := range c.All(ctx, "ws_7", client.Query{Limit: 1, ByOccurred: true}) {
		if err != nil {
			t.Fatal(err)
		}
		if all = append(all, item.Index); len(all) == 2 {
			s.publish(`{"type":"late","actor":{"id":"u"}}`)
		}
	}
	if len(all) != 4 {
		t.Errorf("followed to %v", all)
	}
	page, err := c.Timeline(ctx, "ws_7", client.Query{Filter: client.Filter{AsOf: 6}, Limit: 1, Sentences: true})
	if err != nil || page.AsOf.Size != 6 || page.Items[0].Index != 5 || page.Items[0].Sentence == nil || !strings.Contains(string(page.Items[0].Record), `"n":9007199254740993,"s":"\u0041"`) {
		t.Errorf("%+v, %v", page, err)
	}
	one, err := c.Record(ctx, "ws_7", page.Items[0].ULID)
	if err != nil || one.EntryHash != page.Items[0].EntryHash || one.Sentence == nil {
		t.Errorf("%+v, %v", one, err)
	}
	var p *client.Problem
	for item, err := range c.All(ctx, "ws_7", client.Query{Cursor: "x"}) {
		if item != nil || !errors.As(err, &p) || p.Code != "invalid_cursor" || p.Errors[0].Parameter != "cursor" {
			t.Errorf("%+v, %v", item, err)
		}
	}
	counts, err := c.Counts(ctx, "ws_7", client.Counting{By: client.Day})
	if err != nil || counts.ETag == "" {
		t.Fatal(err)
	}
	if _, err := c.Counts(ctx, "ws_7", client.Counting{By: client.Day, Known: counts.ETag}); !errors.Is(err, client.ErrNotModified) {
		t.Errorf("%v", err)
	}
}

// TestUnknownAuthority: a certificate that nobody known has signed is said to be that, and
// how one is named who has.
func TestUnknownAuthority(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.NotFoundHandler())
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	defer srv.Close()
	c, err := client.New(srv.URL, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Timeline(t.Context(), "ws_7", client.Query{}); err == nil || !strings.Contains(err.Error(), "nobody whom this system trusts has signed the certificate of "+srv.URL+": say who has (annals: --ca-file)") {
		t.Errorf("%v", err)
	}
}
