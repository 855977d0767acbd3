package client

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// answering is a server that answers everything alike.
func answering(t *testing.T, status int, body string) *Client {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(srv.Close)
	c, err := New(srv.URL+"/", Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestReady(t *testing.T) {
	var p *Problem
	if err := answering(t, 503, `{"detail":"catching up","code":"not_ready"}`).Ready(t.Context()); !errors.As(err, &p) || p.Code != "not_ready" {
		t.Errorf("%v", err)
	}
	if err := answering(t, 200, `{"status":"ready"}`).Ready(t.Context()); err != nil {
		t.Error(err)
	}
	var none *UnreachedError
	gone, err := New("http://127.0.0.1:1", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := gone.Ready(t.Context()); !errors.As(err, &none) || !none.Unsent {
		t.Errorf("nobody there: %v", err)
	}
}

func TestAllRefused(t *testing.T) {
	c := answering(t, 422, `{"code":"all_refused","detail":"none","errors":[
		{"pointer":"/0/actor/id","code":"missing_actor_id","detail":"say who"},
		{"pointer":"/1","code":"not_an_object","detail":"an object"}]}`)
	got, err := c.Publish(t.Context(), "ws_7", [][]byte{[]byte("{}"), []byte("1")}, true)
	if err != nil || len(got) != 2 {
		t.Fatalf("%v, %v", got, err)
	}
	if got[0].Pointer != "/actor/id" || got[0].Code != "missing_actor_id" || got[1].Pointer != "" || got[1].Code != "not_an_object" {
		t.Errorf("%+v", got)
	}
	// An answer that doesn't fit what was sent is no answer.
	if got, err := c.Publish(t.Context(), "ws_7", [][]byte{[]byte("{}")}, true); err == nil {
		t.Errorf("one line, and the answer speaks of two: %+v", got)
	}
	if got, err := answering(t, 200, `{"items":[]}`).Publish(t.Context(), "ws_7", [][]byte{[]byte("{}")}, true); err == nil {
		t.Errorf("one line, and the answer speaks of none: %+v", got)
	}
	items, err := answering(t, 504, `{"code":"not_yet_recorded","detail":"later","items":[{"status":"accepted","id":"1"}]}`).
		Publish(t.Context(), "ws_7", [][]byte{[]byte("{}")}, false)
	if err == nil || len(items) != 1 || items[0].Status != "accepted" {
		t.Errorf("half an answer: %+v, %v", items, err)
	}
}
