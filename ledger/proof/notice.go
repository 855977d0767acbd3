package proof

import "fmt"

// NoticeName is the name of something that an audit says besides its verdict.
// Names are frozen, as findings' are.
type NoticeName string

// The notices. None makes a ledger less than clean.
const (
	SignedGap        NoticeName = "signed_gap"
	KeysChanged      NoticeName = "keys_changed"
	KeyRevoked       NoticeName = "key_revoked"
	NewEpoch         NoticeName = "new_epoch"
	UnsignedTail     NoticeName = "unsigned_tail"
	Erased           NoticeName = "erased"
	Expired          NoticeName = "expired"
	EntriesOnly      NoticeName = "entries_only"
	NoRememberedHead NoticeName = "no_remembered_head"
	NoCheckpoint     NoticeName = "no_checkpoint"
	KeyFromLedger    NoticeName = "key_from_ledger"
	GoesOn           NoticeName = "goes_on"
	NameUnproven     NoticeName = "name_unproven"
	ForeignFile      NoticeName = "foreign_file"
	NoIndexes        NoticeName = "no_indexes"
	IndexesBehind    NoticeName = "indexes_behind"

	Timestamped       NoticeName = "timestamped"
	TimestampUnproven NoticeName = "timestamp_unproven"
)

// Notice is something that whoever reads a report should know and that is no
// finding.
type Notice struct {
	Notice NoticeName `json:"notice"`
	Index  *uint64    `json:"index,omitempty"` // nil when it is of no one entry
	Detail string     `json:"detail"`
}

// NoticeNames lists every notice with a sentence on what it means.
func NoticeNames() []NoticeName {
	out := make([]NoticeName, len(noticeMeanings))
	for i, m := range noticeMeanings {
		out[i] = m.notice
	}
	return out
}

var noticeMeanings = []struct {
	notice  NoticeName
	meaning string
}{
	{SignedGap, "messages of the stream are lost for ever, and the operator signed that they are"},
	{KeysChanged, "keys were added, or gave way to others in good order; an old verifier key still leads to the new ones"},
	{KeyRevoked, "a key was taken out of force because it was lost or somebody else's: ask since when, and get the new verifier key from the operator"},
	{NewEpoch, "the ledger went on in another stream; what the old one had acknowledged and nobody had recorded is lost, and is a producer's to publish again"},
	{UnsignedTail, "entries stand behind the last checkpoint: they are sound, and no signature covers them yet"},
	{Erased, "a payload was lawfully erased, as an entry says"},
	{Expired, "a payload was let go by a retention rule, as an entry says"},
	{Timestamped, "a timestamp authority that the auditor trusts signed that the entries before it stood there at a time"},
	{TimestampUnproven, "a timestamp token is in the ledger, and the authority that signed it is not one that the auditor trusts, or nobody asked"},
	{EntriesOnly, "payloads were not looked at: what they say is not checked here"},
	{NoRememberedHead, "nothing was kept from an earlier audit: entries that were cut off the end, or another history, would not show"},
	{NoCheckpoint, "no signed head was compared: the ledger is sound in itself, and nobody's signature says that it is this one"},
	{KeyFromLedger, "the keys were taken from what they judge: it only agrees with itself"},
	{GoesOn, "a pack holds a part of a workspace's history, which goes on behind it"},
	{NameUnproven, "no payload is there whose subject names the workspace: its tag is proven, what it is called is the word of who shows it"},
	{ForeignFile, "a file stands in a pack that is not of one, and was not looked at"},
	{NoIndexes, "no indexes were compared: there are none, or the ledger that they follow from is not clean"},
	{IndexesBehind, "the indexes hold fewer entries than the ledger: they are right as far as they go, and a server folds the rest"},
}

// Meaning says in a sentence what a notice means.
func (n NoticeName) Meaning() string {
	for _, m := range noticeMeanings {
		if m.notice == n {
			return m.meaning
		}
	}
	return "a notice that this version does not know"
}

// maxNotices bounds the notices of one name that a report lists.
const maxNotices = 100

// notice says something at an entry.
func (f *findings) notice(index uint64, name NoticeName, format string, args ...any) {
	f.say(Notice{Notice: name, Index: &index, Detail: fmt.Sprintf(format, args...)})
}

// remark says something of the whole.
func (f *findings) remark(name NoticeName, format string, args ...any) {
	f.say(Notice{Notice: name, Detail: fmt.Sprintf(format, args...)})
}

func (f *findings) say(n Notice) {
	same := 0
	for _, old := range f.notices {
		if old.Notice == n.Notice {
			same++
		}
	}
	if same < maxNotices {
		f.notices = append(f.notices, n)
	}
}
