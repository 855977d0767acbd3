package query

import (
	"cmp"
	"encoding/csv"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"annals/activity"
	"annals/activity/face"
	"annals/internal/access"
	"annals/internal/problem"
	"annals/ledger/chain"
	"annals/projections"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Feed is what happened, told for people, day by day.
type Feed struct {
	Zone      string    `json:"tz"`
	Days      []FeedDay `json:"days"`
	Next      string    `json:"next_cursor,omitzero"`
	Total     uint64    `json:"total"`
	Truncated bool      `json:"truncated,omitzero"`
	AsOf      Moment    `json:"as_of"`
}

// FeedDay is a day of a feed.
type FeedDay struct {
	Date  string     `json:"date"`
	Items []FeedItem `json:"items"`
}

// FeedItem is one thing that happened.
type FeedItem struct {
	ULID       string            `json:"ulid"`
	Kind       string            `json:"kind"`
	Type       string            `json:"type,omitzero"`
	Label      string            `json:"label,omitzero"`
	OccurredAt string            `json:"occurred_at"`
	RecordedAt string            `json:"recorded_at"`
	Actor      *FeedActor        `json:"actor,omitzero"`
	Sentence   *FeedSentence     `json:"sentence,omitzero"`
	Changes    []activity.Change `json:"changes,omitzero"`
	Grade      string            `json:"grade,omitzero"`
	Erased     bool              `json:"erased,omitzero"`
	Links      *FeedLinks        `json:"links"`
	fields     map[string]bool   // that it says something of
	object     *activity.Object  // for the export
}

// FeedActor is who acted.
type FeedActor struct {
	Type     string `json:"type,omitzero"`
	ID       string `json:"id,omitzero"`
	Name     string `json:"name"`
	Initials string `json:"initials"`
}

// FeedSentence is what a record tells.
type FeedSentence struct {
	Text  string            `json:"text"`
	Parts activity.Sentence `json:"parts"`
}

// FeedLinks are paths of the API.
type FeedLinks struct {
	Record string `json:"record"`
	Actor  string `json:"actor,omitzero"`
	Object string `json:"object,omitzero"`
}

// maxExport is how many records an export has.
const maxExport = projections.MaxLimit

const csvMedia = "text/csv; charset=utf-8"

// feedOperations are the feed's rows.
func feedOperations(page, whole []string, problems []problem.Code) []operation {
	const told = "Newest first, grouped by day in the time zone of `tz` (docs/feed.md): each with its sentence, who acted and their initials, old and new values, and links. Filters and pages are a timeline's."
	return []operation{
		{
			path: "/v1/workspaces/{ws}/feed", id: "workspace-feed", summary: "A workspace's news", description: told,
			parameters: append([]string{"ws", "tz", "feed-field"}, page...), mediaType: jsonMedia, schema: feedSchema,
			access: inWorkspace(access.Read), work: ptr(access.Query), answer: (*API).feed, problems: problems,
		},
		{
			path: "/v1/workspaces/{ws}/feed.csv", id: "workspace-feed-export", summary: "A workspace's news as a table",
			description: "The same as CSV (RFC 4180), all of it at once: at most " + strconv.Itoa(maxExport) + " records; more are refused, and `since` and `until` part them. " +
				"A cell that a spreadsheet would take for a formula begins with an apostrophe.",
			parameters: append([]string{"ws", "tz"}, whole...), mediaType: csvMedia,
			access: inWorkspace(access.Read), work: ptr(access.Query), answer: (*API).feedExport, problems: problems,
		},
		{
			path: "/v1/workspaces/{ws}/objects/{type}/{id}/feed", id: "object-feed", summary: "An object's history, told",
			description: "What was done to an object, and the records that link it. " + told,
			parameters:  append([]string{"ws", "object-type", "object-id", "tz", "feed-field"}, page...), mediaType: jsonMedia, schema: feedSchema,
			access: ofObject(access.Read), work: ptr(access.Query), answer: (*API).feed, problems: problems,
		},
	}
}

func init() {
	parameters["feed-field"] = &parameter{
		name: "field", in: inQuery, filter: true, example: "name",
		about:  "Only records that say something of this field, in `changes` or `data`, and of these only its change. It chooses among the records of a page, so pages hold fewer.",
		schema: nonEmpty,
		parse: func(f *filter, said said, v string) (problem.Code, string) {
			if said.not {
				return "not_here", "a field is asked for, not left out"
			}
			if len(f.fields) == MaxRanges {
				return "too_many_values", "at most " + strconv.Itoa(MaxRanges) + " fields"
			}
			f.fields = append(f.fields, v)
			return text(v)
		},
	}
}

// inZone finds the time zone that a feed is told in.
func (a *API) inZone(f *filter) (*time.Location, error) {
	name := cmp.Or(f.counting.tz, "UTC")
	zone, ok := a.zones.of(name)
	if !ok {
		return nil, problem.Parameter("tz", "unknown_zone", strconv.Quote(name)+" is no time zone; use an IANA name such as Europe/Berlin, or UTC")
	}
	return zone, nil
}

// feed answers one page.
func (a *API) feed(w http.ResponseWriter, r *http.Request, f *filter) error {
	zone, err := a.inZone(f)
	if err != nil {
		return err
	}
	found, err := a.sheet(r.Context(), f)
	if err != nil {
		return err
	}
	defer found.view.Close()
	out := Feed{
		Zone: zone.String(), Days: []FeedDay{}, Total: found.total.N, Truncated: found.cut(),
		AsOf: Moment{found.moment.size, found.moment.root.String()},
	}
	shown, err := a.told(found.Indexes, f, zone, func(at time.Time, item *FeedItem) error {
		if !item.keep(f.fields) {
			return nil
		}
		date := at.Format(time.DateOnly)
		if n := len(out.Days); n == 0 || out.Days[n-1].Date != date {
			out.Days = append(out.Days, FeedDay{Date: date})
		}
		day := &out.Days[len(out.Days)-1]
		day.Items = append(day.Items, *item)
		return nil
	})
	if err != nil {
		return err
	}
	if err := found.endAt(r.Context(), shown); err != nil {
		return err
	}
	out.Next = a.next(found, f)
	body, err := json.Marshal(&out)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", cacheControl)
	return write(w, jsonMedia, body)
}

// told reads the entries at some indexes as items of a feed, until they are more than
// a page holds, and says how many it read: one at least. at is the time that the order
// goes by.
func (a *API) told(indexes []uint64, f *filter, zone *time.Location, fn func(at time.Time, item *FeedItem) error) (read int, err error) {
	it, size := newItem(a, f), 0
	err = a.each(f.turn, indexes, func(leaf *chain.Leaf, _ chain.Hash) error {
		if size > maxPage {
			return errFull
		}
		read++
		e := &leaf.Entry
		recorded := recordedAt(e).In(zone)
		occurred := recorded
		item := &FeedItem{ULID: e.ULID.String(), Kind: e.Kind.String(), RecordedAt: recorded.Format(feedTime)}
		item.Links = &FeedLinks{Record: "/v1/workspaces/" + f.workspace + "/records/" + item.ULID}
		if e.Grade != chain.GradeNone {
			item.Grade = e.Grade.String()
		}
		_, shown := it.payload(leaf)
		item.Type = shown.typ
		words, err := it.words(e.Index)
		if err != nil {
			return err
		}
		if d, ok := words.Lookup(shown.typ); ok {
			item.Label = d.Label
		}
		size += 512 + 2*len(shown.record)
		item.Erased = leaf.Payload == nil && e.Kind.HasRecord()
		if shown.record != nil && e.Kind.HasRecord() {
			r, err := activity.Parse(shown.record)
			if err != nil {
				return err
			}
			r.Type = shown.typ
			item.tell(r, words, f.workspace)
			if t, ok := activity.Occurred(r.OccurredAt); ok {
				occurred = t.In(zone)
			}
		}
		item.OccurredAt = occurred.Format(feedTime)
		at := recorded
		if f.order == projections.ByOccurred {
			at = occurred
		}
		return fn(at, item)
	})
	if errors.Is(err, errFull) {
		err = nil
	}
	return read, err
}

// feedTime is how a feed writes times: RFC 3339 to the millisecond, with the zone's
// offset.
const feedTime = "2006-01-02T15:04:05.000Z07:00"

// tell fills in what the record says.
func (i *FeedItem) tell(r *activity.Record, words *activity.Vocabulary, workspace string) {
	s := words.Describe(r)
	i.Sentence = &FeedSentence{Text: s.String(), Parts: s}
	i.Changes, i.object = r.Changes, r.Object
	base := "/v1/workspaces/" + workspace
	if a := r.Actor; a != nil {
		name := cmp.Or(a.Name, a.Login, a.Email, a.ID, a.Type)
		i.Actor = &FeedActor{Type: a.Type, ID: a.ID, Name: name, Initials: activity.Initials(name)}
		if a.ID != "" {
			i.Links.Actor = base + "/users/" + escaped(a.ID) + "/timeline"
		}
	}
	if o := r.Object; o != nil && o.Type != "" && o.ID != "" {
		i.Links.Object = base + "/objects/" + escaped(o.Type) + "/" + escaped(o.ID) + "/history"
	}
	i.fields = map[string]bool{}
	for _, c := range r.Changes {
		i.fields[c.Field] = true
	}
	for m := range membersOf(r.Data) {
		i.fields[m.key] = true
	}
}

// keep reports whether an item says something of one of the fields, where any is asked
// for, and leaves of its changes only those.
func (i *FeedItem) keep(fields []string) bool {
	if len(fields) == 0 {
		return true
	}
	kept, found := []activity.Change(nil), false
	for _, field := range fields {
		found = found || i.fields[field]
		for _, c := range i.Changes {
			if c.Field == field {
				kept = append(kept, c)
			}
		}
	}
	i.Changes = kept
	return found
}

// escaped is a text as a segment of a path: dots too, for . and .. are no segments.
func escaped(s string) string {
	return strings.ReplaceAll(url.PathEscape(s), ".", "%2E")
}

// feedExport answers all of a feed as a table.
func (a *API) feedExport(w http.ResponseWriter, r *http.Request, f *filter) error {
	zone, err := a.inZone(f)
	if err != nil {
		return err
	}
	f.limit = maxExport
	found, err := a.sheet(r.Context(), f)
	if err != nil {
		return err
	}
	defer found.view.Close()
	if found.More || found.Truncated {
		return problem.Parameter("until", "too_broad", "an export has at most "+strconv.Itoa(maxExport)+" records, and these are more: give since and until, or other filters")
	}
	var b strings.Builder
	table := csv.NewWriter(&b)
	table.UseCRLF = true
	_ = table.Write(face.FeedColumns) // to memory
	for rest := found.Indexes; len(rest) > 0; {
		n, err := a.told(rest, f, zone, func(_ time.Time, item *FeedItem) error { return table.Write(item.row()) })
		if err != nil {
			return err
		}
		rest = rest[n:]
	}
	table.Flush()
	if err := table.Error(); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Cache-Control", cacheControl)
	h.Set("Content-Disposition", `attachment; filename="feed-`+f.workspace+`.csv"`)
	return write(w, csvMedia, []byte(b.String()))
}

// row is an item as a line of an export.
func (i *FeedItem) row() []string {
	var actor FeedActor
	if i.Actor != nil {
		actor = *i.Actor
	}
	var object activity.Object
	if i.object != nil {
		object = *i.object
	}
	sentence := ""
	switch {
	case i.Sentence != nil:
		sentence = i.Sentence.Text
	case i.Erased:
		sentence = face.FeedErased
	}
	var changes []string
	for _, c := range i.Changes {
		changes = append(changes, c.Field+": "+valueOr(c.Old)+" → "+valueOr(c.New))
	}
	row := []string{
		i.OccurredAt, i.RecordedAt, actor.Type, actor.ID, actor.Name, i.Type, i.Label, object.Type, object.ID, object.Name, sentence, strings.Join(changes, "; "), i.Grade, i.Kind, i.ULID,
	}
	for n := range row {
		row[n] = inert(row[n])
	}
	return row
}

func valueOr(v jsontext.Value) string {
	if v == nil {
		return "—"
	}
	return string(v)
}

// inert keeps a spreadsheet from taking a text for a formula (OWASP, CSV injection):
// what was recorded comes from anybody. A text that begins with the apostrophe gets
// another, so that whoever reads the table takes one away from each that has one.
func inert(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r\n'", rune(s[0])) {
		return "'" + s
	}
	return s
}
