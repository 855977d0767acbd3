package door

import (
	"bytes"
	"net/http"

	"annals/activity"
	"annals/internal/access"
	"annals/internal/problem"
	"annals/ledger/chain"

	"github.com/danielgtaylor/huma/v2"
	"github.com/oklog/ulid/v2"
)

// AmendPath is where a record's amendments are posted.
const AmendPath = "/v1/workspaces/{ws}/records/{ulid}/amendments"

// AmendmentType is the activity type of an amendment that names none.
const AmendmentType = "record.amended"

// amend answers one request: it records a record that amends the one that the path
// names.
func (d *door) amend(w http.ResponseWriter, r *http.Request) error {
	who, err := d.o.Access.Enter(w, r)
	if err != nil {
		return err
	}
	workspace, wants, err := parameters(r)
	if err != nil {
		return err
	}
	if err := d.o.Access.Authorize(r, who, access.Record, "amend-record", workspace); err != nil {
		if problem.Is(err, problem.NoSuchWorkspace) {
			err = noSuchRecord(r.PathValue("ulid"))
		}
		return err
	}
	id, err := d.amendable(workspace, r.PathValue("ulid"))
	if err != nil {
		return err
	}
	bodies, lone, err := read(w, r)
	if err != nil {
		return err
	}
	if !lone {
		return problem.New(problem.InvalidBody, "an amendment is one record: send one JSON object as application/json")
	}
	body, err := amending(bodies[0], id.String())
	if err != nil {
		return err
	}
	batch := newBatch(workspace, [][]byte{body}, vouching(seen(r), who))
	if err := d.record(r.Context(), batch, lone, wants); err != nil {
		return err
	}
	if wants.wait == "" {
		return answer(w, http.StatusAccepted, batch)
	}
	return answer(w, http.StatusOK, batch)
}

// noSuchRecord is what is said of an entry that is not there, and of another
// workspace's.
func noSuchRecord(id string) error {
	return problem.New(problem.NoSuchRecord, "the workspace has no entry %s; check the ULID and the workspace", id)
}

// amendable returns the ULID of the path, when it is a record's of the workspace. Of
// what the ledger does not hold yet there is nothing to correct: whoever knows the
// ULID was told that it is recorded.
func (d *door) amendable(workspace, text string) (ulid.ULID, error) {
	id, err := ulid.ParseStrict(text)
	if err != nil {
		return id, problem.Parameter("ulid", "invalid_ulid", "a ULID is 26 characters of Crockford's base 32, the first at most 7")
	}
	_, index := chain.SplitULID(id)
	leaf, _, err := d.o.Get(index)
	e := &leaf.Entry
	switch {
	case err != nil || e.ULID != id || e.Workspace != d.o.Tag(workspace): // a ledger that can't be read can't record either
		return id, noSuchRecord(text)
	case e.Kind != chain.KindRecord && e.Kind != chain.KindConflict:
		return id, problem.New(problem.InvalidBody, "entry %s is a %s, and no record: there is nothing in it to amend", id, e.Kind)
	}
	return id, nil
}

// amending returns an amendment as it is published: the body, in front of whose
// members stand those that the path says and the body leaves out. What is no record
// comes back as it is, to be refused as every record is.
func amending(body []byte, id string) ([]byte, error) {
	var keys activity.Keys
	if activity.Scan(body, &keys) != nil {
		return body, nil
	}
	if keys.Type == "" {
		with := inserted(body, `"type":"`+AmendmentType+`"`)
		if activity.Scan(with, &keys) != nil { // it has one, which is empty
			return body, nil
		}
		body = with
	}
	if keys.Amends != id {
		with := inserted(body, `"amends":"`+id+`"`)
		if activity.Scan(with, &keys) != nil { // it has one
			const why = "this is not the entry of the path; leave it out"
			return nil, problem.New(problem.InvalidBody, "amends: %s", why).With(problem.At("/amends", problem.InvalidBody, why))
		}
		body = with
	}
	r, err := activity.Parse(body)
	if err != nil {
		return nil, err
	}
	if r.Reason == nil || r.Reason.Code == "" && r.Reason.Details == "" && r.Reason.Commentary == "" {
		const why = "an amendment says why: give reason.code, reason.details or reason.commentary"
		return nil, problem.New(problem.InvalidBody, "%s", why).With(problem.At("/reason", problem.InvalidBody, why))
	}
	return body, nil
}

// inserted puts a member in front of a record's others, and changes no byte of them:
// a record has at least its actor.
func inserted(record []byte, member string) []byte {
	at := bytes.IndexByte(record, '{') + 1
	out := append(make([]byte, 0, len(record)+len(member)+1), record[:at]...)
	return append(append(append(out, member...), ','), record[at:]...)
}

// documentAmend is the operation in OpenAPI.
func documentAmend(registry huma.Registry) *huma.Operation {
	op := *document(registry)
	op.Path, op.OperationID, op.Summary = AmendPath, "amend-record", "Amend a record"
	op.Description = "Records a record that corrects or completes an earlier one of the workspace: nothing is edited (docs/amendments.md). " +
		"`reason` says why, in `code`, `details` or `commentary`; members of `data` take the place of those of their names in what readers are shown as present. " +
		"`amends` is added in front of the body, and `type`, `" + AmendmentType + "`, where it has none; else it is published as it came. " +
		"Answered as recording one record is.\n\nScope: record."
	op.Parameters = append([]*huma.Param{{
		Name: "ulid", In: "path", Required: true, Description: "The record's ULID.", Example: "01K9Z0W3QH0000000000000005",
		Schema: &huma.Schema{Type: huma.TypeString, MinLength: new(26), MaxLength: new(26)},
	}}, op.Parameters...)
	op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		mediaJSON: {Schema: &huma.Schema{Ref: "#/components/schemas/Record"}},
	}}
	problem.Document(&op, registry, problem.NoSuchRecord, problem.InvalidBody)
	return &op
}
