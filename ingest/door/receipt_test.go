package door_test

import (
	"context"
	"errors"
	"testing"

	"annals/ingest/door"
	"annals/internal/problem"
	"annals/ledger/chain"
	"annals/ledger/proof"
)

// TestGrades: what an answer is worth is said in it, and no receipt is shown where
// there is none.
func TestGrades(t *testing.T) {
	given := func(_ context.Context, indexes []uint64, payload bool, _ proof.Grade) ([]*proof.Receipt, proof.Grade, error) {
		var out []*proof.Receipt
		for _, index := range indexes {
			e := chain.Entry{Kind: chain.KindRecord, Flags: chain.FlagRetained, Grade: chain.GradeAsserted, Count: 1, Index: index, Ref: chain.NoRef}
			r := &proof.Receipt{Entry: e, Raw: e.Append(nil), Index: index, Checkpoint: []byte("c")}
			if payload {
				r.Salt, r.Payload = new(chain.Hash), &chain.Payload{Body: []byte("b")}
			}
			out = append(out, r)
		}
		return out, proof.Recorded, nil
	}
	late := func(context.Context, []uint64, bool, proof.Grade) ([]*proof.Receipt, proof.Grade, error) {
		return nil, "", problem.New(problem.NoCheckpoint, "not yet")
	}
	broken := func(context.Context, []uint64, bool, proof.Grade) ([]*proof.Receipt, proof.Grade, error) {
		return nil, "", errors.New("disk")
	}
	witnessed := func(ctx context.Context, indexes []uint64, payload bool, ask proof.Grade) ([]*proof.Receipt, proof.Grade, error) {
		r, _, err := given(ctx, indexes, payload, ask)
		return r, proof.Witnessed, err
	}
	batch := "[" + good + ", 7]"
	for _, c := range []struct {
		name     string
		receipts func(context.Context, []uint64, bool, proof.Grade) ([]*proof.Receipt, proof.Grade, error)
		query    string
		status   int
		code     string
		grade    proof.Grade
		proven   bool
		payload  bool
	}{
		{"accepted", given, "", 202, "", proof.Accepted, false, false},
		{"recorded, unsigned", given, "?wait=recorded", 200, "", proof.Accepted, false, false},
		{"receipt", given, "?wait=receipt", 200, "", proof.Recorded, true, true},
		{"receipt without payload", given, "?wait=receipt&payload=false", 200, "", proof.Recorded, true, false},
		{"no checkpoint yet", late, "?wait=receipt", 503, "no_checkpoint", proof.Accepted, false, false},
		{"no receipts here", nil, "?wait=receipt", 503, "no_checkpoint", proof.Accepted, false, false},
		{"unreadable", broken, "?wait=receipt", 500, "internal", "", false, false},
		{"witnessed", witnessed, "?wait=witnessed", 200, "", proof.Witnessed, true, true},
		{"witnessed without being asked for", witnessed, "?wait=receipt", 200, "", proof.Witnessed, true, true},
		{"too few witnesses", given, "?wait=witnessed", 200, "", proof.Recorded, true, true},
		{"another wait", given, "?wait=attested", 400, "invalid_parameter", "", false, false},
		{"twice", given, "?wait=receipt&wait=recorded", 400, "invalid_parameter", "", false, false},
		{"another payload", given, "?wait=receipt&payload=1", 400, "invalid_parameter", "", false, false},
		{"unknown", given, "?weight=receipt", 400, "unknown_parameter", "", false, false},
	} {
		s := new(stream)
		d := open(t, door.Options{Publish: s.publish, Await: s.await, Receipts: c.receipts})
		a := d.post(records+c.query, batch)
		if a.status != c.status || a.Code != c.code {
			t.Errorf("%s: %d %s", c.name, a.status, a.raw)
			continue
		}
		if c.grade == "" {
			continue
		}
		if len(a.Items) != 2 {
			t.Errorf("%s: %s", c.name, a.raw)
			continue
		}
		item := a.Items[0]
		if item.Grade != c.grade || (item.Receipt != "") != c.proven {
			t.Errorf("%s: grade %q, receipt %v", c.name, item.Grade, item.Receipt != "")
		}
		if late := c.query == "?wait=witnessed" && c.grade == proof.Recorded; (item.Detail != "") != late {
			t.Errorf("%s: %q", c.name, item.Detail)
		}
		if c.proven {
			if r, err := proof.ParseReceipt([]byte(item.Receipt)); err != nil || (r.Payload != nil) != c.payload || r.Index != *item.Index {
				t.Errorf("%s: %v\n%s", c.name, err, item.Receipt)
			}
		}
		if refused := a.Items[1]; refused.Grade != "" || refused.Receipt != "" || refused.Status != "rejected" {
			t.Errorf("%s: what never came to the ledger: %+v", c.name, refused)
		}
	}
}
