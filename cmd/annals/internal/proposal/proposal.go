// Package proposal is a control statement on its way to its signatures: a file that
// goes from one key's holder to the next, and then to a server.
//
// The rule it exists for: who signs sees what is signed. What a file says of its
// statements is made of their bytes, here, and a file that says anything else is
// refused; what somebody only told, such as a workspace's name, is kept apart and is
// called that. Signing needs the file and the key, no server and no ledger.
//
// A statement names the number that it will have among the ledger's control
// statements (docs/format/control.md), and a ledger uses up some each hour. So a
// proposal is for a run of numbers: each signer signs it once for each, and whoever
// submits it uses the one that is due. With the run the proposal ends.
package proposal

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"annals/ledger/chain"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// format is what a file of this version begins with.
const format = "annals proposal 1"

const (
	// MaxNumbers is the longest run of control numbers: months of a busy ledger.
	MaxNumbers = 100_000
	// maxSignatures is how many one signer's may be, over all statements: some seconds
	// of work.
	maxSignatures = 1 << 20
	// MaxFile is the longest file that is read.
	MaxFile = 256 << 20
	// maxSigners is what a control message's count holds.
	maxSigners = math.MaxUint8
	maxTold    = 1 << 16
)

// Told is what the proposer says and nobody can see in the statements: these name a
// workspace by its tag and nobody at all. Whoever signs believes it, or asks a server.
type Told struct {
	Workspace string `json:"workspace,omitzero"` // its name; "": the statement is of none
	// Select is the question that gave the selection, as a query of
	// /v1/workspaces/{ws}/erasure; "": nothing was selected.
	Select string `json:"select,omitzero"`
	// Words are the statements' private part: who wants it and why. They are published
	// beside the entry, and may be erased.
	Words string `json:"words"`
}

// Statement is one that is to be signed, but for its ledger and number.
type Statement struct {
	Type string     `json:"type"` // as [chain.ControlType] spells it
	Size uint64     `json:"size"` // size and root that it speaks of; zeros: unconditional
	Root chain.Hash `json:"root"`
	Body []byte     `json:"body"`
}

// Signed is what one key has signed.
type Signed struct {
	Name   string     `json:"name,omitzero"` // whom the key's holder says to be
	Key    chain.Hash `json:"key"`           // its id
	Public []byte     `json:"public"`        // Ed25519
	// Consent is the key's signature over the whole proposal, what was told included:
	// so nobody puts other words beside what somebody signed.
	Consent []byte `json:"consent"`
	// Signatures has for each statement those for each number, 64 bytes each, in order.
	Signatures [][]byte `json:"signatures"`
}

// Proposal is one or more statements that are signed and submitted together: more than
// one where an erasure is too large for one.
type Proposal struct {
	Format     string      `json:"format"`
	Says       []string    `json:"says"` // what each statement does, made of its bytes
	Told       Told        `json:"told"`
	Ledger     chain.Hash  `json:"ledger"`
	Origin     string      `json:"origin"` // the ledger's name
	Number     uint64      `json:"number"` // the first control number that it is for
	Numbers    uint64      `json:"numbers"`
	Statements []Statement `json:"statements"`
	Signatures []Signed    `json:"signatures"`
}

// Why a file is none, or does not do.
var (
	ErrFile      = errors.New("no proposal")
	ErrWords     = errors.New("what the file says is not what its statements say")
	ErrSignature = errors.New("a signature in the file is not over what it holds")
	ErrSigned    = errors.New("that key has signed it already")
	ErrOther     = errors.New("the files are not of one proposal")
)

func bad(text string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrFile, fmt.Sprintf(text, args...))
}

// New returns a proposal that nobody has signed yet. The statements' ledger and number
// are the proposal's.
func New(at Run, origin string, told Told, statements ...chain.Statement) (*Proposal, error) {
	p := &Proposal{
		Format: format, Told: told, Ledger: at.Ledger, Origin: origin, Number: at.Number, Numbers: at.Numbers,
		Signatures: []Signed{},
	}
	for _, s := range statements {
		p.Statements = append(p.Statements, Statement{Type: s.Type.String(), Size: s.Size, Root: s.Root, Body: s.Body})
	}
	var err error
	if p.Says, err = p.says(); err != nil {
		return nil, err
	}
	return p, p.check()
}

// Run is the ledger and the control numbers that a proposal is for.
type Run struct {
	Ledger          chain.Hash
	Number, Numbers uint64
}

// Parse reads a file and checks all that can be told of it without a ledger: that it
// says what its statements say, and that each signature in it is over them.
func Parse(b []byte) (*Proposal, error) {
	p := new(Proposal)
	if len(b) > MaxFile {
		return nil, bad("%d bytes; one has at most %d", len(b), MaxFile)
	}
	if err := json.Unmarshal(b, p, json.RejectUnknownMembers(true)); err != nil {
		return nil, bad("%v", err)
	}
	if p.Format != format {
		return nil, bad("its format is %q; this version reads %q", p.Format, format)
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	says, err := p.says()
	if err != nil {
		return nil, err
	}
	if !slices.Equal(says, p.Says) {
		return nil, fmt.Errorf("%w: somebody has changed it; sign nothing, and ask who sent it", ErrWords)
	}
	for i := range p.Signatures {
		if err := p.verify(&p.Signatures[i]); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// Encode returns the file.
func (p *Proposal) Encode() ([]byte, error) {
	return json.Marshal(p, json.Deterministic(true), jsontext.WithIndent("  "))
}

// check holds the file to its bounds.
func (p *Proposal) check() error {
	n := uint64(len(p.Statements))
	switch {
	case n == 0:
		return bad("it has no statement")
	case p.Numbers == 0 || p.Numbers > MaxNumbers || n*p.Numbers > maxSignatures:
		return bad("%d statements for %d control numbers; at most %d numbers, and %d signatures of each signer", n, p.Numbers, MaxNumbers, maxSignatures)
	case p.Number > math.MaxUint64-p.Numbers:
		return bad("its control numbers begin with %d", p.Number)
	case !plain(p.Origin), !plain(p.Told.Workspace), !plain(p.Told.Select):
		return bad("origin, workspace or question have something in them that can't be printed")
	case len(p.Signatures) > maxSigners:
		return bad("%d signers; a message has at most %d", len(p.Signatures), maxSigners)
	}
	for i := range p.Signatures {
		if !plain(p.Signatures[i].Name) {
			return bad("the name of key %s has something in it that can't be printed", p.Signatures[i].Key)
		}
		if slices.ContainsFunc(p.Signatures[:i], func(s Signed) bool { return s.Key == p.Signatures[i].Key }) {
			return bad("key %s stands in it twice; a key counts once", p.Signatures[i].Key)
		}
	}
	return nil
}

// plain reports whether a text can be shown on a terminal as it is: what can't could
// move the cursor, and show its reader another text.
func plain(s string) bool {
	return utf8.ValidString(s) && len(s) <= maxTold && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// statement returns a statement as it is signed for a control number.
func (p *Proposal) statement(i int, number uint64) (chain.Statement, error) {
	s := &p.Statements[i]
	for _, t := range proposed() {
		if t.String() == s.Type {
			return chain.Statement{Ledger: p.Ledger, Number: number, Type: t, Size: s.Size, Root: s.Root, Body: s.Body}, nil
		}
	}
	return chain.Statement{}, bad("statement %d is of type %q, which nobody signs this way", i+1, s.Type)
}

// Fingerprint names the proposal, whoever has signed it: two people who read the same
// one to each other have the same in hand.
//
//	SHA256("annals/proposal/v1\0" || ledger id || number (64) || numbers (64) || len32 origin
//	|| len32 workspace || len32 select || len32 words || count (32) || count × len32 statement)
//
// with each statement as it is signed for the first number.
func (p *Proposal) Fingerprint() (h chain.Hash) {
	b := append([]byte("annals/proposal/v1\x00"), p.Ledger[:]...)
	b = binary.BigEndian.AppendUint64(b, p.Number)
	b = binary.BigEndian.AppendUint64(b, p.Numbers)
	for _, s := range []string{p.Origin, p.Told.Workspace, p.Told.Select, p.Told.Words} {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(p.Statements)))
	for i := range p.Statements {
		s, _ := p.statement(i, p.Number) // what has no type has no words either, and is refused
		text := s.Append(nil)
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(text))), text...)
	}
	return sha256.Sum256(b)
}

// consent is what a signer's own signature over the proposal is over. Its beginning
// tells it from a control statement and from a note.
func (p *Proposal) consent(name string) []byte {
	h := p.Fingerprint()
	b := append([]byte("annals/proposal/consent/v1\x00"), h[:]...)
	return append(binary.BigEndian.AppendUint32(b, uint32(len(name))), name...)
}

// each calls do with every statement's bytes for every number, which are good until it
// returns.
func (p *Proposal) each(do func(i int, n uint64, statement []byte) error) error {
	var b []byte
	for i := range p.Statements {
		for n := range p.Numbers {
			s, err := p.statement(i, p.Number+n)
			if err != nil {
				return err
			}
			b = s.Append(b[:0])
			if err := do(i, n, b); err != nil {
				return err
			}
		}
	}
	return nil
}

// Sign adds a key's signatures. name is whom its holder says to be; it goes with the
// file, and not into the ledger. The error wraps [ErrSigned] where the key has signed.
func (p *Proposal) Sign(key chain.Signer, name string) error {
	public := key.Public(0)
	if !plain(name) {
		return bad("the name has something in it that can't be printed")
	}
	signed := Signed{Name: name, Key: public.ID(), Public: public.Public, Signatures: make([][]byte, len(p.Statements))}
	if slices.ContainsFunc(p.Signatures, func(s Signed) bool { return s.Key == signed.Key }) {
		return fmt.Errorf("%w: %s; a key counts once", ErrSigned, signed.Who())
	}
	if len(p.Signatures) == maxSigners {
		return bad("it has %d signers, as many as a message holds", maxSigners)
	}
	signed.Consent = key.Sign(p.consent(name))
	err := p.each(func(i int, _ uint64, statement []byte) error {
		signed.Signatures[i] = append(signed.Signatures[i], key.Sign(statement)...)
		return nil
	})
	if err == nil {
		p.Signatures = append(p.Signatures, signed)
	}
	return err
}

const signatureSize = 64

// verify checks all that a signer has signed.
func (p *Proposal) verify(s *Signed) error {
	key := chain.Key{Algorithm: chain.AlgorithmEd25519, Public: s.Public}
	if err := chain.CheckEd25519(s.Public); err != nil {
		return bad("the key of %s: %v", s.Who(), err)
	}
	switch {
	case key.ID() != s.Key:
		return bad("the key of %s has the id %s", s.Who(), key.ID())
	case len(s.Signatures) != len(p.Statements):
		return bad("%s signed %d of %d statements; they are signed whole", s.Who(), len(s.Signatures), len(p.Statements))
	case !key.Verify(p.consent(s.Name), s.Consent):
		return fmt.Errorf("%w: %s has signed another proposal than this one, or other words beside it", ErrSignature, s.Who())
	}
	for i, all := range s.Signatures {
		if uint64(len(all)) != p.Numbers*signatureSize {
			return bad("%s signed statement %d for %d control numbers and a part of one, not for %d", s.Who(), i+1, len(all)/signatureSize, p.Numbers)
		}
	}
	return p.each(func(i int, n uint64, statement []byte) error {
		if !key.Verify(statement, s.Signatures[i][n*signatureSize:(n+1)*signatureSize]) {
			return fmt.Errorf("%w: that of %s over statement %d for control number %d", ErrSignature, s.Who(), i+1, p.Number+n)
		}
		return nil
	})
}

// Who names a signer, by the name that they gave themselves and the key's id.
func (s *Signed) Who() string {
	if s.Name == "" {
		return "key " + s.Key.String()
	}
	return s.Name + " (key " + s.Key.String()[:16] + "…)"
}

// Merge adds the signatures of another copy of the same proposal. A key that signed both
// counts once. Errors wrap [ErrOther].
func (p *Proposal) Merge(other *Proposal) error {
	if a, b := p.Fingerprint(), other.Fingerprint(); a != b {
		return fmt.Errorf("%w: their fingerprints are %s and %s", ErrOther, a, b)
	}
	for _, s := range other.Signatures {
		if !slices.ContainsFunc(p.Signatures, func(have Signed) bool { return have.Key == s.Key }) {
			p.Signatures = append(p.Signatures, s)
		}
	}
	return p.check()
}

// message returns the control message that a statement is published as under a control
// number, with the signatures of some of its signers.
func (p *Proposal) message(i int, number uint64, by []Signed) ([]byte, error) {
	s, err := p.statement(i, number)
	if err != nil {
		return nil, err
	}
	at := (number - p.Number) * signatureSize
	signatures := make([]chain.Signature, len(by))
	for n, signed := range by {
		signatures[n] = chain.Signature{Key: signed.Key, Bytes: bytes.Clone(signed.Signatures[i][at : at+signatureSize])}
	}
	return chain.Assemble(s, []byte(p.Told.Words), signatures...), nil
}
