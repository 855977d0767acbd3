package load

// thing is a type of object, and what is done to it. The ten objects of a user are
// these, in this order.
type thing struct {
	typ, prefix, name string
	kinds             []kind
}

// kind is a type of activity, by its slug in the catalogue; its fields are printed
// as before, a number and after, or as before alone.
type kind struct{ slug, before, after string }

const (
	previously = `,"data":{"previous_name":"Line 4 QA `
	renamed    = `","new_name":"Line 4 quality"}`
)

var (
	app = thing{"app", "app_", "Line 4 quality", []kind{
		{"app.renamed", previously, renamed},
		{"app.description_changed", "", ""},
		{"app.copied", "", ""},
		{"app.moved", "", ""},
		{"app.exported", "", ""},
		{"app.created", "", ""},
		{"app_version.published", `,"data":{"approvers":"usr_100`, `, usr_100017, usr_100018"}`},
		{"app_version.restored", `,"data":{"user_id":"usr_100`, `"}`},
		{"app_permission.changed", `,"data":{"user_id":"usr_100`, `","previous_permission_type":"viewer","new_permission_type":"editor"}`},
		{"comment.created", `,"message":"Torque on station 4 is high again, see shift `, `"`},
	}}
	table = thing{"table", "tbl_", "Defects per shift", []kind{
		{"table.renamed", previously, renamed},
		{"table.created", "", ""},
		{"table.csv_imported", "", ""},
		{"table_records.exported", "", ""},
		{"table.description_edited", "", ""},
		{"table.archived", `,"reason":{"code":"obsolete","commentary":"replaced by defects `, `"}`},
	}}
	machine = thing{"machine", "mch_", "Press 12, hall B", []kind{
		{"machine.created", "", ""},
		{"machine.edited", `,"changes":[{"field":"cycle_time_ms","old":900,"new":`, `}]`},
		{"machine.published", "", ""},
		{"machine.renamed", previously, renamed},
		{"machine.data_exported", "", ""},
	}}
	station = thing{"station", "stn_", "Assembly 4, left", []kind{
		{"station.renamed", previously, renamed},
		{"station.timezone_changed", `,"data":{"previous_timezone":"Europe/Berlin","new_timezone":"Europe/Lisbon","station":"stn_1000`, `"}`},
		{"station.gateway_added", "", ""},
		{"station.gateway_removed", "", ""},
		{"station.display_device_assigned", `,"data":{"display_device":"dsp_1000`, `","station":"stn_1000017"}`},
	}}
	connector = thing{"connector", "con_", "ERP orders", []kind{
		{"connector.edited", `,"data":{"connector":"con_1000`, `"}`},
		{"connector.details_edited", `,"data":{"connector":"con_1000`, `"}`},
		{"connector.cloned", `,"data":{"connector":"con_1000`, `"}`},
		{"connector.created", `,"data":{"connector":"con_1000`, `"}`},
		{"connector.renamed", previously, renamed},
	}}
	group = thing{"app_group", "grp_", "Final assembly", []kind{
		{"app_group.moved", "", ""},
		{"app_group.renamed", previously, renamed},
		{"app_group.exported", "", ""},
		{"app_group.created", "", ""},
		{"app_group.restored", "", ""},
	}}
)

var things = [objectsEach]thing{app, table, app, machine, app, station, app, connector, table, group}

// What is named twice comes twice as often.
var (
	sources  = []string{"web_ui", "web_ui", "web_ui", "web_ui", "mobile", "mobile", "excel", "teams"}
	outcomes = []string{
		"success", "success", "success", "success", "success", "success", "success", "success", "success", "success",
		"success", "success", "success", "success", "success", "success", "success", "failure", "failure", "denied",
	}
)

var people = []string{
	"Dana Reyes", "Li Wei", "Amara Okafor", "Jonas Berg", "Priya Raman", "Tomás Silva", "Mei Tanaka", "Sara Lindqvist",
	"Omar Haddad", "Eva Novak", "Kofi Mensah", "Ines Duarte", "Marek Zielinski", "Aisha Khan", "Paul Meyer", "Rosa Jimenez",
}

var agents = []string{
	"Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0",
	"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
	"Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15) Gecko/20100101",
	"line-terminal/4.18 (android 14)",
	"Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101",
	"line-terminal/4.17 (ios 19.1)",
}
