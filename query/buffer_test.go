package query

import (
	"bytes"
	"math/rand/v2"
	"net/http/httptest"
	"strconv"
	"testing"
)

// TestBody: an answer that is put together in pieces is the one that was appended, whatever
// its items are as large as, and takes hardly more memory than that.
func TestBody(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for _, largest := range []int{1, 100, pieceSpare, pieceBytes - pieceSpare, 3 * pieceBytes} {
		for range 20 {
			var out body
			var want []byte
			b := out.begin()
			for range r.IntN(300) {
				item := bytes.Repeat([]byte{byte('a' + r.IntN(26))}, r.IntN(largest+1))
				b = append(out.next(b), item...)
				want = append(want, item...)
				if got := out.size + len(b); got != len(want) {
					t.Fatalf("it says that %d bytes were appended, of %d", got, len(want))
				}
			}
			w := httptest.NewRecorder()
			if err := out.write(w, jsonMedia, b); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(w.Body.Bytes(), want) {
				t.Fatalf("%d bytes came of %d, or others", w.Body.Len(), len(want))
			}
			if h := w.Header(); h.Get("Content-Length") != strconv.Itoa(len(want)) || h.Get("Content-Type") != jsonMedia {
				t.Errorf("%v", h)
			}
			room := 0
			for _, piece := range out.full {
				room += cap(*piece)
			}
			if most := len(want)*5/4 + 2*pieceBytes; largest <= pieceSpare && room > most {
				t.Errorf("%d bytes take room for %d, want %d at the most", len(want), room, most)
			}
			out.release()
		}
	}
}
