package ingest

import (
	"bytes"
	"container/heap"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go/micro"

	"annals/ledger/proof"
)

// subjectReceipt is where receipts are asked for; the workspace follows.
const subjectReceipt = "annals.api.receipt."

// askTimeout bounds one question: the service itself waits for a checkpoint.
const askTimeout = 15 * time.Second

// asking is a claim whose receipt is asked for, next at a time.
type asking struct {
	claim     Claim
	at, until time.Time
	tries     int
}

// waitingClaims are those that wait for their time, the next one first.
type waitingClaims []asking

func (w *waitingClaims) add(a asking) { heap.Push(w, a) }

func (w waitingClaims) Len() int           { return len(w) }
func (w waitingClaims) Less(i, j int) bool { return w[i].at.Before(w[j].at) }
func (w waitingClaims) Swap(i, j int)      { w[i], w[j] = w[j], w[i] }

// Push implements [heap.Interface].
func (w *waitingClaims) Push(x any) { *w = append(*w, x.(asking)) }

// Pop implements [heap.Interface].
func (w *waitingClaims) Pop() any {
	last := len(*w) - 1
	x := (*w)[last]
	(*w)[last] = asking{}
	*w = (*w)[:last]
	return x
}

// ask asks for the receipts that are due, a few at once, until Close.
func (r *Receipts) ask() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		r.mu.Lock()
		wait := time.Hour
		for len(r.due) > 0 && r.asked < r.o.Asking {
			if wait = time.Until(r.due[0].at); wait > 0 {
				break
			}
			a := heap.Pop(&r.due).(asking)
			r.asked++
			r.ended.Go(func() { r.askFor(a) })
		}
		r.mu.Unlock()
		timer.Reset(max(wait, time.Millisecond))
		select {
		case <-r.moved:
		case <-timer.C:
		case <-r.ctx.Done():
			return
		}
	}
}

// askFor asks for one receipt, and keeps it, or has it asked for again later.
func (r *Receipts) askFor(a asking) {
	text, err := r.fetch(&a.claim)
	if err == nil {
		err = r.kept.putReceipt(r.ctx, &a.claim, text)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked--
	a.tries++
	a.at = time.Now().Add(min(100*time.Millisecond<<min(a.tries, 10), 30*time.Second))
	switch {
	case err == nil:
		r.stats.Receipts++
	case r.ctx.Err() != nil:
		r.due.add(a) // Close says that it is outstanding
	case a.at.Before(a.until):
		r.o.Logger.Debug("no receipt yet", "sequence", a.claim.Sequence, "place", a.claim.Place, "error", err)
		r.due.add(a)
	default:
		r.o.Logger.Warn("no receipt came; the claim is kept", "sequence", a.claim.Sequence, "place", a.claim.Place, "error", err)
		r.stats.GivenUp++
	}
	nudge(r.moved)
}

// fetch asks the ledger for a receipt and returns what is kept of it. What came is
// kept also where it speaks against the ledger: to judge is for who reconciles.
func (r *Receipts) fetch(c *Claim) ([]byte, error) {
	question, err := json.Marshal(struct {
		Sequence uint64 `json:"sequence"`
		Place    uint16 `json:"place"`
		SHA256   string `json:"sha256"`
		Payload  bool   `json:"payload"`
	}{c.Sequence, c.Place, c.SHA256, true})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.ctx, askTimeout)
	defer cancel()
	m, err := r.nc.RequestWithContext(ctx, subjectReceipt+c.Workspace, question)
	if err != nil {
		return nil, fmt.Errorf("asking on %s: %w", subjectReceipt+c.Workspace, err)
	}
	if code := m.Header.Get(micro.ErrorCodeHeader); code != "" {
		return nil, fmt.Errorf("the ledger says: %s (%s)", m.Header.Get(micro.ErrorHeader), code)
	}
	receipt, err := proof.ParseReceipt(m.Data)
	if err != nil {
		return nil, err
	}
	if receipt.Entry.Sequence != c.Sequence || receipt.Entry.Place != c.Place {
		return nil, errors.New("the receipt is of another record")
	}
	return r.strip(receipt, c), nil
}

// strip leaves the payload out, unless it is to be kept, or isn't what was
// published: then it is evidence.
func (r *Receipts) strip(receipt *proof.Receipt, c *Claim) []byte {
	p := receipt.Payload
	if r.o.Payloads || p == nil || !c.Of(p.Body) {
		return receipt.Text()
	}
	bare := receipt.WithoutPayload()
	if _, err := bare.WithPayload(p.Envelope, p.Body); err != nil {
		return receipt.Text()
	}
	return bare.Text()
}

// Of reports whether bytes are those that the claim is of.
func (c *Claim) Of(record []byte) bool {
	h := sha256.Sum256(record)
	want, err := hex.DecodeString(c.SHA256)
	return err == nil && bytes.Equal(want, h[:])
}
