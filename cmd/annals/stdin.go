package main

import (
	"context"
	"errors"
	"io"
	"os"

	"golang.org/x/term"
)

var errInterrupted = errors.New("interrupted")

// stdin is standard input for as long as the command is wanted. A read waits until somebody
// types, or writes into the pipe, and knows nothing of signals: Ctrl-C would do nothing the
// first time. So who reads is told, and the read is left behind. It reads what it is asked
// for and nothing ahead: a passphrase that is typed next is for somebody else to read.
func (a *app) stdin(ctx context.Context) io.Reader { return &wanted{ctx: ctx, in: a.in} }

type wanted struct {
	ctx context.Context
	in  io.Reader
	own []byte // a read that was left behind writes here, and not where its caller said
}

func (w *wanted) Read(p []byte) (int, error) {
	if len(w.own) < len(p) {
		w.own = make([]byte, len(p))
	}
	own := w.own[:len(p)]
	n, err := await(w.ctx, func() (int, error) { return w.in.Read(own) })
	if errors.Is(err, errInterrupted) {
		w.own = nil
	}
	return copy(p, own[:n]), err
}

// unseen reads a line from a terminal that doesn't show it, and goes on showing what is
// typed when the command is interrupted meanwhile.
func unseen(ctx context.Context, terminal *os.File) (string, error) {
	fd := int(terminal.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", err
	}
	text, err := await(ctx, func() ([]byte, error) { return term.ReadPassword(fd) })
	if errors.Is(err, errInterrupted) {
		err = errors.Join(err, term.Restore(fd, before))
	}
	return string(text), err
}

// await returns what a read returns, and errInterrupted as soon as ctx ends: then the
// read is left behind.
func await[T any](ctx context.Context, read func() (T, error)) (T, error) {
	type result struct {
		got T
		err error
	}
	done := make(chan result, 1)
	go func() {
		got, err := read()
		done <- result{got, err}
	}()
	select {
	case r := <-done:
		return r.got, r.err
	case <-ctx.Done():
		var nothing T
		return nothing, errInterrupted
	}
}
