package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"time"

	"annals/activity"
	"annals/cmd/annals/internal/load"
)

// bodyLines is how many records a body of NDJSON has.
const bodyLines = 500

// http measures the door: [Callers] clients, each of which waits for the stream's
// acknowledgement before it posts again; a record at a time, and many in a body. The
// ceilings are the same clients and bodies against a handler that reads and parses, and
// does nothing else.
func (r *round) http(ctx context.Context) (err error) {
	step := r.step(HTTP)
	rig, err := Start(ctx, RigOptions{Dir: filepath.Join(r.dir, "http"), Version: r.Version, Logger: r.Logger})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rig.Remove()) }()
	bare, stop, err := bareDoor(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	door, err := url.Parse(rig.service.URL())
	if err != nil {
		return err
	}
	const path = "/v1/workspaces/bench/records"
	for i, m := range []struct {
		name         string
		lines, posts int
	}{
		{"http_single", 1, max(1, r.Records/4)},
		{"http_ndjson", bodyLines, max(1, r.Records/bodyLines)},
	} {
		for _, to := range []struct{ prefix, address string }{{"ceiling_", bare}, {"", door.Host}} {
			cpu, began := processor(), time.Now()
			_, err := EachCaller(m.posts, func(caller, share int) ([]time.Duration, error) {
				return nil, post(ctx, to.address, path, load.New(seedHTTP+uint64(i*Callers+caller)), m.lines, share)
			})
			if err != nil {
				return fmt.Errorf("%s%s: %w", to.prefix, m.name, err)
			}
			n := m.posts * m.lines
			took, busy := time.Since(began), processor()-cpu
			r.report.add(
				Once(to.prefix+m.name, PerSecond, n, float64(n)/took.Seconds()),
				Once(to.prefix+m.name+"_cpu", Microseconds, n, busy.Seconds()*1e6/float64(n)))
		}
		step(i+1, 2)
	}
	return nil
}

// bareDoor serves a handler that reads a body and parses its records.
func bareDoor(ctx context.Context) (address string, stop func() error, err error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	answer := []byte(`{"items":[{"status":"accepted"}]}`)
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var keys activity.Keys
		for line := range bytes.SplitSeq(body, []byte{'\n'}) {
			if bad := activity.Scan(line, &keys); bad != nil && err == nil {
				err = bad
			}
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusAccepted)
		_, _ = w.Write(answer)
	})}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	return listener.Addr().String(), func() error {
		err := server.Close()
		if e := <-served; !errors.Is(e, http.ErrServerClosed) {
			err = errors.Join(err, e)
		}
		return err
	}, nil
}
