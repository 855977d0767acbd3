package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"annals/cmd/annals/internal/datadir"
	"annals/cmd/annals/internal/load"
	"annals/ingest"
	"annals/ledger"
	"annals/ledger/chain"

	"github.com/nats-io/nats.go"
)

// restartRecords is how many records are published before the server is killed,
// so that it dies in the middle of its work.
const restartRecords = 5_000

// restart kills a server in the middle of its work, and times the next one from
// its start until it is ready.
func (r *round) restart(ctx context.Context, rig *Rig) error {
	if err := rig.Stop(); err != nil {
		return err
	}
	s, err := r.serve(ctx, rig)
	if err != nil {
		return err
	}
	err = publishTo(ctx, s.nats)
	s.kill()
	if err != nil {
		return err
	}
	began := time.Now()
	if s, err = r.serve(ctx, rig); err != nil {
		return err
	}
	took := time.Since(began)
	if err := s.stop(); err != nil {
		return err
	}
	r.report.add(Once("restart", Seconds, r.Records, took.Seconds()))
	return nil
}

// publishTo publishes until the stream has the records; whether they are recorded
// by then is left open.
func publishTo(ctx context.Context, url string) error {
	return publishing(ctx, url, func(p *ingest.Publisher) error {
		records := load.New(seedRestart)
		for range restartRecords {
			record, workspace := records.Next(nil)
			if _, err := p.PublishAsync(ctx, workspace, chain.OwnType, record); err != nil {
				return err
			}
		}
		return nil
	})
}

// publishing has a publisher of its own connected while publish runs, and returns once the
// stream has what was published.
func publishing(ctx context.Context, url string, publish func(*ingest.Publisher) error) error {
	nc, err := nats.Connect(url, nats.CustomInboxPrefix("_INBOX"))
	if err != nil {
		return err
	}
	defer nc.Close()
	p, err := ingest.NewPublisher(nc, ingest.PublisherOptions{AsIs: true})
	if err != nil {
		return err
	}
	return errors.Join(publish(p), p.Close(ctx))
}

// rebuild folds the stopped service's indexes anew, in a process of its own as an
// operator would. Its starting counts.
func (r *round) rebuild(ctx context.Context, rig *Rig) error {
	if err := rig.Stop(); err != nil {
		return err
	}
	cmd := program(ctx, r.Program, "rebuild", "--data", rig.data)
	began := time.Now()
	out, err := cmd.CombinedOutput()
	took := time.Since(began)
	if err != nil {
		return fmt.Errorf("annals rebuild: %w: %s", err, bytes.TrimSpace(out))
	}
	l, err := ledger.Open(filepath.Join(rig.data, datadir.Ledger), ledger.Options{})
	if err != nil {
		return err
	}
	size := l.Head().Size
	r.report.add(Once("rebuild", Entries, int(size), float64(size)/took.Seconds()))
	return l.Close()
}

// program is a command of annals itself, which is at a path. What is set for it in the
// environment does not count here.
func program(ctx context.Context, path string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "ANNALS_") })
	return cmd
}

// server is `annals serve` in a process of its own.
type server struct {
	cmd    *exec.Cmd
	nats   string
	errors bytes.Buffer
	ended  chan error
}

// serve starts a server on the rig's folder, and returns once it says that it is
// ready.
func (r *round) serve(ctx context.Context, rig *Rig) (*server, error) {
	s := &server{ended: make(chan error, 1)}
	s.cmd = program(ctx, r.Program, "serve", "--data", rig.data, "--listen", "127.0.0.1:0", "--nats-listen", "127.0.0.1:0", "--log-level", "error")
	s.cmd.Stderr = &s.errors
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(stdout)
	ready := false
	for !ready && lines.Scan() {
		if url, is := strings.CutPrefix(lines.Text(), "NATS"); is {
			s.nats = strings.TrimSpace(url)
		}
		ready = lines.Text() == "ready"
	}
	if !ready {
		return nil, fmt.Errorf("the server ended before it was ready: %w: %s", s.cmd.Wait(), bytes.TrimSpace(s.errors.Bytes()))
	}
	go func() {
		for lines.Scan() { // it must not wait for who reads what it prints
		}
		s.ended <- s.cmd.Wait()
	}()
	return s, nil
}

// kill ends the server at once.
func (s *server) kill() {
	_ = s.cmd.Process.Kill() // it may have ended by itself
	<-s.ended
}

// stop ends the server as an operator does.
func (s *server) stop() error {
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
		s.kill() // a system without signals, or it has ended
		return nil
	}
	if err := <-s.ended; err != nil {
		return fmt.Errorf("stopping the server: %w: %s", err, bytes.TrimSpace(s.errors.Bytes()))
	}
	return nil
}
