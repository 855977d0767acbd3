package imports

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"annals/activity"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// ocsfClass is a class of events (OCSF schema, classes): what it is called, its
// activities by number, and which members name what an event of it is about.
type ocsfClass struct {
	name       string
	activities []string // from 1
	about      []string
}

var (
	crud = []string{"create", "read", "update", "delete"}

	// ocsfClasses are those of identity and of applications. Events of any other class
	// are recorded too, under the class's number.
	ocsfClasses = map[int]ocsfClass{
		3001: {
			"account_change",
			[]string{"create", "enable", "password_change", "password_reset", "disable", "delete", "attach_policy", "detach_policy", "lock", "mfa_factor_enable", "mfa_factor_disable", "unlock"},
			[]string{"user", "resources"},
		},
		3002: {"authentication", []string{"logon", "logoff", "authentication_ticket", "service_ticket_request", "service_ticket_renew", "preauth"}, []string{"user", "service"}},
		3003: {"authorize_session", []string{"assign_privileges", "assign_groups"}, []string{"user", "group"}},
		3004: {"entity_management", crud, []string{"entity"}},
		3005: {"user_access", []string{"assign_privileges", "revoke_privileges"}, []string{"user", "resource", "resources"}},
		3006: {"group_management", []string{"assign_privileges", "revoke_privileges", "add_user", "remove_user", "delete", "create"}, []string{"group", "user", "resource"}},
		6001: {"web_resources_activity", append(crud[:4:4], "search", "import", "export", "share"), []string{"web_resources"}},
		6002: {"application_lifecycle", []string{"install", "remove", "start", "stop", "restart", "enable", "disable", "update"}, []string{"app"}},
		6003: {"api_activity", crud, []string{"resources"}},
		6005: {"datastore_activity", []string{"read", "update", "connect", "query", "write", "create", "delete"}, []string{"database", "table", "resources"}},
		6006: {"file_hosting", []string{"upload", "download", "update", "delete", "rename", "copy", "move", "restore", "preview", "lock", "unlock", "share", "unshare", "open", "sync", "unsync"}, []string{"file"}},
	}
)

// ocsfEvent is what of an event becomes a record's own members.
type ocsfEvent struct {
	ClassUID     *int           `json:"class_uid"`
	ActivityID   *int           `json:"activity_id"`
	ActivityName string         `json:"activity_name"`
	Time         jsontext.Value `json:"time"`    // milliseconds since 1970
	TimeDT       string         `json:"time_dt"` // RFC 3339, where the profile has it
	Message      jsontext.Value `json:"message"`
	Status       string         `json:"status"`
	StatusID     *int           `json:"status_id"`
	StatusCode   string         `json:"status_code"`
	StatusDetail string         `json:"status_detail"`
	Comment      string         `json:"comment"`
	Actor        struct {
		User      ocsfThing `json:"user"`
		InvokedBy string    `json:"invoked_by"`
		AppName   string    `json:"app_name"`
		AppUID    string    `json:"app_uid"`
		Session   struct {
			UID string `json:"uid"`
		} `json:"session"`
	} `json:"actor"`
	User    ocsfThing `json:"user"`
	Session struct {
		UID string `json:"uid"`
	} `json:"session"`
	Metadata struct {
		UID       string `json:"uid"`
		TenantUID string `json:"tenant_uid"`
		Product   struct {
			Name string `json:"name"`
		} `json:"product"`
	} `json:"metadata"`
	Source struct {
		IP string `json:"ip"`
	} `json:"src_endpoint"`
	Request struct {
		UID       string `json:"uid"`
		UserAgent string `json:"user_agent"`
	} `json:"http_request"`
	API struct {
		Request struct {
			UID string `json:"uid"`
		} `json:"request"`
	} `json:"api"`
	Cloud struct {
		Region  string `json:"region"`
		Account struct {
			UID string `json:"uid"`
		} `json:"account"`
	} `json:"cloud"`
}

// ocsfThing is a user, a resource, or anything else that has an id and a name.
type ocsfThing struct {
	UID    string `json:"uid"`
	Name   string `json:"name"`
	Email  string `json:"email_addr"`
	Full   string `json:"full_name"`
	Type   string `json:"type"`
	TypeID *int   `json:"type_id"`
}

func (t *ocsfThing) id() string { return cmp.Or(t.UID, t.Name, t.Email) }

// readOCSF reads events of the Open Cybersecurity Schema Framework, one after the
// other or in an array.
func readOCSF(t *tape, s *sink) error {
	return readValues(t, s, envelope{}, func(it *Item) error {
		var e ocsfEvent
		if err := json.Unmarshal(it.Raw, &e); err != nil {
			return s.refuse(it, fromError(err))
		}
		if e.ClassUID == nil {
			return s.refuse(it, &Refusal{Code: codeNotAnEvent, Detail: "an OCSF event says of which class it is: class_uid"})
		}
		when, ok := e.time()
		if !ok {
			return s.refuse(it, &Refusal{Code: codeMissingTime, Pointer: "/time", Detail: "an OCSF event says when it happened: time, in milliseconds since 1970, or time_dt"})
		}
		r := e.record(it.Raw)
		r.OccurredAt = when
		return s.record(it, r)
	})
}

// time is when it happened. time_dt is taken as it is written: it may have more
// digits, and a zone.
func (e *ocsfEvent) time() (string, bool) {
	if _, ok := activity.Occurred(e.TimeDT); ok {
		return e.TimeDT, true
	}
	ms, err := strconv.ParseInt(string(e.Time), 10, 64)
	if err != nil {
		return "", false
	}
	at := time.UnixMilli(ms).UTC()
	if at.Year() < 0 || at.Year() > 9999 { // RFC 3339 has four digits
		return "", false
	}
	return at.Format("2006-01-02T15:04:05.000Z07:00"), true
}

// record maps an event. All of it stands in data.
func (e *ocsfEvent) record(raw []byte) *activity.Record {
	class := ocsfClasses[*e.ClassUID]
	r := &activity.Record{
		ID: e.Metadata.UID, Producer: "ocsf", Type: e.typ(&class),
		Source: e.Metadata.Product.Name,
		Context: &activity.Context{
			IP: e.Source.IP, UserAgent: e.Request.UserAgent,
			SessionID: cmp.Or(e.Actor.Session.UID, e.Session.UID),
			RequestID: cmp.Or(e.API.Request.UID, e.Request.UID),
		},
		Message:    e.Message,
		Dimensions: dimensions("account", e.Cloud.Account.UID, "region", e.Cloud.Region, "tenant", e.Metadata.TenantUID),
		Data:       raw,
	}
	switch {
	case e.StatusID != nil && *e.StatusID == 1:
		r.Outcome = "success"
	case e.StatusID != nil && *e.StatusID == 2:
		r.Outcome = "failure"
	default:
		r.Outcome = strings.ToLower(e.Status)
	}
	if e.StatusCode != "" || e.StatusDetail != "" || e.Comment != "" {
		r.Reason = &activity.Reason{Code: e.StatusCode, Details: e.StatusDetail, Commentary: e.Comment}
	}
	r.Actor = e.actor()
	list := gather(raw, class.about)
	if r.Actor.ID != "" && len(list) > 0 && list[0].Type == "user" && list[0].ID == r.Actor.ID {
		list = list[1:] // who logs on is no other than who acts
	}
	things(r, list)
	return r
}

// typ is the activity type: the class and what was done.
func (e *ocsfEvent) typ(class *ocsfClass) string {
	name := cmp.Or(class.name, "class_"+strconv.Itoa(*e.ClassUID))
	id := 0
	if e.ActivityID != nil {
		id = *e.ActivityID
	}
	switch {
	case id >= 1 && id <= len(class.activities):
		return typeOf("ocsf", name, class.activities[id-1])
	case e.ActivityName != "":
		return typeOf("ocsf", name, strings.ToLower(e.ActivityName))
	}
	return typeOf("ocsf", name, "activity_"+strconv.Itoa(id))
}

// actor is who acted: the actor's user, or what acted without one; of a logon, whose
// event names its user alone, that user.
func (e *ocsfEvent) actor() *activity.Actor {
	user := &e.Actor.User
	service := cmp.Or(e.Actor.InvokedBy, e.Actor.AppUID, e.Actor.AppName)
	if user.id() == "" && (service == "" || *e.ClassUID == 3002) && e.User.id() != "" && *e.ClassUID != 3001 {
		user = &e.User
	}
	switch {
	case user.id() != "":
		a := &activity.Actor{Type: "user", ID: user.id(), Name: cmp.Or(user.Full, user.Name), Login: user.Name, Email: user.Email}
		switch {
		case user.TypeID == nil:
		case *user.TypeID == 3: // "System"
			a.Type = activity.ActorSystem
		case *user.TypeID == 4: // "Service"
			a.Type = "service"
		}
		return a
	case service != "":
		return &activity.Actor{Type: "service", ID: service}
	}
	return &activity.Actor{Type: activity.ActorAnonymous}
}

// gather returns what the named members name: an object each, or a list of them.
func gather(raw []byte, names []string) (list []activity.Object) {
	var event map[string]jsontext.Value
	if len(names) == 0 || json.Unmarshal(raw, &event) != nil {
		return nil
	}
	for _, name := range names {
		var several []ocsfThing
		var one ocsfThing
		v := event[name]
		kind := strings.TrimSuffix(name, "s")
		switch {
		case v.Kind() == '[' && json.Unmarshal(v, &several) == nil:
		case v.Kind() == '{' && json.Unmarshal(v, &one) == nil:
			several = []ocsfThing{one}
		}
		for i := range several {
			t := &several[i]
			o := activity.Object{Type: kind, ID: t.id(), Name: t.Name}
			if strings.HasPrefix(kind, "resource") || kind == "entity" {
				o.Type = cmp.Or(t.Type, kind)
			}
			list = append(list, o)
		}
	}
	return list
}
