package face

import (
	"errors"
	"time"

	"annals/activity"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// What an exported entry of the log may lack.
var (
	ErrLogType = errors.New("an entry of the user activity log has an activityType that is a legal type")
	ErrLogTime = errors.New("an entry of the user activity log has activityDate (2006-01-02) and activityTime (15:04:05)")
)

// LogRecord is the record that an exported entry of the log tells of. Its date and time
// are of a zone, its type and reason as they were recorded, or as labels call them; nil:
// as they were recorded. A label of several is a [LogLabelError]. The entry's id is the record's; the whole entry stands in data, beside
// what the log says Yes or No to as booleans, so that [LogOf] shows the same again. An
// entry that names no user is the system's.
func LogRecord(raw []byte, zone *time.Location, labels *LogLabels) (*activity.Record, error) {
	var e LogEntry
	if err := json.Unmarshal(raw, &e); err != nil {
		return nil, err
	}
	if labels != nil {
		if err := labels.decode(&e); err != nil {
			return nil, err
		}
	}
	kind := text(e.ActivityType)
	if !activity.ValidType(kind) {
		return nil, ErrLogType
	}
	at, err := time.ParseInLocation(time.DateTime, e.ActivityDate+" "+e.ActivityTime, zone)
	if err != nil {
		return nil, ErrLogTime
	}
	r := &activity.Record{
		ID: e.ID, Producer: "user_activity_log", Type: kind, OccurredAt: at.UTC().Format(time.RFC3339),
		Actor: &activity.Actor{Type: "user", ID: text(e.User)},
	}
	if r.Actor.ID == "" {
		r.Actor.Type = activity.ActorSystem
	}
	if id := text(e.OnBehalfOfUser); id != "" {
		r.OnBehalfOf = &activity.Actor{Type: "user", ID: id}
	}
	if id := text(e.CustomerID); id != "" {
		r.Dimensions = map[string]string{LogCustomer: id}
	}
	if o := (activity.Object{Type: text(e.ActivityOnType), ID: text(e.ActivityOn), Revision: text(e.ActivityOnRevision)}); o.Type+o.ID+o.Revision != "" {
		r.Object = &o
	}
	if o := (activity.Object{Type: text(e.LinkedToType), ID: text(e.LinkedTo), Revision: text(e.LinkedToRevision)}); o.Type+o.ID+o.Revision != "" {
		r.Linked = []activity.Object{o}
	}
	if why := (activity.Reason{Code: text(e.ActivityReason), Details: text(e.ActivityDetails), Commentary: text(e.ActivityCommentary)}); why.Code+why.Details+why.Commentary != "" {
		r.Reason = &why
	}
	if id := text(e.BulkImportFileID); id != "" || e.BulkImportFileLine.Kind() == '0' {
		r.Origin = &activity.Origin{Kind: LogBulkImport, FileID: id, Line: number(e.BulkImportFileLine)}
	} else if id := text(e.CDRFileID); id != "" || e.CDRFileLine.Kind() == '0' {
		r.Origin = &activity.Origin{Kind: LogCDR, FileID: id, Line: number(e.CDRFileLine)}
	}
	r.Data, err = json.Marshal(struct {
		UsedExpertMode *bool          `json:"used_expert_mode,omitzero"`
		UsedAPI        *bool          `json:"used_api,omitzero"`
		FromProvider   *bool          `json:"from_provider,omitzero"`
		Entry          jsontext.Value `json:"user_activity_log"`
	}{is(e.UsedExpertMode), is(e.UsedAPI), is(e.FromProvider), raw})
	return r, err
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// number is a number as it was written; what is none is absent.
func number(v jsontext.Value) activity.Number {
	if v.Kind() != '0' {
		return ""
	}
	return activity.Number(v)
}

// is is what the log says Yes or No to; any other text says neither.
func is(s *string) *bool {
	yes := text(s) == "Yes"
	if !yes && text(s) != "No" {
		return nil
	}
	return &yes
}
