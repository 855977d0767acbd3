// Package chaintest writes streams for tests: with fixed keys, seeds and times,
// so that the same calls give the same bytes on every run.
package chaintest

import (
	"crypto/sha256"
	"fmt"
	"slices"

	"annals/ledger/chain"
)

// Start is the genesis's creation time, in ns since 1970: 2026-01-02T03:04:05Z.
const Start = 1767323045_000000000

// Stream is a stream under construction. Messages holds what was published.
type Stream struct {
	Settled  chain.Genesis
	ID       chain.Hash
	Root     chain.Signer
	Keeper   chain.Signer // signs seeds, marks and trims
	Operator chain.Signer // signs epochs and gaps, where the genesis names it
	Messages []chain.Message
	Next     uint64 // sequence of the next message; what is added to it is lost
	Now      int64  // stream time of the next message, ns; each takes 1 ms
	Control  uint64
	Seeds    uint32
	Epoch    uint32
}

// Secret returns 32 bytes that a name stands for.
func Secret(name string) [sha256.Size]byte { return sha256.Sum256([]byte("annals test " + name)) }

// WorkspaceKey is the workspace key of every stream made here.
func WorkspaceKey() [sha256.Size]byte { return Secret("workspace key") }

// New begins a stream: a genesis that names a root and a ledger key, and seed 0.
// Streams of different names are different ledgers.
func New(name string) *Stream {
	return NewWith(name, nil)
}

// NewKeyed begins a stream whose genesis names a key of each role that a new ledger
// has: besides New's two, the keys that Signer gives of "operator", "checkpoint" and
// "heads".
func NewKeyed(name string) *Stream {
	return NewWith(name, []chain.Key{
		Signer("operator").Public(chain.RoleOperator),
		Signer("checkpoint").Public(chain.RoleCheckpoint),
		Signer("heads").Public(chain.RoleHeads),
	})
}

// NewWith begins a stream whose genesis names more keys than New's, and thresholds.
func NewWith(name string, more []chain.Key, thresholds ...chain.Threshold) *Stream {
	s := &Stream{Now: Start, Root: Signer("root"), Keeper: Signer("keeper"), Operator: Signer("operator"), Next: 1}
	s.Settled = chain.Genesis{
		Origin: "annals.example/" + name, Stream: "ANNALS", Created: Start, FirstSequence: 1, Partitions: 1,
		Nonce: Secret("nonce " + name), KeyCommitment: chain.KeyCommitment(WorkspaceKey()),
		Keys:       append([]chain.Key{s.Root.Public(chain.RoleRoot), s.Keeper.Public(chain.RoleLedger)}, more...),
		Thresholds: thresholds,
	}
	s.ID = s.Settled.LedgerID()
	s.publish(chain.ControlGenesis.Subject(), s.Settled.Seal(WorkspaceKey(), s.Root), nil)
	s.Control = 1
	s.Seed()
	return s
}

// Signer returns the Ed25519 key that a name stands for.
func Signer(name string) chain.Signer {
	seed := Secret(name)
	s, err := chain.NewSigner(seed[:])
	if err != nil {
		panic(err)
	}
	return s
}

// Publish adds a message. Header is name and value in turn.
func (s *Stream) Publish(subject, body string, header ...string) {
	var h map[string][]string
	for i := 0; i+1 < len(header); i += 2 {
		if h == nil {
			h = map[string][]string{}
		}
		h[header[i]] = append(h[header[i]], header[i+1])
	}
	s.publish(subject, []byte(body), h)
}

// Record adds a record of an app renamed in a workspace, by a producer that gave
// it an id.
func (s *Stream) Record(workspace, id, body string) {
	s.Publish("activity."+workspace+".app.renamed", fmt.Sprintf(`{"id":%q,"producer":"test","actor":{"type":"user","id":"u1","name":"Dana"},`+
		`"object":{"type":"app","id":"app_%s"},"data":%s}`, id, id, body))
}

// Seed adds the next seed.
func (s *Stream) Seed() {
	secret := Secret(fmt.Sprint("seed ", s.Seeds))
	s.publish(chain.ControlSeed.Subject(), chain.SealSeed(s.ID, s.Control, s.Seeds, secret, s.Keeper), nil)
	s.Seeds++
	s.Control++
}

// Mark adds a mark that speaks of a size, its root and its heads.
func (s *Stream) Mark(size uint64, root, heads chain.Hash) {
	m := chain.Mark{Wall: s.Now, Heads: heads}
	s.publish(chain.ControlMark.Subject(), chain.SealMark(s.ID, s.Control, size, root, m, s.Keeper), nil)
	s.Control++
}

// Trim adds a trim of the epoch that lets messages go up to through, because the
// replicas stood at the sequences given, the slowest of them with size entries
// and root.
func (s *Stream) Trim(size uint64, root chain.Hash, through uint64, replicas map[string]uint64) {
	t := chain.Trim{Epoch: s.Epoch, Through: through}
	for name, sequence := range replicas {
		t.Replicas = append(t.Replicas, chain.ReplicaPosition{Name: chain.ReplicaName(s.ID, name), Sequence: sequence})
	}
	s.publish(chain.ControlTrim.Subject(), chain.SealTrim(s.ID, s.Control, size, root, t, s.Keeper), nil)
	s.Control++
}

// Timestamp adds a timestamp token over the checkpoint of a size and root.
func (s *Stream) Timestamp(size uint64, root chain.Hash, token []byte) {
	s.publish(chain.ControlTimestamp.Subject(), chain.SealTimestamp(s.ID, s.Control, size, root, token, s.Keeper), nil)
	s.Control++
}

// ChangeKeys adds a change of keys, signed by the keys given.
func (s *Stream) ChangeKeys(c chain.KeyChange, why string, signers ...chain.Signer) {
	s.publish(chain.ControlKey.Subject(), chain.SealKeyChange(s.ID, s.Control, c, why, signers...), nil)
	s.Control++
}

// Begin goes on in a new stream, whose first message has sequence first: size and
// root are the ledger's at the end of the old one.
func (s *Stream) Begin(size uint64, root chain.Hash, first uint64) {
	s.Epoch++
	e := chain.EpochStart{Epoch: s.Epoch, Last: s.Next - 1, First: first, Stream: fmt.Sprint("ANNALS_", s.Epoch), Created: s.Now}
	s.Next = first
	s.publish(chain.ControlEpoch.Subject(), chain.SealEpoch(s.ID, s.Control, size, root, e, "", s.Operator), nil)
	s.Control++
}

// Gap adds a notice that messages of the epoch are lost: size and root are the
// ledger's at the hole.
func (s *Stream) Gap(size uint64, root chain.Hash, first, last uint64) {
	n := chain.GapNotice{Epoch: s.Epoch, First: first, Last: last}
	s.publish(chain.ControlGap.Subject(), chain.SealGap(s.ID, s.Control, size, root, n, "", s.Operator), nil)
	s.Control++
}

// FoldBy adds the announcement of a version of the fold.
func (s *Stream) FoldBy(version uint16, signers ...chain.Signer) {
	if len(signers) == 0 {
		signers = []chain.Signer{s.Operator}
	}
	s.publish(chain.ControlFold.Subject(), chain.SealFoldVersion(s.ID, s.Control, version, "", signers...), nil)
	s.Control++
}

// Catalogue adds the catalogue of the workspace under a tag, signed by the operator.
func (s *Stream) Catalogue(tag chain.Hash, document string) {
	s.publish(chain.ControlCatalogue.Subject(), chain.SealCatalogue(s.ID, s.Control, tag, Secret(fmt.Sprint("catalogue ", s.Control)), []byte(document), s.Operator), nil)
	s.Control++
}

// Select returns the erasure of entries of a workspace that a ledger holds, as one
// statement, signed by the role that signs them there.
func Select(l *Log, workspace string, indexes ...uint64) chain.Erase {
	e := chain.Erase{
		Role: l.State.Roster().Eraser(), Reason: chain.EraseRequest, Rule: chain.NoRef,
		Workspace: l.State.Tag(workspace), Parts: 1, Ranges: chain.Ranges(slices.Values(indexes)),
	}
	e.Leaves, _ = chain.SelectionHash(l.State.Ledger(), e.Workspace, e.Ranges, func(index uint64) (chain.Hash, error) {
		return l.Entries[index].Leaf, nil
	})
	e.Selection = e.Leaves
	return e
}

// Erase adds an erasure, signed by the operator where nobody else is named: size and
// root are those of the ledger that it selects from.
func (s *Stream) Erase(size uint64, root chain.Hash, e chain.Erase, words string, signers ...chain.Signer) {
	if len(signers) == 0 {
		signers = []chain.Signer{s.Operator}
	}
	s.publish(chain.ControlErase.Subject(), chain.SealErase(s.ID, s.Control, size, root, e, words, signers...), nil)
	s.Control++
}

func (s *Stream) publish(subject string, body []byte, header map[string][]string) {
	s.Messages = append(s.Messages, chain.Message{
		Subject: subject, Header: header, Body: body,
		Sequence: s.Next, Time: s.Now,
	})
	s.Next++
	s.Now += 1_000_000
}
