package proof

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"

	tlogproof "github.com/transparency-dev/formats/proof"

	"annals/ledger/chain"
)

// Grade says how well an answer about a record is founded.
type Grade string

// The three grades, weakest first.
const (
	// Accepted: somebody said so, and signed nothing. The stream's acknowledgement
	// is of this grade, and so is whatever a server says without a receipt.
	Accepted Grade = "accepted"
	// Recorded: the entry is under a published checkpoint that the ledger signed.
	Recorded Grade = "recorded"
	// Witnessed: enough witnesses signed that checkpoint too.
	Witnessed Grade = "witnessed"
)

// Receipt proves what became of one record: that an entry of it is in the tree of
// a signed checkpoint. Of a rejection it proves the refusal.
//
// As text it is a tlog-proof (c2sp.org/tlog-proof@v1), whose extra line holds the
// entry and what stands beside it (docs/receipts.md). So it is verified offline,
// with a key and nothing else, by [Receipt.Verify]. The fields say what the text
// says; nothing in them is true before that.
type Receipt struct {
	Ledger chain.Hash  // the ledger's id
	Entry  chain.Entry // Raw, parsed
	Raw    []byte      // the entry's bytes, which are what is hashed

	// Salt is what the payload was committed to with; nil: left out, or erased.
	Salt *chain.Hash
	// Payload is what was published: the same salt, the envelope and the whole body,
	// a duplicate's too. nil: left out, never kept, or erased.
	Payload *chain.Payload

	Index      uint64       // the entry's; by the proof's own line
	Hashes     []chain.Hash // the inclusion proof, the leaf's sibling first (RFC 6962, 2.1.1)
	Checkpoint []byte       // the signed note, verbatim
}

// Bounds of a receipt's text. The largest payload makes one of about 530 KiB.
const (
	MaxReceipt    = 1 << 20
	maxCheckpoint = 64 << 10
	maxProof      = 63 // hashes
)

// ErrReceipt marks bytes that are no receipt.
var ErrReceipt = errors.New("no receipt")

const (
	receiptHeader = "c2sp.org/tlog-proof@v1\n"
	receiptDomain = "annals/receipt/v1\x00"
)

// The parts of a receipt that may be left out.
const (
	partSalt    = 1 << 0
	partPayload = 1 << 1
)

// extra is what the text's extra line encodes.
func (r *Receipt) extra() []byte {
	b := append([]byte(receiptDomain), r.Ledger[:]...)
	parts := byte(0)
	if r.Salt != nil {
		parts |= partSalt
	}
	if r.Payload != nil {
		parts |= partPayload
	}
	b = append(b, parts)
	b = appendLong(b, r.Raw)
	if r.Salt != nil {
		b = append(b, r.Salt[:]...)
	}
	if r.Payload != nil {
		b = appendLong(b, r.Payload.Envelope)
		b = appendLong(b, r.Payload.Body)
	}
	return b
}

func appendLong(b, x []byte) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(x))), x...)
}

// Text returns the receipt as it is kept and sent: text/plain; charset=utf-8, in a
// file named .tlog-proof.
func (r *Receipt) Text() []byte {
	p := tlogproof.TLogProof{Index: r.Index, ExtraData: r.extra(), Checkpoint: r.Checkpoint}
	for _, h := range r.Hashes {
		p.Hashes = append(p.Hashes, h)
	}
	return p.Marshal()
}

// ParseReceipt parses exactly what [Receipt.Text] prints, and proves nothing by
// it. Errors wrap [ErrReceipt]; of an entry that a newer program wrote, also
// [chain.ErrUnsupported]. The receipt aliases nothing of b.
func ParseReceipt(b []byte) (*Receipt, error) {
	if len(b) > MaxReceipt {
		return nil, noReceipt("%d bytes, the most is %d", len(b), MaxReceipt)
	}
	rest, ok := bytes.CutPrefix(b, []byte(receiptHeader))
	if !ok {
		return nil, noReceipt("its first line is not %q", receiptHeader[:len(receiptHeader)-1])
	}
	proof, checkpoint, ok := bytes.Cut(rest, []byte("\n\n"))
	if !ok {
		return nil, noReceipt("no checkpoint follows the proof")
	}
	lines := bytes.Split(proof, []byte{'\n'})
	if len(lines) < 2 || len(lines) > 2+maxProof {
		return nil, noReceipt("%d lines before the checkpoint, where 2 to %d may stand", len(lines), 2+maxProof)
	}
	r := new(Receipt)
	if err := r.parseExtra(lines[0]); err != nil {
		return nil, err
	}
	if err := r.parseIndex(lines[1]); err != nil {
		return nil, err
	}
	for i, line := range lines[2:] {
		h, err := base64.StdEncoding.Strict().DecodeString(string(line))
		if err != nil || len(h) != len(chain.Hash{}) {
			return nil, noReceipt("line %d of the proof is no SHA-256 hash in base64", i+1)
		}
		r.Hashes = append(r.Hashes, chain.Hash(h))
	}
	if len(checkpoint) == 0 || len(checkpoint) > maxCheckpoint {
		return nil, noReceipt("a checkpoint of %d bytes, where 1 to %d may stand", len(checkpoint), maxCheckpoint)
	}
	r.Checkpoint = bytes.Clone(checkpoint)
	// What was read leniently above is refused here: one receipt has one text.
	if !bytes.Equal(r.Text(), b) {
		return nil, noReceipt("it is not written as a receipt is printed")
	}
	return r, nil
}

func noReceipt(format string, args ...any) error {
	return fmt.Errorf("proof: %w: %s", ErrReceipt, fmt.Sprintf(format, args...))
}

// parseIndex reads the line that names the entry's index.
func (r *Receipt) parseIndex(line []byte) (err error) {
	text, ok := bytes.CutPrefix(line, []byte("index "))
	if !ok {
		return noReceipt("its third line names no index")
	}
	if r.Index, err = strconv.ParseUint(string(text), 10, 64); err != nil {
		return noReceipt("%q is no index", text)
	}
	if r.Index != r.Entry.Index {
		return noReceipt("the proof is of entry %d, the entry in it is entry %d", r.Index, r.Entry.Index)
	}
	return nil
}

// parseExtra reads the line that holds the entry and what stands beside it.
func (r *Receipt) parseExtra(line []byte) error {
	text, ok := bytes.CutPrefix(line, []byte("extra "))
	if !ok {
		return noReceipt("its second line holds no entry (extra …): a proof of another log, or a bare one")
	}
	b, err := base64.StdEncoding.Strict().AppendDecode(nil, text)
	if err != nil {
		return noReceipt("its second line is no base64")
	}
	b, ok = bytes.CutPrefix(b, []byte(receiptDomain))
	if !ok {
		return noReceipt("its second line is not of version %q", receiptDomain[:len(receiptDomain)-1])
	}
	c := cut{b: b}
	r.Ledger = c.hash()
	parts := c.byte()
	r.Raw = c.long()
	if c.short || parts&^(partSalt|partPayload) != 0 || parts == partPayload {
		return noReceipt("its second line breaks off, or has parts that don't go together (%#x)", parts)
	}
	if parts&partSalt != 0 {
		salt := c.hash()
		r.Salt = &salt
	}
	if parts&partPayload != 0 {
		r.Payload = &chain.Payload{Salt: *r.Salt, Envelope: c.long(), Body: c.long()}
	}
	if c.short || len(c.b) > 0 {
		return noReceipt("its second line ends too early or too late")
	}
	if r.Entry, err = chain.ParseEntry(r.Raw); err != nil {
		return fmt.Errorf("proof: %w: the entry in it: %w", ErrReceipt, err)
	}
	if r.Entry.Kind == chain.KindGap && parts != 0 {
		return noReceipt("a gap has no payload, and this one brings some of it")
	}
	return nil
}

// cut takes bytes off the front of others; short says that there were too few.
type cut struct {
	b     []byte
	short bool
}

func (c *cut) take(n uint64) []byte {
	if n > uint64(len(c.b)) {
		c.short, c.b = true, nil
		return nil
	}
	taken := c.b[:n:n]
	c.b = c.b[n:]
	return taken
}

func (c *cut) byte() byte {
	if b := c.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (c *cut) hash() (h chain.Hash) {
	copy(h[:], c.take(uint64(len(h))))
	return h
}

func (c *cut) long() []byte {
	if n := c.take(4); n != nil {
		return c.take(uint64(binary.BigEndian.Uint32(n)))
	}
	return nil
}
