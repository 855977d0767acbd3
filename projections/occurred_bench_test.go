package projections

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"annals/activity"
	"annals/ledger/chain"
)

// BenchmarkOccurred compares the column of occurred times with posting lists by
// the hour, which are made here of a dimension: what each costs to fold, on the
// disk, and when a month is counted. The records occurred in the order of the
// ledger, or at random in five years, as a badly shuffled import has them.
func BenchmarkOccurred(b *testing.B) {
	for _, shuffled := range []bool{false, true} {
		for _, hours := range []bool{false, true} {
			b.Run(fmt.Sprintf("shuffled=%t/hours=%t", shuffled, hours), func(b *testing.B) {
				benchOccurred(b, shuffled, hours)
			})
		}
	}
}

func benchOccurred(b *testing.B, shuffled, hours bool) {
	n := benchSize()
	l := newLeaves()
	keys := activity.Keys{Type: "t", Actor: activity.Party{ID: "u"}, Dimensions: make([]activity.Dimension, 1)}
	rng := rand.New(rand.NewPCG(9, 9))
	const years = 5 * 365 * 24 * time.Hour
	var tags [10]chain.Hash
	for i := range tags {
		tags[i] = tagOf(fmt.Sprint(i))
	}
	fold := func(yield func(chain.Leaf, error) bool) {
		last := l.last
		payload := &chain.Payload{Envelope: envelopeOf("activity.w.t")}
		var raw []byte
		for i := range n {
			at := benchStart.Add(time.Duration(i) * (years / time.Duration(n)))
			if shuffled {
				at = benchStart.Add(time.Duration(rng.Int64N(int64(years)))).Truncate(time.Millisecond)
			}
			keys.OccurredAt = at.Format(time.RFC3339Nano)
			if keys.Dimensions = keys.Dimensions[:0]; hours {
				keys.Dimensions = append(keys.Dimensions, activity.Dimension{Name: "hour", Value: at.Format("2006-01-02T15")})
			}
			e := chain.Entry{Kind: chain.KindRecord, Grade: chain.GradeAsserted, Index: uint64(i), Count: 1, Ref: chain.NoRef, Previous: last, Workspace: tags[i%10]}
			raw = e.Append(raw[:0])
			last = chain.LeafHash(raw)
			if !yield(chain.Leaf{Entry: e, Raw: raw, Payload: payload, Keys: &keys, Hash: last}, nil) {
				return
			}
		}
	}
	p, err := Open(b.TempDir(), l.ledger, Options{})
	check(b, err)
	defer p.Close()
	cpu := cpuTime(b)
	check(b, p.Fold(fold))
	p.settle()
	check(b, p.db.Flush())
	cpu = cpuTime(b) - cpu
	m := p.db.Metrics()
	total := m.Total()
	month := Query{Workspace: tags[0], OccurredFrom: time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC).UnixNano(), OccurredTo: time.Date(2027, 4, 1, 0, 0, 0, 0, time.UTC).UnixNano()}
	if hours {
		month = is(FieldDimension, Value{A: "hour", B: "2027-03", Prefix: true})
		month.Workspace = tags[0]
	}
	var found Count
	var spent int
	for b.Loop() {
		v, err := p.View()
		check(b, err)
		v.past = &past{workspaces: v.past.workspaces} // counted anew
		found, err = v.Count(b.Context(), month)
		check(b, err)
		spent = v.walk.spent
		check(b, v.Close())
	}
	b.ReportMetric(float64(cpu.Nanoseconds())/float64(n), "cpu-ns/entry")
	b.ReportMetric(float64(total.TablesSize)/float64(n), "disk-B/entry")
	b.ReportMetric(float64(found.N), "found")
	b.ReportMetric(float64(spent), "rows")
}
