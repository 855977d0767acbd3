package imports

import (
	"cmp"
	"strings"

	"annals/activity"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// trailEvent is what of an AWS CloudTrail event becomes a record's own members
// ("CloudTrail record contents", AWS CloudTrail User Guide).
type trailEvent struct {
	EventID            string         `json:"eventID"`
	EventTime          string         `json:"eventTime"`
	EventSource        string         `json:"eventSource"`
	EventName          string         `json:"eventName"`
	EventType          string         `json:"eventType"`
	Region             string         `json:"awsRegion"`
	SourceIP           string         `json:"sourceIPAddress"`
	UserAgent          string         `json:"userAgent"`
	RequestID          string         `json:"requestID"`
	ErrorCode          string         `json:"errorCode"`
	ErrorMessage       string         `json:"errorMessage"`
	RecipientAccountID string         `json:"recipientAccountId"`
	Response           jsontext.Value `json:"responseElements"`
	Identity           trailIdentity  `json:"userIdentity"`
	Resources          []struct {
		ARN       string `json:"ARN"`
		ARNPrefix string `json:"ARNPrefix"`
		Type      string `json:"type"`
	} `json:"resources"`
}

// anonymousAccount is the account of who asked without credentials.
const anonymousAccount = "ANONYMOUS_PRINCIPAL"

type trailIdentity struct {
	Type        string `json:"type"`
	ARN         string `json:"arn"`
	PrincipalID string `json:"principalId"`
	InvokedBy   string `json:"invokedBy"`
	UserName    string `json:"userName"`
	AccountID   string `json:"accountId"`
}

// readCloudTrail reads CloudTrail's files, {"Records":[…]}, and events by themselves.
func readCloudTrail(t *tape, s *sink) error {
	return readValues(t, s, envelope{lists: []string{"Records"}}, func(it *Item) error {
		var e trailEvent
		if err := json.Unmarshal(it.Raw, &e); err != nil {
			return s.refuse(it, fromError(err))
		}
		switch {
		case e.EventName == "" || e.EventSource == "":
			return s.refuse(it, &Refusal{Code: codeNotAnEvent, Detail: "an event of CloudTrail has eventSource and eventName"})
		case e.EventTime == "":
			return s.refuse(it, &Refusal{Code: codeMissingTime, Pointer: "/eventTime", Detail: "an event of CloudTrail says when it happened"})
		}
		return s.record(it, e.record(it.Raw))
	})
}

// record maps an event. All of it stands in data.
func (e *trailEvent) record(raw []byte) *activity.Record {
	service, _, _ := strings.Cut(e.EventSource, ".")
	r := &activity.Record{
		ID: e.EventID, Producer: "aws.cloudtrail", Type: typeOf(service, e.EventName), OccurredAt: e.EventTime,
		Actor:  e.Identity.actor(e.EventSource),
		Source: e.EventSource, Method: e.EventType,
		Context: &activity.Context{IP: e.SourceIP, UserAgent: e.UserAgent, RequestID: e.RequestID},
		Outcome: "success",
		Data:    raw,
	}
	if e.ErrorCode != "" || e.ErrorMessage != "" || e.refusedLogin() {
		r.Outcome = "failure"
		if e.ErrorCode != "" || e.ErrorMessage != "" {
			r.Reason = &activity.Reason{Code: e.ErrorCode, Details: e.ErrorMessage}
		}
	}
	if e.Region != "" {
		r.Context.Location, _ = jsontext.AppendQuote(nil, e.Region)
	}
	account := e.RecipientAccountID
	if account == "" && e.Identity.AccountID != anonymousAccount {
		account = e.Identity.AccountID
	}
	r.Dimensions = dimensions("account", account, "region", e.Region)
	var list []activity.Object
	for _, x := range e.Resources {
		o := activity.Object{Type: x.Type, ID: cmp.Or(x.ARN, x.ARNPrefix)}
		o.Type = cmp.Or(o.Type, kindOfARN(o.ID))
		list = append(list, o)
	}
	things(r, list)
	return r
}

// actor is the first of what names who acted.
func (i *trailIdentity) actor(source string) *activity.Actor {
	id := cmp.Or(i.ARN, i.PrincipalID, i.InvokedBy, i.AccountID)
	a := &activity.Actor{Type: "user", ID: id, Name: i.UserName}
	switch {
	case i.AccountID == anonymousAccount:
		return &activity.Actor{Type: activity.ActorAnonymous}
	case id == "":
		return &activity.Actor{Type: "service", ID: source} // an event of the service's own
	case id == i.InvokedBy:
		a.Type = "service"
	}
	return a
}

// refusedLogin reports a sign-in that failed, which has no error code.
func (e *trailEvent) refusedLogin() bool {
	var said struct {
		ConsoleLogin string `json:"ConsoleLogin"`
	}
	return e.EventName == "ConsoleLogin" && json.Unmarshal(e.Response, &said) == nil && said.ConsoleLogin == "Failure"
}

// kindOfARN is what a resource is, where the event doesn't say: the ARN's service and
// kind of resource, such as ssm:parameter (arn:partition:service:region:account:kind/id
// or …:kind:id; one without a kind is of its service).
func kindOfARN(arn string) string {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) < 6 || parts[0] != "arn" || parts[2] == "" {
		return "resource"
	}
	end := strings.IndexAny(parts[5], "/:")
	if end <= 0 || parts[2] == "s3" { // what stands before the slash is a bucket
		return parts[2]
	}
	return parts[2] + ":" + parts[5][:end]
}

// dimensions makes dimensions of names and values, without those that are empty.
func dimensions(pairs ...string) map[string]string {
	var m map[string]string
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			continue
		}
		if m == nil {
			m = map[string]string{}
		}
		m[pairs[i]] = pairs[i+1]
	}
	return m
}
