package query

import (
	"time"

	"annals/ledger/chain"
)

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
	} else {
		b = append(b, `,"by":"`...)
		b = append(b, chain.RoleLedger.String()...)
	}
	b = append(b, `","control":"`...)
	b = append(b, e.ULID.String()...)
	return append(b, `"}`...), nil
}
