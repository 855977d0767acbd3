package show

import (
	"fmt"
	"io"
	"strings"
	"time"

	"annals/ledger/chain"
	"annals/ledger/proof"

	"github.com/go-json-experiment/json/jsontext"
)

// Receipted is what a receipt says, and what of it was proven.
type Receipted struct {
	Verified bool        `json:"verified"`
	Grade    proof.Grade `json:"grade,omitzero"`   // once it is verified
	Finding  string      `json:"finding,omitzero"` // what is wrong, by the name that verify has for it
	Error    string      `json:"error,omitzero"`

	ULID        string    `json:"ulid"`
	Index       uint64    `json:"index"`
	Kind        string    `json:"kind"`
	Reason      *Refused  `json:"reason,omitzero"` // of a rejection
	Ref         *uint64   `json:"ref,omitzero"`    // the entry that it repeats, contradicts or amends
	Attribution string    `json:"attribution,omitzero"`
	RecordedAt  time.Time `json:"recorded_at"`
	Sequence    uint64    `json:"sequence"`
	Place       uint16    `json:"place"`
	EntryHash   string    `json:"entry_hash"`
	Ledger      string    `json:"ledger"`

	Checkpoint *Tree          `json:"checkpoint,omitzero"`
	Subject    string         `json:"subject,omitzero"` // where it was published
	Record     jsontext.Value `json:"record,omitzero"`  // what was published, where that is JSON
	Text       string         `json:"text,omitzero"`    // what was published, where it is not

	payload bool
}

// Refused is why a record was rejected.
type Refused struct {
	Name   string `json:"name"`
	Advice string `json:"advice"`
}

// Tree is the tree of a checkpoint.
type Tree struct {
	Origin string     `json:"origin"`
	Size   uint64     `json:"size"`
	Root   chain.Hash `json:"root"`
}

// ReceiptOf gathers what a receipt says. proven is nil where it was not verified,
// or, with wrong, where it does not hold.
func ReceiptOf(r *proof.Receipt, proven *proof.Proven, wrong error) *Receipted {
	e := &r.Entry
	out := &Receipted{
		ULID: e.ULID.String(), Index: e.Index, Kind: e.Kind.String(), RecordedAt: time.UnixMilli(int64(e.ULID.Time())).UTC(),
		Sequence: e.Sequence, Place: e.Place, EntryHash: chain.LeafHash(r.Raw).String(), Ledger: r.Ledger.String(),
	}
	if e.Grade != chain.GradeNone {
		out.Attribution = e.Grade.String()
	}
	if e.Kind == chain.KindRejection {
		out.Reason = new(Refused)
		out.Reason.Name, out.Reason.Advice = chain.Reason(e.Code)
	}
	if e.Ref != chain.NoRef {
		ref := e.Ref
		out.Ref = &ref
	}
	if c, err := proof.ParseCheckpoint(r.Checkpoint); err == nil {
		out.Checkpoint = &Tree{c.Origin, c.Size, c.Root}
	}
	if proven != nil {
		out.Verified, out.Grade = true, proven.Grade
	}
	if wrong != nil {
		out.Finding, out.Error = proof.FindingOf(wrong).String(), wrong.Error()
	}
	if r.Payload == nil {
		return out
	}
	out.payload = true
	out.Subject = r.Payload.Subject()
	leaf := r.Leaf()
	if _, record := leaf.Shown(); jsontext.Value(record).IsValid() {
		out.Record = record
	} else {
		out.Text = string(record)
	}
	return out
}

// Receipt prints what a receipt says: first whether any of it is true.
func Receipt(w io.Writer, r *Receipted) error {
	var b strings.Builder
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%-12s %s\n", name, Clean(value))
		}
	}
	what := r.Kind
	if r.Reason != nil {
		what = "the refusal of a record"
	}
	switch {
	case r.Error != "":
		fmt.Fprintf(&b, "THE RECEIPT DOES NOT HOLD: %s\n\nIt says:\n", Clean(r.Error))
	case !r.Verified:
		fmt.Fprint(&b, "NOT VERIFIED: give the ledger's key with --key. The receipt says:\n\n")
	default:
		fmt.Fprintf(&b, "%s: %s is entry %d of the ledger %s, whose key signed a tree of %d with it\n\n",
			r.Grade, what, r.Index, Clean(r.Checkpoint.Origin), r.Checkpoint.Size)
	}
	line("ulid", r.ULID)
	line("kind", r.Kind)
	if r.Reason != nil {
		line("refused", r.Reason.Name+": "+r.Reason.Advice)
	}
	if r.Ref != nil {
		line("refers to", fmt.Sprintf("entry %d", *r.Ref))
	}
	line("recorded at", r.RecordedAt.Format(time.RFC3339Nano))
	line("attribution", r.Attribution)
	line("message", fmt.Sprintf("%d, place %d", r.Sequence, r.Place))
	line("entry hash", r.EntryHash)
	line("published on", r.Subject)
	switch {
	case r.Record != nil:
		shown, err := Indent(r.Record)
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "\nrecord\n%s\n", shown)
	case r.payload && r.Text != "":
		fmt.Fprintf(&b, "\ntext\n%s\n", Clean(r.Text))
	case r.payload:
		fmt.Fprint(&b, "\nthe record is empty\n")
	default:
		fmt.Fprint(&b, "\nwhat was published is not in the receipt\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}
