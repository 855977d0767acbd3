package imports

import (
	"slices"
	"strconv"
	"strings"

	"annals/activity"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// draft is a record that is put together member by member.
type draft struct {
	r      activity.Record
	actor  activity.Actor
	behalf activity.Actor
	object activity.Object
	linked activity.Object
	where  activity.Context
	reason activity.Reason
	origin activity.Origin
	dims   map[string]string
	data   map[string]string
}

func newDraft() *draft { return &draft{dims: map[string]string{}, data: map[string]string{}} }

// places are the texts of a record that a mapping may name, and where they go.
var places = map[string]func(*draft) *string{
	"id":                   func(d *draft) *string { return &d.r.ID },
	"producer":             func(d *draft) *string { return &d.r.Producer },
	"type":                 func(d *draft) *string { return &d.r.Type },
	"occurred_at":          func(d *draft) *string { return &d.r.OccurredAt },
	"source":               func(d *draft) *string { return &d.r.Source },
	"method":               func(d *draft) *string { return &d.r.Method },
	"outcome":              func(d *draft) *string { return &d.r.Outcome },
	"actor.type":           func(d *draft) *string { return &d.actor.Type },
	"actor.id":             func(d *draft) *string { return &d.actor.ID },
	"actor.name":           func(d *draft) *string { return &d.actor.Name },
	"actor.login":          func(d *draft) *string { return &d.actor.Login },
	"actor.email":          func(d *draft) *string { return &d.actor.Email },
	"on_behalf_of.type":    func(d *draft) *string { return &d.behalf.Type },
	"on_behalf_of.id":      func(d *draft) *string { return &d.behalf.ID },
	"on_behalf_of.name":    func(d *draft) *string { return &d.behalf.Name },
	"on_behalf_of.login":   func(d *draft) *string { return &d.behalf.Login },
	"on_behalf_of.email":   func(d *draft) *string { return &d.behalf.Email },
	"object.type":          func(d *draft) *string { return &d.object.Type },
	"object.id":            func(d *draft) *string { return &d.object.ID },
	"object.name":          func(d *draft) *string { return &d.object.Name },
	"object.revision":      func(d *draft) *string { return &d.object.Revision },
	"linked.type":          func(d *draft) *string { return &d.linked.Type },
	"linked.id":            func(d *draft) *string { return &d.linked.ID },
	"linked.name":          func(d *draft) *string { return &d.linked.Name },
	"linked.revision":      func(d *draft) *string { return &d.linked.Revision },
	"context.ip":           func(d *draft) *string { return &d.where.IP },
	"context.forwarded_ip": func(d *draft) *string { return &d.where.ForwardedIP },
	"context.user_agent":   func(d *draft) *string { return &d.where.UserAgent },
	"context.session_id":   func(d *draft) *string { return &d.where.SessionID },
	"context.request_id":   func(d *draft) *string { return &d.where.RequestID },
	"reason.code":          func(d *draft) *string { return &d.reason.Code },
	"reason.details":       func(d *draft) *string { return &d.reason.Details },
	"reason.commentary":    func(d *draft) *string { return &d.reason.Commentary },
	"origin.kind":          func(d *draft) *string { return &d.origin.Kind },
	"origin.file_id":       func(d *draft) *string { return &d.origin.FileID },
}

// members are the paths that a mapping may name, apart from dimensions.NAME and
// data.NAME. The producer is the mapping's own.
func members() []string {
	list := []string{"message", "origin.line"}
	for path := range places {
		if path != "producer" {
			list = append(list, path)
		}
	}
	slices.Sort(list)
	return list
}

// set sets the member that a path names.
func (d *draft) set(path, v string) *Refusal {
	if name, ok := strings.CutPrefix(path, "dimensions."); ok {
		d.dims[name] = v
		return nil
	}
	if name, ok := strings.CutPrefix(path, "data."); ok {
		d.data[name] = v
		return nil
	}
	switch path {
	case "message":
		d.r.Message, _ = jsontext.AppendQuote(nil, v)
	case "origin.line":
		if n, err := strconv.ParseUint(v, 10, 63); err != nil || strconv.FormatUint(n, 10) != v {
			return &Refusal{Code: codeInvalidCell, Detail: strconv.Quote(shorten(v)) + " is no number of a line"}
		}
		d.origin.Line = activity.Number(v)
	default:
		*places[path](d) = v
	}
	return nil
}

// record is what was put together. A part that nothing was said of is absent.
func (d *draft) record() *activity.Record {
	r := &d.r
	r.Actor = &d.actor
	if said([]string{d.behalf.ID, d.behalf.Name, d.behalf.Login, d.behalf.Email}) {
		r.OnBehalfOf = &d.behalf
	}
	if said([]string{d.object.ID, d.object.Name, d.object.Revision}) {
		r.Object = &d.object
	}
	if said([]string{d.linked.ID, d.linked.Name, d.linked.Revision}) {
		r.Linked = []activity.Object{d.linked}
	}
	if fields := []string{d.where.IP, d.where.ForwardedIP, d.where.UserAgent, d.where.SessionID, d.where.RequestID}; said(fields) {
		r.Context = &d.where
	}
	if said([]string{d.reason.Code, d.reason.Details, d.reason.Commentary}) {
		r.Reason = &d.reason
	}
	if said([]string{d.origin.Kind, d.origin.FileID, string(d.origin.Line)}) {
		r.Origin = &d.origin
	}
	if len(d.dims) > 0 {
		r.Dimensions = d.dims
	}
	if len(d.data) > 0 {
		r.Data, _ = json.Marshal(d.data, json.Deterministic(true))
	}
	return r
}

func said(list []string) bool {
	return slices.ContainsFunc(list, func(s string) bool { return s != "" })
}
