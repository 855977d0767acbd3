package prooftest

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// Random makes a ledger of several workspaces (ws_1 and on, each with entries) from
// a seed: messages of every kind of which a tenant has entries, and marks between
// them. The last message is a record of ws_1 that no mark covers.
func Random(seed uint64, messages, workspaces int) *Ledger {
	rng := rand.New(rand.NewPCG(seed, 7))
	l := New(fmt.Sprintf("random-%d", seed))
	body := func(id string) string {
		return fmt.Sprintf(`{"id":%q,"producer":"p%d","type":"app.renamed","actor":{"type":"user","id":"u%d","name":"Dana <b>%d</b>"},"object":{"type":"app","id":"a%d"},"data":{"n":%d}}`,
			id, rng.IntN(2), rng.IntN(5), rng.IntN(3), rng.IntN(4), rng.IntN(3))
	}
	type said struct{ subject, body string }
	var before []said
	subject := func(root string) string { return fmt.Sprintf("%s.ws_%d._", root, 1+rng.IntN(workspaces)) }
	for w := range workspaces {
		l.Publish(fmt.Sprintf("activity.ws_%d._", w+1), body("first"))
	}
	for n := range messages {
		id := fmt.Sprintf("r%d", rng.IntN(1+n)) // now and then one that was
		switch rng.IntN(20) {
		case 0:
			l.Publish(subject("activity"), "not JSON")
		case 1:
			l.Publish(subject("activity"), "")
		case 2, 3, 4:
			lines := make([]string, 1+rng.IntN(5))
			for i := range lines {
				lines[i] = body(fmt.Sprintf("%s.%d", id, i))
			}
			l.Publish(subject("activity"), strings.Join(lines, "\n"), "Content-Type", "application/x-ndjson")
		case 5, 6:
			l.Publish(subject("vouched"), fmt.Sprintf(`{"door":{"grade":"verified","producer":"crm"},"record":%s}`, body(id)), "traceparent", "00-00")
		case 7:
			l.MarkNow()
		case 8, 9:
			if len(before) > 0 { // a producer that had no answer
				again := before[rng.IntN(len(before))]
				l.Publish(again.subject, again.body)
			}
		default:
			before = append(before, said{subject("activity"), body(id)})
			l.Publish(before[len(before)-1].subject, before[len(before)-1].body)
		}
	}
	l.MarkNow()
	l.Publish("activity.ws_1._", body("last"))
	l.Fold()
	return l
}
