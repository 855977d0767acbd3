package projections

import (
	"bytes"
	"flag"
	"fmt"
	"iter"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"
	"unsafe"

	"annals/activity"
	"annals/ledger/chain"
)

// flat is a ledger in two byte strings, so that a benchmark measures the fold's
// garbage and not its own.
type flat struct {
	ledger      chain.Hash
	raws        []byte
	bodies      []byte
	envelopes   map[uint64][]byte
	workspaceOf []uint16
	ends        []int
	hashes      []chain.Hash
	cuts        []uint32 // where the keys' strings stand in bodies
	into        []*string
	keysOf      *activity.Keys
}

// keyStrings are the strings of keys that the records of the benchmark have.
func keyStrings(k *activity.Keys) []*string {
	return []*string{
		&k.ID, &k.Producer, &k.Type, &k.OccurredAt, &k.Outcome, &k.Source, &k.Actor.ID, &k.Object.Type, &k.Object.ID, &k.Session, &k.IP,
	}
}

// keep scans the record of entry i and notes where its strings stand.
func (f *flat) keep(i int) {
	var k activity.Keys
	start := 0
	if i > 0 {
		start = f.ends[i-1]
	}
	body := f.bodies[start:f.ends[i]]
	activity.Scan(body, &k)
	for _, s := range keyStrings(&k) {
		at := bytes.Index(body, []byte(*s))
		f.cuts = append(f.cuts, uint32(at), uint32(at+len(*s)))
	}
}

// read makes the keys of entry i as a scan does, without its cost.
func (f *flat) read(i int, k *activity.Keys) {
	start := 0
	if i > 0 {
		start = f.ends[i-1]
	}
	cuts := f.cuts[i*22:]
	if f.into == nil || f.keysOf != k {
		f.into, f.keysOf = keyStrings(k), k
	}
	for n, s := range f.into {
		b := f.bodies[start+int(cuts[2*n]) : start+int(cuts[2*n+1])]
		*s = unsafe.String(&b[0], len(b))
	}
}

// benchStart is when the first record occurred; the others follow through a year.
var benchStart = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// benchLeaves makes n leaves as a busy ledger has them: records of some 466
// bytes, workspaces, users and objects by zipf.
func benchLeaves(n int) *flat {
	rng := rand.New(rand.NewPCG(1, 2))
	workspaces := rand.NewZipf(rng, 1.1, 4, 999)
	users := rand.NewZipf(rng, 1.1, 50, 99_999)
	objects := rand.NewZipf(rng, 1.05, 100, 999_999)
	f := &flat{ledger: newLeaves().ledger, envelopes: map[uint64][]byte{}}
	last := chain.FirstPrevious(f.ledger)
	var tags [1000]chain.Hash
	for i := range n {
		w := workspaces.Uint64()
		if f.envelopes[w] == nil {
			name := "ws_" + strconv.FormatUint(w, 10)
			f.envelopes[w], tags[w] = envelopeOf("activity."+name+"._"), tagOf(name)
		}
		at := benchStart.Add(time.Duration(i) * (365 * 24 * time.Hour / time.Duration(n)))
		f.bodies = fmt.Appendf(f.bodies, `{"id":"%032x","producer":"billing","type":"%s","occurred_at":"%s","actor":{"type":"user","id":"user-%06d","name":"Somebody Or Other"},"object":{"type":"invoice","id":"inv-%07d","name":"Invoice of the month"},"source":"api","method":"POST","outcome":"success","context":{"ip":"203.0.113.%d","user_agent":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36","session_id":"s-%08x"},"changes":[{"field":"status","old":"draft","new":"sent"}],"message":"sent it"}`,
			rng.Uint64(), benchTypes[rng.IntN(len(benchTypes))], at.Add(-time.Duration(rng.IntN(5000))*time.Millisecond).Format(time.RFC3339Nano), users.Uint64(), objects.Uint64(), i%256, rng.Uint32())
		f.ends = append(f.ends, len(f.bodies))
		f.workspaceOf = append(f.workspaceOf, uint16(w))
		e := chain.Entry{
			Kind: chain.KindRecord, Grade: chain.GradeAsserted, Flags: chain.FlagRetained, Index: uint64(i), Count: 1,
			Ref: chain.NoRef, Previous: last, Workspace: tags[w], ULID: chain.MakeULID(at.UnixMilli(), 0, uint64(i)),
		}
		f.raws = e.Append(f.raws)
		last = chain.LeafHash(f.raws[i*chain.HeaderSize:])
		f.hashes = append(f.hashes, last)
		f.keep(i)
	}
	return f
}

func (f *flat) all() iter.Seq2[chain.Leaf, error] {
	return func(yield func(chain.Leaf, error) bool) {
		var payload chain.Payload
		var keys activity.Keys
		start := 0
		for i, end := range f.ends {
			raw := f.raws[i*chain.HeaderSize : (i+1)*chain.HeaderSize]
			e, err := chain.ParseEntry(raw)
			payload = chain.Payload{Envelope: f.envelopes[uint64(f.workspaceOf[i])], Body: f.bodies[start:end]}
			start = end
			f.read(i, &keys)
			leaf := chain.Leaf{Entry: e, Raw: raw, Payload: &payload, Keys: &keys, Hash: f.hashes[i]}
			if !yield(leaf, err) {
				return
			}
		}
	}
}

var benchTypes = func() (out []string) {
	for i := range 127 {
		out = append(out, "app.thing_"+strconv.Itoa(i))
	}
	return out
}()

var entries = flag.Int("entries", 200_000, "entries that the benchmarks fold")

// benchSize is how many entries the benchmarks fold.
func benchSize() int { return *entries }

// BenchmarkFold folds a ledger from nothing, on the disk, its keys at hand as
// they are behind a ledger that has just parsed them, and reports what an entry
// costs in CPU time of the whole process, flushes and compactions included.
func BenchmarkFold(b *testing.B) {
	l := benchLeaves(benchSize())
	for b.Loop() {
		p, err := Open(b.TempDir(), l.ledger, Options{})
		check(b, err)
		start, cpu := time.Now(), cpuTime(b)
		check(b, p.Fold(l.all()))
		folded := time.Since(start)
		p.settle()
		check(b, p.db.Flush())
		spent := cpuTime(b) - cpu
		m := p.db.Metrics()
		n := float64(len(l.ends))
		b.ReportMetric(n/folded.Seconds(), "entries/s")
		b.ReportMetric(float64(spent.Nanoseconds())/n, "cpu-ns/entry")
		total := m.Total()
		b.ReportMetric(float64(total.TablesSize)/n, "disk-B/entry")
		check(b, p.Close())
	}
}

// BenchmarkAdd is the fold without a store below it.
func BenchmarkAdd(b *testing.B) {
	l := benchLeaves(blockSize)
	b.ReportAllocs()
	for b.Loop() {
		var c chunk
		w := &workspaces{number: map[chain.Hash]uint32{}}
		tail := newTail(0, chain.Hash{}, 100_000, 200_000)
		c.last = chain.FirstPrevious(l.ledger)
		for leaf := range l.all() {
			check(b, c.read(&leaf, w))
			if c.entries == chunkEntries {
				tail.add(&c.terms, c.size, c.last)
				c.terms.reset()
				c.entries = 0
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(l.ends)), "ns/entry")
}

// BenchmarkQuery asks a folded ledger what a timeline asks.
func BenchmarkQuery(b *testing.B) {
	l := benchLeaves(benchSize())
	p, err := Open(b.TempDir(), l.ledger, Options{})
	check(b, err)
	defer p.Close()
	check(b, p.Fold(l.all()))
	p.settle()
	check(b, p.db.Compact(b.Context(), []byte{0}, []byte{0xff}, false)) // as it is once the fold has rested
	where := func(c ...Condition) Query { return Query{Workspace: tagOf("ws_0"), Limit: 50, Where: c} }
	one := func(f Field, a, b string) Condition { return Condition{Field: f, Any: []Value{{A: a, B: b}}} }
	user, object := one(FieldUser, "user-000000", ""), one(FieldObject, "invoice", "inv-0000000")
	typ, outcome := one(FieldType, "app.thing_5", ""), one(FieldOutcome, "success", "")
	app := Condition{Field: FieldType, Any: []Value{{A: "app.thing_1", Prefix: true}}}
	notUser := user
	notUser.Not = true
	for _, c := range []struct {
		name string
		q    Query
	}{
		{"workspace", where()},
		{"user", where(user)},
		{"rare user", where(one(FieldUser, "user-004000", ""))},
		{"object", where(object)},
		{"type", where(typ)},
		{"user, type, outcome", where(user, typ, outcome)},
		{"prefix", where(app)},
		{"user, prefix", where(user, app)},
		{"not user", where(notUser)},
		{"network", where(Condition{Field: FieldIP, Any: []Value{{A: "203.0.113.0/28"}}})},
	} {
		for _, ask := range []struct {
			name string
			ask  func(*View, Query) (uint64, error)
		}{
			{"page", func(v *View, q Query) (uint64, error) {
				page, err := v.Page(b.Context(), q)
				return uint64(len(page.Indexes)), err
			}},
			{"page by occurrence", func(v *View, q Query) (uint64, error) {
				q.Order = ByOccurred
				page, err := v.Page(b.Context(), q)
				return uint64(len(page.Indexes)), err
			}},
			{"count", func(v *View, q Query) (uint64, error) {
				v.past = &past{workspaces: v.past.workspaces} // counted anew
				n, err := v.Count(b.Context(), q)
				return n.N, err
			}},
			{"count again", func(v *View, q Query) (uint64, error) {
				n, err := v.Count(b.Context(), q)
				return n.N, err
			}},
			{"days", func(v *View, q Query) (uint64, error) {
				counts, _, err := v.Histogram(b.Context(), q, daysOf(v.Cursor()))
				return uint64(len(counts)), err
			}},
			{"days by occurrence", func(v *View, q Query) (uint64, error) {
				counts, _, err := v.HistogramOccurred(b.Context(), q, occurredDays)
				return uint64(len(counts)), err
			}},
			{"types", func(v *View, q Query) (uint64, error) {
				values, err := v.Values(b.Context(), q, FieldType, "", 10)
				return values.Distinct, err
			}},
		} {
			b.Run(ask.name+"/"+c.name, func(b *testing.B) {
				var n uint64
				cpu := cpuTime(b)
				for b.Loop() {
					v, err := p.View()
					check(b, err)
					n, err = ask.ask(v, c.q)
					check(b, err)
					check(b, v.Close())
				}
				b.ReportMetric(float64((cpuTime(b)-cpu).Nanoseconds())/float64(b.N), "cpu-ns/op")
				b.ReportMetric(float64(n), "found")
			})
		}
	}
}

// daysOf are a hundred days' bounds.
func daysOf(size uint64) (bounds []uint64) {
	for i := range uint64(101) {
		bounds = append(bounds, size*i/100)
	}
	return bounds
}

// occurredDays are those of the year that the benchmark's records occurred in.
var occurredDays = func() (bounds []int64) {
	for i := range int64(365) {
		bounds = append(bounds, benchStart.UnixNano()+i*24*int64(time.Hour))
	}
	return bounds
}()
