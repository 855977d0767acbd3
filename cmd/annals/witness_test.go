package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// witnesses are those of scripts, which run in parallel.
var (
	witnessesMu sync.Mutex
	witnesses   = map[*testscript.TestScript]*server{}
)

func scriptWitness(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: witness DIR [flag…]")
	}
	address := ts.Getenv("WITNESS")
	w, err := startProcess(append([]string{"witness", "--data", ts.MkAbs(args[0]), "--listen", address, "--log-level", "error"}, args[1:]...)...)
	ts.Check(err)
	witnessesMu.Lock()
	witnesses[ts] = w
	witnessesMu.Unlock()
	ts.Defer(func() { w.kill() })
}

func scriptStopWitness(ts *testscript.TestScript, neg bool, args []string) {
	witnessesMu.Lock()
	w := witnesses[ts]
	delete(witnesses, ts)
	witnessesMu.Unlock()
	if neg || len(args) != 0 || w == nil {
		ts.Fatalf("usage: stopwitness, after witness")
	}
	ts.Check(w.terminate())
}

// scriptFetch prints what a server answers: status, grade, body. A record that it
// posts names its ULID for what follows.
func scriptFetch(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 || len(args) > 2 {
		ts.Fatalf("usage: fetch URL [FILE]")
	}
	answer, err := fetched(ts, args)
	ts.Check(err)
	_, err = ts.Stdout().Write(answer)
	ts.Check(err)
	if ulid := regexp.MustCompile(`"ulid":"([0-9A-Z]+)"`).FindSubmatch(answer); len(args) == 2 && ulid != nil {
		ts.Setenv("ULID", string(ulid[1]))
	}
}

func fetched(ts *testscript.TestScript, args []string) ([]byte, error) {
	method, body := http.MethodGet, ""
	if len(args) == 2 {
		method, body = http.MethodPost, ts.ReadFile(args[1])
	}
	req, err := http.NewRequest(method, args[0], bytes.NewReader([]byte(body)))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return append(fmt.Appendf(nil, "%d\nAnnals-Grade: %s\n", res.StatusCode, res.Header.Get("Annals-Grade")), b...), err
}

// scriptAwait asks until the answer matches.
func scriptAwait(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: await PATTERN URL")
	}
	pattern := regexp.MustCompile(args[0])
	var answer []byte
	for begun := time.Now(); time.Since(begun) < startTimeout; time.Sleep(20 * time.Millisecond) {
		var err error
		if answer, err = fetched(ts, args[1:]); err == nil && pattern.Match(answer) {
			return
		}
	}
	ts.Fatalf("%s never answered with %s, but with\n%s", args[1], args[0], answer)
}
