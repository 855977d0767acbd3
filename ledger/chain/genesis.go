package chain

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
)

// Genesis is what entry 0 settles for ever.
type Genesis struct {
	Origin        string // schemeless URL that checkpoints will carry (C2SP tlog-checkpoint)
	Stream        string // name of the stream
	Created       int64  // ns since 1970
	FirstSequence uint64 // the stream sequence of the genesis itself
	Partition     uint16
	Partitions    uint16
	Mapping       uint8 // rule that maps workspaces to partitions; 0: one partition
	Nonce         Hash  // random, so that no two ledgers share an id
	KeyCommitment Hash  // to the workspace key
	Keys          []Key
	Thresholds    []Threshold
}

// Append appends the bytes of the genesis's statement body to dst.
func (g *Genesis) Append(dst []byte) []byte {
	dst = be16(dst, len(g.Origin))
	dst = append(dst, g.Origin...)
	dst = be16(dst, len(g.Stream))
	dst = append(dst, g.Stream...)
	dst = be64(dst, uint64(g.Created))
	dst = be64(dst, g.FirstSequence)
	dst = be16(dst, g.Partition)
	dst = be16(dst, g.Partitions)
	dst = append(dst, g.Mapping)
	dst = append(dst, g.Nonce[:]...)
	dst = append(dst, g.KeyCommitment[:]...)
	return appendKeys(dst, g.Keys, g.Thresholds)
}

// ParseGenesis parses exactly what [Genesis.Append] prints.
func ParseGenesis(body []byte) (Genesis, error) {
	var g Genesis
	c := cursor{b: body}
	g.Origin = c.string16()
	g.Stream = c.string16()
	g.Created = int64(c.u64())
	g.FirstSequence = c.u64()
	g.Partition = c.u16()
	g.Partitions = c.u16()
	g.Mapping = c.u8()
	g.Nonce = c.hash()
	g.KeyCommitment = c.hash()
	for range c.u8() {
		key := c.key()
		if c.bad {
			break
		}
		if err := key.check(); err != nil {
			return g, fmt.Errorf("genesis: %w", err)
		}
		key.Public = bytes.Clone(key.Public)
		g.Keys = append(g.Keys, key)
	}
	for range c.u8() {
		g.Thresholds = append(g.Thresholds, Threshold{Role: Role(c.u16()), Keys: c.u8()})
	}
	switch {
	case !c.done():
		return g, malformed("genesis of %d bytes", len(body))
	case g.Partitions == 0 || g.Partition >= g.Partitions:
		return g, malformed("genesis: partition %d of %d", g.Partition, g.Partitions)
	case g.Mapping != 0:
		return g, unsupported("mapping rule %d in the genesis", g.Mapping)
	case g.Created < 0:
		return g, malformed("genesis: created %d ns before 1970", -g.Created)
	}
	return g, nil
}

// LedgerID is the ledger's name in every hash: the digest of its genesis's body.
func (g *Genesis) LedgerID() Hash { return sum("annals/ledger/v1\x00", g.Append(nil)) }

// Seal frames and signs the genesis as the body of a stream's first message. The
// workspace key is its secret part.
func (g *Genesis) Seal(workspaceKey [sha256.Size]byte, root ...Signer) []byte {
	return SealControl(Statement{Type: ControlGenesis, Body: g.Append(nil)}, workspaceKey[:], root...)
}

// ErrNotGenesis says that a stream doesn't begin as a ledger's stream must.
var ErrNotGenesis = errors.New("the stream does not begin with a genesis")

// OpenGenesis reads the genesis off a stream's first message, with its signature
// and key commitment checked. It returns the state in which that very message is
// the first to be folded.
func OpenGenesis(first *Message) (State, Genesis, error) {
	refuse := func(why string) (State, Genesis, error) {
		return State{}, Genesis{}, fmt.Errorf("chain: %w: message %d on %q: %s; "+
			"annals serves only a stream that it began itself, so point it at another stream name or an empty folder",
			ErrNotGenesis, first.Sequence, first.Subject, why)
	}
	if !first.Control() {
		return refuse("it is no control message")
	}
	f, ok := parseFrame(first.Body)
	if !ok {
		return refuse("its frame does not parse")
	}
	s, err := ParseStatement(f.statement)
	if err != nil {
		return refuse(err.Error())
	}
	if s.Type != ControlGenesis || !s.Ledger.IsZero() || s.Number != 0 || s.Size != 0 || !s.Root.IsZero() {
		return refuse("its statement is of type " + s.Type.String())
	}
	g, err := ParseGenesis(s.Body)
	if err != nil {
		return refuse(err.Error())
	}
	roster := g.Roster()
	if err := roster.judge(f.statement, f.signatures, RoleRoot); err != nil {
		return refuse("it is not signed by the root keys that it names: " + err.Error())
	}
	if len(f.private) != sha256.Size || KeyCommitment([sha256.Size]byte(f.private)) != g.KeyCommitment {
		return refuse("its workspace key is not the one that it commits to")
	}
	if first.Sequence != g.FirstSequence {
		return refuse(fmt.Sprintf("it says that it stands at sequence %d", g.FirstSequence))
	}
	id := g.LedgerID()
	return State{
		rules: FirstRules(),
		fixed: &fixed{
			ledger:       id,
			partition:    g.Partition,
			workspaceKey: [sha256.Size]byte(f.private),
			first:        g.FirstSequence,
		},
		Last:    FirstPrevious(id),
		Wall:    FloorMillis(g.Created),
		Version: FoldRecords,
		Seed:    GenesisSeed,
		Secret:  [sha256.Size]byte(f.private),
		Start:   EpochStart{First: g.FirstSequence, Stream: g.Stream},
		keys:    roster,
	}, g, nil
}
