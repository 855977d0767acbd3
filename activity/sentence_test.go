package activity

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// fieldSamples are values for the extra fields of the catalogue, so that each
// golden sentence shows where its values go.
var fieldSamples = map[string]string{
	"address":                  `"192.0.2.0/24"`,
	"approvers":                `[{"user_id":"u_9","approval_type":"quality"},{"user_id":"u_5","approval_type":"safety"}]`,
	"user_id":                  `"u_9"`,
	"approval_type":            `"quality"`,
	"export_data_type":         `2`,
	"method":                   `"POST"`,
	"path":                     `"/api/v1/projects"`,
	"status_code":              `201`,
	"metadata":                 `{"target":"next"}`,
	"connector":                `{"id":"co_1","name":"Salesforce"}`,
	"new_display_device":       `"Tablet 8"`,
	"old_display_device":       `"Tablet 7"`,
	"previous_timezone":        `"UTC"`,
	"new_timezone":             `"Europe/Oslo"`,
	"station":                  `"st_3"`,
	"workspace":                `"ws_9"`,
	"previous_app_group":       `"ag_1"`,
	"new_app_group":            `"ag_2"`,
	"display_device":           `"dd_7"`,
	"app_assignment":           `"aa_1"`,
	"station_group":            `"Line 4 stations"`,
	"connector_function":       `"getOrder"`,
	"previous_name":            `"A"`,
	"new_name":                 `"B"`,
	"new_permission_type":      `"edit"`,
	"permission_type":          `"view"`,
	"new_role":                 `"Admin"`,
	"previous_role":            `"Viewer"`,
	"new_assignment":           `"aa_2"`,
	"previous_assignment":      `"aa_1"`,
	"duration_ms":              `12`,
	"previous_permission_type": `"view"`,
}

func fullRecord(t *testing.T, d Definition) *Record {
	r := &Record{
		Type:    strings.Replace(d.Slug, "*", "button_click", 1),
		Actor:   &Actor{Type: "user", ID: "u_1", Name: "Dana Reyes"},
		Context: &Context{IP: "203.0.113.9"},
		Linked: []Object{
			{Type: "user", ID: "u_9", Name: "Sam Ode"},
			{Type: "station", ID: "st_3", Name: "Station 3"},
			{Type: "app_group", ID: "ag_1", Name: "Assembly"},
		},
	}
	if d.Object != "" {
		r.Object = &Object{Type: d.Object, ID: "x_1", Name: "Line 4 QA"}
	}
	var data []string
	for _, f := range d.Fields {
		sample, ok := fieldSamples[f.Slug]
		if !ok {
			t.Fatalf("%s: no sample for field %s", d.Slug, f.Slug)
		}
		data = append(data, fmt.Sprintf("%q:%s", f.Slug, sample))
	}
	if data != nil {
		r.Data = jsontext.Value("{" + strings.Join(data, ",") + "}")
	}
	return r
}

// TestSentences pins the sentence of every catalogued type, once with all that
// it may say and once with an actor's id alone.
func TestSentences(t *testing.T) {
	var out bytes.Buffer
	seen := map[string]string{}
	for _, d := range Catalogue().Definitions() {
		r := fullRecord(t, d)
		full := Describe(r).String()
		bare := Describe(&Record{Type: r.Type, Actor: &Actor{ID: "u_1"}}).String()
		fmt.Fprintf(&out, "%s\n  %s\n  %s\n", d.Slug, full, bare)
		for _, s := range []string{full, bare} {
			for _, bad := range []string{"  ", "{", "}", "[", "]", " ,", " .", "performed", `""`, "an object"} {
				if strings.Contains(s, bad) {
					t.Errorf("%s: %q has %q", d.Slug, s, bad)
				}
			}
		}
		if other, twice := seen[d.System+full]; twice {
			t.Errorf("%s reads as %s does: %s", d.Slug, other, full)
		}
		seen[d.System+full] = d.Slug
		if d.Object != "" && d.Object != "ip_address" && !strings.Contains(full, "Line 4 QA") {
			t.Errorf("%s doesn't name its object: %s", d.Slug, full)
		}
		if flags := d.Check(r); len(flags) != 0 {
			t.Errorf("%s: a full record is flagged: %v", d.Slug, flags)
		}
	}
	golden(t, "sentences.golden", out.Bytes())
}

func TestDescribe(t *testing.T) {
	for name, c := range map[string]struct{ record, want string }{
		"login for a name":    {`{"type":"user_login","actor":{"id":"u_1","login":"dana"}}`, `dana logged in`},
		"email for a name":    {`{"type":"user_login","actor":{"id":"u_1","email":"d@example.com"}}`, `d@example.com logged in`},
		"nobody":              {`{"type":"user_login","actor":{"type":"system"}}`, `The system logged in`},
		"anonymous":           {`{"type":"user_login","actor":{"type":"anonymous"}}`, `An anonymous user logged in`},
		"anonymous inside":    {`{"type":"user.session_expired","actor":{"type":"anonymous"}}`, `The session of an anonymous user expired`},
		"device":              {`{"type":"gateway.removed","actor":{"type":"device","id":"d_1"},"object":{"type":"gateway","id":"g_1"}}`, `Device "d_1" removed gateway "g_1"`},
		"named service":       {`{"type":"user_login","actor":{"type":"service","id":"s_1","name":"Importer"}}`, `Importer logged in`},
		"on behalf":           {`{"type":"app.created","actor":{"id":"u_1"},"on_behalf_of":{"id":"u_2","name":"Sam"},"object":{"id":"a","name":"QA"}}`, `u_1 created app "QA" on behalf of Sam`},
		"on behalf of nobody": {`{"type":"user_login","actor":{"id":"u_1"},"on_behalf_of":{}}`, `u_1 logged in`},
		"proxy says it once":  {`{"type":"user.proxied","actor":{"id":"u_1"},"on_behalf_of":{"id":"u_2"}}`, `u_1 switched to act as u_2`},
		"unknown type":        {`{"type":"invoice.approved","actor":{"id":"u_1"},"object":{"type":"sales_invoice","id":"i_1"}}`, `u_1 performed "invoice.approved" on sales invoice "i_1"`},
		"unknown object":      {`{"type":"x","actor":{"id":"u_1"},"object":{"id":"i_1"}}`, `u_1 performed "x" on object "i_1"`},
		"message":             {`{"type":"x","actor":{"id":"u_1"},"message":"Closed"}`, `u_1 performed "x": "Closed"`},
		"message is not text": {`{"type":"x","actor":{"id":"u_1"},"message":{"a":1}}`, `u_1 performed "x"`},
		"name from data":      {`{"type":"connector.edited","actor":{"id":"u_1"},"object":{"type":"connector","id":"c_1"},"data":{"connector":"SAP"}}`, `u_1 edited connector "SAP"`},
		"no object at all":    {`{"type":"connector.edited","actor":{"id":"u_1"},"data":{"connector":{"id":"c_1","name":"SAP"}}}`, `u_1 edited connector "SAP"`},
		"another object":      {`{"type":"ip_allowlist.enabled","actor":{"id":"u_1"},"object":{"type":"workspace","id":"w","name":"Plant"}}`, `u_1 enabled the IP allowlist (workspace "Plant")`},
		"denied":              {`{"type":"app.archived","actor":{"id":"u_1"},"object":{"id":"a"},"outcome":"denied"}`, `u_1 archived app "a", outcome "denied"`},
		"a failure fails":     {`{"type":"user.login_failed","actor":{"id":"u_1"},"outcome":"failure"}`, `u_1 failed to log in`},
		"success":             {`{"type":"user_login","actor":{"id":"u_1"},"outcome":"Success"}`, `u_1 logged in`},
		"amends":              {`{"type":"user_login","actor":{"id":"u_1"},"amends":"01ARZ3NDEKTSV4RRFFQ69G5FAV"}`, `u_1 logged in, amending record "01ARZ3NDEKTSV4RRFFQ69G5FAV"`},
		"changes":             {`{"type":"machine.edited","actor":{"id":"u_1"},"object":{"id":"m"},"changes":[{"field":"a","old":null,"new":1.50},{"field":"b","old":{"x":[1]}},{"field":"c","new":true},{"field":"d"}]}`, `u_1 edited machine "m" (a from nothing to "1.50"; b from "{"x":[1]}"; c to "true"; and more)`},
		"values and changes":  {`{"type":"app.renamed","actor":{"id":"u_1"},"object":{"id":"a"},"data":{"new_name":"B"},"changes":[{"field":"name","new":"B"}]}`, `u_1 renamed app "a" to "B"`},
		"empty value":         {`{"type":"app.renamed","actor":{"id":"u_1"},"object":{"id":"a"},"data":{"previous_name":"","new_name":null}}`, `u_1 renamed app "a" from ""`},
		"oneself":             {`{"type":"app_approver.added","actor":{"id":"u_1","name":"Dana"},"object":{"id":"a"},"data":{"user_id":"u_1"}}`, `Dana added user "Dana" as an approver of app "a"`},
		"six approvers":       {`{"type":"app_version.published","actor":{"id":"u_1"},"object":{"id":"a"},"data":{"approvers":["a","b",{"user_id":"c"},"d","e","f"]}}`, `u_1 published a version of app "a", to be approved by "a", "b", "c", "d", "e" and 1 more`},
		"no approvers":        {`{"type":"app_version.published","actor":{"id":"u_1"},"object":{"id":"a"},"data":{"approvers":[]}}`, `u_1 published a version of app "a"`},
		"export type by slug": {`{"type":"user.data_exported","actor":{"id":"u_1"},"data":{"export_data_type":"template_report"}}`, `u_1 exported data (Template Report)`},
		"export type zero":    {`{"type":"user.data_exported","actor":{"id":"u_1"},"data":{"export_data_type":0}}`, `u_1 exported data (Export Data)`},
		"unknown export type": {`{"type":"user.data_exported","actor":{"id":"u_1"},"data":{"export_data_type":9}}`, `u_1 exported data (9)`},
		"line break":          {`{"type":"app.created","actor":{"id":"u_1","name":"Dana\nMallory"},"object":{"id":"a"}}`, "Dana\ufffdMallory created app \"a\""},
		"turned direction":    {`{"type":"app.created","actor":{"id":"u_1","name":"Dana\u202egnirts"},"object":{"id":"a"}}`, "Dana\ufffdgnirts created app \"a\""},
		"HTML stays text":     {`{"type":"app.created","actor":{"id":"u_1","name":"<b>&amp;"},"object":{"id":"a"}}`, `<b>&amp; created app "a"`},
		"emoji family":        {`{"type":"app.created","actor":{"id":"👩‍👧"},"object":{"id":"a"}}`, `👩‍👧 created app "a"`},
		"long name":           {`{"type":"user_login","actor":{"id":"` + strings.Repeat("é", 201) + `"}}`, strings.Repeat("é", 200) + "… logged in"},
		"longest name":        {`{"type":"user_login","actor":{"id":"` + strings.Repeat("é", 200) + `"}}`, strings.Repeat("é", 200) + " logged in"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := Parse([]byte(c.record))
			if err != nil {
				t.Fatal(err)
			}
			if got := Describe(r).String(); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// TestParts pins the structure that pages make links of.
func TestParts(t *testing.T) {
	r, err := Parse([]byte(`{"type":"app_permission.added","actor":{"type":"user","id":"u_1","name":"Dana Reyes"},"object":{"type":"app","id":"a_1","name":"Line 4 QA"},"linked":[{"type":"user","id":"u_9","name":"Sam Ode"}],"data":{"user_id":"u_9","permission_type":"edit"}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := Sentence{
		{PartActor, "Dana Reyes", Ref{"user", "u_1"}},
		{PartText, ` gave user "`, Ref{}},
		{PartObject, "Sam Ode", Ref{"user", "u_9"}},
		{PartText, `" the permission "`, Ref{}},
		{PartValue, "edit", Ref{}},
		{PartText, `" on app "`, Ref{}},
		{PartObject, "Line 4 QA", Ref{"app", "a_1"}},
		{PartText, `"`, Ref{}},
	}
	if got := Describe(r); !slices.Equal(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}
