package ingest

import (
	"bytes"
	"crypto/rand"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/oklog/ulid/v2"

	"annals/activity"
)

// giveID appends the record to dst, with an id spliced in when it has none, and
// returns that id. Publishing again after a time-out is safe only with an id: by
// it the ledger knows the second from the first. The record's own bytes stay as
// they are. What is no JSON object is left alone; the ledger says what is wrong
// with it.
func giveID(dst, record []byte) ([]byte, string) {
	brace, empty, ok := lacksID(record)
	if !ok {
		return append(dst, record...), ""
	}
	id := ulid.MustNew(ulid.Timestamp(time.Now()), rand.Reader).String()
	dst = append(dst, record[:brace+1]...)
	dst = append(dst, `"id":"`...)
	dst = append(dst, id...)
	dst = append(dst, '"')
	if !empty {
		dst = append(dst, ',')
	}
	return append(dst, record[brace+1:]...), id
}

// lacksID looks for a member "id" at the top of a JSON object, without checking
// more of the syntax than it has to walk through. It returns where the object's
// brace is and whether the object is empty; ok is false when there is an id, or
// when the bytes can't be walked to their end.
func lacksID(b []byte) (brace int, empty, ok bool) {
	members, found := 0, false
	brace, whole := activity.Walk(b, func(name, _ []byte) bool {
		members++
		found = isID(name)
		return !found
	})
	return brace, members == 0, whole
}

// isID reports whether a quoted name is "id", however it is escaped.
func isID(quoted []byte) bool {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return string(quoted) == `"id"`
	}
	name, err := jsontext.AppendUnquote(nil, quoted)
	return err == nil && string(name) == "id"
}
