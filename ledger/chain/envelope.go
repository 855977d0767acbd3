package chain

// Envelope returns the envelope of a message published on a subject with a header,
// as payloads hold it (docs/format/messages.md): for whoever published the message
// and compares it with what an entry commits to. Of header, the retained names are
// taken; where they are over [MaxHeaders] together, none is.
func Envelope(subject string, header map[string][]string) []byte {
	b, _ := appendEnvelope(nil, subject, header)
	return b
}
