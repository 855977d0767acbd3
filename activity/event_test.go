package activity

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// told is what an event tells, or why it tells nothing: the refusal's code and
// pointer.
func tells(e Event, r *Refusal) string {
	var record []byte
	if r == nil {
		record, r = e.AppendRecord(nil)
	}
	var k Keys
	if r == nil {
		r = Scan(record, &k)
	}
	if r != nil {
		return r.Code.String() + " " + r.Pointer
	}
	return string(record)
}

const event = `"specversion":"1.0","id":"e1","source":"/crm","type":"app.renamed"`

func TestEvent(t *testing.T) {
	const rest = `"cloudevent":{"specversion":"1.0"}`
	for name, c := range map[string]struct{ body, want string }{
		"who is named": {
			`{` + event + `,"time":"2026-01-02T03:04:05Z","subject":"app_42","authtype":"user","authid":"usr_dana","data":{ "n" : 1 }}`,
			`{"id":"e1","producer":"/crm","type":"app.renamed","occurred_at":"2026-01-02T03:04:05Z","object":{"id":"app_42"},` +
				`"actor":{"type":"user","id":"usr_dana"},"data":{ "n" : 1 },"cloudevent":{"authtype":"user","specversion":"1.0"}}`,
		},
		"the data is a record": {
			`{` + event + `,"subject":"app_42","data": {"actor":{"id":"u"}, "outcome":"success"} }`,
			`{"id":"e1","producer":"/crm","type":"app.renamed","object":{"id":"app_42"},` + rest + `,"actor":{"id":"u"}, "outcome":"success"}`,
		},
		"the record says the same, and more": {
			`{` + event + `,"subject":"a","time":"t","data":{"id":"\u00651","producer":"/crm","type":"app.renamed","occurred_at":"x","object":{"id":"o"},"cloudevent":1,"actor":{"id":"u"}}}`,
			`{"id":"\u00651","producer":"/crm","type":"app.renamed","occurred_at":"x","object":{"id":"o"},"cloudevent":1,"actor":{"id":"u"}}`,
		},
		"an actor in the data is data": {
			`{` + event + `,"authid":"u","data":{"actor":{"id":7}}}`,
			`{"id":"e1","producer":"/crm","type":"app.renamed","actor":{"id":"u"},"data":{"actor":{"id":7}},` + rest + `}`,
		},
		"no data": {
			`{` + event + `,"authtype":"unauthenticated"}`,
			`{"id":"e1","producer":"/crm","type":"app.renamed","actor":{"type":"anonymous"},"cloudevent":{"authtype":"unauthenticated","specversion":"1.0"}}`,
		},
		"a service": {
			`{` + event + `,"authtype":"api_key","authid":"k1","data":null}`,
			`{"id":"e1","producer":"/crm","type":"app.renamed","actor":{"type":"service","id":"k1"},"cloudevent":{"authtype":"api_key","specversion":"1.0"}}`,
		},
		"an actor type of one's own": {
			`{` + event + `,"authtype":"robot","authid":"r\"2"}`,
			`{"id":"e1","producer":"/crm","type":"app.renamed","actor":{"type":"robot","id":"r\"2"},"cloudevent":{"authtype":"robot","specversion":"1.0"}}`,
		},
		"base64, and extensions": {
			`{` + event + `,"authtype":"system","datacontenttype":"image/png","data_base64":"AAE=","shard":7,"hot":true,"cold":null,"subject":""}`,
			`{"id":"e1","producer":"/crm","type":"app.renamed","actor":{"type":"system"},"data":{"data_base64":"AAE="},` +
				`"cloudevent":{"authtype":"system","datacontenttype":"image/png","hot":"true","shard":"7","specversion":"1.0"}}`,
		},
		"an empty record": {`{` + event + `,"data":{ }}`, "missing_actor_id /actor/id"},

		"nothing":              {``, "empty "},
		"no object":            {`[]`, "not_an_object "},
		"two names":            {`{"id":"a","id":"b"}`, "duplicate_name /id"},
		"not JSON":             {`{"id":}`, "malformed_json /id"},
		"no UTF-8":             {"{\"id\":\"\xff\"}", "invalid_utf8 "},
		"two events":           {`{` + event + `}{}`, "trailing_bytes "},
		"no version":           {`{"id":"e1","source":"s","type":"t"}`, "invalid_event /specversion"},
		"an old version":       {`{"specversion":"0.3","id":"e1","source":"s","type":"t"}`, "unsupported_event /specversion"},
		"no id":                {`{"specversion":"1.0","source":"s","type":"t"}`, "invalid_event /id"},
		"an empty source":      {`{"specversion":"1.0","id":"e1","source":"","type":"t"}`, "invalid_event /source"},
		"a null type":          {`{"specversion":"1.0","id":"e1","source":"s","type":null}`, "invalid_event /type"},
		"an id of digits":      {`{"specversion":"1.0","id":7,"source":"s","type":"t"}`, "invalid_event /id"},
		"a name of capitals":   {`{` + event + `,"traceParent":"x"}`, "invalid_event /traceParent"},
		"a name with a slash":  {`{` + event + `,"a/b":"x"}`, "invalid_event /a~1b"},
		"an object attribute":  {`{` + event + `,"ext":{}}`, "invalid_event /ext"},
		"a fraction":           {`{` + event + `,"ext":1.5}`, "invalid_event /ext"},
		"33 bits":              {`{` + event + `,"ext":2147483648}`, "invalid_event /ext"},
		"the least integer":    {`{` + event + `,"ext":-2147483648}`, "missing_actor_id "},
		"below it":             {`{` + event + `,"ext":-2147483649}`, "invalid_event /ext"},
		"both kinds of data":   {`{` + event + `,"data":1,"data_base64":"AAE="}`, "invalid_event /data_base64"},
		"no base64":            {`{` + event + `,"data_base64":"A"}`, "invalid_event /data_base64"},
		"base64 in two lines":  {`{` + event + `,"data_base64":"AA\nE="}`, "invalid_event /data_base64"},
		"base64 of a number":   {`{` + event + `,"data_base64":1}`, "invalid_event /data_base64"},
		"nobody acted":         {`{` + event + `}`, "missing_actor_id "},
		"data that is a list":  {`{` + event + `,"data":[]}`, "missing_actor_id "},
		"another id":           {`{` + event + `,"data":{"id":"e2","actor":{"id":"u"}}}`, "event_mismatch /id"},
		"another source":       {`{` + event + `,"data":{"producer":"","actor":{"id":"u"}}}`, "event_mismatch /producer"},
		"another type":         {`{` + event + `,"data":{"type":7,"actor":{"id":"u"}}}`, "event_mismatch /type"},
		"a type that is none":  {`{"specversion":"1.0","id":"e","source":"s","type":"a b","authid":"u"}`, "invalid_type /type"},
		"a source of a novel":  {`{"specversion":"1.0","id":"e","source":"` + strings.Repeat("s", 129) + `","type":"t","authid":"u"}`, "producer_too_long /producer"},
		"an unknown principal": {`{` + event + `,"authtype":"user"}`, "missing_actor_id /actor/id"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tells(ParseEvent([]byte(c.body))); got != c.want {
				t.Errorf("it tells\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

func TestBinaryEvent(t *testing.T) {
	header := func(more ...string) []string {
		return append([]string{"ce-id", "e1", "ce-source", "/crm", "ce-specversion", "1.0", "ce-type", "app.renamed"}, more...)
	}
	const start = `{"id":"e1","producer":"/crm","type":"app.renamed",`
	for name, c := range map[string]struct {
		header     []string
		body, want string
	}{
		"a record":       {header(), ` {"actor":{"id":"u"}} `, start + `"cloudevent":{"specversion":"1.0"},"actor":{"id":"u"}}`},
		"who is named":   {header("ce-authid", "u"), ` [1] `, start + `"actor":{"id":"u"},"data":[1],"cloudevent":{"specversion":"1.0"}}`},
		"no body":        {header("ce-authid", "u"), "", start + `"actor":{"id":"u"},"cloudevent":{"specversion":"1.0"}}`},
		"text":           {header("ce-authid", "u", "ce-datacontenttype", "text/plain; charset=utf-8"), "a\"b", start + `"actor":{"id":"u"},"data":"a\"b","cloudevent":{"datacontenttype":"text/plain; charset=utf-8","specversion":"1.0"}}`},
		"an image":       {header("ce-authid", "u", "ce-datacontenttype", "image/png"), "\x00\x01", start + `"actor":{"id":"u"},"data":{"data_base64":"AAE="},"cloudevent":{"datacontenttype":"image/png","specversion":"1.0"}}`},
		"HTTP's way":     {append([]string{"Content-Type", "application/vnd.x+json"}, header("ce-authid", "u")...), "1", start + `"actor":{"id":"u"},"data":1,"cloudevent":{"datacontenttype":"application/vnd.x+json","specversion":"1.0"}}`},
		"its own first":  {append([]string{"Content-Type", "image/png"}, header("ce-authid", "u", "ce-datacontenttype", "Application/JSON")...), "1", start + `"actor":{"id":"u"},"data":1,"cloudevent":{"datacontenttype":"Application/JSON","specversion":"1.0"}}`},
		"percent":        {header("ce-authid", "Euro%20%e2%82%AC%20%F0%9F%98%80 5%"), "", start + `"actor":{"id":"Euro € 😀 5%"},"cloudevent":{"specversion":"1.0"}}`},
		"quoted":         {header("ce-authid", ` "a \"b\" %41" `), "", start + `"actor":{"id":"a \"b\" A"},"cloudevent":{"specversion":"1.0"}}`},
		"other headers":  {header("ce-authid", "u", "traceparent", "00"), "", start + `"actor":{"id":"u"},"cloudevent":{"specversion":"1.0"}}`},
		"overlong":       {header("ce-authid", "%C0%A0"), "", "invalid_event /authid"},
		"twice":          {[]string{"ce-id", "a", "ce-id", "a"}, "", "invalid_event /id"},
		"a capital":      {[]string{"ce-Id", "a"}, "", "invalid_event "},
		"nothing named":  {[]string{"ce-", "a"}, "", "invalid_event "},
		"data's name":    {header("ce-data", "a"), "1", "invalid_event /data"},
		"no version":     {[]string{"ce-id", "a"}, "", "invalid_event /specversion"},
		"not JSON":       {header(), "{", "malformed_json "},
		"injected":       {header("ce-authid", "u"), `1,"actor":{"id":"v"}`, "trailing_bytes "},
		"two names":      {header("ce-authid", "u"), `{"a":1,"a":2}`, "duplicate_name /a"},
		"text, not UTF8": {header("ce-authid", "u", "ce-datacontenttype", "text/plain"), "\xff", "invalid_utf8 "},
		"another id":     {header(), `{"id":"e2","actor":{"id":"u"}}`, "event_mismatch /id"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tells(ParseBinaryEvent(c.header, []byte(c.body))); got != c.want {
				t.Errorf("it tells\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

// FuzzEvent: what is taken for an event tells either nothing or strict JSON, which says
// of id, source and type what the attributes say; printed in the JSON event format it
// tells the same.
func FuzzEvent(f *testing.F) {
	f.Add([]byte(`{`+event+`,"authid":"u","data":{"a":[1]}}`), "", "", false)
	f.Add([]byte(`{`+event+`,"data":{"id":"e1","actor":{"id":"u"}}}`), "", "", false)
	f.Add([]byte(`{"actor":{"id":"u"}}`), "ce-subject", "a%20b", true)
	f.Add([]byte("\x00"), "ce-datacontenttype", "image/png", true)
	f.Add([]byte("0"), "ce-data", "image/png", true)
	f.Fuzz(func(t *testing.T, body []byte, name, value string, binary bool) {
		var e Event
		var r *Refusal
		if binary {
			e, r = ParseBinaryEvent([]string{"ce-authid", "u", "ce-id", "e1", "ce-source", "/crm", "ce-specversion", "1.0", "ce-type", "t", name, value}, body)
		} else {
			e, r = ParseEvent(body)
		}
		if r != nil {
			return
		}
		told := tells(e, nil)
		printed := e.Append(nil)
		if len(printed) <= MaxRecord {
			again, r := ParseEvent(printed)
			if r != nil {
				t.Fatalf("%s printed from an event is none: %v", printed, r)
			}
			if got := tells(again, nil); got != told {
				t.Fatalf("printed anew it tells\n%s\nbefore\n%s", got, told)
			}
			if next := again.Append(nil); !bytes.Equal(next, printed) {
				t.Fatalf("printed twice:\n%s\n%s", printed, next)
			}
		}
		if told[0] != '{' {
			return
		}
		var k Keys
		if r := Scan([]byte(told), &k); r != nil || !jsontext.Value(told).IsValid() || !utf8.ValidString(told) {
			t.Fatalf("%s: %v", told, r)
		}
		if k.ID != e.Get("id") || k.Producer != e.Get("source") || k.Type != e.Get("type") {
			t.Fatalf("%s says another id, producer or type than %+v", told, e.Attributes)
		}
	})
}
