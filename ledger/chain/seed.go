package chain

import (
	"crypto/sha256"
	"errors"
	"fmt"
)

// SeedCommitment commits to a seed, which its control message's secret part
// holds.
func SeedCommitment(number uint32, seed [sha256.Size]byte) Hash {
	return sum("annals/seed/v1\x00", be32(nil, number), seed[:])
}

// SealSeed frames and signs a seed as the body of a control message. control is
// the message's control number.
func SealSeed(ledger Hash, control uint64, number uint32, seed [sha256.Size]byte, signers ...Signer) []byte {
	commitment := SeedCommitment(number, seed)
	return SealControl(Statement{
		Ledger: ledger, Number: control, Type: ControlSeed,
		Body: append(be32(nil, number), commitment[:]...),
	}, seed[:], signers...)
}

// seed puts a seed in force.
func (s *State) seed(fr *frame, st *Statement) error {
	number, commitment, err := ParseSeed(st.Body)
	switch {
	case err != nil:
		return err
	case number == GenesisSeed || number != s.Seed+1:
		// The genesis's number is the last of all: seed 0 follows it by wrapping.
		return fmt.Errorf("it brings seed %d after seed %d", number, s.Seed)
	case len(fr.private) != sha256.Size || SeedCommitment(number, [sha256.Size]byte(fr.private)) != commitment:
		return errors.New("its secret part is not the seed that it commits to")
	}
	s.Seed, s.Secret = number, [sha256.Size]byte(fr.private)
	return nil
}
