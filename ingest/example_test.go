package ingest_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"annals/ingest"
	"annals/ingest/broker"

	"github.com/nats-io/nats.go"
)

// The publisher gathers what waits into atomic batches, and sends again what got no
// answer: an id makes that harmless.
func Example() {
	url, stop := brokerForExample()
	defer stop()
	ctx := context.Background()

	nc, err := nats.Connect(url, ingest.ConnOptions("shop", nil)...)
	if err != nil {
		log.Fatal(err)
	}
	defer nc.Close()
	p, err := ingest.NewPublisher(nc, ingest.PublisherOptions{})
	if err != nil {
		log.Fatal(err)
	}

	// One record, and wait: the stream has it, synced to the disk.
	ack, err := p.PublishTyped(ctx, "ws_7", "app.renamed", []byte(`{"id":"evt-1","actor":{"type":"user","id":"usr_dana"},"object":{"type":"app","id":"app_42"}}`))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("accepted, of a message of", ack.Count)

	// Many: they go together, and each is waited for.
	var waiting []*ingest.Pending
	for i := range 3 {
		record := fmt.Appendf(nil, `{"id":"evt-%d","type":"app.archived","actor":{"type":"user","id":"usr_dana"},"object":{"type":"app","id":"app_%d"}}`, i+2, i)
		one, err := p.PublishAsync(ctx, "ws_7", "_", record)
		if err != nil {
			log.Fatal(err)
		}
		waiting = append(waiting, one)
	}
	for _, one := range waiting {
		if _, err := one.Wait(ctx); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(len(waiting), "more are accepted")

	// Close sends what waits.
	if err := p.Close(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// accepted, of a message of 1
	// 3 more are accepted
}

// brokerForExample is a NATS server with the stream, as `annals serve` has one.
func brokerForExample() (url string, stop func()) {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	b, err := broker.Start(broker.Options{StoreDir: dir})
	if err != nil {
		log.Fatal(err)
	}
	nc, err := b.Connect(ingest.ConnOptions("ledger", nil)...)
	if err != nil {
		log.Fatal(err)
	}
	if err := ingest.EnsureStream(context.Background(), nc, ingest.StreamOptions{}); err != nil {
		log.Fatal(err)
	}
	return b.ClientURL(), func() {
		nc.Close()
		b.Close()
		os.RemoveAll(dir)
	}
}
