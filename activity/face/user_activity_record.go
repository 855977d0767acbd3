package face

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"annals/activity"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// activityRow is a row of user activity as an export has it: ours, or the platform's own.
type activityRow struct {
	UserName         string         `json:"userName"`
	FullName         string         `json:"fullName"`
	EventDate        string         `json:"eventDate"`
	ActivityTypeID   jsontext.Value `json:"activityTypeId"`
	ActivityType     string         `json:"activityType"`
	SourceTypeID     jsontext.Value `json:"sourceTypeId"`
	SourceType       string         `json:"sourceType"`
	IPAddress        jsontext.Value `json:"ipAddress"`
	IPv6Address      string         `json:"ipv6Address"`
	UserID           jsontext.Value `json:"userId"`
	SessionID        string         `json:"sessionId"`
	ExportDataTypeID jsontext.Value `json:"exportDataTypeId"`
	ExportDataType   string         `json:"exportDataType"`
	OnBehalfOfID     jsontext.Value `json:"onBehalfOfUserId"`
	OnBehalfOfName   string         `json:"onBehalfOfUserName"`
}

// UserActivityRowRecord is the record that an exported row of user activity tells of. The
// whole row stands in data, beside the kind of export, so that [UserActivityRowOf] shows
// the same again. Numbers decide before labels, of which the published samples have
// several for one thing. A row has no id, and neither has the record. A row that names no
// user is anonymous. A fault is a [*Refusal] without a code.
func UserActivityRowRecord(raw []byte) (*activity.Record, error) {
	var row activityRow
	if err := json.Unmarshal(raw, &row); err != nil {
		return nil, err
	}
	is, ok := choiceOf(activity.Catalogue().UserActivities(), row.ActivityTypeID, row.ActivityType,
		func(d activity.Definition) (int, string) { return d.Number, d.Label })
	if !ok {
		return nil, refuseActivity("/activityTypeId", "a row has an activityTypeId from 1 to 11, or the label of one as activityType")
	}
	occurred, ok := zoned(row.EventDate)
	if !ok {
		return nil, refuseActivity("/eventDate", "a row has an eventDate such as 2022-01-06T07:16:28.403, which is UTC")
	}
	ip, ok := row.ip()
	if !ok {
		return nil, refuseActivity("/ipAddress", "ipAddress is an IPv4 address as an unsigned number of 32 bits")
	}
	r := &activity.Record{
		Producer: "user_activity", Type: is.Slug, OccurredAt: occurred,
		Actor: &activity.Actor{Type: "user", ID: identifier(row.UserID), Name: row.FullName, Login: row.UserName},
	}
	if r.Actor.ID == "" {
		r.Actor.Type = activity.ActorAnonymous
	}
	if b := (activity.Actor{Type: "user", ID: identifier(row.OnBehalfOfID), Login: row.OnBehalfOfName}); b.ID+b.Login != "" {
		r.OnBehalfOf = &b
	}
	if ip+row.SessionID != "" {
		r.Context = &activity.Context{IP: ip, SessionID: row.SessionID}
	}
	choice := func(c activity.Choice) (int, string) { return c.Number, c.Label }
	if source, ok := choiceOf(activity.Catalogue().Sources(), row.SourceTypeID, row.SourceType, choice); ok {
		r.Source = source.Slug
	} else {
		r.Source = row.SourceType // one of their own
	}
	export, _ := choiceOf(activity.Catalogue().ExportDataTypes(), row.ExportDataTypeID, row.ExportDataType, choice)
	var err error
	r.Data, err = json.Marshal(struct {
		Export string         `json:"export_data_type,omitzero"`
		Row    jsontext.Value `json:"user_activity"`
	}{export.Slug, raw})
	return r, err
}

// ip is the row's address as text, "" where it names none.
func (row *activityRow) ip() (string, bool) {
	switch row.IPAddress.Kind() {
	case jsontext.KindInvalid, 'n':
		return row.IPv6Address, true
	case '"':
		return identifier(row.IPAddress), true
	}
	n, err := strconv.ParseUint(string(row.IPAddress), 10, 32)
	if err != nil {
		return "", false
	}
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, uint32(n)))).String(), true
}

// choiceOf finds what a number names, or where there is none a label, in which only
// letters and digits tell labels apart.
func choiceOf[C any](choices []C, number jsontext.Value, label string, says func(C) (int, string)) (c C, ok bool) {
	asked := identifier(number)
	i := slices.IndexFunc(choices, func(c C) bool {
		number, known := says(c)
		if asked != "" {
			return asked == strconv.Itoa(number)
		}
		return label != "" && letters(label) == letters(known)
	})
	if i < 0 {
		return c, false
	}
	return choices[i], true
}

func letters(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, s)
}

// zoned is a date and time as RFC 3339: as it is written where it is, and in UTC where it
// names no zone. Databases put a space between the two, and shorten the zone.
func zoned(s string) (string, bool) {
	if _, ok := activity.Occurred(s); ok {
		return s, true
	}
	for _, layout := range [...]string{"2006-01-02T15:04:05", time.DateTime, "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05Z07"} {
		if t, err := time.Parse(layout, s); err == nil {
			s = t.UTC().Format(time.RFC3339Nano)
			_, ok := activity.Occurred(s)
			return s, ok
		}
	}
	return "", false
}
