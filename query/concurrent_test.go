package query

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"

	"github.com/go-json-experiment/json"
)

// TestReadersBesideWriter follows cursors in several goroutines while records
// pour in: each walk is the whole workspace as of its first page, once each.
func TestReadersBesideWriter(t *testing.T) {
	s := serve(t, Options{})
	s.fill("ws", 20)
	s.settle()
	done := make(chan struct{})
	var readers sync.WaitGroup
	for n := range 4 {
		readers.Go(func() {
			for {
				if err := s.walk(fmt.Sprintf("/v1/workspaces/ws/timeline?limit=%d", 3+5*n)); err != nil {
					t.Error(err)
					return
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for range 60 {
		s.fill("ws", 5)
		s.publish("other", `{"type":"t","actor":{"id":"u"}}`)
		s.settle()
	}
	close(done)
	readers.Wait()
}

// walk follows a timeline to its end and says what is wrong with it.
func (s *served) walk(base string) error {
	var first onePage
	var seen uint64
	last := ^uint64(0)
	for path, n := base, 0; path != ""; n++ {
		resp, err := s.client.Get(s.url + path)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(resp.Body)
		if err = errors.Join(err, resp.Body.Close()); err != nil {
			return err
		}
		var p onePage
		if err := json.Unmarshal(body, &p); err != nil || resp.StatusCode != 200 {
			return fmt.Errorf("page %d: %d %v %s", n, resp.StatusCode, err, body)
		}
		if n == 0 {
			first = p
		}
		if p.Total != first.Total || p.AsOf != first.AsOf {
			return fmt.Errorf("page %d: total %d as of %d, the first said %d as of %d", n, p.Total, p.AsOf.Size, first.Total, first.AsOf.Size)
		}
		for _, r := range p.Records {
			if r.Index >= last || r.Index >= p.AsOf.Size {
				return fmt.Errorf("page %d: entry %d after %d, as of %d", n, r.Index, last, p.AsOf.Size)
			}
			last = r.Index
			seen++
		}
		path = ""
		if p.NextCursor != "" {
			path = base + "&cursor=" + p.NextCursor
		}
	}
	if seen != first.Total {
		return fmt.Errorf("%d entries of %d", seen, first.Total)
	}
	return nil
}
