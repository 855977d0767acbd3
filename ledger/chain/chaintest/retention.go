package chaintest

import "annals/ledger/chain"

// Retain adds a retention rule, signed by the operator.
func (s *Stream) Retain(r chain.Retention) {
	s.publish(chain.ControlRetention.Subject(), chain.SealRetention(s.ID, s.Control, r, "by Erin: our policy", s.Operator), nil)
	s.Control++
}

// Expiry returns the expiry of entries of a workspace that a ledger holds, under the
// rule in an entry, as one statement.
func Expiry(l *Log, rule uint64, workspace string, indexes ...uint64) chain.Erase {
	e := Select(l, workspace, indexes...)
	e.Role, e.Reason, e.Rule = chain.RoleLedger, chain.EraseExpired, rule
	return e
}

// Expire adds an expiry, signed by the ledger's key where nobody else is named: size
// and root are those of the ledger that it selects from.
func (s *Stream) Expire(size uint64, root chain.Hash, e chain.Erase, signers ...chain.Signer) {
	if len(signers) == 0 {
		signers = []chain.Signer{s.Keeper}
	}
	s.publish(chain.ControlExpire.Subject(), chain.SealExpiry(s.ID, s.Control, size, root, e, signers...), nil)
	s.Control++
}

// Holding returns the hold of entries of a workspace that a ledger holds; of none, of
// the whole workspace.
func Holding(l *Log, workspace string, indexes ...uint64) chain.Hold {
	h := chain.Hold{Workspace: l.State.Tag(workspace)}
	if len(indexes) > 0 {
		e := Select(l, workspace, indexes...)
		h.Ranges, h.Leaves = e.Ranges, e.Leaves
	}
	return h
}

// Hold adds a hold, signed by the operator: size and root are those of the ledger that
// it selects from.
func (s *Stream) Hold(size uint64, root chain.Hash, h chain.Hold) {
	s.publish(chain.ControlHold.Subject(), chain.SealHold(s.ID, s.Control, size, root, h, "Dana's case", s.Operator), nil)
	s.Control++
}

// Release adds the release of the hold with a control number, signed by the operator.
func (s *Stream) Release(hold uint64) {
	s.publish(chain.ControlRelease.Subject(), chain.SealRelease(s.ID, s.Control, hold, "the case is closed", s.Operator), nil)
	s.Control++
}
