package ingest_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"annals/ingest"
	"annals/ledger/chain"
)

// sample is a record of the size that the bars speak of, 466 bytes.
func sample(i int) []byte {
	r := fmt.Sprintf(`{"id":"%024d","type":"app.renamed","actor":{"type":"user","id":"u%07d"},"object":{"type":"app","id":"o%07d"},"message":"`, i, i%100_000, i)
	return []byte(r + strings.Repeat("m", 466-2-len(r)) + `"}`)
}

// BenchmarkPublish is publishing alone, through the producers' account, each
// message or batch synced before it is acknowledged; an operation is a record.
func BenchmarkPublish(b *testing.B) {
	for _, c := range []struct {
		name       string
		workspaces int
		o          ingest.PublisherOptions
	}{
		{"ndjson", 1, ingest.PublisherOptions{}},
		{"ndjson-1000-workspaces", 1000, ingest.PublisherOptions{}},
		{"batch", 1, ingest.PublisherOptions{Separate: true}},
	} {
		b.Run(c.name, func(b *testing.B) {
			s := start(b)
			p, err := ingest.NewPublisher(s.producer, c.o)
			if err != nil {
				b.Fatal(err)
			}
			records := make([][]byte, 4096)
			for i := range records {
				records[i] = sample(i)
			}
			b.SetBytes(466)
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				if _, err := p.PublishAsync(b.Context(), fmt.Sprintf("ws_%d", i%c.workspaces), chain.OwnType, records[i%len(records)]); err != nil {
					b.Fatal(err)
				}
			}
			if err := p.Close(context.Background()); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

// BenchmarkPublishWaiting is 64 callers that each wait for the acknowledgement.
func BenchmarkPublishWaiting(b *testing.B) {
	s := start(b)
	p, err := ingest.NewPublisher(s.producer, ingest.PublisherOptions{})
	if err != nil {
		b.Fatal(err)
	}
	b.SetParallelism(32) // times GOMAXPROCS, which is 2 where the bars are measured
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			if _, err := p.Publish(context.Background(), "ws_1", sample(i)); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
	if err := p.Close(context.Background()); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkReader reads what was published; an operation is a message, which in
// ndjson holds up to 512 records.
func BenchmarkReader(b *testing.B) {
	for _, c := range []struct {
		name string
		o    ingest.PublisherOptions
		per  int
	}{
		{"messages", ingest.PublisherOptions{Separate: true}, 1},
		{"ndjson", ingest.PublisherOptions{MaxLines: 128}, 128},
	} {
		b.Run(c.name, func(b *testing.B) {
			s := start(b)
			p, err := ingest.NewPublisher(s.producer, c.o)
			if err != nil {
				b.Fatal(err)
			}
			for i := range b.N * c.per {
				if _, err := p.PublishAsync(b.Context(), "ws_1", chain.OwnType, sample(i)); err != nil {
					b.Fatal(err)
				}
			}
			if err := p.Close(context.Background()); err != nil {
				b.Fatal(err)
			}
			last := s.last(b)
			b.ReportAllocs()
			b.ResetTimer()
			r := reader(b, s.ledger, chain.Position{})
			for r.Position().Sequence < last {
				if _, err := r.Next(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(last)/b.Elapsed().Seconds(), "messages/s")
			b.ReportMetric(float64(b.N*c.per)/b.Elapsed().Seconds(), "records/s")
		})
	}
}
