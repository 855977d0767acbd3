package service

import (
	"bytes"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheckOrigin(t *testing.T) {
	for origin, want := range map[string]bool{
		"example.com":                   true,
		"example.com/audit":             true,
		"example.com:8080/a-b_c.d~e%20": true,
		"bücher.example/protokoll":      true,
		strings.Repeat("a", 255):        true,
		"":                              false,
		"https://example.com":           false,
		"nats://example.com":            false,
		"example.com/a b":               false,
		" example.com":                  false,
		"example.com\n":                 false,
		"example.com/\u00a0":            false,
		"example.com/a+b":               false,
		"example.com/\x00":              false,
		"example.com/\xff":              false,
		strings.Repeat("a", 256):        false,
	} {
		if err := CheckOrigin(origin); (err == nil) != want {
			t.Errorf("%q: %v", origin, err)
		}
	}
}

// TestOriginStays: a ledger goes on under its own name or under none that was
// given, and not under another.
func TestOriginStays(t *testing.T) {
	o := options(filepath.Join(t.TempDir(), "data"))
	o.Origin = "example.com/audit"
	mustClose(t, mustStart(t, o))
	mustClose(t, mustStart(t, o))
	o.Origin = ""
	mustClose(t, mustStart(t, o))
	o.Origin = "example.com/other"
	if s, err := Start(t.Context(), o); err == nil || !strings.Contains(err.Error(), "begun as example.com/audit") {
		t.Errorf("%v, %v", s, err)
	}
}

// TestOriginOfNobody: a ledger that is begun without a name says so while it can still be
// begun again, and only then.
func TestOriginOfNobody(t *testing.T) {
	for name, begun := range map[string]string{"named": "example.com/audit", "unnamed": ""} {
		t.Run(name, func(t *testing.T) {
			o := options(filepath.Join(t.TempDir(), "data"))
			o.Origin = begun
			for start, want := range []bool{begun == "", false} {
				var log bytes.Buffer
				o.Logger = slog.New(slog.NewTextHandler(&log, nil))
				mustClose(t, mustStart(t, o))
				if got := strings.Contains(log.String(), "begin one that is to stay with --origin"); got != want {
					t.Errorf("start %d: told %v, want %v:\n%s", start+1, got, want, log.String())
				}
			}
		})
	}
}

// TestURL: where every address is listened on, the announced one is as it was
// asked for.
func TestURL(t *testing.T) {
	for listen, want := range map[string]string{
		"127.0.0.1:0": "http://127.0.0.1:", "0.0.0.0:0": "http://0.0.0.0:", ":0": "http://0.0.0.0:", "[::]:0": "http://[::]:", "localhost:0": "http://127.0.0.1:",
	} {
		o := options(filepath.Join(t.TempDir(), "data"))
		o.Listen = listen
		giveAccess(t, o.Data)
		s := mustStart(t, o)
		if got := s.URL(); !strings.HasPrefix(got, want) {
			t.Errorf("%s is announced as %s", listen, got)
		}
		mustClose(t, s)
	}
}
