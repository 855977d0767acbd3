package door

import (
	"container/list"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"annals/internal/access"
	"annals/internal/problem"
)

// HeaderKey names a request, so that it can be sent again without being carried out
// again (draft-ietf-httpapi-idempotency-key-header).
const HeaderKey = "Idempotency-Key"

// Bounds of what is remembered of requests with a key. What is forgotten, at a restart
// too, is carried out again: by the ids that [key.id] gives, the ledger then keeps each
// record once.
const (
	maxKey       = 255 // characters
	maxKeys      = 16 << 10
	maxRemembers = 64 << 20 // bytes of answers
	keyAge       = 24 * time.Hour
)

// key is a request's, in the scope of who sent it and of the workspace.
type key struct{ hash [sha256.Size]byte }

// keyOf reads a request's key; nil: it has none. A key is a quoted string (RFC 9651),
// or the same without quotes.
func keyOf(r *http.Request, who *access.Principal, workspace string) (*key, error) {
	values := r.Header.Values(HeaderKey)
	if len(values) == 0 {
		return nil, nil
	}
	text := strings.TrimSpace(values[0])
	if n := len(text); n >= 2 && text[0] == '"' && text[n-1] == '"' {
		text = text[1 : n-1]
	}
	legal := text != "" && len(text) <= maxKey && !strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c > '~' || c == '"' || c == '\\' })
	if len(values) > 1 || !legal {
		return nil, problem.Parameter(HeaderKey, "invalid_key", fmt.Sprintf("give it once: 1 to %d visible characters of ASCII, such as a UUID in quotes", maxKey))
	}
	k := new(key)
	h := sha256.New()
	for _, part := range []string{"annals/idempotency/v1", who.Subject, who.Through, workspace, text} {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	h.Sum(k.hash[:0])
	return k, nil
}

// id is the id of the request's nth record, where it brings none of its own: the same
// each time, so that the ledger knows the record again.
func (k *key) id(n int) string {
	return "idem-" + hex.EncodeToString(k.hash[:16]) + "-" + strconv.Itoa(n)
}

// keys remembers the requests that came with a key, the newest of them. The zero value
// serves.
type keys struct {
	mu    sync.Mutex
	by    map[[sha256.Size]byte]*list.Element
	order list.List // of *known, the oldest first
	bytes int
}

// known is a request that came with a key.
type known struct {
	key    [sha256.Size]byte
	digest [sha256.Size]byte
	at     time.Time
	answer *remembered // nil while it is under way
}

// remembered is how a request was answered.
type remembered struct {
	status int
	body   []byte
}

// begin takes a request up. before is the answer that it had already; else end is to be
// called, once with the answer, or with nil where the request failed and may be sent
// again. Later calls of end do nothing.
func (s *keys) begin(k *key, digest [sha256.Size]byte) (before *remembered, end func(*remembered), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at, ok := s.by[k.hash]; ok {
		was := at.Value.(*known)
		switch {
		case was.answer != nil && time.Since(was.at) > keyAge:
			s.forget(at)
		case was.digest != digest:
			return nil, nil, problem.New(problem.KeyReused, "")
		case was.answer == nil:
			return nil, nil, problem.New(problem.KeyInFlight, "")
		default:
			return was.answer, nil, nil
		}
	}
	if s.by == nil {
		s.by = map[[sha256.Size]byte]*list.Element{}
	}
	now := &known{key: k.hash, digest: digest, at: time.Now()}
	at := s.order.PushBack(now)
	s.by[k.hash] = at
	s.bound()
	return nil, func(answer *remembered) {
		s.mu.Lock()
		defer s.mu.Unlock()
		switch {
		case now.answer != nil || s.by[k.hash] != at:
		case answer == nil:
			s.forget(at)
		default:
			now.answer = answer
			s.bytes += len(answer.body)
			s.bound()
		}
	}, nil
}

// bound forgets the oldest requests that are answered, while there are too many.
func (s *keys) bound() {
	for at := s.order.Front(); at != nil && (len(s.by) > maxKeys || s.bytes > maxRemembers); {
		next := at.Next()
		if at.Value.(*known).answer != nil {
			s.forget(at)
		}
		at = next
	}
}

func (s *keys) forget(at *list.Element) {
	was := s.order.Remove(at).(*known)
	delete(s.by, was.key)
	if was.answer != nil {
		s.bytes -= len(was.answer.body)
	}
}

// remembering is a response whose answer is kept. It is written in one piece.
type remembering struct {
	http.ResponseWriter
	end    func(*remembered)
	status int
}

func (w *remembering) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Write remembers the answer before it is sent: whoever never gets it asks again.
func (w *remembering) Write(body []byte) (int, error) {
	w.end(&remembered{w.status, body})
	return w.ResponseWriter.Write(body)
}

// replay answers as the request was answered before.
func replay(w http.ResponseWriter, before *remembered, err error) error {
	if err != nil {
		return err
	}
	w.Header().Set("Idempotency-Replayed", "true")
	return write(w, before.status, before.body)
}
