package query

import (
	"math"
	"net/http"
	"net/url"
	"testing"
	"time"
)

// queryParameters are all that stand in a query.
func queryParameters() []*parameter {
	var ps []*parameter
	for _, p := range parameters {
		// Of two under one name, the timeline's.
		if plain := parameters[p.name]; p.in == inQuery && (plain == nil || plain == p) {
			ps = append(ps, p)
		}
	}
	return ps
}

// FuzzParse holds the parser to the standard library's: what that refuses is
// refused, and what it reads means the same when it is written anew.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"", "&", "user=a&user=b&user!=c", "user%21=a+b%2Cc", "type=app.*,t&type!=x", "object=a%252Fb/c&linked=app/", "dimension.a.b=c&dimension.new%2521!=d",
		"kind=record,conflict&kind!=gap", "since=2026-01-01T00:00:00Z&until=2026-01-02T00:00:00%2B01:00", "occurred_since=0001-01-01T00:00:00Z", "limit=5&cursor=x&as_of=7&order=occurred&first=oldest&with=sentence",
		"ip=10.0.0.0/8&grade=verified&group=app&source=web&outcome=x&session=s", "user", "=x", "a;b", "%zz=1", "user=%zz", "user=", "dimension.=x", "limit=1&limit=2", "by=dimension.a%2521&tz=UTC&time=occurred&top=3",
	} {
		f.Add(s)
	}
	ps := queryParameters()
	f.Fuzz(func(t *testing.T, raw string) {
		var one, two filter
		err := one.parse(ps, &http.Request{URL: &url.URL{RawQuery: raw}})
		v, refused := url.ParseQuery(raw)
		if err != nil {
			return
		}
		if refused != nil {
			t.Fatalf("%q is read, and the standard library says %v", raw, refused)
		}
		if err := two.parse(ps, &http.Request{URL: &url.URL{RawQuery: v.Encode()}}); err != nil {
			t.Fatalf("%q is read, and %q refused: %v", raw, v.Encode(), err)
		}
		one.counting.timely, two.counting.timely = "", "" // the last of them
		if string(one.appendTo(nil)) != string(two.appendTo(nil)) || one.limit != two.limit || one.asOf != two.asOf || one.cursor != two.cursor || one.counting != two.counting {
			t.Errorf("%q and %q differ: %+v, %+v", raw, v.Encode(), one, two)
		}
		if one.limit < 1 || one.limit > MaxLimit || len(one.where) > MaxConditions || one.until <= one.since || one.kinds == 0 {
			t.Errorf("%q: %+v", raw, one)
		}
	})
}

// TestParseGarbage holds the parsing of a plain question to a few allocations:
// every page pays for it.
func TestParseGarbage(t *testing.T) {
	ps := queryParameters()
	r := &http.Request{URL: &url.URL{RawQuery: "user=usr_dana&type=app.renamed&source!=web&limit=50&order=recorded"}}
	var f filter
	allocs := testing.AllocsPerRun(100, func() {
		if err := f.parse(ps, r); err != nil {
			t.Fatal(err)
		}
	})
	// A slice of values for each of three conditions, and their own as it grows.
	if allocs > 8 {
		t.Errorf("%v allocations", allocs)
	}
}

// TestOccurredBounds: what 64 bits don't hold is clipped, not wrapped.
func TestOccurredBounds(t *testing.T) {
	for text, want := range map[string]int64{
		"1970-01-01T00:00:00.000000001Z": 1, "1969-12-31T23:59:59.999999999Z": -1,
		"0001-01-01T00:00:00Z": math.MinInt64, "9999-12-31T23:59:59Z": math.MaxInt64,
		"1677-09-21T00:12:43.145224191Z": math.MinInt64, "2262-04-11T23:47:16.854775808Z": math.MaxInt64,
		"2026-01-01T00:00:00+05:45": time.Date(2025, 12, 31, 18, 15, 0, 0, time.UTC).UnixNano(),
	} {
		var got int64
		if code, why := occurred(&got, text); code != "" || got != want {
			t.Errorf("%s: %d %s %s, want %d", text, got, code, why, want)
		}
	}
}
