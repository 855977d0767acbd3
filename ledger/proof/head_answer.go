package proof

import (
	"encoding/base64"
	"fmt"

	"github.com/go-json-experiment/json"

	"annals/ledger/chain"
)

// Base64 are bytes that JSON holds in standard base64 with padding, written the
// one way that there is. nil is absent where empty is not.
type Base64 []byte

// MarshalText implements [encoding.TextMarshaler].
func (b Base64) MarshalText() ([]byte, error) { return base64.StdEncoding.AppendEncode(nil, b), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (b *Base64) UnmarshalText(text []byte) error {
	out := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Strict().Decode(out, text)
	if err != nil || base64.StdEncoding.EncodedLen(n) != len(text) { // the library skips line ends
		return fmt.Errorf("not base64 (RFC 4648, 4): %s", brief(string(text)))
	}
	*b = out[:n:n]
	return nil
}

// Hash64 is a hash that JSON holds in base64.
type Hash64 chain.Hash

// MarshalText implements [encoding.TextMarshaler].
func (h Hash64) MarshalText() ([]byte, error) { return Base64(h[:]).MarshalText() }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (h *Hash64) UnmarshalText(text []byte) error {
	var b Base64
	if err := b.UnmarshalText(text); err != nil {
		return err
	}
	if len(b) != len(h) {
		return fmt.Errorf("a hash of %d bytes, not %d", len(b), len(h))
	}
	*h = Hash64(b)
	return nil
}

// Hashes64 are hashes that JSON holds in base64.
func Hashes64(hashes []chain.Hash) []Hash64 {
	out := make([]Hash64, len(hashes))
	for i, h := range hashes {
		out[i] = Hash64(h)
	}
	return out
}

func hashesOf(hashes []Hash64) []chain.Hash {
	out := make([]chain.Hash, len(hashes))
	for i, h := range hashes {
		out[i] = chain.Hash(h)
	}
	return out
}

// HeadAnswer is what a server says of a workspace's end: the answer of
// /v1/workspaces/{ws}/head, and a pack's head.json.
type HeadAnswer struct {
	Workspace  string      `json:"workspace"`
	Tag        Hash64      `json:"tag"`
	Head       string      `json:"head"`       // a signed note: [WorkspaceHead]
	Checkpoint string      `json:"checkpoint"` // a signed note; its size is the head's tree size or more
	Mark       *MarkAnswer `json:"mark,omitzero"`
}

// MarkAnswer is the workspace's row in the map of heads that a mark of the ledger
// commits to, as of the mark's own size.
type MarkAnswer struct {
	Receipt  string   `json:"receipt"` // of the mark's entry in the answer's checkpoint: a tlog-proof
	MapSize  uint64   `json:"map_size"`
	MapIndex uint64   `json:"map_index"`
	MapProof []Hash64 `json:"map_proof"`
	Count    uint64   `json:"count"`
	Index    uint64   `json:"index"`
	Leaf     Hash64   `json:"leaf"`
}

// NewMarkAnswer puts a mark's receipt and a workspace's row together.
func NewMarkAnswer(mark *Receipt, r *HeadsRow) *MarkAnswer {
	return &MarkAnswer{
		Receipt: string(mark.Text()), MapSize: r.MapSize, MapIndex: r.MapIndex, MapProof: Hashes64(r.Proof),
		Count: r.Head.Count, Index: r.Head.Index, Leaf: Hash64(r.Head.Leaf),
	}
}

// Row is the row that the answer shows of a workspace's tag.
func (m *MarkAnswer) Row(tag chain.Hash) HeadsRow {
	return HeadsRow{
		Tag: tag, Head: chain.Head{Count: m.Count, Index: m.Index, Leaf: chain.Hash(m.Leaf)},
		MapSize: m.MapSize, MapIndex: m.MapIndex, Proof: hashesOf(m.MapProof),
	}
}

// ParseHeadAnswer reads the answer, strictly, and believes nothing of it.
func ParseHeadAnswer(b []byte) (*HeadAnswer, error) {
	a := new(HeadAnswer)
	if err := json.Unmarshal(b, a, json.RejectUnknownMembers(true)); err != nil {
		return nil, fmt.Errorf("proof: a workspace's head as JSON: %w", err)
	}
	return a, nil
}

// Line is one entry of a workspace's chain as its tenant gets it: a line of
// /v1/workspaces/{ws}/entries, and of a pack's entries.jsonl.
type Line struct {
	Index uint64 `json:"index"`
	Entry Base64 `json:"entry"`
	// Proof leads from the entry to the root of the checkpoint at hand (RFC 6962,
	// 2.1.1); nil: left out.
	Proof []Hash64 `json:"proof,omitzero"`
	// What stands beside the entry: all three or none. Body is whole, a duplicate's
	// too.
	Salt     Base64 `json:"salt,omitzero"`
	Envelope Base64 `json:"envelope,omitzero"`
	Body     Base64 `json:"body,omitzero"`
	// Gone is the control entry by which the payload is gone that was chosen for a
	// pack; nil: nothing is said. It stands beside no payload.
	Gone *uint64 `json:"gone,omitzero"`
}

// ParseLine reads a line, strictly, and believes nothing of it.
func ParseLine(b []byte) (Line, error) {
	var l Line
	if err := json.Unmarshal(b, &l, json.RejectUnknownMembers(true)); err != nil {
		return l, fmt.Errorf("proof: an entry as JSON: %w", err)
	}
	if parts := l.parts(); parts != 0 && (parts != 3 || len(l.Salt) != len(chain.Hash{})) {
		return l, fmt.Errorf("proof: an entry as JSON: salt (32 bytes), envelope and body stand together or not at all")
	} else if l.Gone != nil && parts > 0 {
		return l, fmt.Errorf("proof: an entry as JSON: a payload is gone, or it is there")
	}
	return l, nil
}

// KeyEntry is the line of a control entry, as a key history has it.
func (l *Line) KeyEntry() KeyEntry {
	k := KeyEntry{Index: l.Index, Entry: l.Entry, Proof: [][]byte{}}
	for _, h := range l.Proof {
		k.Proof = append(k.Proof, h[:])
	}
	return k
}

func (l *Line) parts() (n int) {
	for _, b := range []Base64{l.Salt, l.Envelope, l.Body} {
		if b != nil {
			n++
		}
	}
	return n
}

// Payload is what stands beside the entry, nil when it was left out.
func (l *Line) Payload() *chain.Payload {
	if l.parts() != 3 || len(l.Salt) != len(chain.Hash{}) {
		return nil
	}
	return &chain.Payload{Salt: chain.Hash(l.Salt), Envelope: l.Envelope, Body: l.Body}
}

// NewLine makes the line of a stored entry. With payload it shows what was
// published, where that is there and may be shown: never of a control message.
func NewLine(leaf *chain.Leaf, payload bool) Line {
	r := NewReceipt(chain.Hash{}, leaf, payload)
	l := Line{Index: r.Index, Entry: r.Raw}
	if p := r.Payload; p != nil {
		l.Salt, l.Envelope, l.Body = p.Salt[:], p.Envelope, p.Body
		if l.Body == nil {
			l.Body = Base64{} // published without a byte is not left out
		}
	}
	return l
}
