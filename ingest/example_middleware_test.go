package ingest_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"

	"annals/ingest"
	"annals/ingest/broker"

	"github.com/nats-io/nats.go"
)

// A service that records each request it answers. The broker is in the process here,
// so that the example runs by itself; a service connects to the one of its ledger.
func ExampleMiddleware() {
	dir, err := os.MkdirTemp("", "annals")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	b, err := broker.Start(broker.Options{StoreDir: dir})
	if err != nil {
		log.Fatal(err)
	}
	defer b.Close()
	ledger, err := b.Connect()
	if err != nil {
		log.Fatal(err)
	}
	defer ledger.Close()
	ctx := context.Background()
	if err := ingest.EnsureStream(ctx, ledger, ingest.StreamOptions{}); err != nil {
		log.Fatal(err)
	}

	nc, err := nats.Connect(b.ClientURL(), ingest.ConnOptions("shop", nil)...)
	if err != nil {
		log.Fatal(err)
	}
	defer nc.Close()
	publisher, err := ingest.NewPublisher(nc, ingest.PublisherOptions{})
	if err != nil {
		log.Fatal(err)
	}
	requests, err := ingest.NewMiddleware(ingest.MiddlewareOptions{
		Publisher: publisher,
		Workspace: "ws_7",
		Routes:    []string{"/sessions/{session}/…", "/projects/{project}/…"},
		User:      func(r *http.Request) string { return r.Header.Get("X-User") },
	})
	if err != nil {
		log.Fatal(err)
	}

	mux := http.NewServeMux()
	mux.HandleFunc("GET /projects/{id}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "project", r.PathValue("id"))
	})
	server := httptest.NewServer(requests.Handler(mux))
	for _, path := range []string{"/projects/p_1", "/nowhere"} {
		res, err := http.Get(server.URL + path)
		if err != nil {
			log.Fatal(err)
		}
		res.Body.Close()
		fmt.Println(path, res.StatusCode)
	}

	// The server first, so that no request comes any more; then what they left.
	server.Close()
	if err := requests.Close(ctx); err != nil {
		log.Fatal(err)
	}
	if err := publisher.Close(ctx); err != nil {
		log.Fatal(err)
	}
	fmt.Println(requests.Dropped(), "dropped,", requests.Failed(), "failed")

	// Output:
	// /projects/p_1 200
	// /nowhere 404
	// 0 dropped, 0 failed
}
