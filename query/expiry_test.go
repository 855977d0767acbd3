package query

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"annals/internal/problem"
)

// TestExpiry: what is due is told without letting it go; asked for, it is let go, once,
// and the answer says whether that is done. A page of another site can't ask.
func TestExpiry(t *testing.T) {
	const path = "/v1/expiry"
	asked, left := 0, uint64(3)
	var expire func(context.Context) error
	s := serve(t, Options{
		FoldTimeout: 1,
		Due: func(context.Context) ([]DueRule, error) {
			return []DueRule{{Rule: "rejections"}, {Entry: 9, Workspace: "ab", Rule: "records", Entries: left}}, nil
		},
		Expire: func(ctx context.Context) error {
			asked++
			return expire(ctx)
		},
	})
	rules := func(n string) string {
		return `"rules":[{"entry":0,"rule":"rejections","entries":0},{"entry":9,"workspace":"ab","rule":"records","entries":` + n + `}]}`
	}
	says := func(method string, status int, want string) {
		t.Helper()
		if a := s.do(method, path); a.status != status || !strings.Contains(string(a.body), want) {
			t.Errorf("%s: %d %s, want %d %s", method, a.status, a.body, status, want)
		}
	}
	says("GET", 200, `{"status":"due",`+rules("3"))
	s.refused(http.StatusForbidden, "cross_site", "POST", path, "Sec-Fetch-Site", "cross-site")
	s.refused(http.StatusBadRequest, "unknown_parameter", "POST", path+"?fast=1")
	if asked != 0 {
		t.Errorf("it was let go %d times, and nobody may ask", asked)
	}
	expire = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	says("POST", 200, `{"status":"begun",`+rules("3"))
	expire = func(context.Context) error { left = 0; return nil }
	says("POST", 200, `{"status":"done",`+rules("0"))
	expire = func(context.Context) error { return problem.New(problem.NotRecording, "the stream ends here") }
	says("POST", 503, "the stream ends here")
	if asked != 3 {
		t.Errorf("it was let go %d times, want 3", asked)
	}
	none := serve(t, Options{})
	none.refused(http.StatusServiceUnavailable, "not_recording", "GET", path)
	none.refused(http.StatusServiceUnavailable, "not_recording", "POST", path)
}
