package activity

import (
	"slices"
	"testing"
)

func TestCheck(t *testing.T) {
	for name, c := range map[string]struct {
		record string
		want   []string
	}{
		"OK":                   {`{"type":"app.renamed","actor":{"id":"u"},"object":{"id":"a"},"data":{"previous_name":"A","new_name":null}}`, nil},
		"unknown type":         {`{"type":"app.painted","actor":{"id":"u"},"data":{"x":1}}`, []string{"unknown_type /type"}},
		"no type":              {`{"actor":{"id":"u"}}`, []string{"unknown_type /type"}},
		"missing fields":       {`{"type":"app.renamed","actor":{"id":"u"},"object":{"id":"a"},"data":{"new_name":"B"}}`, []string{"missing_field /data/previous_name"}},
		"data is no object":    {`{"type":"app.renamed","actor":{"id":"u"},"object":{"id":"a"},"data":"x"}`, []string{"missing_field /data/previous_name", "missing_field /data/new_name"}},
		"unknown fields":       {`{"type":"app.created","actor":{"id":"u"},"object":{"id":"a"},"data":{"z":1,"a/b":2}}`, []string{"unknown_field /data/a~1b", "unknown_field /data/z"}},
		"no object":            {`{"type":"app.created","actor":{"id":"u"}}`, []string{"missing_object /object/id"}},
		"object without id":    {`{"type":"app.created","actor":{"id":"u"},"object":{"name":"A"}}`, []string{"missing_object /object/id"}},
		"optional field":       {`{"type":"machine.renamed","actor":{"id":"u"},"object":{"id":"m"},"data":{"new_name":"B"}}`, nil},
		"the object itself":    {`{"type":"station.created","actor":{"id":"u"},"object":{"type":"station","id":"s"}}`, nil},
		"another object":       {`{"type":"station.created","actor":{"id":"u"},"object":{"type":"site","id":"s"}}`, []string{"missing_field /data/station"}},
		"open data":            {`{"type":"user_login","actor":{"id":"u"},"data":{"anything":1}}`, nil},
		"a prefix":             {`{"type":"frontend_x","actor":{"id":"u"},"data":{"anything":1}}`, nil},
		"date":                 {`{"type":"user.logged_out","actor":{"id":"u"},"occurred_at":"2026-03-14T09:26:53.589+01:00"}`, nil},
		"unreadable date":      {`{"type":"user.logged_out","actor":{"id":"u"},"occurred_at":"example_value"}`, []string{"unreadable_date /occurred_at"}},
		"date without a time":  {`{"type":"user.logged_out","actor":{"id":"u"},"occurred_at":"2026-03-14"}`, []string{"unreadable_date /occurred_at"}},
		"amends":               {`{"type":"user.logged_out","actor":{"id":"u"},"amends":"01ARZ3NDEKTSV4RRFFQ69G5FAV"}`, nil},
		"amends in lower case": {`{"type":"user.logged_out","actor":{"id":"u"},"amends":"01arz3ndektsv4rrffq69g5fav"}`, nil},
		"unreadable amends":    {`{"type":"user.logged_out","actor":{"id":"u"},"amends":"81ARZ3NDEKTSV4RRFFQ69G5FAV"}`, []string{"unreadable_amends /amends"}},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := Parse([]byte(c.record))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range Check(r) {
				got = append(got, string(f.Code)+" "+f.Pointer)
				if f.Detail == "" {
					t.Errorf("%s says nothing", f.Code)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
