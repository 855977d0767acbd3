package door

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"annals/ingest"
	"annals/internal/problem"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/go-json-experiment/json"
)

// TestTrackingFails: what becomes of an event that the stream does not acknowledge, in
// the published codes; its 202 is the stream's word.
func TestTrackingFails(t *testing.T) {
	for _, c := range []struct {
		name        string
		taken, acks error
		status      int
		code        string
		retry       string
	}{
		{"acknowledged", nil, nil, 202, "", ""},
		{"no broker", nil, context.DeadlineExceeded, 503, "ACTIVITY_RECORDER_UNAVAILABLE", "1"},
		{"not taken", errors.New("no room"), nil, 503, "ACTIVITY_RECORDER_UNAVAILABLE", "1"},
		{"stream full", nil, fmt.Errorf("x: %w", ingest.ErrStreamFull), 503, "ACTIVITY_RECORDER_UNAVAILABLE", "30"},
		{"recording has stopped", fmt.Errorf("x: %w", ErrStopped), nil, 503, "ACTIVITY_RECORDER_UNAVAILABLE", "30"},
		{"refused", nil, fmt.Errorf("x: %w", ingest.ErrRefused), 500, "ACTIVITY_RECORD_FAILED", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			mux := http.NewServeMux()
			Register(humago.New(mux, huma.DefaultConfig("t", "1")), Options{
				Publish: func(_ context.Context, workspace string, frame []byte) (wait, error) {
					if workspace != "default" || !strings.Contains(string(frame), `"record":{"type":"frontend_t","actor":{"type":"anonymous"}}`) {
						t.Errorf("%s: %s", workspace, frame)
					}
					return func(context.Context) (ingest.Ack, error) { return ingest.Ack{Sequence: 1}, c.acks }, c.taken
				},
			})
			r := httptest.NewRequest("POST", TrackingPath, strings.NewReader(`{"type":"t"}`))
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, r)
			var got struct {
				Status any
				Code   string
				Type   string
			}
			if err := json.Unmarshal(w.Body.Bytes(), &got, json.MatchCaseInsensitiveNames(true)); err != nil {
				t.Fatalf("%v: %s", err, w.Body)
			}
			if w.Code != c.status || got.Code != c.code || w.Header().Get("Retry-After") != c.retry || c.code == "" && got.Status != "accepted" {
				t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
			}
			if c.code != "" && (got.Type != problem.DocsPath+"#"+c.code || w.Header().Get("Content-Type") != problem.MediaType) {
				t.Errorf("%v %s", w.Header(), w.Body)
			}
		})
	}
}
