package proof

import (
	"errors"
	"fmt"
	"strings"

	"annals/ledger/chain"
)

// signed checks a statement's signatures by the keys that are in force.
// It reports whether they carry it, as far as is known.
func (j *joiner) signed(x uint64, c *chain.Control) bool {
	if j.rules.roster == nil || j.rules.foreign {
		return true
	}
	err := j.rules.roster.Judge(c)
	finding := UnauthorisedControl
	switch {
	case err == nil:
		return true
	case errors.Is(err, chain.ErrSignature):
		finding = BadSignature
	case j.damage.skips > 0:
		return true // a change of keys may be among what could not be read
	case errors.Is(err, chain.ErrUnknownKey):
		finding = UnknownKey
	}
	j.found.at(x, finding, "control entry %d: %v", x, err)
	return false
}

// changeKeys checks a change of keys, and puts it in force: what its keys sign is
// not accused of how they came in.
func (j *joiner) changeKeys(x uint64, s *chain.Statement) {
	change, err := chain.ParseKeyChange(s.Body)
	switch {
	case errors.Is(err, chain.ErrUnsupported):
		j.foreign(x, "control entry %d: %v", x, err)
		return
	case err != nil:
		j.found.at(x, MalformedEntry, "control entry %d: %v", x, err)
		return
	}
	j.state(x, s, nil, 0)
	if j.rules.roster == nil {
		return
	}
	roster, err := j.rules.roster.Apply(x, &change)
	switch {
	case err == nil:
		j.rules.roster = roster
		j.found.noticeKeys(x, &change)
	case j.damage.skips == 0:
		j.found.at(x, UnauthorisedControl, "control entry %d: %v", x, err)
	}
}

// noticeKeys says that a change of keys is in force: whoever reads the report may
// hold one of those that went.
func (f *findings) noticeKeys(x uint64, c *chain.KeyChange) {
	name, what := KeysChanged, "changes the keys"
	if c.Reason == chain.Revocation {
		name, what = KeyRevoked, "revokes a key"
	}
	var said []string
	for _, id := range c.Removed {
		said = append(said, fmt.Sprintf("key %s goes", id))
	}
	for _, key := range c.Added {
		said = append(said, fmt.Sprintf("key %s comes, for %s", key.ID(), key.Roles))
	}
	for _, t := range c.Thresholds {
		said = append(said, fmt.Sprintf("%d keys must sign as %s", t.Keys, t.Role))
	}
	if len(said) > maxNamed {
		said = append(said[:maxNamed], fmt.Sprintf("and %d more", len(said)-maxNamed))
	}
	f.notice(x, name, "control entry %d %s: %s", x, what, strings.Join(said, "; "))
}

// maxNamed is how many keys a notice names.
const maxNamed = 8
