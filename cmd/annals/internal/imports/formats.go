package imports

import (
	"fmt"
	"slices"
	"strings"
)

// Format is a kind of file.
type Format struct {
	Name     string
	About    string
	suffixes []string // of the files that are taken out of a folder
	mapped   bool     // it is read by a mapping
	zoned    bool     // its times name no zone, and may be of another than UTC
	labelled bool     // it may have the labels of a workspace's catalogue
	read     func(*tape, *Mapping, *sink) error
}

// without makes a parser of one that needs no mapping.
func without(read func(*tape, *sink) error) func(*tape, *Mapping, *sink) error {
	return func(t *tape, _ *Mapping, s *sink) error { return read(t, s) }
}

// formats are all there are, by name. A new one is a new row.
var formats = []Format{
	{Name: "activity_tracking", About: "rows of the activity-tracking backend's table activity_events (docs/faces.md)", suffixes: []string{".json", ".jsonl", ".ndjson"}, read: without(readActivityTracking)},
	{Name: "app_platform", About: "the app platform's activity records: pages of timelines, feeds and histories, and the feed's table", suffixes: []string{".json", ".jsonl", ".ndjson", ".csv"}, read: without(readAppPlatform)},
	{Name: "cloudtrail", About: "AWS CloudTrail's log files", suffixes: []string{".json"}, read: without(readCloudTrail)},
	{Name: "csv", About: "CSV with a head (RFC 4180), by a mapping file", suffixes: []string{".csv"}, mapped: true, read: readCSV},
	{Name: "jsonl", About: "records of annals, a line each", suffixes: []string{".jsonl", ".ndjson"}, read: without(readNative)},
	{Name: "ocsf", About: "events of the Open Cybersecurity Schema Framework, one after the other or in an array", suffixes: []string{".json", ".jsonl", ".ndjson"}, read: without(readOCSF)},
	{Name: "user_activity", About: "rows of the deal platform's user activity, or answers of its endpoint (docs/faces.md)", suffixes: []string{".json", ".jsonl", ".ndjson"}, read: without(readUserActivity)},
	{Name: "user_activity_log", About: "entries of the billing platform's user activity log, as its list answers them (docs/faces.md)", suffixes: []string{".json", ".jsonl", ".ndjson"}, zoned: true, labelled: true, read: without(readUserActivityLog)},
	{Name: "useractivities", About: "activities of the user-activities model, as they were posted or as their list answers them (docs/faces.md)", suffixes: []string{".json", ".jsonl", ".ndjson"}, read: without(readUserActivities)},
}

// Formats returns all formats, by name.
func Formats() []Format { return slices.Clone(formats) }

// FormatNamed finds a format.
func FormatNamed(name string) (Format, error) {
	var names []string
	for _, f := range formats {
		if f.Name == name {
			return f, nil
		}
		names = append(names, f.Name)
	}
	return Format{}, fmt.Errorf("there is no format %q; there is %s", name, strings.Join(names, ", "))
}

// Mapped reports whether files of the format are read by a mapping.
func (f *Format) Mapped() bool { return f.mapped }

// Zoned reports whether times of the format name no zone, so that one may be given.
func (f *Format) Zoned() bool { return f.zoned }

// Labelled reports whether files of the format may tell types by the labels of a
// workspace's catalogue.
func (f *Format) Labelled() bool { return f.labelled }

// takes reports whether a file of a folder looks like one of the format, compressed or
// not.
func (f *Format) takes(name string) bool {
	name = strings.TrimSuffix(strings.ToLower(name), ".gz")
	return slices.ContainsFunc(f.suffixes, func(s string) bool { return strings.HasSuffix(name, s) })
}
