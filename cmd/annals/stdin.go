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
	type result struct {
		n   int
		err error
	}
	read, own := make(chan result, 1), w.own[:len(p)]
	go func() {
		n, err := w.in.Read(own)
		read <- result{n, err}
	}()
	select {
	case r := <-read:
		return copy(p, own[:r.n]), r.err
	case <-w.ctx.Done():
		w.own = nil
		return 0, errInterrupted
	}
}

// unseen reads a line from a terminal that doesn't show it, and goes on showing what is
// typed when the command is interrupted meanwhile.
func unseen(ctx context.Context, terminal *os.File) (string, error) {
	fd := int(terminal.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", err
	}
	type line struct {
		text []byte
		err  error
	}
	read := make(chan line, 1)
	go func() {
		text, err := term.ReadPassword(fd)
		read <- line{text, err}
	}()
	select {
	case l := <-read:
		return string(l.text), l.err
	case <-ctx.Done():
		return "", errors.Join(errInterrupted, term.Restore(fd, before))
	}
}
