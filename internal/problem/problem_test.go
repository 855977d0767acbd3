package problem

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/go-json-experiment/json"
)

func TestRows(t *testing.T) {
	snake := regexp.MustCompile(`^([a-z][a-z0-9_]*|[A-Z][A-Z0-9_]*)$`) // in capitals: as another system publishes it
	n := 0
	for c, row := range Rows() {
		n++
		if !snake.MatchString(string(c)) || row.Status < 400 || row.Status > 599 || http.StatusText(row.Status) == "" || row.Title == "" || row.Advice == "" {
			t.Errorf("%s: %+v", c, row)
		}
		if row.Retry > 0 && row.Status != http.StatusServiceUnavailable && row.Status != http.StatusTooManyRequests {
			t.Errorf("%s: Retry-After on %d", c, row.Status)
		}
	}
	if n != len(table) {
		t.Errorf("%d rows iterated of %d", n, len(table))
	}
}

func written(t *testing.T, err error) (*httptest.ResponseRecorder, string) {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "/a%2Fb?secret=1", nil)
	r = r.WithContext(WithRequestID(context.Background(), "r1"))
	if status := Write(w, r, err); status != w.Code {
		t.Errorf("Write returned %d and answered %d", status, w.Code)
	}
	return w, w.Body.String()
}

func TestWrite(t *testing.T) {
	p := New(InvalidBody, "two places: %d%%", 2).With(At("", "wrong_type", "the whole"), At("/a~1b/0", "wrong_type", "<there>"), Of("limit", "empty", "no value"))
	w, body := written(t, fmt.Errorf("wrapped: %w", p))
	want := `{"type":"/docs#invalid_body","title":"The body is not what it must be","status":422,"detail":"two places: 2%","instance":"/a%2Fb","code":"invalid_body","request_id":"r1",` +
		`"errors":[{"pointer":"","code":"wrong_type","detail":"the whole"},{"pointer":"/a~1b/0","code":"wrong_type","detail":"<there>"},{"parameter":"limit","code":"empty","detail":"no value"}]}`
	if body != want || w.Header().Get("Content-Type") != MediaType || w.Header().Get("Retry-After") != "" {
		t.Errorf("%v\n%s\nwant\n%s", w.Header(), body, want)
	}
	if p.RequestID != "" || p.Instance != "" {
		t.Error("writing changed the problem")
	}
	if w, _ := written(t, New(NotReady, "")); w.Code != 503 || w.Header().Get("Retry-After") != "1" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

// TestCausesStayInside: what went wrong inside is for errors.Is and the log.
func TestCausesStayInside(t *testing.T) {
	cause := errors.New("password is hunter2")
	for _, err := range []error{cause, New(Unavailable, "").From(cause), fmt.Errorf("x: %w", New(Internal, "").From(cause))} {
		if w, body := written(t, err); strings.Contains(body, "hunter2") || w.Code < 500 {
			t.Errorf("%d %s", w.Code, body)
		}
		if p := of(err); !errors.Is(p, cause) || !strings.Contains(p.Error(), "hunter2") {
			t.Errorf("%v lost its cause", p)
		}
	}
	if p := New("no_such_code", "x"); p.Code != Internal || p.Status != 500 {
		t.Errorf("a code without a row becomes %+v", p)
	}
	bad := New(Unavailable, "")
	bad.Items = make(chan int)
	if w, body := written(t, bad); w.Code != 503 || !strings.Contains(body, `"code":"unavailable"`) {
		t.Errorf("items that can't be printed: %d %s", w.Code, body)
	}
}

// TestHuma asks an operation of huma's own, typed, and reads its refusals.
func TestHuma(t *testing.T) {
	Install()
	mux := http.NewServeMux()
	api := humago.New(mux, huma.Config{
		OpenAPI: &huma.OpenAPI{Info: &huma.Info{Title: "t", Version: "1"}},
		Formats: map[string]huma.Format{"application/json": huma.DefaultJSONFormat, "json": huma.DefaultJSONFormat}, DefaultFormat: "application/json",
	})
	type input struct {
		Limit int `query:"limit" minimum:"1"`
		Body  struct {
			Items []struct {
				Slash int `json:"a/b" minimum:"1"`
			} `json:"items" minItems:"1"`
		}
	}
	huma.Register(api, huma.Operation{Method: "POST", Path: "/x"}, func(_ context.Context, in *input) (*struct{}, error) {
		if in.Limit == 7 {
			return nil, New(NoSuchRecord, "seven")
		}
		return nil, errors.New("password is hunter2")
	})
	for _, c := range []struct {
		path, body string
		status     int
		code       Code
		parts      string
	}{
		{"/x?limit=0", `{"items":[{"a/b":1}]}`, 400, InvalidParameter, "limit"},
		{"/x", `{"items":[{"a/b":1},{"a/b":0}]}`, 422, InvalidBody, "/items/1/a~1b"},
		{"/x?limit=0", `{"items":[]}`, 422, InvalidBody, "limit /items"},
		{"/x?limit=7", `{"items":[{"a/b":1}]}`, 404, NoSuchRecord, ""},
		{"/x", `{"items":[{"a/b":1}]}`, 500, Internal, ""},
		{"/x", `{`, 400, BadRequest, ""},
	} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("POST", c.path, strings.NewReader(c.body)).WithContext(WithRequestID(context.Background(), "r9"))
		r.Header.Set("Content-Type", "application/json")
		mux.ServeHTTP(w, r)
		var got Problem
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatalf("%v: %s", err, w.Body)
		}
		var parts []string
		for _, p := range got.Errors {
			if p.Pointer != nil {
				parts = append(parts, *p.Pointer)
			} else if p.Parameter != "" {
				parts = append(parts, p.Parameter)
			}
		}
		if w.Code != c.status || got.Code != c.code || got.Status != c.status || c.parts != "" && strings.Join(parts, " ") != c.parts || w.Header().Get("Content-Type") != MediaType {
			t.Errorf("%s %s: %d %s %s\nwant %d %s %q", c.path, c.body, w.Code, w.Header().Get("Content-Type"), w.Body, c.status, c.code, c.parts)
		}
		if strings.Contains(w.Body.String(), "hunter2") {
			t.Errorf("the cause is told: %s", w.Body)
		}
	}
}

func TestPointerOf(t *testing.T) {
	for location, want := range map[string]string{
		"": "", "x": "/x", "items[3].x": "/items/3/x", "[0]": "/0", "a[1][2]": "/a/1/2", "a~b/c": "/a~0b~1c",
	} {
		if got := pointerOf(location); got != want {
			t.Errorf("%q: %q, want %q", location, got, want)
		}
	}
}
