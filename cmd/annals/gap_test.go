package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"annals/ingest"
	"annals/ingest/broker"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rogpeppe/go-internal/testscript"
)

// scriptHoled publishes six records into the stream of a stopped server, and
// deletes the third and the fourth from it, as a damaged store loses them.
func scriptHoled(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: holed DIR")
	}
	b, err := broker.Start(broker.Options{StoreDir: filepath.Join(ts.MkAbs(args[0]), "jetstream")})
	ts.Check(err)
	defer func() { ts.Check(b.Close()) }()
	nc, err := b.Connect()
	ts.Check(err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for i := range 6 {
		ack, err := js.Publish(ctx, "activity.ws_7.app.renamed", fmt.Appendf(nil, `{"id":"holed_%d","actor":{"type":"user","id":"usr_dana"}}`, i))
		ts.Check(err)
		if i != 2 && i != 3 {
			continue
		}
		stream, err := js.Stream(ctx, ingest.Stream)
		ts.Check(err)
		ts.Check(stream.DeleteMsg(ctx, ack.Sequence))
	}
}
