package query

import (
	"flag"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"annals/ledger/chain"
)

var benchedRecords = flag.Int("records", 100_000, "how many records the benchmarks read from")

// benched serves n records of about 466 bytes, gathered as the publisher does it.
func benched(b *testing.B, n int) *served {
	s := serve(b, Options{})
	const lines = 128
	for i := 0; i < n; i += lines {
		var body strings.Builder
		for j := i; j < i+lines; j++ {
			fmt.Fprintf(&body, `{"id":"01K9Z0W3QH%016d","producer":"bench","type":"app.renamed","occurred_at":"2026-11-22T08:00:00.123Z",`+
				`"actor":{"type":"user","id":"user_%d","name":"Dana Example","email":"dana@example.com"},"object":{"type":"app","id":"app_%d","name":"Operations"},`+
				`"source":"web","outcome":"success","context":{"ip":"10.255.241.240","user_agent":"Mozilla/5.0 (X11; Linux x86_64)","session_id":"s_%d"},`+
				`"dimensions":{"org":"org_1","site":"site_2"},"data":{"previous_name":"Old name","new_name":"New name"}}`+"\n", j, j%1000, j%5000, j%700)
		}
		s.stream.Publish("activity.ws._", body.String(), "Content-Type", chain.NDJSON)
		s.leap(time.Second)
		if i%(200*lines) == 0 {
			s.settle()
		}
	}
	s.settle()
	return s
}

// BenchmarkPage gets pages of 50, and counts, over HTTP on the loopback. Beside
// the mean it reports the median and the slowest hundredth.
func BenchmarkPage(b *testing.B) {
	s := benched(b, *benchedRecords)
	for _, c := range []struct{ name, path string }{
		{"healthz", "/healthz"},
		{"one", "/v1/workspaces/ws/timeline?limit=1"},
		{"workspace", "/v1/workspaces/ws/timeline"},
		{"user", "/v1/workspaces/ws/users/user_7/timeline"},
		{"object", "/v1/workspaces/ws/objects/app/app_7/history"},
		{"sentences", "/v1/workspaces/ws/timeline?with=sentence"},
		{"occurred", "/v1/workspaces/ws/timeline?order=occurred&user=user_7"},
		{"combined", "/v1/workspaces/ws/timeline?user=user_7&user=user_8&type=app.*&source!=api&dimension.org=org_1"},
		{"total", "/v1/workspaces/ws/timeline?limit=1&user=user_7&type=app.*&source!=api"},
		{"days", "/v1/workspaces/ws/counts?by=day&user=user_7&type=app.*&source!=api"},
		{"values", "/v1/workspaces/ws/counts?by=object&user=user_7&type=app.*&source!=api"},
	} {
		b.Run(c.name, func(b *testing.B) {
			var took []time.Duration
			b.ReportAllocs()
			for b.Loop() {
				start := time.Now()
				resp, err := s.client.Get(s.url + c.path)
				if err != nil {
					b.Fatal(err)
				}
				n, _ := io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if resp.StatusCode != http.StatusOK {
					b.Fatal(resp.Status)
				}
				took = append(took, time.Since(start))
				b.SetBytes(n)
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
		})
	}
}
