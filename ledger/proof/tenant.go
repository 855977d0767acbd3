package proof

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"annals/ledger/chain"
)

// Tenant is what whoever may see one workspace of a ledger can hold against it:
// the history of the ledger's keys, a checkpoint, the workspace's signed head, and
// the entries of its chain. It needs nothing of any other workspace, so it is also
// all that an evidence pack holds.
//
// [Tenant.Verify] makes the checks of docs/format/pack.md, in its order, and those
// of docs/format/workspace-head.md: that the lines are the workspace's chain from
// First to Last, each named by the one behind it, the last by the signed head or a
// proof of its own, and beside each what was published.
type Tenant struct {
	Workspace string // its name, which the subject of each payload has
	// What is claimed, and compared with what is signed. Where Claimed is not set
	// there are no such claims.
	Claimed bool
	Origin  string
	Ledger  chain.Hash
	Tag     chain.Hash

	History    *KeyHistory // nil: it could not be read, and Before says why
	VKey       string      // the key that the verifier knows from elsewhere; "": none
	Checkpoint []byte      // the signed note; nil: it could not be read
	Answer     *HeadAnswer // nil: it could not be read

	// Lines are the entries at the positions First to Last. A [*FormError] ends them and
	// is a finding; any other error ends the verification. What is yielded is valid
	// until the next step.
	Lines iter.Seq2[Line, error]
	// Part says that First, Last and Payloads were given, and that the first line, the
	// last and each with a payload come with a proof, and no other. Otherwise the lines
	// are all that the head counts, and each payload that was kept must be there.
	Part        bool
	First, Last uint64
	Payloads    uint64 // lines that have one

	// Erasures are the control entries that erased what is missing, with their proofs in
	// the checkpoint's tree. A payload that none of them covers must be there; of a part,
	// where a line says that it is gone.
	Erasures []KeyEntry
	// ErasuresCut says that there are more of them, which could not be read.
	ErasuresCut bool

	Remembered []byte     // a head of this workspace that was kept from before: a note
	Receipts   []*Receipt // that the tenant holds; those of other workspaces are passed over
	Before     []Found    // what was found wrong already, in reading
	Notices    []Notice   // what is to be said besides
	Findings   int        // the most that the report lists; 0: 100
}

// FormError says that what was to be read is not of the form that it must have:
// nothing is said by it about a ledger.
type FormError struct{ What string }

func (e *FormError) Error() string { return e.What }

// TenantReport is a [Report] about one workspace. Entries counts its lines, and
// Root is the signed checkpoint's.
type TenantReport struct {
	Report
	Workspace string     `json:"workspace"`
	Tag       chain.Hash `json:"tag"`
	First     *uint64    `json:"first_position"` // null where there are no lines
	Last      *uint64    `json:"last_position"`
	Size      uint64     `json:"checkpoint_size"` // 0 when no checkpoint could be relied on
	TreeSize  uint64     `json:"head_size"`       // that the signed head speaks of; 0 when there is none to rely on
	Count     uint64     `json:"head_count"`      // entries that it counts
	Marked    uint64     `json:"marked"`          // entries that a mark of the ledger covers
}

// tenancy is one verification of a [Tenant].
type tenancy struct {
	*Tenant
	found      *findings
	genesis    *chain.Genesis
	ring       *Keyring
	ledger     chain.Hash // the keys', else the claimed one
	tag        chain.Hash
	checkpoint *Checkpoint    // nil unless its signature holds
	head       *WorkspaceHead // nil unless it can be relied on
	mark       *signedEnd     // nil unless it can be relied on
	remembered *WorkspaceHead
	receipts   []*Receipt
	erased     []tenantErasure
	refused    []uint64 // erasures that were found wrong
	walk       walk
}

// Verify checks everything. What is wrong is in the report; an error means that
// reading failed or ctx ended, and comes with an [Inconclusive] report.
func (t *Tenant) Verify(ctx context.Context) (TenantReport, error) {
	most := t.Findings
	if most <= 0 {
		most = defaultFindings
	}
	v := &tenancy{Tenant: t, found: newFindings(most), ledger: t.Ledger, tag: t.Tag}
	for _, f := range t.Before {
		v.found.put(f)
	}
	for _, n := range t.Notices {
		v.found.say(n)
	}
	v.keys()
	v.heads()
	v.recall()
	v.takeReceipts()
	v.takeErasures()
	if t.Part || v.head != nil {
		if err := v.lines(ctx); err != nil {
			err = fmt.Errorf("proof: workspace %s: %w", t.Workspace, err)
			return TenantReport{Report: inconclusive(uint64(len(v.walk.lines)), err), Workspace: t.Workspace}, err
		}
	}
	return v.report(), nil
}

// fault notes an error as what [FindingOf] names it.
func (v *tenancy) fault(what string, err error) {
	v.found.whole(FindingOf(err), "%s: %v", what, err)
}

// spareLines is how many lines too many are read and judged. More say nothing new, and
// each is kept in memory.
const spareLines = 1 << 16

// lines reads the lines and walks along them.
func (v *tenancy) lines(ctx context.Context) error {
	w := &v.walk
	*w = walk{v: v, whole: true, first: v.First, last: v.Last}
	if !v.Part {
		w.first, w.last = 0, v.head.Count-1
	}
	if v.Lines != nil {
		for l, err := range v.Lines {
			var form *FormError
			switch {
			case errors.As(err, &form):
				v.found.whole(Inconclusive, "%s", form.What)
				w.whole = false
			case err != nil:
				return err
			case uint64(len(w.lines)) > w.last-w.first+spareLines:
				v.found.whole(Inconclusive, "there are more than %d lines for the positions %d to %d; the others were not read", len(w.lines), w.first, w.last)
				w.whole = false
			default:
				w.lines = append(w.lines, w.read(&l))
			}
			if !w.whole {
				break
			}
			if err := ctx.Err(); err != nil {
				return err
			}
		}
	}
	if v.Part && w.whole {
		w.proofsDue()
	}
	w.place()
	w.chain()
	w.judge()
	v.compare()
	return nil
}

func (v *tenancy) report() TenantReport {
	w := &v.walk
	r := TenantReport{
		Report: Report{
			Ledger: v.ledger, Entries: uint64(len(w.lines)),
			Payloads: w.payloads, NotKept: w.notKept, Unchecked: w.unchecked,
		},
		Workspace: v.Workspace, Tag: v.tag,
	}
	if v.checkpoint != nil {
		r.Root, r.Size = v.checkpoint.Root, v.checkpoint.Size
	}
	if v.head != nil {
		r.TreeSize, r.Count = v.head.Size, v.head.Count
	}
	if len(w.lines) > 0 {
		r.First, r.Last = &w.first, &w.last
	}
	if v.mark != nil {
		r.Marked = v.mark.Count
	}
	r.settle(v.found)
	if r.Verdict == Clean {
		r.Sentence = v.sentence(&r)
	}
	return r
}

// sentence says what was proven, and no more.
func (v *tenancy) sentence(r *TenantReport) string {
	if v.Part {
		return fmt.Sprintf("workspace %s verified: complete positions %d to %d, where the signed head counts %d entries up to tree size %d; %d payloads are what was published",
			r.Workspace, v.First, v.Last, r.Count, r.TreeSize, r.Payloads)
	}
	return fmt.Sprintf("workspace %s verified: all its %d entries up to tree size %d, as its signed head says; %d payloads are what was published",
		r.Workspace, r.Entries, r.TreeSize, r.Payloads)
}
