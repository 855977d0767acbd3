package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// settings are what PostgreSQL is started with, beside its defaults: every commit
// synced, memory enough for what it is asked, checkpoints that don't come in the
// middle, and no compiling of queries that take less than that.
var settings = []string{
	"fsync=on", "synchronous_commit=on", "full_page_writes=on",
	"shared_buffers=1GB", "effective_cache_size=4GB", "work_mem=64MB", "maintenance_work_mem=256MB",
	"wal_buffers=64MB", "max_wal_size=8GB", "checkpoint_timeout=30min", "checkpoint_completion_target=0.9", "wal_compression=lz4",
	"random_page_cost=1.1", "effective_io_concurrency=200", "jit=off", "max_connections=100",
}

// server is a PostgreSQL of our own, on a socket in its folder.
type server struct {
	dir     string
	cmd     *exec.Cmd
	ended   chan struct{}
	output  bytes.Buffer
	version string
}

// startServer makes a database cluster in a folder that is not there yet, and
// starts a server on it.
func startServer(ctx context.Context, dir, programs string) (*server, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	as, err := unprivileged(dir)
	if err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "data")
	initdb := exec.CommandContext(ctx, filepath.Join(programs, "initdb"),
		"--pgdata="+data, "--username=annals", "--auth=trust", "--encoding=UTF8", "--locale=C")
	initdb.SysProcAttr, initdb.Dir = as, dir
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, bytes.TrimSpace(out))
	}
	args := []string{"-D", data, "-c", "listen_addresses=", "-c", "unix_socket_directories=" + dir}
	for _, s := range settings {
		args = append(args, "-c", s)
	}
	s := &server{dir: dir, ended: make(chan struct{})}
	s.cmd = exec.Command(filepath.Join(programs, "postgres"), args...)
	s.cmd.SysProcAttr, s.cmd.Dir = as, dir
	s.cmd.Stdout, s.cmd.Stderr = &s.output, &s.output
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = s.cmd.Wait() // its output says why
		close(s.ended)
	}()
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

// unprivileged gives a folder to a user that PostgreSQL agrees to run as, and
// returns how to run as that one: it refuses to run as root.
func unprivileged(dir string) (*syscall.SysProcAttr, error) {
	// In a group of its own, so that Ctrl-C is for this process to hand on.
	as := &syscall.SysProcAttr{Setpgid: true}
	if os.Geteuid() != 0 {
		return as, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL does not run as root, and there is no user for it: install Debian's package postgresql-15, or run this as somebody else: %w", err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	as.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return as, os.Chown(dir, int(uid), int(gid))
}

// prepare waits until the server answers, and makes the tables.
func (s *server) prepare(ctx context.Context) error {
	late := time.Now().Add(30 * time.Second)
	for {
		c, err := s.connect(ctx)
		if err == nil {
			_, err = c.Exec(ctx, schema)
			if err == nil {
				err = c.QueryRow(ctx, "SELECT split_part(version(), ' on ', 1)").Scan(&s.version)
			}
			return errors.Join(err, c.Close(ctx))
		}
		select {
		case <-s.ended:
			return fmt.Errorf("the server ended: %s", bytes.TrimSpace(s.output.Bytes()))
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(late) {
			return err
		}
	}
}

// connect opens a connection. Each statement is prepared the first time that it
// is used on it.
func (s *server) connect(ctx context.Context) (*pgx.Conn, error) {
	return pgx.Connect(ctx, "host="+s.dir+" user=annals dbname=postgres sslmode=disable")
}

// tidy does what autovacuum does in its time, and writes out what waits, so that
// it isn't done while something else is measured.
func (s *server) tidy(ctx context.Context) error {
	c, err := s.connect(ctx)
	if err != nil {
		return err
	}
	_, err = c.Exec(ctx, "VACUUM ANALYZE activity")
	if err == nil {
		_, err = c.Exec(ctx, "CHECKPOINT")
	}
	return errors.Join(err, c.Close(ctx))
}

// stop ends the server and waits for its end.
func (s *server) stop() error {
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-s.ended:
	case <-time.After(time.Minute):
		_ = s.cmd.Process.Kill() // it may have ended this moment
		<-s.ended
	}
	return nil
}
