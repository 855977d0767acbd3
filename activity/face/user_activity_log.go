package face

import (
	"slices"
	"strconv"
	"time"

	"annals/activity"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// LogEntry is an entry of the billing platform's user activity log, under the published
// names. Every member is there; null says that nothing is known.
type LogEntry struct {
	ID                 string         `json:"id"` // the ledger's index, as text
	User               *string        `json:"user"`
	OnBehalfOfUser     *string        `json:"onBehalfOfUser"`
	CustomerID         *string        `json:"customerID"`
	ActivityType       *string        `json:"activityType"`
	ActivityDate       string         `json:"activityDate"` // YYYY-MM-DD
	ActivityTime       string         `json:"activityTime"` // hh:mm:ss
	UsedExpertMode     *string        `json:"usedExpertMode"`
	BulkImportFileID   *string        `json:"bulkImportFileID"`
	BulkImportFileLine jsontext.Value `json:"bulkImportFileLineNumber"`
	CDRFileID          *string        `json:"CDRFileID"`
	CDRFileLine        jsontext.Value `json:"CDRFileLineNumber"`
	UsedAPI            *string        `json:"usedAPI"`
	FromProvider       *string        `json:"fromProvider"`
	LinkedToType       *string        `json:"linkedToType"`
	LinkedTo           *string        `json:"linkedTo"`
	LinkedToRevision   *string        `json:"linkedToRevisionNumber"`
	ActivityReason     *string        `json:"activityReason"`
	ActivityDetails    *string        `json:"activityDetails"`
	ActivityCommentary *string        `json:"activityCommentary"`
	ActivityOnType     *string        `json:"activityOnType"`
	ActivityOn         *string        `json:"activityOn"`
	ActivityOnRevision *string        `json:"activityOnRevisionNumber"`
}

// The kinds of origin that the log has fields for.
const (
	LogBulkImport = "bulk_import"
	LogCDR        = "cdr"
)

// LogCustomer is the dimension that holds the customer.
const LogCustomer = "customer"

// LogOf maps a record to the log. The date and the time are those of when it occurred,
// or else of when it was recorded, in a zone. r is nil where the record was erased: of
// what is gone everything is null.
func LogOf(index uint64, r *activity.Record, recorded time.Time, zone *time.Location) LogEntry {
	at := recorded
	e := LogEntry{ID: strconv.FormatUint(index, 10), BulkImportFileLine: null, CDRFileLine: null}
	if r != nil {
		if t, ok := activity.Occurred(r.OccurredAt); ok {
			at = t
		}
		e.fill(r)
	}
	at = at.In(zone)
	e.ActivityDate, e.ActivityTime = at.Format(time.DateOnly), at.Format(time.TimeOnly)
	return e
}

var null = jsontext.Value("null")

func (e *LogEntry) fill(r *activity.Record) {
	if r.Actor != nil {
		e.User = said(r.Actor.ID)
	}
	if r.OnBehalfOf != nil {
		e.OnBehalfOfUser = said(r.OnBehalfOf.ID)
	}
	e.CustomerID = said(r.Dimensions[LogCustomer])
	e.ActivityType = said(r.Type)
	var flags struct {
		UsedExpertMode jsontext.Value `json:"used_expert_mode"`
		UsedAPI        jsontext.Value `json:"used_api"`
		FromProvider   jsontext.Value `json:"from_provider"`
	}
	if r.Data.Kind() == '{' && json.Unmarshal(r.Data, &flags) == nil {
		e.UsedExpertMode, e.UsedAPI, e.FromProvider = whether(flags.UsedExpertMode), whether(flags.UsedAPI), whether(flags.FromProvider)
	}
	if o := r.Origin; o != nil {
		line := null
		if o.Line != "" {
			line = jsontext.Value(o.Line)
		}
		switch o.Kind {
		case LogBulkImport:
			e.BulkImportFileID, e.BulkImportFileLine = said(o.FileID), line
		case LogCDR:
			e.CDRFileID, e.CDRFileLine = said(o.FileID), line
		}
	}
	if o := r.Object; o != nil {
		e.ActivityOnType, e.ActivityOn, e.ActivityOnRevision = said(o.Type), said(o.ID), said(o.Revision)
	}
	if len(r.Linked) > 0 {
		o := &r.Linked[0]
		e.LinkedToType, e.LinkedTo, e.LinkedToRevision = said(o.Type), said(o.ID), said(o.Revision)
	}
	if r.Reason != nil {
		e.ActivityReason, e.ActivityDetails, e.ActivityCommentary = said(r.Reason.Code), said(r.Reason.Details), said(r.Reason.Commentary)
	}
}

// whether is a boolean as the log says it; what is none says nothing.
func whether(v jsontext.Value) *string {
	switch v.Kind() {
	case 't':
		return said("Yes")
	case 'f':
		return said("No")
	}
	return nil
}

// LogFilters are the fields by which entries are looked for, each with what of an
// entry it is held to.
var LogFilters = []struct {
	Field string
	Value func(*LogEntry) *string
}{
	{"user", func(e *LogEntry) *string { return e.User }},
	{"onBehalfOfUser", func(e *LogEntry) *string { return e.OnBehalfOfUser }},
	{"customerID", func(e *LogEntry) *string { return e.CustomerID }},
	{"activityType", func(e *LogEntry) *string { return e.ActivityType }},
	{"activityReason", func(e *LogEntry) *string { return e.ActivityReason }},
	{"activityOnType", func(e *LogEntry) *string { return e.ActivityOnType }},
	{"activityOn", func(e *LogEntry) *string { return e.ActivityOn }},
	{"linkedToType", func(e *LogEntry) *string { return e.LinkedToType }},
	{"linkedTo", func(e *LogEntry) *string { return e.LinkedTo }},
}

// LogWant is what entries have to say: a value for some of [LogFilters].
type LogWant map[string]string

// Holds reports whether an entry says all of it, byte by byte, in one of its forms: by
// codes, or by the labels of [LogEntry.Labelled].
func (w LogWant) Holds(forms ...*LogEntry) bool {
	for _, f := range LogFilters {
		want, asked := w[f.Field]
		if asked && !slices.ContainsFunc(forms, func(e *LogEntry) bool { got := f.Value(e); return got != nil && *got == want }) {
			return false
		}
	}
	return true
}

// Labelled is the entry with the preset values of a workspace: what its catalogue calls
// the type and the reason stands in their place, where it calls them something.
func (e LogEntry) Labelled(words *activity.Vocabulary) LogEntry {
	if e.ActivityType != nil {
		if label, ok := words.Named(*e.ActivityType); ok {
			e.ActivityType = &label
		}
	}
	if e.ActivityReason != nil {
		if label, ok := words.Reason(*e.ActivityReason); ok {
			e.ActivityReason = &label
		}
	}
	return e
}

// logTimes are how the log's datetimes may be written. One without a zone is UTC.
var logTimes = []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", "2006-01-02T15:04", time.DateOnly}

// LogTime reads a datetime.
func LogTime(s string) (time.Time, bool) {
	for _, layout := range logTimes {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}
