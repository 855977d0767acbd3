package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"

	"annals/cmd/annals/internal/load"
)

// post posts n bodies of so many records over one connection, each once the one before
// is answered. It is no more of a client than that takes: what a client costs is
// measured too, in one process with the server.
func post(ctx context.Context, address, path string, records *load.Records, lines, n int) error {
	if n == 0 {
		return nil
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	media := "application/json"
	if lines > 1 {
		media = "application/x-ndjson"
	}
	head := "POST " + path + " HTTP/1.1\r\nHost: " + address + "\r\nContent-Type: " + media + "\r\nContent-Length: "
	answers := bufio.NewReaderSize(conn, 4<<10)
	var body, request []byte
	for range n {
		body = body[:0]
		for i := range lines {
			if i > 0 {
				body = append(body, '\n')
			}
			body, _ = records.Next(body)
		}
		request = strconv.AppendInt(append(request[:0], head...), int64(len(body)), 10)
		request = append(append(request, "\r\n\r\n"...), body...)
		if _, err := conn.Write(request); err != nil {
			return err
		}
		if err := accepted(answers); err != nil {
			return err
		}
	}
	return nil
}

// accepted reads an answer over, which has to be a 202 that says its length: what there
// is to know of it without taking its header apart.
func accepted(answers *bufio.Reader) error {
	line, err := answers.ReadSlice('\n')
	if err != nil {
		return err
	}
	refused := ""
	if !bytes.HasPrefix(line, []byte("HTTP/1.1 202 ")) {
		refused = strings.TrimSpace(string(line))
	}
	length := -1
	for {
		if line, err = answers.ReadSlice('\n'); err != nil {
			return err
		}
		if len(line) <= len("\r\n") {
			break
		}
		if value, found := bytes.CutPrefix(line, []byte("Content-Length: ")); found {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return err
			}
		}
	}
	switch {
	case length < 0:
		return errors.New("an answer that doesn't say how long it is")
	case refused != "":
		text := make([]byte, min(length, 300))
		_, err := io.ReadFull(answers, text)
		return errors.Join(fmt.Errorf("answered with %s: %s", refused, text), err)
	}
	_, err = answers.Discard(length)
	return err
}
