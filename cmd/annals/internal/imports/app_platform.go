package imports

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"slices"
	"strings"

	"annals/activity"
	"annals/activity/face"

	"github.com/go-json-experiment/json"
)

// readAppPlatform reads the app platform's activity records as our endpoints answer them:
// pages and entries of timelines, with the records themselves; news feeds and histories,
// with what people are shown; and the table of a feed, which is CSV.
func readAppPlatform(t *tape, s *sink) error {
	if c := firstByte(t); c != 0 && c != '{' && c != '[' {
		return readTable(t, s)
	}
	page := envelope{
		lists:  []string{"records", "days", "items"},
		beside: []string{"tz", "date", "next_cursor", "total", "truncated", "as_of"},
	}
	return readValues(t, s, page, func(it *Item) error {
		r, err := face.PlatformRecord(it.Raw)
		if err != nil {
			return s.refuse(it, fromPlatform(err))
		}
		return s.record(it, r)
	})
}

// firstByte is the first byte of a file that is not white space, 0 where there is none.
func firstByte(t *tape) byte {
	for seen := 0; ; {
		if rest := bytes.TrimLeft(t.buf[seen:], " \t\r\n"); len(rest) > 0 {
			return rest[0]
		}
		if seen = len(t.buf); seen >= maxItem || !t.fill() {
			return 0
		}
	}
}

func fromPlatform(err error) *Refusal {
	return fromFace(err, "/occurred_at", "/recorded_at")
}

// readTable reads a feed's table, which has all of its columns and none besides. A row's
// cells stand in data by their columns' names.
func readTable(t *tape, s *sink) error {
	var names []string
	return readRows(t, s, ',', func(heads []string, _ *csv.Reader) error {
		names = heads
		if !slices.Equal(slices.Sorted(slices.Values(heads)), slices.Sorted(slices.Values(face.FeedColumns))) {
			return fmt.Errorf("1:1: a feed's table has the columns %s", quoted(face.FeedColumns))
		}
		return nil
	}, func(it *Item, _ *csv.Reader, cells []string) error {
		row := map[string]string{}
		for i, name := range names {
			// What a spreadsheet would run begins with an apostrophe, and so does what began
			// with one.
			row[name] = strings.TrimPrefix(cells[i], "'")
		}
		told := face.PlatformItem{
			ULID: row["ulid"], Kind: row["kind"], Type: row["type"], OccurredAt: row["occurred_at"],
		}
		if a := (activity.Actor{Type: row["actor_type"], ID: row["actor_id"], Name: row["actor_name"]}); a.Type+a.ID+a.Name != "" {
			told.Actor = &a
		}
		if typ, id := row["object_type"], row["object_id"]; typ+id != "" {
			told.Object = &activity.Object{Type: typ, ID: id, Name: row["object_name"]}
		}
		if row["sentence"] == face.FeedErased && told.Actor == nil {
			told.Erased = []byte("true")
		}
		raw, err := json.Marshal(row, json.Deterministic(true))
		if err != nil {
			return s.refuse(it, fromError(err))
		}
		told.Raw = raw
		r, err := told.AsRecord()
		if err != nil {
			return s.refuse(it, fromPlatform(err))
		}
		return s.record(it, r)
	})
}
