package query

import (
	"testing"

	"annals/activity"
)

// FuzzFindType holds the walk to the scan: of whatever is a record, they say the
// same type.
func FuzzFindType(f *testing.F) {
	for _, s := range []string{
		`{"type":"t","actor":{"id":"u"}}`,
		` {"actor":{"type":"user","id":"u"} , "data":[{"type":"no"},"}",1.5e3,true,null], "type" : "app.renamed" }`,
		`{"actor":{"id":"u"}}`,
		`{"actor":{"type":"anonymous"},"message":"\\\"type\":\"no\"","n":1}`,
		`{"ty\u0070e":"t","actor":{"id":"u"}}`,
		`{"type":"a\u002eb","actor":{"id":"u"}}`,
		`{"a":"\\","type":"t","actor":{"id":"u"}}`,
		`{"type":"","actor":{"id":"u"}}`,
		`{`, `{"a"`, `{"a":`, `{"a":"`, `{"type"`, `[`, ``, `{"a":"\`,
	} {
		f.Add([]byte(s))
	}
	it := &item{}
	f.Fuzz(func(t *testing.T, record []byte) {
		typ, sure := findType(record)
		var k activity.Keys
		if activity.Scan(record, &k) != nil {
			return
		}
		if sure && string(typ) != k.Type {
			t.Errorf("found %q, the record says %q", typ, k.Type)
		}
		if got := it.typeOf(record); got != k.Type {
			t.Errorf("typeOf %q, the record says %q", got, k.Type)
		}
	})
}
