package journal

import (
	"time"

	"annals/internal/access"

	"github.com/go-json-experiment/json"
)

// Record is what is told.
type Record struct {
	Type, ID string
	At       time.Time
	By       string // the id of the token that did it; "": the system, or the command line
	Object   string // the id of the key that it was done to; "": none
	Name     string // of that
	Data     any
}

// Bytes is the record as it is published (docs/format/record.md).
func (r *Record) Bytes() ([]byte, error) {
	type party struct {
		Type string `json:"type"`
		ID   string `json:"id,omitzero"`
		Name string `json:"name,omitzero"`
	}
	out := struct {
		ID       string    `json:"id"`
		Type     string    `json:"type"`
		Occurred time.Time `json:"occurred_at"`
		Actor    party     `json:"actor"`
		Object   party     `json:"object,omitzero"`
		Data     any       `json:"data,omitzero"`
	}{ID: r.ID, Type: r.Type, Occurred: r.At.UTC(), Actor: party{Type: "system"}, Data: r.Data}
	if r.By != "" {
		out.Actor = party{Type: "service", ID: r.By}
	}
	if r.Object != "" {
		out.Object = party{"api_key", r.Object, r.Name}
	}
	return json.Marshal(out, json.Deterministic(true))
}

// CommandLine is who mints and revokes while no server runs.
const CommandLine = "the command line"

// changed tells of a key.
func changed(c access.Change) Record {
	k := &c.Key
	r := Record{Object: k.ID, Name: k.Name, Data: map[string]any{
		"subject": k.Subject, "on_behalf": k.OnBehalf, "scopes": k.Scopes.Names(), "workspaces": k.Workspaces.Names(), "expires": k.Expires,
	}}
	who := k.By
	if c.Revoked {
		r.Type, r.ID, r.At, who = typeRevoked, "key-revoked-"+k.ID, k.Revoked, k.RevokedBy
	} else {
		r.Type, r.ID, r.At = typeMinted, "key-minted-"+k.ID, k.Created
	}
	if who != CommandLine {
		r.By = who
	}
	return r
}

// summed tells what was counted.
func summed(typ string, all []*tally) Record {
	type row struct {
		Who       string    `json:"who,omitzero"`
		What      string    `json:"what"`
		Workspace string    `json:"workspace,omitzero"`
		Count     int       `json:"count"`
		First     time.Time `json:"first"`
		Last      time.Time `json:"last"`
		Addresses []string  `json:"addresses,omitzero"`
	}
	r := Record{Type: typ, ID: newID(), At: time.Now()}
	var rows []row
	for _, t := range all {
		rows = append(rows, row{t.who, t.what, t.where, t.count, t.first, t.last, t.addresses})
	}
	r.Data = rows
	return r
}
