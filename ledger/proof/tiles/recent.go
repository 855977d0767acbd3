package tiles

import "sync"

// recent keeps the files that were read last, up to a number of bytes.
type recent struct {
	mu    sync.Mutex
	most  int
	bytes int
	files map[uint64]file
	order []uint64
}

func newRecent(most int) recent { return recent{most: most, files: map[uint64]file{}} }

// get returns a file that is kept, or else fetches and keeps it. Failures are not
// kept.
func (r *recent) get(key uint64, fetch func() file) file {
	r.mu.Lock()
	f, ok := r.files[key]
	r.mu.Unlock()
	if ok {
		return f
	}
	if f = fetch(); f.err != nil {
		return f
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.files[key]; ok {
		return f // another reader was faster
	}
	r.files[key] = f
	r.order = append(r.order, key)
	r.bytes += len(f.bytes)
	for r.bytes > r.most && len(r.order) > 1 {
		oldest := r.order[0]
		r.order = r.order[1:]
		r.bytes -= len(r.files[oldest].bytes)
		delete(r.files, oldest)
	}
	return f
}
