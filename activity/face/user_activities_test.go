package face

import (
	"strings"
	"testing"
	"time"

	"annals/activity"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"
)

// anyJSON draws a JSON value as a producer may write it: spaces, escapes that need not
// be, numbers that no float holds.
func anyJSON(depth int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		space := rapid.SampledFrom([]string{"", "", " ", "\t", "\n  "}).Draw(t, "space")
		kinds := 6
		if depth == 0 {
			kinds = 4
		}
		switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
		case 0:
			return space + rapid.SampledFrom([]string{"null", "true", "false"}).Draw(t, "word")
		case 1:
			return rapid.SampledFrom([]string{"0", "-0", "1.0", "1e400", "9007199254740993", "0.10", "1E+2"}).Draw(t, "number") + space
		case 2:
			return rapid.SampledFrom([]string{`"\u0041"`, `"<a>&"`, `"\/"`, `"\ud83d\ude00"`, `"a\nb"`, `"\u2028"`, `""`, `"{\"a\":1}"`}).Draw(t, "text")
		case 3:
			b, err := jsontext.AppendQuote(nil, rapid.StringOfN(rapid.RuneFrom([]rune("ab<\"\\\x01é日😀")), 0, 8, -1).Draw(t, "string"))
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		case 4:
			return "[" + space + strings.Join(rapid.SliceOfN(anyJSON(depth-1), 0, 3).Draw(t, "array"), space+",") + "]"
		}
		return object(t, depth-1, rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c d", "", "data"}), 0, 3, rapid.ID).Draw(t, "names"), space)
	})
}

func object(t *rapid.T, depth int, names []string, space string) string {
	var members []string
	for _, name := range names {
		members = append(members, space+`"`+name+`":`+space+anyJSON(depth).Draw(t, name))
	}
	return "{" + strings.Join(members, ",") + space + "}"
}

var modelMembers = []string{
	"id", "interaction_type", "sites_id", "org_id", "application_id", "user_id", "orggroup_id", "menu", "screen_name", "api_url", "object_id",
	"message", "device_info", "created_at", "modified_at", "build_type", "data", "data_type", "action_from", "of_their_own",
}

// TestUserActivityLossless records and reads any activity: with all of its members it
// comes back byte for byte, and with fewer those of the three are put behind.
func TestUserActivityLossless(t *testing.T) {
	recorded := time.Date(2026, 3, 4, 5, 6, 7, 890_000_000, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.Permutation(modelMembers).Draw(t, "order")
		names = names[:rapid.IntRange(0, len(names)).Draw(t, "members")]
		body := object(t, 3, names, rapid.SampledFrom([]string{"", " ", "\r\n"}).Draw(t, "space"))
		sent := rapid.SampledFrom([]string{"", " ", "\n"}).Draw(t, "around") + body + "\n"
		record, err := UserActivityRecord([]byte(sent), "evt")
		if err != nil {
			t.Fatal(err)
		}
		var keys activity.Keys
		if bad := activity.Scan(record, &keys); bad != nil {
			t.Fatalf("%v: %s", bad, record)
		}
		if keys.ID != "evt" || keys.Type != UserActivitiesType {
			t.Fatalf("%+v", keys)
		}
		r, err := activity.Parse(record)
		if err != nil {
			t.Fatal(err)
		}
		kept := record[strings.Index(string(record), `,"data":`)+len(`,"data":`) : len(record)-1]
		if string(kept) != body {
			t.Fatalf("kept %s\nof   %s", kept, body)
		}
		got, err := UserActivity(nil, kept, r.ID, recorded, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		if !jsontext.Value(got).IsValid() {
			t.Fatalf("not JSON: %s", got)
		}
		if !strings.HasPrefix(string(got), body[:len(body)-1]) {
			t.Fatalf("the beginning of %s\nis not %s", got, body)
		}
		var members map[string]jsontext.Value
		if err := json.Unmarshal(got, &members); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"id", "created_at", "modified_at"} {
			if members[name] == nil {
				t.Fatalf("%s is not there: %s", name, got)
			}
		}
		if all := strings.Contains(body, `"id":`) && strings.Contains(body, `"created_at":`) && strings.Contains(body, `"modified_at":`); all && len(names) == len(modelMembers) && string(got) != body {
			t.Fatalf("got  %s\nsent %s", got, body)
		}
	})
}

// TestUserActivityDates: the three members that the model itself answers for.
func TestUserActivityDates(t *testing.T) {
	recorded := time.Date(2026, 3, 4, 5, 6, 7, 891_000_000, time.UTC)
	amended := recorded.Add(time.Hour)
	for _, c := range []struct {
		name, body string
		amended    time.Time
		want       string
	}{
		{"nothing", `{}`, time.Time{}, `{"id":"i","created_at":"2026-03-04T05:06:07.891Z","modified_at":"2026-03-04T05:06:07.891Z"}`},
		{"created", `{"created_at":"2020"}`, time.Time{}, `{"created_at":"2020","id":"i","modified_at":"2020"}`},
		{"modified", `{"id":"x", "modified_at" : 5}`, time.Time{}, `{"id":"x", "modified_at" : 5,"created_at":"2026-03-04T05:06:07.891Z"}`},
		{"amended", `{"id":"x","created_at":"2020"}`, amended, `{"id":"x","created_at":"2020","modified_at":"2026-03-04T06:06:07.891Z"}`},
		{"amended, and modified before", ` {"modified_at" : "2020" ,"id":"x","created_at":null}`, amended, `{"modified_at" : "2026-03-04T06:06:07.891Z" ,"id":"x","created_at":null}`},
	} {
		got, err := UserActivity([]byte("before"), jsontext.Value(c.body), "i", recorded, c.amended)
		if err != nil || string(got) != "before"+c.want {
			t.Errorf("%s: %s %v\nwant %s", c.name, got, err, c.want)
		}
	}
}

// TestUserActivityIndexed: what an activity is looked up by.
func TestUserActivityIndexed(t *testing.T) {
	record, err := UserActivityRecord([]byte(`{"user_id":7,"org_id":"o","sites_id":"s","application_id":{"a":1},"orggroup_id":"","interaction_type":"click","object_id":"x","action_from":"web","created_at":"yesterday"}`), "i")
	if err != nil {
		t.Fatal(err)
	}
	r, err := activity.Parse(record)
	if err != nil {
		t.Fatal(err)
	}
	if r.Actor.ID != "7" || r.Actor.Type != "user" || r.Object.ID != "x" || r.Source != "web" || r.OccurredAt != "yesterday" || len(r.Dimensions) != 4 ||
		r.Dimensions["org"] != "o" || r.Dimensions["site"] != "s" || r.Dimensions["interaction_type"] != "click" || r.Dimensions["activity"] != "i" {
		t.Errorf("%s", record)
	}
	if nobody, err := UserActivityRecord([]byte(`{"user_id":null}`), "i"); err != nil || !strings.Contains(string(nobody), `"actor":{"type":"anonymous"}`) {
		t.Errorf("%s %v", nobody, err)
	}
	for _, bad := range []string{``, `[]`, `"x"`, `{"a":1`, `{} {}`, `{},"actor":{"id":"mallory"}`, `{"a":1}}`, "{\"\xff\":1}"} {
		if got, err := UserActivityRecord([]byte(bad), "i"); err == nil {
			t.Errorf("%s is recorded as %s", bad, got)
		}
	}
	if got := UserActivityFlags(jsontext.Value(`{"created_at":"yesterday","modified_at":5}`)); len(got) != 2 {
		t.Errorf("flags: %q", got)
	}
	if got := UserActivityFlags(jsontext.Value(`{"created_at":"2026-01-01T00:00:00Z","modified_at":null}`)); got != nil {
		t.Errorf("flags: %q", got)
	}
	for native, want := range map[string]string{"/actor/id": "/user_id", "/data/message/a": "/message/a", "/object/id": "/object_id", "": "", "/id": "/id", "/occurred_at": "/created_at"} {
		if got := UserActivityPointer(native); got != want {
			t.Errorf("%s is %s, want %s", native, got, want)
		}
	}
}
