package activity

import (
	"fmt"
	"testing"
)

func TestWalk(t *testing.T) {
	for _, c := range []struct {
		in, want string
		whole    bool
	}{
		{`{}`, ``, true},
		{" {\n} ", ``, true},
		{`{"a":1}`, `"a"=1;`, true},
		{`{"a" : "x,}" , "b":{"c":[1,"]"]},"d":null }`, `"a"="x,}";"b"={"c":[1,"]"]};"d"=null;`, true},
		{`{"a\"b":"\\"}`, `"a\"b"="\\";`, true},
		{`{"stop":1,"b":2}`, `"stop"=1;`, false},
		{`{"a":1,}`, `"a"=1;`, false},
		{`{"a":1`, `"a"=1;`, false},
		{`{"a"`, ``, false},
		{`{"a`, ``, false},
		{`{a:1}`, ``, false},
		{`[1]`, ``, false},
		{``, ``, false},
	} {
		got := ""
		_, whole := Walk([]byte(c.in), func(name, value []byte) bool {
			got += fmt.Sprintf("%s=%s;", name, value)
			return string(name) != `"stop"`
		})
		if got != c.want || whole != c.whole {
			t.Errorf("%q: %q, whole %v; want %q, %v", c.in, got, whole, c.want, c.whole)
		}
	}
}
