package proof

import (
	"errors"

	"annals/ledger/chain"
)

// foldVersion checks the announcement of a version of the fold, and puts it in force. A
// version that this program doesn't know ends what it can judge.
func (j *joiner) foldVersion(x uint64, s *chain.Statement) {
	r := &j.rules
	version, err := chain.ParseFoldVersion(s.Body)
	switch {
	case errors.Is(err, chain.ErrUnsupported):
		j.foreign(x, "control entry %d: %v", x, err)
		return
	case err != nil:
		j.found.at(x, MalformedEntry, "control entry %d: %v", x, err)
		return
	case version <= r.version && r.versionAt == j.damage.skips:
		j.found.at(x, UnauthorisedControl, "control entry %d announces fold version %d, but version %d was in force", x, version, r.version)
	}
	r.version, r.versionAt = max(r.version, version), j.damage.skips
	j.state(x, s, nil, 0)
}

// event holds an entry that says it tells an event to the version of the fold: the first
// makes no such entry.
func (r *rules) event(j *joiner, x uint64, e *chain.Entry) {
	if e.Flags&chain.FlagEvent != 0 && r.version < chain.FoldEvents && r.versionAt == j.damage.skips {
		j.found.at(x, MalformedEntry, "%s entry %d tells an event, which version %d of the fold does not read", e.Kind, x, r.version)
	}
}
