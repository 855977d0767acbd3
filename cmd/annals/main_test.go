package main

import (
	"flag"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"annals/internal/freeport"

	"github.com/nats-io/nats.go"
	"github.com/rogpeppe/go-internal/testscript"
)

var kills = flag.Int("kills", 3, "how often TestKill kills the server; continuous integration says 25")

// TestMain makes the commands of scripts, and the servers of every test, real
// processes: copies of this test binary that run main.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"annals": main})
}

// TestScripts runs testdata/script. Beside the usual commands a script has:
//
//	server DIR [flag…]        serve on free ports; sets URL, NATS and PID
//	stopserver                SIGTERM; the server must end with 0. Nobody is at $URL and
//	                          $NATS then: where it was another script's may be soon
//	status CODE annals arg…   a command must end with this code
//	witness DIR [flag…]       a witness at $WITNESS
//	stopwitness               SIGTERM; the witness must end with 0
//	fetch URL [FILE]          GET, or POST a record, and print the answer; sets ULID
//	await PATTERN URL         GET until the answer matches
//	holed DIR                 publish to a stopped server's stream, and lose some of it
//	request SUBJECT BODY      publish as any NATS client does, and print the answer
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", e.WorkDir)
			ports := freeport.Find(t, 2)
			e.Setenv("WITNESS", fmt.Sprintf("127.0.0.1:%d", ports[0]))
			e.Setenv("NOBODY", fmt.Sprintf("127.0.0.1:%d", ports[1]))
			samples, err := filepath.Abs("../../testdata/activity")
			e.Setenv("SAMPLES", samples)
			e.Setenv("IMPORTS", filepath.Join(filepath.Dir(samples), "imports"))
			return err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"server": scriptServer, "stopserver": scriptStop, "status": scriptStatus, "request": scriptRequest, "holed": scriptHoled,
			"witness": scriptWitness, "stopwitness": scriptStopWitness, "fetch": scriptFetch, "await": scriptAwait,
		},
	})
}

// running are the servers of scripts, which run in parallel.
var (
	runningMu sync.Mutex
	running   = map[*testscript.TestScript]*server{}
)

func scriptServer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: server DIR [flag…]")
	}
	s, err := startServer(ts.MkAbs(args[0]), args[1:]...)
	ts.Check(err)
	runningMu.Lock()
	running[ts] = s
	runningMu.Unlock()
	ts.Defer(func() { s.kill() })
	ts.Setenv("URL", s.url)
	ts.Setenv("NATS", s.nats)
}

func scriptStop(ts *testscript.TestScript, neg bool, args []string) {
	runningMu.Lock()
	s := running[ts]
	delete(running, ts)
	runningMu.Unlock()
	if neg || len(args) != 0 || s == nil {
		ts.Fatalf("usage: stopserver, after server")
	}
	ts.Check(s.terminate())
	ts.Setenv("URL", "http://"+ts.Getenv("NOBODY"))
	ts.Setenv("NATS", "nats://"+ts.Getenv("NOBODY"))
}

func scriptStatus(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status CODE command arg…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		if _, scanErr := fmt.Sscanf(err.Error(), "exit status %d", &got); scanErr != nil {
			ts.Fatalf("%s: %v", strings.Join(args[1:], " "), err)
		}
	}
	if got != want {
		ts.Fatalf("%s: status %d, want %d", strings.Join(args[1:], " "), got, want)
	}
}

func scriptRequest(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: request SUBJECT BODY")
	}
	nc, err := nats.Connect(ts.Getenv("NATS"))
	ts.Check(err)
	defer nc.Close()
	answer, err := nc.Request(args[0], []byte(args[1]), 5*time.Second)
	if neg != (err != nil) {
		ts.Fatalf("request %s: %v", args[0], err)
	}
	if err == nil {
		fmt.Fprintf(ts.Stdout(), "%s\n", answer.Data)
	}
}
