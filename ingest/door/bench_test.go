package door_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"testing"

	"annals/ingest"
	"annals/ingest/door"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// BenchmarkPost is what the door itself costs a request of one record: no network, and
// a stream that has every record at once.
func BenchmarkPost(b *testing.B) {
	mux := http.NewServeMux()
	api := humago.New(mux, huma.DefaultConfig("bench", "1"))
	acknowledged := func(context.Context) (ingest.Ack, error) { return ingest.Ack{Sequence: 1 << 20, Count: 1}, nil }
	door.Register(api, door.Options{
		Publish: func(context.Context, string, []byte) (func(context.Context) (ingest.Ack, error), error) {
			return acknowledged, nil
		},
		Await: new(stream).await,
	})
	record := []byte(`{"id":"evt-1","type":"app.renamed","occurred_at":"2026-03-02T09:15:00Z","actor":{"type":"user","id":"usr_dana","name":"Dana"},"object":{"type":"app","id":"app_42","name":"Checkout"},"data":{"from":"Shop","to":"Checkout"}}`)
	body := bytes.NewReader(record)
	request, err := http.NewRequest(http.MethodPost, "/v1/workspaces/ws_7/records", io.NopCloser(body))
	if err != nil {
		b.Fatal(err)
	}
	request.ContentLength = int64(len(record))
	request.RemoteAddr = "127.0.0.1:4711"
	request.Header.Set("Content-Type", "application/json")
	answer := seen{header: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		body.Reset(record)
		clear(answer.header)
		mux.ServeHTTP(&answer, request)
		if answer.status != http.StatusAccepted {
			b.Fatal(answer.status)
		}
	}
}

// seen is an answer of which only the status is kept.
type seen struct {
	header http.Header
	status int
}

func (s *seen) Header() http.Header            { return s.header }
func (s *seen) WriteHeader(status int)         { s.status = status }
func (s *seen) Write(body []byte) (int, error) { return len(body), nil }
