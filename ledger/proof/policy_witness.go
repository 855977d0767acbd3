package proof

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"annals/ledger/chain"
)

// Witness is one of a policy's witnesses.
type Witness struct {
	Name string // that it has within the policy
	URL  string // where checkpoints are submitted to it; "" where the policy gives none

	verifier note.Verifier
}

// Witnesses are the policy's, in its order, those included that the quorum doesn't
// need.
func (p *Policy) Witnesses() []Witness {
	out := make([]Witness, len(p.witnesses))
	for i, w := range p.witnesses {
		out[i] = Witness{Name: w.name, URL: w.url, verifier: w.verifier}
	}
	return out
}

// Logs are the verifier keys of the policy's logs, in its order.
func (p *Policy) Logs() []string { return slices.Clone(p.logKeys) }

// Demands reports whether the policy asks for a witness at all: where it doesn't,
// every checkpoint meets it, and that makes none of them witnessed.
func (p *Policy) Demands() bool { return p.quorum != nil }

// ErrNoCosignature marks signature lines none of which is by the witness that is
// asked about.
var ErrNoCosignature = errors.New("no cosignature")

// Cosignature is a witness's signature under a checkpoint.
type Cosignature struct {
	Line string // as it stands in a note, with its line feed
	Time uint64 // when the witness says that it signed, in seconds since 1970
}

// Cosignature finds the witness's line among signature lines (C2SP signed-note) and
// checks it against a checkpoint's text (C2SP tlog-cosignature: cosignature/v1 of
// Ed25519, or ML-DSA-44). Of several the first counts; lines by other keys are passed
// over. Errors wrap [ErrNote], [ErrNoCosignature] or [chain.ErrSignature].
//
// Nobody looks at the time here: what is offered as new has to be, and what was
// kept has not.
func (w *Witness) Cosignature(text string, lines []byte) (Cosignature, error) {
	n := append([]byte(text+"\n"), lines...)
	if len(n) > maxNote {
		return Cosignature{}, fmt.Errorf("%w: %d bytes of signatures", ErrNote, len(lines))
	}
	opened, err := note.Open(n, note.VerifierList(w.verifier))
	var invalid *note.InvalidSignatureError
	var unverified *note.UnverifiedNoteError
	switch {
	case errors.As(err, &unverified):
		return Cosignature{}, fmt.Errorf("%w by %s+%08x is among them", ErrNoCosignature, w.verifier.Name(), w.verifier.KeyHash())
	case errors.As(err, &invalid):
		return Cosignature{}, fmt.Errorf("%w: that by %s+%08x", chain.ErrSignature, invalid.Name, invalid.Hash)
	case err != nil:
		return Cosignature{}, fmt.Errorf("%w: %v", ErrNote, err)
	case opened.Text != text: // an empty line among the lines moved the text's end
		return Cosignature{}, fmt.Errorf("%w: the signatures hold an empty line", ErrNote)
	}
	s := opened.Sigs[0]
	// The verifier has checked that there is a time: key hash (4 bytes) || time (8) || signature.
	raw, err := base64.StdEncoding.DecodeString(s.Base64)
	if err != nil || len(raw) < 12 {
		return Cosignature{}, fmt.Errorf("%w: a cosignature of %d bytes", ErrNote, len(raw))
	}
	return Cosignature{Line: "— " + s.Name + " " + s.Base64 + "\n", Time: binary.BigEndian.Uint64(raw[4:])}, nil
}

// WithCosignatures adds lines to a note that lacks them.
func WithCosignatures(n []byte, lines ...string) []byte {
	out := append(make([]byte, 0, len(n)+len(lines)*128), n...)
	for _, line := range lines {
		if !strings.Contains(string(n), "\n"+line) {
			out = append(out, line...)
		}
	}
	return out
}
