package activity

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// ParseBinaryEvent takes an event in binary mode apart: its attributes are the values
// of headers whose names begin with ce-, its data is the body. header returns them as
// name and value in turn; a Content-Type among them says what the data is where
// ce-datacontenttype does not, which is how HTTP says it.
//
// Of a header that is no attribute, or stands there twice, the refusal comes first, in
// the headers' order, then which attributes are missing ([Event.check]), then what is
// wrong with a body that is to be JSON or text.
func ParseBinaryEvent(header []string, body []byte) (Event, *Refusal) {
	var e Event
	content := ""
	for i, last := 0, ""; i+1 < len(header); i += 2 {
		name, is := strings.CutPrefix(header[i], "ce-")
		switch {
		case header[i] == "Content-Type" && content == "":
			content = header[i+1]
			continue
		case !is:
			continue
		case !validAttribute(name):
			return Event{}, refuse(CodeInvalidEvent, "", "the header "+quote(header[i])+" is no attribute: behind ce- stand the characters a-z 0-9 only")
		case name == "data":
			return Event{}, invalidEvent(name, "the header "+header[i]+" is no attribute: data is the body, and what the JSON event format calls it")
		case name == last:
			return Event{}, invalidEvent(name, "the header "+header[i]+" stands there twice")
		}
		last = name
		value, ok := headerValue(header[i+1])
		if !ok {
			return Event{}, invalidEvent(name, "the value of the header "+header[i]+" is not UTF-8 once its percent-encoding is undone")
		}
		e.set(name, value)
	}
	if r := e.check(); r != nil {
		return Event{}, r
	}
	media := e.Get("datacontenttype")
	if media == "" && content != "" {
		if value, ok := headerValue(content); ok {
			media = value
			e.set("datacontenttype", media)
		}
	}
	if r := e.take(body, media); r != nil {
		return Event{}, r
	}
	return e, e.check() // which sorts what was added
}

// take takes the body over as data of a media type. Without one it is JSON, as in the
// JSON event format.
func (e *Event) take(body []byte, media string) *Refusal {
	media, _, _ = strings.Cut(strings.ToLower(media), ";")
	media = strings.Trim(media, " \t")
	_, sub, _ := strings.Cut(media, "/")
	switch {
	case len(body) == 0:
		return nil
	case media == "" || sub == "json" || strings.HasSuffix(sub, "+json"):
		if r := value(body); r != nil {
			return r
		}
		from := skipSpace(body, 0)
		to := len(body)
		for isSpace(body[to-1]) {
			to--
		}
		e.Data = body[from:to:to]
	case strings.HasPrefix(media, "text/"):
		if !utf8.Valid(body) {
			return refuse(CodeInvalidUTF8, "", "the event's data is text that is not UTF-8")
		}
		e.Data, _ = jsontext.AppendQuote(nil, body)
	default:
		e.Data, e.Base64 = make([]byte, 0, 2+base64.StdEncoding.EncodedLen(len(body))), true
		e.Data = append(base64.StdEncoding.AppendEncode(append(e.Data, '"'), body), '"')
	}
	return nil
}

// headerValue undoes what a binding does to an attribute's value to make it a header's
// (HTTP binding, 3.1.3.2, and NATS binding alike): a quoted string, then one round of
// percent-encoding. A percent sign that begins no code stands for itself.
func headerValue(s string) (string, bool) {
	s = strings.Trim(s, " \t")
	if n := len(s); n >= 2 && s[0] == '"' && s[n-1] == '"' {
		s = unescaped(s[1 : n-1])
	}
	if strings.IndexByte(s, '%') < 0 {
		return s, utf8.ValidString(s)
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if high, low := hexDigit(s[i+1]), hexDigit(s[i+2]); high >= 0 && low >= 0 {
				b = append(b, byte(high<<4|low))
				i += 2
				continue
			}
		}
		b = append(b, s[i])
	}
	return string(b), utf8.Valid(b)
}

// unescaped undoes the backslashes of a quoted string (RFC 9110, 5.6.4).
func unescaped(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b = append(b, s[i])
	}
	return string(b)
}

func hexDigit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
