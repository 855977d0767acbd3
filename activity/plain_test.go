package activity

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// decided is what the decoder says of a body, and what is found plain of it.
func decided(body []byte, in place) (refusal *Refusal, keys Keys, plain bool, found Keys) {
	s := scanners.Get().(*scanner)
	defer scanners.Put(s)
	plain = s.plain(body, &found, in)
	s.forget()
	refusal = s.scanAll(body, &keys, in)
	return refusal, keys, plain, found
}

// scanAll is scan, with nothing left behind.
func (s *scanner) scanAll(body []byte, k *Keys, in place) *Refusal {
	s.keys = k
	defer s.forget()
	return s.scan(body, k, in)
}

// agrees holds plain to what it may say: that a record is one, where the decoder says
// so too and finds the same keys.
func agrees(t interface{ Fatalf(string, ...any) }, body []byte) (plain bool) {
	if !utf8.Valid(body) {
		return false // which is found before
	}
	for _, in := range []place{inRecord, elsewhere} {
		refusal, keys, fine, found := decided(body, in)
		if !fine {
			continue
		}
		plain = plain || in == inRecord
		if refusal != nil {
			t.Fatalf("%s is plain, and the decoder says: %v", body, refusal)
		}
		if !reflect.DeepEqual(withoutEmpty(keys), withoutEmpty(found)) {
			t.Fatalf("%s: plain finds\n%+v\nand the decoder\n%+v", body, found, keys)
		}
	}
	return plain
}

// TestPlain: what is plain, and what is left to the decoder.
func TestPlain(t *testing.T) {
	many := func(n int) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(`,"m` + strings.Repeat("x", i) + `":0`)
		}
		return `{"id":"e"` + b.String() + `}`
	}
	for _, c := range []struct {
		name, body string
		plain      bool
	}{
		{"a record", sample, true},
		{"empty", `{}`, true},
		{"white space", " {\n\t\"id\" : \"e\" ,\r\n \"data\" : [ 1 , { } , [ ] , null ] } ", true},
		{"numbers", `{"data":[0,-0,10,-1.5,1e9,1E-9,0.0e+1]}`, true},
		{"literals", `{"data":[true,false,null]}`, true},
		{"what is not ASCII", `{"id":"Zoë 😀"}`, true},
		{"the same name in two objects", `{"actor":{"id":"a"},"object":{"id":"b"},"data":[{"id":1},{"id":2}]}`, true},
		{"as many members as are compared", many(maxPlainNames - 1), true},
		{"as deep as may be", strings.Repeat(`{"a":`, MaxDepth-1) + `[]` + strings.Repeat(`}`, MaxDepth-1), true},

		{"one more member", many(maxPlainNames), false},
		{"too deep", strings.Repeat(`{"a":`, MaxDepth) + `[]` + strings.Repeat(`}`, MaxDepth), false},
		{"an escape", `{"id":"a\"b"}`, false},
		{"an escaped name", `{"\u0069d":"a"}`, false},
		{"a name twice", `{"id":"a","type":"t","id":"b"}`, false},
		{"an empty name twice", `{"":1,"":2}`, false},
		{"a name twice, deep", `{"data":{"a":{"b":1},"c":2,"a":3}}`, false},
		{"another type", `{"id":7}`, false},
		{"another type inside", `{"linked":["a"]}`, false},
		{"no object", `[]`, false},
		{"nothing", ``, false},
		{"white space alone", ` `, false},
		{"two records", `{}{}`, false},
		{"a comma too many", `{"a":1,}`, false},
		{"a comma first", `{,"a":1}`, false},
		{"an element too few", `{"a":[1,]}`, false},
		{"no comma", `{"a":[1 2]}`, false},
		{"no colon", `{"a" 1}`, false},
		{"no value", `{"a":}`, false},
		{"no name", `{1:1}`, false},
		{"no quotes", `{a:1}`, false},
		{"other bracket", `{"a":[1}`, false},
		{"other bracket of an empty one", `{"a":[}}`, false},
		{"no end", `{"a":[1`, false},
		{"no end of a string", `{"a":"b`, false},
		{"a control character", "{\"a\":\"b\x1fc\"}", false},
		{"a line feed in a string", "{\"a\":\"b\nc\"}", false},
		{"a leading zero", `{"a":01}`, false},
		{"a bare minus", `{"a":-}`, false},
		{"a bare point", `{"a":1.}`, false},
		{"a point first", `{"a":.5}`, false},
		{"a bare exponent", `{"a":1e}`, false},
		{"a plus", `{"a":+1}`, false},
		{"half a literal", `{"a":nul}`, false},
		{"a literal and more", `{"a":nulls}`, false},
		{"a form feed", "{\f}", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := agrees(t, []byte(c.body)); got != c.plain {
				t.Errorf("plain is %v of %s", got, c.body)
			}
		})
	}
}

// TestPlainVectors: of no vector there is another verdict.
func TestPlainVectors(t *testing.T) {
	for _, v := range readVectors(t).Records {
		agrees(t, v.body(t))
	}
	agrees(t, []byte(everything))
}

// TestPlainStrings: every byte that ends a string, or may not stand in one, is found.
func TestPlainStrings(t *testing.T) {
	for length := range 4 {
		for at := range length {
			for c := range 256 {
				body := bytes.Repeat([]byte{'a'}, length+2)
				body[0], body[length+1] = '"', '"'
				body[1+at] = byte(c)
				want := length + 2
				switch {
				case c == '"':
					want = at + 2
				case c < ' ' || c == '\\':
					want = -1
				}
				if got := plainString(body, 0); got != want {
					t.Fatalf("%q: %d, want %d", body, got, want)
				}
			}
		}
	}
}

// TestPlainAtRandom changes records a little, and now and then makes one up of pieces.
func TestPlainAtRandom(t *testing.T) {
	pieces := []string{`{`, `}`, `[`, `]`, `,`, `:`, `"id"`, `"a"`, `"actor"`, `"linked"`, `"dimensions"`, `""`, `"\n"`, "\n", ` `, `0`, `-1.5e3`, `true`, `null`, `é`, "\x00"}
	rapid.Check(t, func(t *rapid.T) {
		body := []byte(rapid.SampledFrom([]string{sample, everything, `{}`}).Draw(t, "record"))
		for range rapid.IntRange(0, 3).Draw(t, "changes") {
			from := rapid.IntRange(0, len(body)).Draw(t, "from")
			to := min(from+rapid.IntRange(0, 3).Draw(t, "bytes"), len(body))
			body = append(append(bytes.Clone(body[:from]), rapid.SampledFrom(pieces).Draw(t, "piece")...), body[to:]...)
		}
		agrees(t, body)
		agrees(t, []byte(strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 12).Draw(t, "pieces"), "")))
	})
}

func FuzzPlain(f *testing.F) {
	for _, v := range readVectors(f).Records {
		if body := v.body(f); len(body) < 4096 {
			f.Add(body)
		}
	}
	f.Add([]byte(sample))
	f.Add([]byte(everything))
	f.Fuzz(func(t *testing.T, body []byte) {
		agrees(t, body)
	})
}
