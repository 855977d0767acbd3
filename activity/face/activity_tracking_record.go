package face

import (
	"annals/activity"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// TrackingRecord is the record that an exported row of activity_events tells of. Its
// data is the row, byte for byte: there [TrackingRowOf] finds method, path, status_code,
// duration_ms and metadata again. created_at is when it occurred. A row's id, a string or
// a number, is the record's. Who has no user_id is anonymous. A fault is a [*Refusal] of
// [TrackingInvalidEvent].
//
// The event type is taken as it was stored: whoever imports a table vouches for it as for
// any record, and nothing is put before it.
func TrackingRecord(raw []byte) (*activity.Record, error) {
	var row struct {
		ID        jsontext.Value `json:"id"`
		EventType string         `json:"event_type"`
		UserID    jsontext.Value `json:"user_id"`
		SessionID jsontext.Value `json:"session_id"`
		ProjectID jsontext.Value `json:"project_id"`
		CreatedAt string         `json:"created_at"`
	}
	if err := json.Unmarshal(raw, &row); err != nil {
		return nil, err
	}
	if !activity.ValidType(row.EventType) {
		return nil, &Refusal{TrackingInvalidEvent, "/event_type", "a row of activity_events has an event_type of 1 to 128 of A-Z a-z 0-9 _ - ."}
	}
	occurred, ok := zoned(row.CreatedAt)
	if !ok {
		return nil, &Refusal{TrackingInvalidEvent, "/created_at", "a row of activity_events has a created_at such as 2026-03-04T05:06:07.089Z"}
	}
	r := trackingRecord(row.EventType, identifier(row.UserID), identifier(row.SessionID), identifier(row.ProjectID))
	r.ID, r.Producer, r.OccurredAt, r.Data = identifier(row.ID), "activity_tracking", occurred, raw
	return r, nil
}
