package query

import (
	"sync"
)

// pool keeps the space that answers are put together in.
type pool struct{ sync.Pool }

func newBuffers() *pool {
	return &pool{sync.Pool{New: func() any {
		b := make([]byte, 0, 64<<10)
		return &b
	}}}
}

func (p *pool) get() *[]byte { return p.Get().(*[]byte) }

// put gives space back. What one large page needed is left to the collector.
func (p *pool) put(b *[]byte) {
	if cap(*b) <= 1<<20 {
		p.Put(b)
	}
}
