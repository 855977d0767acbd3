package chain

// MaxToken is the most bytes of a timestamp token: one with a chain of certificates
// has some thousands.
const MaxToken = 32 << 10

// SealTimestamp frames and signs a timestamp token (RFC 3161) over the checkpoint text
// of a size and root as the body of a control message. The fold judges no token: what
// it says is for auditors, who know whom to believe about time.
func SealTimestamp(ledger Hash, control, size uint64, root Hash, token []byte, signers ...Signer) []byte {
	return SealControl(Statement{
		Ledger: ledger, Number: control, Type: ControlTimestamp,
		Size: size, Root: root, Body: token,
	}, nil, signers...)
}

// ParseTimestamp returns the token in a statement's body: the DER of a SEQUENCE, as far
// as its first byte says.
func ParseTimestamp(body []byte) (token []byte, err error) {
	if len(body) == 0 || len(body) > MaxToken || body[0] != 0x30 {
		return nil, malformed("timestamp token of %d bytes", len(body))
	}
	return body, nil
}

// timestamp checks the form of a timestamp token. It changes nothing.
func (s *State) timestamp(st *Statement) error {
	_, err := ParseTimestamp(st.Body)
	return err
}
