package proof

import (
	"fmt"

	"annals/ledger/chain"
)

// Report is what an audit found.
type Report struct {
	Verdict  Finding    `json:"verdict"`  // Clean, or the gravest of Findings
	Findings []Found    `json:"findings"` // by rank, then index; at most Options.Findings
	Total    uint64     `json:"total"`    // findings in all, listed or not
	FirstBad *uint64    `json:"first_bad_index"`
	Notices  []Notice   `json:"notices"` // what is no finding and should be known
	Ledger   chain.Hash `json:"ledger"`  // the ledger's id; zeros when its genesis can't be relied on
	Entries  uint64     `json:"entries"` // entries read
	// Root is the root of the tree over the entries, recomputed; zeros when
	// entries are missing, so that there is no tree.
	Root chain.Hash `json:"root"`
	// Payloads counts the payloads whose commitment was recomputed; NotKept those
	// that were too large to keep, and Unchecked those that could not be checked
	// (the entry is a duplicate of an erased or missing record).
	Payloads  uint64 `json:"payloads"`
	NotKept   uint64 `json:"payloads_not_kept"`
	Unchecked uint64 `json:"payloads_unchecked"`
	Sentence  string `json:"sentence"`
}

// settle draws the verdict from what was found.
func (r *Report) settle(f *findings) {
	r.Findings, r.Total, r.FirstBad, r.Notices = f.list(), f.total, f.first, f.notices
	if len(r.Findings) == 0 {
		r.Verdict = Clean
		r.Sentence = fmt.Sprintf("chain verified: %d entries, root %s", r.Entries, r.Root)
		return
	}
	first := r.Findings[0]
	r.Verdict = first.Finding
	r.Sentence = fmt.Sprintf("%s: %s. This means: %s.", first.Finding, first.Detail, first.Finding.Meaning())
	if r.Total > 1 {
		r.Sentence += fmt.Sprintf(" %d findings in all.", r.Total)
	}
	if r.FirstBad != nil {
		r.Sentence += fmt.Sprintf(" First bad index: %d.", *r.FirstBad)
	}
}

// Refused is the report where what stands before an audit decided it: a checkpoint
// that doesn't verify, a key that isn't the ledger's.
func Refused(err error) Report {
	finding := FindingOf(err)
	if finding == Inconclusive || finding == Clean {
		return inconclusive(0, err)
	}
	found := newFindings(1)
	found.whole(finding, "%v", err)
	var r Report
	r.settle(found)
	return r
}

// inconclusive is the report of an audit that err ended.
func inconclusive(entries uint64, err error) Report {
	return Report{
		Verdict: Inconclusive, Findings: []Found{{Finding: Inconclusive, Detail: err.Error()}}, Total: 1, Notices: []Notice{}, Entries: entries,
		Sentence: fmt.Sprintf("inconclusive after %d entries: %v. This means: %s.", entries, err, Inconclusive.Meaning()),
	}
}
