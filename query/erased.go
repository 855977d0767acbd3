package query

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"annals/internal/problem"
	"annals/ledger/chain"
	"annals/ledger/proof"

	"github.com/go-json-experiment/json"
)

// erasures answers which control entries erased something of a workspace, and which
// rules and holds say what may be.
func (a *API) erasures(w http.ResponseWriter, _ *http.Request, f *filter) error {
	if err := tenantsOwn(f); err != nil {
		return err
	}
	size := f.chained.proofs
	if published := a.published(); size > published {
		return problem.Parameter("proofs", "size_not_published", "no checkpoint of that size is published yet; the last has size "+strconv.FormatUint(published, 10))
	}
	tag := a.o.Ledger.Tag(f.workspace)
	indexes, err := a.o.Ledger.Erasures(tag)
	if err != nil {
		return err
	}
	governing, err := a.o.Ledger.Governing(tag)
	if err != nil {
		return err
	}
	indexes = append(indexes, governing...)
	slices.Sort(indexes)
	for size > 0 && len(indexes) > 0 && indexes[len(indexes)-1] >= size {
		indexes = indexes[:len(indexes)-1]
	}
	var proofs [][]chain.Hash
	if size > 0 {
		if proofs, err = a.o.Ledger.Inclusions(indexes, size); err != nil {
			return err
		}
	}
	b, n := []byte{}, 0
	err = a.each(f.turn, indexes, func(leaf *chain.Leaf, _ chain.Hash) error {
		line := proof.NewLine(leaf, false)
		if proofs != nil {
			line.Proof = proof.Hashes64(proofs[n])
		}
		n++
		text, err := json.Marshal(&line)
		b = append(append(b, text...), '\n')
		return err
	})
	if err != nil {
		return err
	}
	return write(w, entriesMedia, b)
}

// erased appends by what a payload was erased: what a page shows in the record's
// stead.
func (it *item) erased(b []byte, leaf *chain.Leaf) ([]byte, error) {
	if leaf.Payload != nil || leaf.Entry.Kind == chain.KindGap {
		return b, nil
	}
	by, ok, err := it.api.o.Ledger.Erased(leaf.Entry.Index)
	if err != nil || !ok || by < leaf.Entry.Index { // which came under an erased record's id: compared says so
		return b, err
	}
	control, _, err := it.api.o.Ledger.Get(by)
	if err != nil {
		return b, err
	}
	e := &control.Entry
	b = append(b, `,"erased":{"at":`...)
	var day day
	b = day.append(b, int64(e.ULID.Time())*int64(time.Millisecond), recordedDigits)
	if erase, ok := e.Erases(); ok {
		b = append(b, `,"by":"`...)
		b = append(b, erase.Role.String()...)
		b = append(b, `","reason":"`...)
		b = append(b, erase.Reason.String()...)
		if erase.Rule != chain.NoRef {
			rule, _, err := it.api.o.Ledger.Get(erase.Rule)
			if err != nil {
				return b, err
			}
			b = append(b, `","rule":"`...)
			b = append(b, rule.Entry.ULID.String()...)
		}
	} else {
		b = append(b, `,"by":"`...)
		b = append(b, chain.RoleLedger.String()...)
	}
	b = append(b, `","control":"`...)
	b = append(b, e.ULID.String()...)
	return append(b, `"}`...), nil
}
