package cosign

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"

	"annals/ledger/chain"
)

// Path is what add-checkpoint is behind a witness's submission prefix (C2SP
// tlog-witness, add-checkpoint).
const Path = "/add-checkpoint"

// MediaSize is the type of a refusal that says which size the witness cosigned last.
const MediaSize = "text/x.tlog.size"

// maxHashes is the most hashes that a consistency proof may have there.
const maxHashes = 63

// MaxRequest bounds a request's body in bytes: the proof, and a checkpoint with
// more signatures than any ledger makes.
const MaxRequest = 64 << 10

// Request is the body of add-checkpoint: what a log asks a witness to cosign.
type Request struct {
	Old        uint64       // the size that the witness cosigned last; 0: none, or unknown
	Proof      []chain.Hash // RFC 6962, 2.1.2, from Old to the checkpoint's size; none from 0
	Checkpoint []byte       // a signed note
}

// ErrRequest marks bytes that are no request.
var ErrRequest = errors.New("no add-checkpoint request")

// Body prints a request.
func (r *Request) Body() []byte {
	b := append(strconv.AppendUint([]byte("old "), r.Old, 10), '\n')
	for _, h := range r.Proof {
		b = append(base64.StdEncoding.AppendEncode(b, h[:]), '\n')
	}
	return append(append(b, '\n'), r.Checkpoint...)
}

// ParseRequest parses exactly what [Request.Body] prints; the checkpoint may be
// anything. Errors wrap [ErrRequest].
func ParseRequest(b []byte) (Request, error) {
	bad := func(format string, args ...any) (Request, error) {
		return Request{}, fmt.Errorf("%w: %s", ErrRequest, fmt.Sprintf(format, args...))
	}
	var r Request
	line, rest, ok := bytes.Cut(b, []byte("\n"))
	old, named := bytes.CutPrefix(line, []byte("old "))
	if !ok || !named {
		return bad("its first line is not `old` and a size")
	}
	var err error
	if r.Old, err = ParseSize(old); err != nil {
		return bad("the old size: %v", err)
	}
	for {
		if line, rest, ok = bytes.Cut(rest, []byte("\n")); !ok {
			return bad("no empty line ends the proof")
		}
		if len(line) == 0 {
			break
		}
		h, err := base64.StdEncoding.Strict().DecodeString(string(line))
		if err != nil || len(h) != len(chain.Hash{}) || base64.StdEncoding.EncodeToString(h) != string(line) {
			return bad("line %d of the proof is not 32 bytes in base64", len(r.Proof)+1)
		}
		if len(r.Proof) == maxHashes {
			return bad("the proof has more than %d hashes", maxHashes)
		}
		r.Proof = append(r.Proof, chain.Hash(h))
	}
	r.Checkpoint = rest
	return r, nil
}

// ParseSize reads a tree size in decimal, without a leading zero or a sign.
func ParseSize(b []byte) (uint64, error) {
	n, err := strconv.ParseUint(string(b), 10, 64)
	if err != nil || strconv.FormatUint(n, 10) != string(b) {
		return 0, errors.New("not a decimal number of 64 bits, written the one way that it is")
	}
	return n, nil
}
