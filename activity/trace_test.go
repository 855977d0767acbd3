package activity

import (
	"fmt"
	"strings"
	"testing"
)

const (
	traceID     = "0af7651916cd43dd8448eb211c80319c"
	spanID      = "b7ad6b7169203331"
	traceparent = "00-" + traceID + "-" + spanID + "-01"
)

func TestParseTraceparent(t *testing.T) {
	for _, s := range []string{traceparent, "00-" + traceID + "-" + spanID + "-00", "00-" + traceID + "-" + spanID + "-ff"} {
		if trace, span, ok := ParseTraceparent(s); trace != traceID || span != spanID || !ok {
			t.Errorf("%s: %s, %s, %t", s, trace, span, ok)
		}
	}
	for name, s := range map[string]string{
		"nothing":          "",
		"too short":        traceparent[:54],
		"too long":         traceparent + "-",
		"a blank":          traceparent[:54] + " ",
		"another version":  "01" + traceparent[2:],
		"no version":       "ff" + traceparent[2:],
		"capitals":         strings.ToUpper(traceparent),
		"no digit, first":  "00-g" + traceparent[4:],
		"no digit, inside": traceparent[:20] + "g" + traceparent[21:],
		"no digit, span":   traceparent[:40] + "-" + traceparent[41:],
		"no digit, flags":  traceparent[:54] + "x",
		"no hyphen 1":      traceparent[:2] + "0" + traceparent[3:],
		"no hyphen 2":      traceparent[:35] + "0" + traceparent[36:],
		"no hyphen 3":      traceparent[:52] + "0" + traceparent[53:],
		"trace of zeros":   "00-" + strings.Repeat("0", 32) + traceparent[35:],
		"span of zeros":    traceparent[:36] + strings.Repeat("0", 16) + traceparent[52:],
		"two in one":       traceparent + "," + traceparent,
	} {
		if trace, span, ok := ParseTraceparent(s); ok || trace != "" || span != "" {
			t.Errorf("%s: %q is taken, as %q, %q", name, s, trace, span)
		}
	}
}

func TestTraceOf(t *testing.T) {
	many := func(n int) string {
		var parts []string
		for i := range n {
			parts = append(parts, fmt.Sprintf("k%d=v", i))
		}
		return strings.Join(parts, ",")
	}
	one := []string{traceparent}
	for name, c := range map[string]struct {
		parents, states []string
		want            Trace
	}{
		"none":               {nil, []string{"a=b"}, Trace{}},
		"a parent":           {one, nil, Trace{traceparent, ""}},
		"two parents":        {[]string{traceparent, traceparent}, nil, Trace{}},
		"malformed":          {[]string{"00-00"}, []string{"a=b"}, Trace{}},
		"a state":            {one, []string{"rojo=00f067aa0ba902b7,congo@x=t61 r"}, Trace{traceparent, "rojo=00f067aa0ba902b7,congo@x=t61 r"}},
		"two states":         {one, []string{"a=1", "b=2"}, Trace{traceparent, "a=1,b=2"}},
		"blanks":             {one, []string{" a=1 ,\t, b=2"}, Trace{traceparent, " a=1 ,\t, b=2"}},
		"32 members":         {one, []string{many(32)}, Trace{traceparent, many(32)}},
		"33 members":         {one, []string{many(33)}, Trace{traceparent, ""}},
		"512 bytes":          {one, []string{"a=" + strings.Repeat("x", 253) + ",b=" + strings.Repeat("x", 254)}, Trace{traceparent, "a=" + strings.Repeat("x", 253) + ",b=" + strings.Repeat("x", 254)}},
		"513 bytes":          {one, []string{"a=" + strings.Repeat("x", 254) + ",b=" + strings.Repeat("x", 254)}, Trace{traceparent, ""}},
		"a value too long":   {one, []string{"a=" + strings.Repeat("x", 257)}, Trace{traceparent, ""}},
		"a key too long":     {one, []string{strings.Repeat("x", 257) + "=a"}, Trace{traceparent, ""}},
		"no value":           {one, []string{"a"}, Trace{traceparent, ""}},
		"no key":             {one, []string{"=a"}, Trace{traceparent, ""}},
		"a key of capitals":  {one, []string{"A=a"}, Trace{traceparent, ""}},
		"a key that is @":    {one, []string{"@=a"}, Trace{traceparent, ""}},
		"a key twice":        {one, []string{"a=1", "a=2"}, Trace{traceparent, ""}},
		"= in a value":       {one, []string{"a=b=c"}, Trace{traceparent, ""}},
		"a control in it":    {one, []string{"a=b\x01c"}, Trace{traceparent, ""}},
		"beyond ASCII in it": {one, []string{"a=é"}, Trace{traceparent, ""}},
	} {
		if got := TraceOf(c.parents, c.states); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

// TestVouchedTrace: a door may say of which trace a request was; whoever takes the
// frame apart passes over it, as over all that a door may add.
func TestVouchedTrace(t *testing.T) {
	d := Door{Grade: GradeAsserted, Producer: "p", Trace: Trace{Parent: traceparent, State: `a="1"`}}
	body := AppendVouched(nil, d, []byte(`{}`))
	if want := `{"door":{"grade":"asserted","producer":"p","trace":{"traceparent":"` + traceparent + `","tracestate":"a=\"1\""}},"record":{}}`; string(body) != want {
		t.Errorf("got  %s\nwant %s", body, want)
	}
	v, r := SplitVouched(body)
	d.Trace = Trace{}
	if r != nil || v.Door != d {
		t.Errorf("%+v, %v", v.Door, r)
	}
	d.Trace.State = "a=1" // without a parent it means nothing
	if got := string(AppendVouched(nil, d, []byte(`{}`))); got != `{"door":{"grade":"asserted","producer":"p"},"record":{}}` {
		t.Error(got)
	}
}
