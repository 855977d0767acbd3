package proof

import (
	"cmp"
	"fmt"
	"slices"
)

// Finding is the name of something that an audit can find. Names are frozen:
// they stand in the JSON of `annals verify` and scripts compare them. They are
// snake_case everywhere; [Finding.String] spells them for people.
type Finding string

// The findings. Their order here is their rank: the first that was found is the
// audit's verdict. What names the entry at fault comes before what says only that
// two wholes differ, and what is hashed before what stands beside it. What each means, and what to do, is in [Finding.Meaning].
const (
	WrongLedger          Finding = "wrong_ledger"
	Truncated            Finding = "truncated"
	MissingEntry         Finding = "missing_entry"
	Reordered            Finding = "reordered"
	AlteredEntry         Finding = "altered_entry"
	MalformedEntry       Finding = "malformed_entry"
	TrailingBytes        Finding = "trailing_bytes"
	WorkspaceChainBroken Finding = "workspace_chain_broken"
	Hole                 Finding = "hole"
	BadSignature         Finding = "bad_signature"
	UnknownKey           Finding = "unknown_key"
	UnauthorisedControl  Finding = "unauthorised_control"
	Clock                Finding = "clock"
	FalseDuplicate       Finding = "false_duplicate"
	Forked               Finding = "forked"
	RootMismatch         Finding = "root_mismatch"
	StaleHead            Finding = "stale_head"
	TailUnproven         Finding = "tail_unproven"
	WitnessQuorumNotMet  Finding = "witness_quorum_not_met"
	BadTimestamp         Finding = "bad_timestamp"
	HoldViolated         Finding = "hold_violated"
	ExpiredEarly         Finding = "expired_early"
	AlteredPayload       Finding = "altered_payload"
	PayloadMissing       Finding = "payload_missing"
	ErasureIncomplete    Finding = "erasure_incomplete"
	TreeDamaged          Finding = "tree_damaged"
	IndexLies            Finding = "index_lies"
	Unsupported          Finding = "unsupported"
	Inconclusive         Finding = "inconclusive"
	Clean                Finding = "clean"
)

var meanings = []struct {
	finding Finding
	meaning string
}{
	{WrongLedger, "this is not the ledger that it is said to be; find out which one it is before you rely on it"},
	{Truncated, "entries are cut off the end; get them from a replica or a backup"},
	{MissingEntry, "an entry was taken out; get it from a replica or a backup"},
	{Reordered, "entries do not stand where they were recorded; take the order from a replica or a backup, and ask who could write there"},
	{AlteredEntry, "an entry's bytes are not those that were recorded; compare it with a replica's or a backup's"},
	{MalformedEntry, "an entry was recorded that the format does not allow; the program that wrote it is faulty or was not annals: find out which it was"},
	{TrailingBytes, "something stands behind an entry or behind the ledger's end that belongs to neither; keep it, and ask who put it there"},
	{WorkspaceChainBroken, "a workspace's history does not follow on from itself; do not rely on it, and compare it with a replica's"},
	{Hole, "messages of the stream have no entry, and no signed gap admits it; look for them in the stream's replicas and mirrors"},
	{BadSignature, "a signature under a control statement or a signed head is not valid; believe nothing that stands above it"},
	{UnknownKey, "a control statement or a signed head is signed by a key that may not speak for the ledger there; ask for the key history, and by another way for the key"},
	{UnauthorisedControl, "a control statement stands in the ledger that the rules do not let in; ask who could write to the ledger's folder"},
	{Clock, "an entry's time is not what the rule of time gives; rely on the order alone, and on the marks' times"},
	{FalseDuplicate, "a duplicate or conflict is not what it says; a record may have been suppressed: ask its producer for it"},
	{Forked, "there are two histories of this ledger; keep both, and ask each replica and witness for its head"},
	{RootMismatch, "the ledger's head is not the head of its entries; keep both, and compare them with a replica's"},
	{StaleHead, "the head that is shown is older than one that was remembered, though of the same history; ask again, another replica or past the cache"},
	{TailUnproven, "entries stand behind the last signed head, where one was due; ask for a newer head, which covers them"},
	{WitnessQuorumNotMet, "too few of the policy's witnesses cosigned the head; ask again later, and ask the witnesses"},
	{BadTimestamp, "a timestamp token in the ledger is none over the entries that it stands for; rely on no time that it gives, and ask who runs the server"},
	{HoldViolated, "a payload is gone that a hold was to keep; ask who released it"},
	{ExpiredEarly, "a payload is gone before its retention rule let it go; ask who ran the rule"},
	{AlteredPayload, "what stands beside an entry is not what was published; the entry itself is intact: get the payload from a replica, a backup or its producer"},
	{PayloadMissing, "what was published is gone, though nothing in the ledger says that it was erased; get it from a replica, a backup or its producer"},
	{ErasureIncomplete, "an erasure was ordered and is not done everywhere: what it covers may still be read; let it finish and look again"},
	{TreeDamaged, "stored node hashes are wrong though every entry is right; they can be computed again"},
	{IndexLies, "the projections answer otherwise than the ledger, which is right; rebuild them"},
	{Unsupported, "a newer version of annals wrote this; verify with that version"},
	{Inconclusive, "the audit could not read all that it needs; nothing is said about the ledger: mend what hindered it and run it again"},
	{Clean, "every entry is what was recorded, in the order in which it was recorded"},
}

// Findings lists every finding by rank, the gravest first.
func Findings() []Finding {
	out := make([]Finding, len(meanings))
	for i, m := range meanings {
		out[i] = m.finding
	}
	return out
}

// Meaning says in a sentence what a finding means and what to do about it.
func (f Finding) Meaning() string {
	if i := f.rank(); i < len(meanings) {
		return meanings[i].meaning
	}
	return "a finding that this version does not know"
}

// String returns the finding's name with spaces, for people.
func (f Finding) String() string {
	b := []byte(f)
	for i := range b {
		if b[i] == '_' {
			b[i] = ' '
		}
	}
	return string(b)
}

func (f Finding) rank() int {
	for i, m := range meanings {
		if m.finding == f {
			return i
		}
	}
	return len(meanings)
}

// Found is one finding: where, and a sentence on what is wrong there.
type Found struct {
	Finding Finding `json:"finding"`
	Index   *uint64 `json:"index,omitempty"` // nil when no one entry is at fault
	Detail  string  `json:"detail"`
	// Evidence are the signed notes that a finding rests on, verbatim: of a fork, both
	// heads.
	Evidence []string `json:"evidence,omitempty"`
}

// findings gathers what an audit finds: of each kind the first few, by index,
// and the count of all.
type findings struct {
	most  int
	kinds map[Finding][]Found
	total uint64
	first *uint64

	notices []Notice
}

func newFindings(most int) *findings {
	return &findings{most: most, kinds: map[Finding][]Found{}, notices: []Notice{}}
}

// at notes a finding at an entry.
func (f *findings) at(index uint64, finding Finding, format string, args ...any) {
	f.put(Found{Finding: finding, Index: &index, Detail: fmt.Sprintf(format, args...)})
}

// whole notes a finding that no one entry is at fault for.
func (f *findings) whole(finding Finding, format string, args ...any) {
	f.put(Found{Finding: finding, Detail: fmt.Sprintf(format, args...)})
}

// put notes a finding.
func (f *findings) put(found Found) {
	if found.Index != nil && (f.first == nil || *found.Index < *f.first) {
		f.first = found.Index
	}
	f.total++
	list := append(f.kinds[found.Finding], found)
	if len(list) > 2*f.most {
		slices.SortStableFunc(list, byIndex)
		list = list[:f.most]
	}
	f.kinds[found.Finding] = list
}

// list returns the findings by rank, then index: the most grave of at most most.
func (f *findings) list() []Found {
	out := []Found{}
	for _, m := range meanings {
		list := f.kinds[m.finding]
		slices.SortStableFunc(list, byIndex)
		out = append(out, list...)
	}
	return out[:min(len(out), f.most)]
}

func byIndex(a, b Found) int {
	switch {
	case a.Index == nil && b.Index == nil:
		return 0
	case a.Index == nil:
		return 1
	case b.Index == nil:
		return -1
	}
	return cmp.Compare(*a.Index, *b.Index)
}
