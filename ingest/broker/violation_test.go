package broker

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// TestViolationsAreNoFlood: a client that is refused again and again is a warning
// a minute, whatever it asks for and however often it connects.
func TestViolationsAreNoFlood(t *testing.T) {
	var out bytes.Buffer
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	l := newLogger(slog.New(slog.NewTextHandler(&out, nil)))
	l.now = func() time.Time { return now }
	flood := func() int {
		out.Reset()
		for i := range 100 {
			l.Errorf("192.0.2.1:%d - cid:%d - Publish Violation - Subject %q", 4000+i, i, "vouched.x")
			l.Errorf("192.0.2.1:%d - cid:%d - \"v1\" - Subscription Violation - Subject %q, SID 1", 4000+i, i, "$JS.>")
		}
		if strings.Contains(out.String(), "level=ERROR") {
			t.Error("a client's fault is an error of ours")
		}
		return strings.Count(out.String(), "level=WARN")
	}
	for range 2 {
		if got := flood(); got != 1 {
			t.Errorf("%d lines in a minute", got)
		}
		if got := flood(); got != 0 {
			t.Errorf("%d lines more in the same minute", got)
		}
		now = now.Add(violationPause)
	}
	out.Reset()
	for i := range 3 * maxViolators {
		l.Errorf("[2001:db8::%x]:4000 - cid:1 - Publish Violation - Reply %q", i, "x")
	}
	if got := strings.Count(out.String(), "level=WARN"); got > maxViolators || got < maxViolators/2 || len(l.violations.told) > maxViolators {
		t.Errorf("%d lines of %d clients, %d kept", got, 3*maxViolators, len(l.violations.told))
	}
	for _, other := range []string{"JetStream failed to store a msg", fmt.Sprintf("192.0.2.1:1 - cid:1 - %s", "Authorization timeout")} {
		out.Reset()
		l.Errorf("%s", other)
		if !strings.Contains(out.String(), "level=ERROR") {
			t.Errorf("%q is no error any more: %s", other, &out)
		}
	}
}
