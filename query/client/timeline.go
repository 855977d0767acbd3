package client

import (
	"context"
	"iter"
	"net/url"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// MaxLimit is the most records that a server puts on a page.
const MaxLimit = 1000

// Query says which page of a timeline is meant.
type Query struct {
	Filter
	ByOccurred bool   // in the order in which things happened, not in which they were recorded
	Oldest     bool   // oldest first, instead of newest
	Limit      int    // records on a page, at most [MaxLimit]; 0: the server's default, 50
	Cursor     string // NextCursor of the page before, with all else as it was
	Sentences  bool   // what each record tells, in words

	// Known is the ETag of a page at hand that was asked for in the same way. Where
	// it still holds the answer is [ErrNotModified].
	Known string
}

func (q *Query) parameters() (url.Values, error) {
	v, err := q.Filter.parameters()
	if err != nil {
		return nil, err
	}
	set := func(name, value string, is bool) {
		if is {
			v.Set(name, value)
		}
	}
	set("order", "occurred", q.ByOccurred)
	set("first", "oldest", q.Oldest)
	set("limit", strconv.Itoa(q.Limit), q.Limit != 0)
	set("cursor", q.Cursor, q.Cursor != "")
	set("with", "sentence", q.Sentences)
	return v, nil
}

// Moment is what an answer speaks of: the ledger at a tree size.
type Moment struct {
	Size uint64 `json:"size"` // ask with AsOf for the same again
	Root string `json:"root"` // RFC 6962 tree hash, in hexadecimal
}

// Page is one page of a timeline.
type Page struct {
	Items      []Item `json:"-"`
	NextCursor string `json:"next_cursor"` // "": it is the last page
	Total      uint64 `json:"total"`       // matches on all pages together
	Truncated  bool   `json:"truncated"`   // the search was cut short: Total is at least so many
	AsOf       Moment `json:"as_of"`

	ETag string         `json:"-"` // give it as Known
	Raw  jsontext.Value `json:"-"` // all of it, as it came
}

// Item is one entry of the ledger.
type Item struct {
	ULID       string    `json:"ulid"`
	Index      uint64    `json:"index"`
	Kind       string    `json:"kind"`
	Workspace  string    `json:"workspace"`
	Type       string    `json:"type"`
	RecordedAt time.Time `json:"recorded_at"`
	StreamTime time.Time `json:"stream_time"`
	EntryHash  string    `json:"entry_hash"`
	Grade      string    `json:"grade"`
	Sequence   uint64    `json:"sequence"` // of the stream's message
	Place      uint64    `json:"place"`    // in the message, from 0
	Epoch      uint64    `json:"epoch"`
	Ref        *struct { // the original of a duplicate or conflict, or what is amended
		Index uint64 `json:"index"`
		ULID  string `json:"ulid"` // "": of another workspace
	} `json:"ref"`
	Reason *struct { // of a rejection
		Code   uint16 `json:"code"`
		Name   string `json:"name"`
		Advice string `json:"advice"`
	} `json:"reason"`
	Sentence *struct {
		Text string `json:"text"`
	} `json:"sentence"`
	// Erased is by what the payload was erased; nil where it wasn't. Then there is no
	// record, and nothing that was read out of one.
	Erased *struct {
		At      time.Time `json:"at"`
		By      string    `json:"by"`      // the role that signed
		Reason  string    `json:"reason"`  // "": a seed, which went with the last that it salted
		Control string    `json:"control"` // ULID of the statement's entry
		Rule    string    `json:"rule"`    // of an expiry: the ULID of its rule's entry
	} `json:"erased"`
	// Of one record alone ([Client.Record]): what amends it, in the ledger's order, when
	// it was last amended, and its data as amended (docs/amendments.md).
	Amendments []Item         `json:"amendments"`
	More       bool           `json:"more"` // there are more than these
	ModifiedAt time.Time      `json:"modified_at"`
	Present    jsontext.Value `json:"present"`

	Control string         `json:"control"`
	TraceID string         `json:"trace_id"` // W3C Trace Context; "": not known
	SpanID  string         `json:"span_id"`
	Door    jsontext.Value `json:"door"`
	Record  jsontext.Value `json:"record"` // as it was published
	Text    string         `json:"text"`   // of a rejection whose payload is no JSON object

	Raw jsontext.Value `json:"-"` // all of it, as it came
}

// Parse reads an item as the API prints one.
func (i *Item) Parse(raw jsontext.Value) error {
	i.Raw = raw
	if err := json.Unmarshal(raw, i); err != nil {
		return Foreign(err)
	}
	return nil
}

// Timeline asks for one page of a workspace's timeline.
func (c *Client) Timeline(ctx context.Context, workspace string, q Query) (*Page, error) {
	parameters, err := q.parameters()
	if err != nil {
		return nil, err
	}
	a, err := c.Get(ctx, "/v1/workspaces/"+url.PathEscape(workspace)+"/timeline", parameters, q.Known)
	if err != nil {
		return nil, err
	}
	var body struct {
		Page    `json:",inline"`
		Records []jsontext.Value `json:"records"`
	}
	if err := json.Unmarshal(a.Body, &body); err != nil {
		return nil, Foreign(err)
	}
	p := &body.Page
	p.Raw, p.ETag = a.Body, a.Header.Get("ETag")
	p.Items = make([]Item, len(body.Records))
	for i, raw := range body.Records {
		if err := p.Items[i].Parse(raw); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// All iterates a workspace's timeline, page by page from the query's on, as it
// stood at the first one: each entry comes once, whatever is recorded meanwhile.
// An error ends it.
func (c *Client) All(ctx context.Context, workspace string, q Query) iter.Seq2[*Item, error] {
	return func(yield func(*Item, error) bool) {
		for {
			p, err := c.Timeline(ctx, workspace, q)
			if err != nil {
				yield(nil, err)
				return
			}
			for i := range p.Items {
				if !yield(&p.Items[i], nil) {
					return
				}
			}
			if p.NextCursor == "" {
				return
			}
			q.Cursor, q.Known = p.NextCursor, ""
		}
	}
}

// Record asks for one entry, of any kind, with what it tells in words.
func (c *Client) Record(ctx context.Context, workspace, ulid string) (*Item, error) {
	a, err := c.Get(ctx, "/v1/workspaces/"+url.PathEscape(workspace)+"/records/"+url.PathEscape(ulid), url.Values{"with": {"sentence"}}, "")
	if err != nil {
		return nil, err
	}
	item := new(Item)
	return item, item.Parse(a.Body)
}
