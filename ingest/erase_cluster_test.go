package ingest_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"annals/ingest"
)

var raftWait = flag.Duration("raft-wait", 0, "how long TestErasedOnCluster waits for the servers' own logs to let go of what was erased, such as 5m; 0: not at all")

// onDisk lists the files below folders that hold text.
func onDisk(t *testing.T, dirs []string, text string) (found []string) {
	t.Helper()
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return nil // it went meanwhile
			}
			if b, err := os.ReadFile(path); err == nil && bytes.Contains(b, []byte(text)) {
				found = append(found, path)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

// TestErasedOnCluster: an erased message of a stream of three replicas goes from each
// one's stream. The logs by which the servers agreed on it hold it until they are cut,
// some minutes later, which is NATS's own affair: -raft-wait waits for that.
func TestErasedOnCluster(t *testing.T) {
	servers := cluster(t)
	var urls, dirs []string
	for _, s := range servers {
		urls, dirs = append(urls, s.ClientURL()), append(dirs, s.JetStreamConfig().StoreDir)
	}
	nc, err := nats.Connect(strings.Join(urls, ","), ingest.ConnOptions("ledger", nil)...)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute+*raftWait)
	defer cancel()
	replicated(t, ctx, nc)
	const erased, stays = "usr-dana-4711", "usr-carl-4712"
	var sequences []uint64
	for i := range 200 {
		user := stays
		if i%50 == 7 {
			user = erased
		}
		for {
			once, cancel := context.WithTimeout(ctx, time.Second)
			ack, err := js.Publish(once, "activity.ws_1.a", fmt.Appendf(nil, `{"actor":{"id":%q},"data":%d}`, user, i))
			cancel()
			if err == nil && user == erased {
				sequences = append(sequences, ack.Sequence)
			}
			if err == nil {
				break
			}
			if ctx.Err() != nil {
				t.Fatal(err)
			}
		}
	}
	until := func(what string, is func() bool) {
		t.Helper()
		for !is() {
			if ctx.Err() != nil {
				t.Fatalf("never: %s: %v", what, onDisk(t, dirs, erased))
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	until("each server has the messages in its stream and in its log", func() bool {
		for _, dir := range dirs {
			if len(onDisk(t, []string{dir}, erased)) < 2 {
				return false
			}
		}
		return true
	})
	if n, err := ingest.Erase(ctx, nc, sequences); err != nil || n != len(sequences) {
		t.Fatal(n, err)
	}
	streams := func() (found []string) {
		for _, path := range onDisk(t, dirs, erased) {
			if strings.Contains(path, string(filepath.Separator)+"streams"+string(filepath.Separator)) {
				found = append(found, path)
			}
		}
		return found
	}
	until("no server's stream holds them", func() bool { return len(streams()) == 0 })
	if len(onDisk(t, dirs, stays)) < len(dirs) {
		t.Error("what nobody erased is gone")
	}
	if *raftWait == 0 {
		return
	}
	// Each server lets go of what it took a snapshot of, every two to three minutes.
	for begun := time.Now(); ; time.Sleep(time.Second) {
		found := onDisk(t, dirs, erased)
		if len(found) == 0 {
			t.Logf("gone from the servers' logs after %s", time.Since(begun).Round(time.Second))
			return
		}
		if time.Since(begun) > *raftWait {
			t.Fatalf("after %s the erased messages still stand in %v", *raftWait, found)
		}
	}
}
