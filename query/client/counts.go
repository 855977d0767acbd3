package client

import (
	"context"
	"net/url"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// What entries can be counted by besides the values of a [Field].
const (
	Day  = "day"
	Hour = "hour"
)

// Counting says what is to be counted.
type Counting struct {
	Filter
	By       string // [Day], [Hour], or a [Field]
	Occurred bool   // days and hours of when it occurred, not of when it was recorded
	Zone     string // of days and hours: an IANA time zone; "": UTC
	Top      int    // of values: how many to show; 0: the server's default, 20

	Known string // as in [Query]
}

// Counts are numbers of entries.
type Counts struct {
	By        string  `json:"by"`
	Time      string  `json:"time"` // of days and hours: recorded or occurred
	Zone      string  `json:"tz"`
	Counts    []Count `json:"counts"`
	Distinct  uint64  `json:"distinct"`  // values that there are
	Other     uint64  `json:"other"`     // entries with none of the values shown; 0 where Truncated
	Total     uint64  `json:"total"`     // entries
	Truncated bool    `json:"truncated"` // the work was cut short: all numbers are at least so many
	AsOf      Moment  `json:"as_of"`

	ETag string         `json:"-"`
	Raw  jsontext.Value `json:"-"`
}

// Count is how many entries a day, an hour or a value has.
type Count struct {
	Start time.Time `json:"start"` // of a day or hour, in its zone
	Value string    `json:"value"` // as the filter of its field takes it
	N     uint64    `json:"n"`
}

// Counts counts a workspace's entries.
func (c *Client) Counts(ctx context.Context, workspace string, n Counting) (*Counts, error) {
	q, err := n.parameters()
	if err != nil {
		return nil, err
	}
	q.Set("by", n.By)
	if n.Occurred {
		q.Set("time", "occurred")
	}
	if n.Zone != "" {
		q.Set("tz", n.Zone)
	}
	if n.Top != 0 {
		q.Set("top", strconv.Itoa(n.Top))
	}
	a, err := c.Get(ctx, "/v1/workspaces/"+url.PathEscape(workspace)+"/counts", q, n.Known)
	if err != nil {
		return nil, err
	}
	out := &Counts{Raw: a.Body, ETag: a.Header.Get("ETag")}
	if err := json.Unmarshal(a.Body, out); err != nil {
		return nil, Foreign(err)
	}
	return out, nil
}
