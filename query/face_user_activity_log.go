package query

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"strconv"
	"time"

	"annals/activity"
	"annals/activity/face"
	"annals/internal/access"
	"annals/internal/problem"
	"annals/ledger"
	"annals/ledger/chain"
	"annals/projections"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"
	"github.com/oklog/ulid/v2"
)

// LogPath is where the billing platform's user activity log is read. The path of the
// list is published with a slash at its end, and answers without one too.
const LogPath = "/backend/api/v1/userActivityLog"

// Bounds of a page of the log.
const (
	defaultLog = 100
	// maxLogSearches is how often one answer asks the indexes, for a thousand entries each
	// time, to find those that are asked for.
	maxLogSearches = 20
)

// logging is what a request for the log asks.
type logging struct {
	entry string // the id that the path names
	from  uint64 // the first index that may be shown
	limit int
	want  face.LogWant
	zone  *time.Location
}

// want notes that a field has to have a value.
func (l *logging) must(field, v string) {
	if l.want == nil {
		l.want = face.LogWant{}
	}
	l.want[field] = v
}

// logOperations are the two of the log.
func logOperations() []operation {
	fields := []string{"log-idAfter", "log-createdSince", "log-updatedSince"}
	for _, f := range face.LogFilters {
		fields = append(fields, "log-"+f.Field)
	}
	const about = " activityDate and activityTime are those of when it occurred, in the zone that `tz` names, else the workspace's, else UTC: the header " + LogZoneHeader + " states it."
	return []operation{
		{
			path: LogPath, id: "user-activity-log", summary: "The billing platform's log: the list",
			description: "Entries of the user activity log, under its published names, in ascending order of their ids: who asks for what is behind the last id that was seen misses nothing and sees nothing twice." +
				" An answer can be shorter than `limit`: the header Link (rel=next) says where to go on, and that there may be more." + about,
			parameters: append(append([]string{access.WorkspaceHeader}, fields...), "log-limit", "log-tz"),
			mediaType:  jsonMedia, schema: logListSchema, access: onFace(access.Read), work: ptr(access.Query), answer: (*API).logList,
			problems: []problem.Code{problem.InvalidParameter, problem.UnknownParameter, problem.BadRequest, problem.Behind, problem.Internal},
		},
		{
			path: LogPath + "/{id}", id: "user-activity-log-entry", summary: "The billing platform's log: one entry",
			description: "One entry of the user activity log, by its id, or by its ULID." + about,
			parameters:  []string{access.WorkspaceHeader, "log-id", "log-tz"},
			mediaType:   jsonMedia, schema: logEntrySchema, access: onFace(access.Read), answer: (*API).logEntry,
			problems: []problem.Code{problem.InvalidParameter, problem.UnknownParameter, problem.NoSuchRecord, problem.Internal},
		},
	}
}

func logEntrySchema(r huma.Registry) *huma.Schema {
	ref := r.Schema(reflect.TypeFor[face.LogEntry](), true, "")
	s := r.SchemaFromRef(ref.Ref)
	for _, name := range []string{"bulkImportFileLineNumber", "CDRFileLineNumber"} {
		s.Properties[name] = &huma.Schema{Description: "A number, or null."}
	}
	s.Properties["activityDate"].Format = "date"
	return ref
}

func logListSchema(r huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeArray, Items: logEntrySchema(r), MaxItems: ptr(MaxLimit)}
}

func init() {
	moment := func(name, about string, set func(f *filter, ms int64)) {
		parameters["log-"+name] = &parameter{
			name: name, in: inQuery, example: "2026-11-01T00:00:00Z", about: about + " RFC 3339; without a zone it is UTC.", schema: nonEmpty,
			parse: func(f *filter, _ said, v string) (problem.Code, string) {
				t, ok := face.LogTime(v)
				if !ok {
					return "invalid_time", "a time is RFC 3339, such as 2026-11-22T08:00:00Z; percent-encode a + in the query as %2B"
				}
				ms := t.UnixMilli()
				if t.Nanosecond()%int(time.Millisecond) != 0 {
					ms++ // what is recorded is known to the millisecond
				}
				set(f, ms)
				return "", ""
			},
		}
	}
	moment("createdSince", "Entries that were recorded at or after this time.", func(f *filter, ms int64) { f.since = ms })
	moment("updatedSince", "Entries that were recorded, or last amended, at or after this time.", func(f *filter, ms int64) { f.updatedSince = ms })
	parameters["log-idAfter"] = &parameter{
		name: "idAfter", in: inQuery, example: 1048576, about: "Entries with a higher id: an id of an entry, or its ULID.", schema: nonEmpty,
		parse: func(f *filter, _ said, v string) (problem.Code, string) {
			index, ok := logIndex(v)
			if !ok {
				return "invalid_id", strconv.Quote(v) + " is no id: it is a whole number, as `id` of an entry, or a ULID"
			}
			f.logging.from = index + 1
			return "", ""
		},
	}
	parameters["log-id"] = &parameter{
		name: "id", in: inPath, example: "1048576", about: "The entry's id, or its ULID.", schema: nonEmpty,
		parse: func(f *filter, _ said, v string) (problem.Code, string) {
			f.logging.entry = v
			return "", ""
		},
	}
	limit := *parameters["limit"]
	limit.about = "Entries in the answer, at least 1; 100 unless given. More than 1000 is taken as 1000."
	limit.schema = huma.Schema{Type: huma.TypeInteger, Minimum: ptr(1.0), Default: defaultLog}
	limit.parse = func(f *filter, _ said, v string) (code problem.Code, why string) {
		f.logging.limit, code, why = atLeastOne("limit", v, MaxLimit)
		return code, why
	}
	parameters["log-limit"] = &limit
	parameters["log-tz"] = &parameter{
		name: "tz", in: inQuery, example: "Europe/Berlin", about: "The IANA name of the zone of activityDate and activityTime. Default: the workspace's (`annals serve --zone`), else UTC.", schema: nonEmpty,
		parse: func(f *filter, _ said, v string) (problem.Code, string) {
			zone, ok := logZones.of(v)
			if !ok {
				return "unknown_zone", strconv.Quote(v) + " is no IANA time zone; one looks like Europe/Berlin or UTC"
			}
			f.logging.zone = zone
			return "", ""
		},
	}
	natives := map[string]func(f *filter, v string) (problem.Code, string){
		"user": func(f *filter, v string) (problem.Code, string) {
			return f.add(projections.FieldActor, false, projections.Value{A: v})
		},
		"onBehalfOfUser": func(f *filter, v string) (problem.Code, string) {
			return f.add(projections.FieldUser, false, projections.Value{A: v})
		},
		"customerID": func(f *filter, v string) (problem.Code, string) {
			return f.add(projections.FieldDimension, false, projections.Value{A: face.LogCustomer, B: v})
		},
		"activityType": func(f *filter, v string) (problem.Code, string) {
			return f.add(projections.FieldType, false, projections.Value{A: v})
		},
		"activityOnType": func(f *filter, v string) (problem.Code, string) {
			return f.add(projections.FieldObject, false, projections.Value{A: v, Prefix: true})
		},
		"linkedToType": func(f *filter, v string) (problem.Code, string) {
			return f.add(projections.FieldLinked, false, projections.Value{A: v, Prefix: true})
		},
	}
	labels := map[string]string{
		"activityType":   " The type, or what the workspace's catalogue calls it.",
		"activityReason": " The code, or what the workspace's catalogue calls it.",
	}
	for _, field := range face.LogFilters {
		narrow := natives[field.Field]
		parameters["log-"+field.Field] = &parameter{
			name: field.Field, in: inQuery, example: "kim.okafor", about: "Entries with this " + field.Field + ", byte by byte." + labels[field.Field], schema: nonEmpty,
			parse: func(f *filter, _ said, v string) (problem.Code, string) {
				if code, why := text(v); code != "" {
					return code, why
				}
				f.logging.must(field.Field, v)
				if narrow == nil {
					return "", ""
				}
				return narrow(f, v)
			},
		}
	}
}

// logZones are the zones that were asked for, of all servers of the process.
var logZones zones

// logIndex reads an id.
func logIndex(v string) (uint64, bool) {
	if id, err := ulid.ParseStrict(v); err == nil && len(v) == ulid.EncodedSize {
		_, index := chain.SplitULID(id)
		return index, index < 1<<63
	}
	index, err := strconv.ParseUint(v, 10, 63)
	return index, err == nil && v[0] != '+'
}

// LogZoneHeader says in an answer which time zone dates and times are of: the published
// fields have no room for it.
const LogZoneHeader = "Annals-Time-Zone"

// logZone is the zone that is asked for, else the workspace's. The answer states it.
func (a *API) logZone(w http.ResponseWriter, f *filter) {
	if f.logging.zone == nil {
		f.logging.zone = a.o.Zones[f.workspace]
	}
	if f.logging.zone == nil {
		f.logging.zone = time.UTC
	}
	w.Header().Set(LogZoneHeader, f.logging.zone.String())
}

// logOf reads an entry as the log has it: by its codes, and in the words of its
// workspace.
func (it *item) logOf(leaf *chain.Leaf, zone *time.Location) (coded, told face.LogEntry, err error) {
	e := &leaf.Entry
	_, shown := it.payload(leaf)
	r, err := activity.Parse(shown.record)
	if err != nil { // it was erased
		r = nil
	} else {
		r.Type = shown.typ
	}
	words, err := it.words(e.Index)
	if err != nil {
		return coded, told, err
	}
	coded = face.LogOf(e.Index, r, recordedAt(e), zone)
	return coded, coded.Labelled(words), nil
}

// logEntry answers one entry of the log.
func (a *API) logEntry(w http.ResponseWriter, _ *http.Request, f *filter) error {
	a.logZone(w, f)
	asked := f.logging.entry
	index, ok := logIndex(asked)
	if !ok {
		return noSuchLogEntry(asked)
	}
	leaf, _, err := a.o.Ledger.Get(index)
	e := &leaf.Entry
	switch id, notULID := ulid.ParseStrict(asked); {
	case errors.Is(err, ledger.ErrNotFound):
		return noSuchLogEntry(asked)
	case err != nil:
		return err
	case e.Workspace != a.o.Ledger.Tag(f.workspace), timelineKinds&(1<<e.Kind) == 0, notULID == nil && e.ULID != id:
		return noSuchLogEntry(asked)
	}
	_, out, err := newItem(a, f).logOf(&leaf, f.logging.zone)
	if err != nil {
		return err
	}
	return writeJSON(w, &out)
}

// logTypes has the indexes look for the types that a catalogue of the workspace ever
// called what activityType asks for, besides the type of that name.
func (a *API) logTypes(f *filter, size uint64) error {
	label, asked := f.logging.want["activityType"]
	if !asked {
		return nil
	}
	types, err := a.typesCalled(f.workspace, label, size)
	for i := range f.where {
		if c := &f.where[i]; c.Field == projections.FieldType {
			c.Any = append(c.Any, types...)
		}
	}
	return err
}

func noSuchLogEntry(id string) error {
	return problem.New(problem.NoSuchRecord, "the workspace has no entry %s; an id is that of an entry of the list, or its ULID", strconv.Quote(id))
}

// logList answers entries in ascending order. What the indexes don't tell apart, such as
// the reason, is read out of the entries.
func (a *API) logList(w http.ResponseWriter, r *http.Request, f *filter) error {
	a.logZone(w, f)
	view, moment, _, err := a.look(r.Context(), f)
	if err != nil {
		return err
	}
	defer view.Close()
	if err := a.logTypes(f, moment.size); err != nil {
		return err
	}
	q, none, err := a.question(view, f, moment.size)
	if err != nil {
		return err
	}
	q.Oldest, q.Limit, q.Order = true, MaxLimit, projections.ByRecorded
	q.From = max(q.From, f.logging.from)
	l := logPage{api: a, f: f, limit: f.logging.limit, out: []byte{'['}}
	if l.limit == 0 {
		l.limit = defaultLog
	}
	if !none && q.From < q.To {
		if err := l.read(r.Context(), view, q); err != nil {
			return err
		}
	}
	if l.more {
		next := r.URL.Query()
		next.Set("idAfter", strconv.FormatUint(l.last, 10))
		w.Header().Set("Link", "<"+LogPath+"/?"+next.Encode()+`>; rel="next"`)
	}
	return write(w, jsonMedia, append(l.out, ']'))
}

// logPage is a page of the log while it is gathered.
type logPage struct {
	api   *API
	f     *filter
	limit int

	out  []byte
	n    int
	last uint64 // how far the search came
	more bool   // there may be more behind it
}

func (l *logPage) read(ctx context.Context, view *projections.View, q projections.Query) error {
	if l.f.logging.want == nil {
		q.Limit = l.limit
	}
	for range maxLogSearches {
		page, err := view.Page(ctx, q)
		if err != nil {
			return err
		}
		read, err := l.entries(page.Indexes)
		if err != nil {
			return err
		}
		if read < len(page.Indexes) {
			l.last, l.more = page.Indexes[read-1], true
			return nil
		}
		l.last, l.more = page.Last.Index, page.More
		if !page.More || l.full() {
			return nil
		}
		q.After = &page.Last
	}
	return nil
}

func (l *logPage) full() bool { return l.n >= l.limit || len(l.out) > maxPage }

// entries shows those of some entries that say what is wanted, until the page is full,
// and says how many it read.
func (l *logPage) entries(indexes []uint64) (read int, err error) {
	it := newItem(l.api, l.f)
	err = l.api.each(l.f.turn, indexes, func(leaf *chain.Leaf, _ chain.Hash) error {
		if l.full() {
			return errFull
		}
		read++
		coded, told, err := it.logOf(leaf, l.f.logging.zone)
		if err != nil || !l.f.logging.want.Holds(&coded, &told) {
			return err
		}
		b, err := json.Marshal(&told)
		if err != nil {
			return err
		}
		if l.n++; l.n > 1 {
			l.out = append(l.out, ',')
		}
		l.out = append(l.out, b...)
		return nil
	})
	if errors.Is(err, errFull) {
		err = nil
	}
	return read, err
}
