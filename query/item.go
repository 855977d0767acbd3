package query

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strconv"
	"time"
	"unicode/utf8"

	"annals/activity"
	"annals/ledger"
	"annals/ledger/chain"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// item prints entries of one answer, one after the other.
type item struct {
	api      *API
	filter   *filter
	keys     activity.Keys
	asked    string // the type of all of them, where the page asks for one
	sentence bool

	catalogues ledger.Catalogues // see words
	looked     bool

	// What the item before said; most say the same again.
	spelt   []byte
	subject chain.Subject
	typ     string
	day     day
}

func newItem(a *API, f *filter) *item {
	return &item{api: a, filter: f, asked: f.onlyType(), sentence: f.sentence}
}

// times as items print them: UTC, to the millisecond of the ULID, and to the
// nanosecond of the stream. A ULID's time comes from a stream's, and is within
// what nanoseconds since 1970 hold.
const (
	recordedText   = "2006-01-02T15:04:05.000Z"
	recordedDigits = 3
	streamDigits   = 9
)

// append appends an entry as JSON. The record's bytes are copied, not printed
// again, so that what a client hashes is what was published.
func (it *item) append(b []byte, leaf *chain.Leaf, hash chain.Hash) ([]byte, error) {
	e := &leaf.Entry
	b = append(b, `{"ulid":"`...)
	b = append(b, make([]byte, 26)...)
	if err := e.ULID.MarshalTextTo(b[len(b)-26:]); err != nil {
		return b, err
	}
	b = append(b, `","index":`...)
	b = strconv.AppendUint(b, e.Index, 10)
	b = append(b, `,"kind":"`...)
	b = append(b, e.Kind.String()...)
	b = append(b, `","workspace":"`...) // a legal name has nothing to escape
	b = append(b, it.filter.workspace...)
	b = append(b, '"')

	door, payload := it.payload(leaf)
	if payload.typ != "" {
		b = append(b, `,"type":"`...)
		b = append(b, payload.typ...)
		b = append(b, '"')
	}
	b = append(b, `,"recorded_at":`...)
	b = it.day.append(b, int64(e.ULID.Time())*int64(time.Millisecond), recordedDigits)
	b = append(b, `,"stream_time":`...)
	b = it.day.append(b, e.Timestamp, streamDigits)
	b = append(b, `,"entry_hash":`...)
	b = appendHash(b, hash)
	if e.Grade != chain.GradeNone {
		b = append(b, `,"grade":"`...)
		b = append(b, e.Grade.String()...)
		b = append(b, '"')
	}
	b = append(b, `,"sequence":`...)
	b = strconv.AppendUint(b, e.Sequence, 10)
	b = append(b, `,"place":`...)
	b = strconv.AppendUint(b, uint64(e.Place), 10)
	b = append(b, `,"epoch":`...)
	b = strconv.AppendUint(b, uint64(e.Epoch), 10)
	b, err := it.ref(b, e)
	if err != nil {
		return b, err
	}
	b = appendByKind(b, e)
	if b, err = it.erased(b, leaf); err != nil {
		return b, err
	}
	if it.sentence && payload.record != nil && e.Kind != chain.KindRejection {
		words, err := it.words(e.Index)
		if err != nil {
			return b, err
		}
		b = appendSentence(b, payload.record, payload.typ, words)
	}
	b = appendTrace(b, leaf, door)
	if door != nil {
		b = append(b, `,"door":`...)
		b = append(b, door...)
	}
	if event := published(leaf); event != nil {
		b = append(b, `,"event":`...)
		b = append(b, event...)
	}
	switch {
	case payload.record != nil:
		b = append(b, `,"record":`...)
		b = append(b, payload.record...)
	case payload.text != nil:
		b = append(b, `,"text":`...)
		b, _ = jsontext.AppendQuote(b, payload.text)
	case payload.raw != nil:
		b = append(b, `,"raw":"`...)
		b = base64.StdEncoding.AppendEncode(b, payload.raw)
		b = append(b, '"')
	}
	return append(b, '}'), nil
}

// published returns the CloudEvent that tells the item's record, in the JSON event
// format: as it was published, where it was published so. nil: none does.
func published(leaf *chain.Leaf) []byte {
	e, ok := leaf.Event()
	if !ok {
		return nil
	}
	if leaf.Attributes() == nil {
		_, bytes := leaf.Record()
		return bytes
	}
	return e.Append(nil)
}

// shown is what of a payload an item shows: at most one of record, text and raw.
type shown struct {
	typ    string
	record []byte // a JSON object that nobody can read in two ways
	text   []byte // no such object, but UTF-8
	raw    []byte // anything else
}

// payload says what of an entry's payload is shown. Of control messages, and of
// rejected ones, nothing is: their secret part may hold a seed or the workspace
// key.
func (it *item) payload(leaf *chain.Leaf) (door []byte, s shown) {
	e := &leaf.Entry
	if e.Kind == chain.KindControl || leaf.Payload == nil {
		return nil, s
	}
	if spelt := leaf.Payload.SubjectBytes(); it.spelt == nil || !bytes.Equal(spelt, it.spelt) {
		it.spelt = append(it.spelt[:0:0], spelt...)
		it.subject = leaf.Subject()
	}
	subject := &it.subject
	s.typ = subject.Type
	if subject.Root == chain.RootControl {
		return nil, s
	}
	door, record := leaf.Shown()
	if e.Kind != chain.KindRejection {
		s.record = record
		if s.typ == "" {
			s.typ = it.asked
		}
		if s.typ == "" && record != nil {
			s.typ = it.typeOf(record)
		}
		return door, s
	}
	if subject.Code != 0 { // then its type is no legal one
		s.typ = ""
	}
	switch refused := activity.Scan(record, &it.keys); {
	case record == nil:
	case refused == nil, readable(refused.Code):
		s.record = record
	case utf8.Valid(record):
		s.text = record
	default:
		s.raw = record
	}
	return door, s
}

// readable reports whether bytes refused with a code are an object within the
// bounds all the same: safe to embed, and for a strict reader to read. The codes
// below it are of syntax, bounds and of values that are no object.
func readable(c activity.Code) bool { return c >= activity.CodeWrongType }

// ref appends which entry another one names: the original of a duplicate or
// conflict, or what a record amends. The ULID stands there only when that entry
// is of the same workspace: a record may name any.
func (it *item) ref(b []byte, e *chain.Entry) ([]byte, error) {
	if e.Ref == chain.NoRef {
		return b, nil
	}
	b = append(b, `,"ref":{"index":`...)
	b = strconv.AppendUint(b, e.Ref, 10)
	leaf, _, err := it.api.o.Ledger.Get(e.Ref)
	switch {
	case errors.Is(err, ledger.ErrNotFound):
	case err != nil:
		return b, err
	case leaf.Entry.Workspace == e.Workspace:
		b = append(b, `,"ulid":"`...)
		b = append(b, leaf.Entry.ULID.String()...)
		b = append(b, '"')
	}
	return append(b, '}'), nil
}

// appendByKind appends what only entries of a kind have.
func appendByKind(b []byte, e *chain.Entry) []byte {
	switch e.Kind {
	case chain.KindRejection:
		name, advice := chain.Reason(e.Code)
		b = append(b, `,"reason":{"code":`...)
		b = strconv.AppendUint(b, uint64(e.Code), 10)
		b = append(b, `,"name":"`...)
		b = append(b, name...)
		b = append(b, `","advice":`...)
		b, _ = jsontext.AppendQuote(b, advice)
		b = append(b, '}')
	case chain.KindDuplicate:
		// false: the original was erased, so it can't be said whether they are the same
		b = append(b, `,"compared":`...)
		b = strconv.AppendBool(b, e.Code == chain.DuplicateSame)
	case chain.KindControl:
		b = append(b, `,"control":"`...)
		b = append(b, chain.ControlType(e.Code).String()...)
		b = append(b, '"')
	case chain.KindGap:
		if g, err := e.Gap(); err == nil {
			b = append(b, `,"gap":{"first":`...)
			b = strconv.AppendUint(b, g.First, 10)
			b = append(b, `,"last":`...)
			b = strconv.AppendUint(b, g.Last, 10)
			b = append(b, '}')
		}
	}
	return b
}

// appendSentence appends what a record tells, for people. It is asked for by
// with=sentence: to parse a record costs more than all the rest of its item.
func appendSentence(b, record []byte, typ string, words *activity.Vocabulary) []byte {
	r, err := activity.Parse(record)
	if err != nil {
		return b
	}
	r.Type = typ
	s := words.Describe(r)
	parts, err := json.Marshal(s)
	if err != nil {
		return b
	}
	b = append(b, `,"sentence":{"text":`...)
	b, _ = jsontext.AppendQuote(b, s.String())
	b = append(b, `,"parts":`...)
	b = append(b, parts...)
	return append(b, '}')
}

func appendHash(b []byte, h chain.Hash) []byte {
	b = append(b, '"')
	b = hex.AppendEncode(b, h[:])
	return append(b, '"')
}
