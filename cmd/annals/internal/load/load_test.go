package load

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"annals/activity"

	"github.com/go-json-experiment/json"
)

// TestSeries: a seed's records never change. Whoever changes the generator sees
// here that figures can't be compared any more with earlier ones.
func TestSeries(t *testing.T) {
	digest := func(seed uint64, n int) string {
		h := sha256.New()
		l := New(seed)
		var b []byte
		for range n {
			var ws string
			b, ws = l.Next(b[:0])
			h.Write(b)
			h.Write([]byte(ws + "\n"))
		}
		return hex.EncodeToString(h.Sum(nil)[:8])
	}
	if got := digest(1, 10_000); got != "3fe55317a0554f88" {
		t.Errorf("the records of seed 1 are others: %s", got)
	}
	first, again, other := digest(1, 100), digest(1, 100), digest(2, 100)
	if first != again || first == other {
		t.Error("a seed does not name its series")
	}
}

// seen is a record as the test reads it.
type seen struct {
	ID       string `json:"id"`
	Type     string `json:"type"`
	Occurred string `json:"occurred_at"`
	Actor    struct {
		ID string `json:"id"`
	} `json:"actor"`
	Object struct {
		Type string `json:"type"`
		ID   string `json:"id"`
	} `json:"object"`
	Linked  []struct{} `json:"linked"`
	Source  string     `json:"source"`
	Outcome string     `json:"outcome"`
	Context struct {
		IP      string `json:"ip"`
		Session string `json:"session_id"`
	} `json:"context"`
	Dimensions map[string]string `json:"dimensions"`
}

// TestSpread: the records are legal, of the size that is stated, and spread as
// the package says.
func TestSpread(t *testing.T) {
	const n = 200_000
	l := New(3)
	count := map[string]map[string]int{}
	add := func(what, value string) {
		if count[what] == nil {
			count[what] = map[string]int{}
		}
		count[what][value]++
	}
	var b []byte
	bytesSeen, disorder, linked, dimensions := 0, 0, 0, 0
	var latest time.Time
	var keys activity.Keys
	for range n {
		var ws string
		b, ws = l.Next(b[:0])
		bytesSeen += len(b)
		if refusal := activity.Scan(b, &keys); refusal != nil {
			t.Fatalf("%s: %v", b, refusal)
		}
		var r seen
		if err := json.Unmarshal(b, &r); err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		at, err := time.Parse("2006-01-02T15:04:05.000Z", r.Occurred)
		if err != nil {
			t.Fatal(err)
		}
		if at.Before(latest) {
			disorder++
			if latest.Sub(at) > Late+Pace {
				t.Fatalf("%s is %s late", r.Occurred, latest.Sub(at))
			}
		} else {
			latest = at
		}
		if def, ok := activity.Lookup(r.Type); !ok || def.Object != r.Object.Type {
			t.Fatalf("%s is no type of the catalogue, or not for %s", r.Type, r.Object.Type)
		}
		f := l.Last()
		if typ, id := f.Object(); f.Workspace != ws || f.Type != r.Type || f.User() != r.Actor.ID || typ != r.Object.Type ||
			id != r.Object.ID || f.Source != r.Source || f.Outcome != r.Outcome || f.Occurred != at.UnixMilli() {
			t.Fatalf("facts %+v of %s", f, b)
		}
		if len(r.Linked) > 0 {
			linked++
		}
		if len(r.Dimensions) == 2 {
			dimensions++
		}
		add("id", r.ID)
		add("type", r.Type)
		add("workspace", ws)
		add("user", r.Actor.ID)
		add("object", r.Object.ID)
		add("source", r.Source)
		add("outcome", r.Outcome)
		add("ip", r.Context.IP)
		add("session", r.Context.Session)
		if home := r.Actor.ID + " in " + ws; count["home"][home] == 0 {
			add("home", home)
		}
	}
	between := func(what string, got, least, most float64) {
		t.Helper()
		if got < least || got > most {
			t.Errorf("%s: %.4g, want %.4g to %.4g", what, got, least, most)
		}
	}
	t.Logf("%.1f bytes a record; %d users, %d objects", float64(bytesSeen)/n, len(count["user"]), len(count["object"]))
	between("bytes a record", float64(bytesSeen)/n, 466*0.95, 466*1.05)
	between("ids", float64(len(count["id"])), n, n)
	between("types", float64(len(count["type"])), 30, 60)
	between("workspaces", float64(len(count["workspace"])), 700, Workspaces)
	between("users", float64(len(count["user"])), 4_000, Users)
	between("workspaces a user", float64(len(count["home"]))/float64(len(count["user"])), 1, 1)
	between("objects", float64(len(count["object"])), 20_000, Objects)
	between("sources", float64(len(count["source"])), 3, 6)
	between("outcomes", float64(len(count["outcome"])), 3, 3)
	between("addresses", float64(len(count["ip"])), 2_000, addresses)
	between("records a session", n/float64(len(count["session"])), 15, 25)
	between("linked", float64(linked)/n, 0.1, 0.15)
	between("dimensions", float64(dimensions)/n, 0.14, 0.2)
	between("out of order", float64(disorder)/n, 0.03, 0.2)
	between("apart, ms", float64(latest.UnixMilli()-Began)/n, 240, 260)
	between("the most by one user", float64(most(count["user"]))/n, 0.005, 0.05)
	between("the most in one workspace", float64(most(count["workspace"]))/n, 0.01, 0.08)
	between("the most on one object", float64(most(count["object"]))/n, 0.0005, 0.02)
}

func most(m map[string]int) (n int) {
	for _, c := range m {
		n = max(n, c)
	}
	return n
}

// TestClock: what it prints is what package time prints, across midnight and back.
func TestClock(t *testing.T) {
	var c clock
	for _, ms := range []int64{Began, Began + dayMilliseconds, Began, 0, dayMilliseconds - 1, dayMilliseconds, 1767225599_999, 1767225600_000} {
		if got, want := string(c.append(nil, ms)), time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z"); got != want {
			t.Errorf("%d is %s, want %s", ms, got, want)
		}
	}
}

// TestQuestions: each is asked once, and of as many records as are wanted, where
// there are that many.
func TestQuestions(t *testing.T) {
	key := func(b []byte, f *Facts) []byte { return append(append(b, f.Workspace+" "...), f.User()...) }
	const records, n = 20_000, 100
	written := map[string]int{}
	l := New(3)
	for range records {
		l.Next(nil)
		f := l.Last()
		written[string(key(nil, &f))]++
	}
	for _, least := range []int{1, 20, 50} {
		questions := Questions(3, records, n, least, key)
		if len(questions) < n/2 || len(questions) > n {
			t.Errorf("%d questions, want %d to %d", len(questions), n/2, n)
		}
		known := map[string]bool{}
		for _, q := range questions {
			k := string(key(nil, &q))
			if known[k] || written[k] < least {
				t.Errorf("%s is asked twice, or is of %d records, want %d", k, written[k], least)
			}
			known[k] = true
		}
	}
	if few := Questions(3, 10, n, 50, key); len(few) == 0 || len(few) > 10 {
		t.Errorf("%d questions about 10 records", len(few))
	}
}

// TestAppends: a record is appended to what is there.
func TestAppends(t *testing.T) {
	a, _ := New(9).Next([]byte("before "))
	b, _ := New(9).Next(nil)
	if !bytes.Equal(a, append([]byte("before "), b...)) || strings.ContainsAny(string(b), "\r\n") {
		t.Errorf("%q, %q", a, b)
	}
}

func BenchmarkNext(b *testing.B) {
	l := New(1)
	var record []byte
	for b.Loop() {
		record, _ = l.Next(record[:0])
	}
	b.SetBytes(int64(len(record)))
}
