package proof

import (
	"errors"

	"annals/ledger/chain"
)

// Fault is an error with the finding that it stands for.
type Fault struct {
	Finding Finding
	Err     error
}

func (f *Fault) Error() string { return f.Err.Error() }

// Unwrap returns what is wrong.
func (f *Fault) Unwrap() error { return f.Err }

// FindingOf names what an error of this package means for a verdict. What says
// nothing about the ledger (a file that can't be read, a network, JSON that is
// none) is [Inconclusive]; nil is [Clean].
func FindingOf(err error) Finding {
	var fault *Fault
	switch {
	case err == nil:
		return Clean
	case errors.As(err, &fault):
		return fault.Finding
	case errors.Is(err, ErrOrigin):
		return WrongLedger
	case errors.Is(err, ErrNote), errors.Is(err, ErrHead), errors.Is(err, chain.ErrSignature):
		return BadSignature // nobody signs what is no head
	case errors.Is(err, chain.ErrUnknownKey):
		return UnknownKey
	case errors.Is(err, chain.ErrRole):
		return UnauthorisedControl
	case errors.Is(err, ErrProof):
		return RootMismatch
	case errors.Is(err, ErrCommitment):
		return AlteredPayload
	case errors.Is(err, chain.ErrUnsupported):
		return Unsupported
	case errors.Is(err, chain.ErrMalformed):
		return MalformedEntry
	}
	return Inconclusive
}
