package chain

// Signature is one key's signature over a statement, made apart from the message that
// carries it: by somebody else, elsewhere, earlier.
type Signature struct {
	Key   Hash   // the key's id
	Bytes []byte // over [Statement.Append], and nothing else
}

// Assemble frames a statement, its private part and signatures over it as the body of a
// control message. It judges nothing: [CheckControl] does, and then the fold. At most
// 255 keys sign.
func Assemble(s Statement, private []byte, signatures ...Signature) []byte {
	statement := s.Append(nil)
	b := []byte{1}
	b = be32(b, len(statement))
	b = append(b, statement...)
	b = append(b, byte(len(signatures)))
	for _, sig := range signatures {
		b = append(b, sig.Key[:]...)
		b = be16(b, len(sig.Bytes))
		b = append(b, sig.Bytes...)
	}
	b = be32(b, len(private))
	return append(b, private...)
}
