package ledger_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"annals/ledger"
	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
	"annals/ledger/proof"
)

var benchRecords = flag.Int("records", 100_000, "records that a benchmark of the ledger appends or reads")

// load makes records of about 440 bytes in 1,000 workspaces, by 100,000 users, over
// a million objects, one message after the other: millions need not be in memory.
type load struct {
	r                 *rand.Rand
	users, workspaces *rand.Zipf
	sequence, record  uint64
	now               int64
}

func newLoad(s *chaintest.Stream) *load {
	r := rand.New(rand.NewPCG(1, 2))
	return &load{
		r: r, users: rand.NewZipf(r, 1.1, 10, 100_000), workspaces: rand.NewZipf(r, 1.1, 10, 1000),
		sequence: uint64(len(s.Messages)), now: s.Now,
	}
}

// recordParts stand around what differs from one record to the next.
var recordParts = strings.Split(`{"id":"evt_|","producer":"orders","type":"app.renamed","occurred_at":"2026-01-02T03:04:05.123Z",`+
	`"actor":{"type":"user","id":"usr_|","name":"Dana Reyes"},"object":{"type":"app","id":"app_|","name":"Line 4 quality"},`+
	`"source":"web","context":{"ip":"10.1.2.3","user_agent":"Mozilla/5.0 (X11; Linux x86_64)","session_id":"s_|"},`+
	`"outcome":"success","data":{"previous_name":"Line 4 QA |","new_name":"Line 4 quality"}}`, "|")

func (l *load) appendRecord(dst []byte) []byte {
	numbers := [...]uint64{l.record, l.users.Uint64(), l.r.Uint64N(1_000_000), uint64(l.r.Uint32()), l.r.Uint64N(1000)}
	l.record++
	for i, n := range numbers {
		dst = append(dst, recordParts[i]...)
		var digits [12]byte
		for at := len(digits) - 1; at >= 0; at-- {
			digits[at] = byte('0' + n%10)
			n /= 10
		}
		dst = append(dst, digits[[...]int{0, 6, 5, 2, 8}[i]:]...)
	}
	return append(dst, recordParts[len(numbers)]...)
}

var linesHeader = map[string][]string{"Content-Type": {chain.NDJSON}}

// next makes the next message, of so many records.
func (l *load) next(records int) chain.Message {
	l.sequence++
	l.now += 20_000 * int64(records)
	m := chain.Message{Subject: fmt.Sprintf("activity.ws_%d._", l.workspaces.Uint64()), Sequence: l.sequence, Time: l.now}
	if records == 1 {
		m.Body = l.appendRecord(make([]byte, 0, 512))
		return m
	}
	m.Header = linesHeader
	for range records {
		m.Body = append(l.appendRecord(m.Body), '\n')
	}
	return m
}

// feed appends at least so many records, in messages of perMessage, and waits
// until they are durable.
func (l *load) feed(b *testing.B, to *ledger.Ledger, records, perMessage int) {
	b.Helper()
	for records > 0 {
		msgs := make([]chain.Message, max(1, min(256, records/perMessage)))
		for i := range msgs {
			msgs[i] = l.next(perMessage)
		}
		if err := to.Append(context.Background(), msgs); err != nil {
			b.Fatal(err)
		}
		records -= len(msgs) * perMessage
	}
	if err := to.Flush(context.Background()); err != nil {
		b.Fatal(err)
	}
}

// built makes a ledger of -records records on the disk.
func built(b *testing.B) *ledger.Ledger {
	b.Helper()
	s := chaintest.New("load")
	l, err := ledger.Create(b.TempDir()+"/ledger", s.Messages[0], s.Messages[1], ledger.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := l.Close(); err != nil {
			b.Error(err)
		}
	})
	newLoad(s).feed(b, l, *benchRecords, 128)
	return l
}

// BenchmarkAppend appends -records records, with a real fsync a commit, in process:
// parsing, hashing, tree, dedupe and Pebble, and making the records.
func BenchmarkAppend(b *testing.B) {
	for _, perMessage := range []int{1, 128} {
		b.Run(fmt.Sprintf("perMessage=%d", perMessage), func(b *testing.B) {
			b.ReportAllocs()
			records := uint64(0)
			for b.Loop() {
				s := chaintest.New("load")
				l, err := ledger.Create(b.TempDir()+"/ledger", s.Messages[0], s.Messages[1], ledger.Options{})
				if err != nil {
					b.Fatal(err)
				}
				newLoad(s).feed(b, l, *benchRecords, perMessage)
				records += l.Head().Size
				if err := l.Close(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(records)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

// BenchmarkGetMany reads a page of 50 entries that stand all over the ledger, as a
// user's do: in blocks that are cached, and in ones that hardly are.
func BenchmarkGetMany(b *testing.B) {
	l := built(b)
	r := anyOrder(1)
	page := func() []uint64 {
		indexes := make([]uint64, 50)
		for i := range indexes {
			indexes[i] = r.Uint64N(l.Head().Size)
		}
		slices.Sort(indexes)
		slices.Reverse(indexes)
		return indexes
	}
	read := func(b *testing.B, indexes []uint64) {
		if err := l.GetMany(indexes, func(*chain.Leaf, chain.Hash) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("warm", func(b *testing.B) {
		indexes := page()
		for b.Loop() {
			read(b, indexes)
		}
	})
	b.Run("anywhere", func(b *testing.B) {
		for b.Loop() {
			read(b, page())
		}
	})
}

// BenchmarkLeaves iterates the stored entries, as somebody who starts from the
// beginning does.
func BenchmarkLeaves(b *testing.B) {
	l := built(b)
	leaves := 0
	for b.Loop() {
		for _, err := range l.Leaves(b.Context(), 0, l.Head().Size) {
			if err != nil {
				b.Fatal(err)
			}
			leaves++
		}
	}
	b.ReportMetric(float64(leaves)/b.Elapsed().Seconds(), "entries/s")
}

// BenchmarkVerify audits a stored ledger in full, from its files.
func BenchmarkVerify(b *testing.B) {
	l := built(b)
	for b.Loop() {
		source := l.Source()
		report, err := proof.Audit(b.Context(), source, proof.Options{})
		if err != nil || report.Verdict != proof.Clean {
			b.Fatal(report.Sentence, err)
		}
		if err := source.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*float64(l.Head().Size)/b.Elapsed().Seconds(), "entries/s")
}
