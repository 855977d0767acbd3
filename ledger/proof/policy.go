package proof

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	notes "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	"annals/ledger/chain"
)

// Policy says which logs are known and which witnesses must have cosigned a
// checkpoint (C2SP tlog-policy).
type Policy struct {
	logs      []note.Verifier
	logKeys   []string // theirs
	witnesses []witness
	quorum    *quorum // nil: none is asked for
}

// witness is a cosigner, by the name that it has within the policy.
type witness struct {
	name     string
	verifier note.Verifier
	url      string // "" where the policy gives none
}

// quorum is a witness or a group: it is met when as many of its members are as it
// needs.
type quorum struct {
	name    string
	witness int // index of the witness; -1 for a group
	need    int
	members []*quorum
}

// maxPolicy bounds a policy's bytes.
const maxPolicy = 1 << 20

// ParsePolicy parses a policy file as C2SP tlog-policy specifies it: `log`,
// `witness`, `group` and `quorum` lines, comments and empty lines; names are
// octets, in one namespace; a group's and the quorum's members are defined before
// it; no key is given twice. The error names the line.
func ParsePolicy(b []byte) (*Policy, error) {
	if len(b) > maxPolicy {
		return nil, fmt.Errorf("proof: a policy of %d bytes: the most is %d", len(b), maxPolicy)
	}
	p := policyParser{policy: &Policy{}, names: map[string]*quorum{}, grouped: map[string]bool{}, keys: map[string]bool{}}
	for i, line := range bytes.Split(b, []byte("\n")) {
		if err := p.line(string(line)); err != nil {
			return nil, fmt.Errorf("proof: policy, line %d: %w", i+1, err)
		}
	}
	if !p.decided {
		return nil, errors.New("proof: the policy has no quorum line: write `quorum none` when no witness is asked for")
	}
	return p.policy, nil
}

type policyParser struct {
	policy  *Policy
	names   map[string]*quorum // witnesses and groups, so far
	grouped map[string]bool    // names that are a group's member
	keys    map[string]bool    // public keys, by kind of line
	decided bool               // the quorum line was read
}

// noQuorum is the name that stands for no witness.
const noQuorum = "none"

func (p *policyParser) line(line string) error {
	for i := range len(line) {
		if c := line[i]; c < 0x20 && c != '\t' || c == 0x7f {
			return fmt.Errorf("octet 0x%02x is not allowed: of control characters only tab and newline are", c)
		}
	}
	items := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' })
	if len(items) == 0 || items[0][0] == '#' {
		return nil
	}
	switch items[0] {
	case "log":
		return p.log(items[1:])
	case "witness":
		return p.witness(items[1:])
	case "group":
		return p.group(items[1:])
	case "quorum":
		return p.quorum(items[1:])
	}
	return fmt.Errorf("%s is none of log, witness, group and quorum", brief(items[0]))
}

// once refuses a public key that an earlier line of the kind gave.
func (p *policyParser) once(kind string, public []byte) error {
	key := kind + string(public)
	if p.keys[key] {
		return fmt.Errorf("an earlier %s line has the same public key", kind)
	}
	p.keys[key] = true
	return nil
}

func (p *policyParser) log(items []string) error {
	if len(items) != 1 && len(items) != 2 {
		return fmt.Errorf("log takes a verifier key and perhaps a URL, not %d items", len(items))
	}
	k, err := ParseKey(items[0])
	if err != nil {
		return err
	}
	if err := p.once("log", k.Public); err != nil {
		return err
	}
	p.policy.logs = append(p.policy.logs, k.verifier)
	p.policy.logKeys = append(p.policy.logKeys, k.VKey)
	return nil
}

func (p *policyParser) witness(items []string) error {
	if len(items) != 2 && len(items) != 3 {
		return fmt.Errorf("witness takes a name, a verifier key and perhaps a URL, not %d items", len(items))
	}
	k, err := splitKey(items[1])
	if err != nil {
		return err
	}
	var v note.Verifier
	switch k.Type {
	case noteCosignature:
		v, err = notes.NewVerifierForCosignatureV1(k.VKey)
	case noteMLDSA44:
		v, err = notes.NewMLDSAVerifier(k.VKey)
	default:
		err = fmt.Errorf("signature type %d is no witness's: type 4 is an Ed25519 cosignature, type 6 an ML-DSA-44 one", k.Type)
	}
	if err != nil {
		return fmt.Errorf("verifier key %s: %w", brief(k.VKey), err)
	}
	if err := p.once("witness", k.Public); err != nil {
		return err
	}
	p.policy.witnesses = append(p.policy.witnesses, witness{items[0], v, strings.Join(items[2:], "")})
	return p.define(items[0], &quorum{name: items[0], witness: len(p.policy.witnesses) - 1})
}

// define gives a witness or group its name.
func (p *policyParser) define(name string, q *quorum) error {
	if name == noQuorum || p.names[name] != nil {
		return fmt.Errorf("the name %s is taken", brief(name))
	}
	p.names[name] = q
	return nil
}

func (p *policyParser) group(items []string) error {
	if len(items) < 3 {
		return errors.New("group takes a name, how many (all, any or a number), and at least one member")
	}
	q := &quorum{name: items[0], witness: -1}
	for _, name := range items[2:] {
		member := p.names[name]
		if member == nil {
			return fmt.Errorf("no line before this one defines the member %s", brief(name))
		}
		if p.grouped[name] {
			return fmt.Errorf("%s is a group's member already: each may count once", brief(name))
		}
		p.grouped[name] = true
		q.members = append(q.members, member)
	}
	switch n := len(q.members); items[1] {
	case "all":
		q.need = n
	case "any":
		q.need = 1
	default:
		need, err := parseDecimal(items[1])
		if err != nil || need < 1 || need > uint64(n) {
			return fmt.Errorf("%s of %d members: give all, any or a number from 1 to %d", brief(items[1]), n, n)
		}
		q.need = int(need)
	}
	return p.define(items[0], q)
}

func (p *policyParser) quorum(items []string) error {
	switch {
	case len(items) != 1:
		return fmt.Errorf("quorum takes one name, not %d", len(items))
	case p.decided:
		return errors.New("a second quorum line")
	case items[0] != noQuorum && p.names[items[0]] == nil:
		return fmt.Errorf("no line before this one defines %s", brief(items[0]))
	}
	p.policy.quorum, p.decided = p.names[items[0]], true
	return nil
}

// Judge holds a checkpoint against the policy: that one of its logs signed it
// (any, when it lists none), and whether the quorum of witnesses cosigned it. An
// error says that the checkpoint is none or not this policy's to judge; it wraps
// [ErrNote], [chain.ErrUnknownKey] or [chain.ErrSignature]. Signatures by unknown
// keys are ignored; one by a known key must be right.
func (p *Policy) Judge(n []byte) (log Checkpoint, met bool, err error) {
	if log, err = ParseCheckpoint(n); err != nil {
		return Checkpoint{}, false, err
	}
	known := []note.Verifier{}
	for _, v := range p.logs {
		if v.Name() == log.Origin {
			known = append(known, v)
		}
	}
	for _, w := range p.witnesses {
		known = append(known, w.verifier)
	}
	opened, err := note.Open(n, note.VerifierList(known...))
	var invalid *note.InvalidSignatureError
	var unverified *note.UnverifiedNoteError
	switch {
	case errors.As(err, &unverified):
		opened = &note.Note{}
	case errors.As(err, &invalid):
		return Checkpoint{}, false, fmt.Errorf("%w: that by %s+%08x", chain.ErrSignature, invalid.Name, invalid.Hash)
	case err != nil:
		return Checkpoint{}, false, fmt.Errorf("%w: %v", ErrNote, err)
	}
	signed := func(v note.Verifier) bool {
		return slices.ContainsFunc(opened.Sigs, func(s note.Signature) bool { return s.Name == v.Name() && s.Hash == v.KeyHash() })
	}
	if len(p.logs) > 0 && !slices.ContainsFunc(p.logs, func(v note.Verifier) bool { return v.Name() == log.Origin && signed(v) }) {
		return Checkpoint{}, false, fmt.Errorf("%w: none of the policy's logs signed this checkpoint of %q", chain.ErrUnknownKey, log.Origin)
	}
	if p.quorum == nil {
		return log, true, nil
	}
	return log, p.quorum.met(func(w int) bool { return signed(p.witnesses[w].verifier) }), nil
}

// met reports whether enough members cosigned.
func (q *quorum) met(signed func(witness int) bool) bool {
	if q.witness >= 0 {
		return signed(q.witness)
	}
	n := 0
	for _, m := range q.members {
		if m.met(signed) {
			n++
		}
	}
	return n >= q.need
}

// Need says what the policy asks for, in words: the quorum's name, or that none
// is asked for.
func (p *Policy) Need() string {
	if p.quorum == nil {
		return "no witness"
	}
	if p.quorum.witness >= 0 {
		return fmt.Sprintf("witness %s", p.quorum.name)
	}
	return fmt.Sprintf("group %s (%d of %d)", p.quorum.name, p.quorum.need, len(p.quorum.members))
}
