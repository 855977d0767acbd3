package door

import (
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

func answer(w http.ResponseWriter, status int, b *batch) error {
	body, ok := appendAccepted(make([]byte, 0, 24+128*len(b.items)), b.items)
	if !ok {
		var err error
		if body, err = json.Marshal(Answer{b.items}); err != nil {
			return err
		}
	}
	return write(w, status, body)
}

// appendAccepted appends the answer as the library prints it, where every item says no
// more than that the stream has the record: so nearly every answer is. It reports
// whether that was so.
func appendAccepted(dst []byte, items []Fate) (_ []byte, ok bool) {
	dst = append(dst, `{"items":[`...)
	for i := range items {
		item := &items[i]
		said := Fate{Status: item.Status, Grade: item.Grade, ID: item.ID, Sequence: item.Sequence, Place: item.Place, named: item.named}
		if *item != said || said.Status != accepted || said.ID == "" || said.Sequence == nil || said.Place == nil {
			return dst, false
		}
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"status":"accepted",`...)
		if said.Grade != "" {
			dst = append(append(append(dst, `"grade":"`...), said.Grade...), `",`...)
		}
		var err error
		if dst, err = jsontext.AppendQuote(append(dst, `"id":`...), said.ID); err != nil {
			return dst, false
		}
		dst = strconv.AppendUint(append(dst, `,"sequence":`...), *said.Sequence, 10)
		dst = strconv.AppendUint(append(dst, `,"place":`...), uint64(*said.Place), 10)
		dst = append(dst, '}')
	}
	return append(dst, `]}`...), true
}

// shortBody is the most bytes of a body whose length [http.ResponseWriter] finds out by
// itself. Left to it, the length is no entry of the header: the ninth would make a larger
// map of it, and of the copy that is made of it.
const shortBody = 1 << 10

// write answers with a body that is complete.
func write(w http.ResponseWriter, status int, body []byte) error {
	h := w.Header()
	h.Set("Content-Type", mediaJSON)
	if len(body) > shortBody {
		h.Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client is gone: the records are in the stream all the same
	return nil
}
