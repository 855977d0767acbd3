package proof

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"annals/ledger/chain"
)

// Checkpoint is a ledger's head as it is signed: a note whose text is the origin,
// the size and the root (C2SP tlog-checkpoint), without extension lines.
type Checkpoint struct {
	Origin string     // the ledger's name, which its genesis settles
	Size   uint64     // entries
	Root   chain.Hash // of the RFC 6962 tree over them
	Note   []byte     // the signed note, as it was read
}

var (
	// ErrNote marks bytes that are no checkpoint's note: no note at all, or one of
	// something else.
	ErrNote = errors.New("no checkpoint")
	// ErrOrigin marks a checkpoint that names another ledger than its reader
	// expects.
	ErrOrigin = errors.New("another ledger's checkpoint")
)

// maxNote bounds what is taken for a note: 16 of the largest signatures that
// C2SP signed-note speaks of fit several times.
const maxNote = 1_000_000

// noteText returns the text of what has a note's form (C2SP signed-note). No
// signature is checked. Errors wrap [ErrNote] and stand for [Inconclusive]: what is no
// note may be a web page or half a file, and says nothing about a ledger.
func noteText(n []byte) (string, error) {
	no := func(why error) (string, error) {
		return "", &Fault{Finding: Inconclusive, Err: fmt.Errorf("%w: %w", ErrNote, why)}
	}
	if len(n) > maxNote {
		return no(fmt.Errorf("%d bytes, the most is %d", len(n), maxNote))
	}
	_, err := note.Open(n, note.VerifierList())
	var unverified *note.UnverifiedNoteError
	if !errors.As(err, &unverified) {
		return no(fmt.Errorf("%s is no signed note (%w)", brief(string(n)), err))
	}
	return unverified.Note.Text, nil
}

// ParseCheckpoint reads a checkpoint and believes nothing: no signature is
// checked. It takes exactly what C2SP tlog-checkpoint prints without extension
// lines: three lines, the size in decimal without leading zeroes, the root in
// canonical base64. Errors wrap [ErrNote].
func ParseCheckpoint(n []byte) (Checkpoint, error) {
	text, err := noteText(n)
	if err != nil {
		return Checkpoint{}, err
	}
	c, err := parseText(text)
	c.Note = n
	return c, err
}

// parseText parses a checkpoint's text.
func parseText(text string) (Checkpoint, error) {
	bad := func(format string, args ...any) (Checkpoint, error) {
		return Checkpoint{}, fmt.Errorf("%w: %s", ErrNote, fmt.Sprintf(format, args...))
	}
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[0] == "" || lines[3] != "" {
		return bad("its text is %d lines, not the origin, the size and the root", len(lines)-1)
	}
	var c Checkpoint
	var err error
	c.Origin = lines[0]
	if c.Size, err = parseDecimal(lines[1]); err != nil {
		return bad("size %s: %v", brief(lines[1]), err)
	}
	root, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(root) != len(c.Root) {
		return bad("root %s is not 32 bytes in base64", brief(lines[2]))
	}
	c.Root = chain.Hash(root)
	return c, nil
}

// parseDecimal reads a number as C2SP writes it, without leading zeroes or sign.
func parseDecimal(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, errors.New("not a decimal number of 64 bits")
	}
	if strconv.FormatUint(n, 10) != s {
		return 0, errors.New("not written the one way that a number is")
	}
	return n, nil
}

// Text is what a checkpoint's signatures sign.
func (c *Checkpoint) Text() string {
	return fmt.Sprintf("%s\n%d\n%s\n", c.Origin, c.Size, base64.StdEncoding.EncodeToString(c.Root[:]))
}
