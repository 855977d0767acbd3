package query

import (
	"net/http"
	"sync"
)

// pool keeps the space that answers are put together in.
type pool struct{ sync.Pool }

func newBuffers() *pool {
	return &pool{sync.Pool{New: func() any {
		b := make([]byte, 0, pieceBytes)
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

// body is an answer that may be long. It is put together in pieces, so that it takes as much
// memory as was printed of it so far: many answers are under way at once, and what one that
// grows leaves behind would be several times as much. The zero value is empty.
type body struct {
	full []*[]byte // pieces that nothing is appended to any more
	size int       // of them together, in bytes
	last *[]byte   // where the piece comes from that is appended to
}

// A piece has room for so many bytes, and is full when there is no room for so many more. An
// item that is larger makes its piece grow.
const (
	pieceBytes = 64 << 10
	pieceSpare = 8 << 10
)

// begin returns the first piece, to append to.
func (o *body) begin() []byte {
	o.last = buffers.get()
	return (*o.last)[:0]
}

// next returns the piece to append to after b: b itself, unless it is full.
func (o *body) next(b []byte) []byte {
	if len(b) < pieceBytes-pieceSpare {
		return b
	}
	o.seal(b)
	return o.begin()
}

// seal ends the piece that is b.
func (o *body) seal(b []byte) {
	*o.last = b
	o.full, o.size, o.last = append(o.full, o.last), o.size+len(b), nil
}

// write answers with the pieces, of which b is the last.
func (o *body) write(w http.ResponseWriter, mediaType string, b []byte) error {
	o.seal(b)
	writeHead(w, http.StatusOK, mediaType, o.size)
	for _, piece := range o.full {
		if _, err := w.Write(*piece); err != nil {
			return err
		}
	}
	return nil
}

// release gives the pieces' space back.
func (o *body) release() {
	if o.last != nil {
		buffers.put(o.last)
	}
	for _, piece := range o.full {
		buffers.put(piece)
	}
}
