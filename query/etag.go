package query

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	digest "hash"
	"net/http"
	"strings"

	"annals/ledger/chain"
)

// Answers have a weak validator (RFC 9110, 8.8.3): equal as long as what was
// asked for is the same, though the ledger has grown by what was not. Two
// answers with one validator may differ in as_of, and in the cursor, which
// remembers it.
//
// They may be kept, but never shown without asking again: an answer of "not
// modified" costs no record, and what is erased one day must not be shown out
// of a cache. That goes for the pages of as_of too.
const cacheControl = "private, no-cache"

// tag begins a validator: of a kind of answer, for a filter, of this version of
// the program, which may print the same things in other words.
func (a *API) tag(kind string, f *filter) digest.Hash {
	h := sha256.New()
	b := append(make([]byte, 0, 512), a.cursors.ledger[:]...)
	b = appendText(appendText(b, kind), a.o.Version)
	b = append(b, bit(f.sentence))
	// What an erasure changes is in no entry: all that was kept from before it is asked
	// for anew.
	head := a.o.Ledger.Head()
	b = binary.BigEndian.AppendUint64(b, head.State.Erasures)
	h.Write(f.appendTo(b))
	return h
}

func etag(h digest.Hash) string {
	var sum [sha256.Size]byte
	return `W/"` + base64.RawURLEncoding.EncodeToString(h.Sum(sum[:0])[:15]) + `"`
}

// pageTag changes with the total, with the entries of the page, and with what
// comes after it: nothing, or more.
func (a *API) pageTag(f *filter, s *selected) string {
	h := a.tag("page", f)
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 1024), s.total.N)
	b = append(b, bit(s.total.Truncated), bit(s.Truncated), bit(s.More))
	b = binary.BigEndian.AppendUint64(b, uint64(s.Last.Occurred))
	b = binary.BigEndian.AppendUint64(b, s.Last.Index)
	for _, index := range s.Indexes {
		b = binary.BigEndian.AppendUint64(b, index)
	}
	h.Write(b)
	return etag(h)
}

// recordTag is of an entry, whose answer never changes but by an erasure,
// and by what amends it.
func (a *API) recordTag(f *filter, leaf chain.Hash, amended *amended) string {
	h := a.tag("record", f)
	h.Write(leaf[:])
	h.Write(amended.appendTo(nil))
	return etag(h)
}

// current sets the validator of an answer, and answers that the client has it
// already, if so.
func current(w http.ResponseWriter, r *http.Request, tag string) bool {
	h := w.Header()
	h.Set("ETag", tag)
	h.Set("Cache-Control", cacheControl)
	given := r.Header["If-None-Match"]
	if len(given) == 0 || !matchesTag(strings.Join(given, ","), tag) {
		return false
	}
	w.WriteHeader(http.StatusNotModified)
	return true
}

// matchesTag reports whether a list of validators has one, compared weakly (RFC
// 9110, 13.1.2). What can't be read ends the list.
func matchesTag(list, tag string) bool {
	opaque := strings.TrimPrefix(tag, "W/")
	for {
		list = strings.TrimLeft(list, " \t,")
		if strings.HasPrefix(list, "*") {
			return true
		}
		rest, found := strings.CutPrefix(strings.TrimPrefix(list, "W/"), `"`)
		end := strings.IndexByte(rest, '"')
		if !found || end < 0 {
			return false
		}
		if rest[:end] == opaque[1:len(opaque)-1] {
			return true
		}
		list = rest[end+1:]
	}
}
