package proof

import "annals/ledger/chain"

// catalogue checks the entry of a workspace's catalogue. What its document says is
// nothing to an audit: no entry is judged by it.
func (j *joiner) catalogue(x uint64, s *chain.Statement) {
	if _, err := chain.ParseCatalogue(s.Body); err != nil {
		j.found.at(x, MalformedEntry, "control entry %d: %v", x, err)
		return
	}
	j.state(x, s, nil, 0)
}
