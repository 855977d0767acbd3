package chain

import (
	"fmt"
	"math"
	"strings"
	"time"

	"annals/activity"
)

// Retention is a control statement that says how long payloads are kept: a rule.
// An expiry may destroy what is older ([Erase], of [ControlExpire]).
type Retention struct {
	Role       Role   // that signs it: [Roster.Eraser]
	Everywhere bool   // of every workspace, the system too, and Workspace is zeros
	Workspace  Hash   // tag
	Rejections bool   // of rejections; else of records and conflicts
	Types      string // of records: a type, or the beginning of types and *; of rejections ""
	Period     uint64 // seconds; [KeepForever], or 0: the rule for the same ends
}

// Periods of a rule that are no number of seconds.
const (
	RuleEnds    uint64 = 0
	KeepForever uint64 = math.MaxUint64
)

const (
	// maxPeriod keeps sums of times within 64 bits: some 300 years.
	maxPeriod = 10_000_000_000
	// MaxRules is how many rules may stand at a time: they are in every stored state.
	MaxRules = 1024
	maxTypes = 129 // a type, and *
)

// DefaultRejections is how long rejections are kept while no statement says
// otherwise, in seconds.
const DefaultRejections = 30 * 24 * 60 * 60

// Rule is a retention rule that stands, since the entry At. At is 0 of the rule that
// every ledger begins with.
type Rule struct {
	Retention
	At uint64
}

// Rules are the rules that stand, in the order of their entries. They are never
// changed in place: states share them.
type Rules []Rule

// FirstRules are the rules that stand before any statement: rejections, everywhere,
// for [DefaultRejections].
func FirstRules() Rules {
	return Rules{{Retention: Retention{Everywhere: true, Rejections: true, Period: DefaultRejections}}}
}

// Append appends the statement's body to dst.
func (r *Retention) Append(dst []byte) []byte {
	scope, what := byte(1), byte(1)
	if r.Everywhere {
		scope = 2
	}
	if r.Rejections {
		what = 2
	}
	dst = append(be16(dst, r.Role), scope)
	dst = append(dst, r.Workspace[:]...)
	dst = append(dst, what)
	dst = be16(dst, len(r.Types))
	dst = append(dst, r.Types...)
	return be64(dst, r.Period)
}

// ParseRetention parses exactly what [Retention.Append] prints of a rule that keeps
// the format's own rules.
func ParseRetention(body []byte) (Retention, error) {
	c := cursor{b: body}
	r := c.retention()
	if !c.done() {
		return r, malformed("retention rule of %d bytes", len(body))
	}
	if r.Role != RoleEraser && r.Role != RoleOperator {
		return r, malformed("retention rule: by the role %s, which rules nothing", r.Role)
	}
	return r, nil
}

// retention reads what [Retention.Append] printed.
func (c *cursor) retention() (r Retention) {
	r.Role = Role(c.u16())
	scope := c.u8()
	r.Workspace = c.hash()
	what := c.u8()
	r.Types = c.string16()
	r.Period = c.u64()
	r.Everywhere, r.Rejections = scope == 2, what == 2
	typ := strings.TrimSuffix(r.Types, "*")
	switch {
	case scope != 1 && scope != 2, what != 1 && what != 2,
		r.Everywhere && !r.Workspace.IsZero(),
		r.Rejections && r.Types != "",
		!r.Rejections && r.Types != "*" && !activity.ValidType(typ),
		r.Period > maxPeriod && r.Period != KeepForever:
		c.bad = true
	}
	return r
}

// SealRetention frames and signs a rule as the body of a control message. words say
// who and why; they are kept beside the entry and may be erased.
func SealRetention(ledger Hash, control uint64, r Retention, words string, signers ...Signer) []byte {
	return SealControl(Statement{Ledger: ledger, Number: control, Type: ControlRetention, Body: r.Append(nil)}, []byte(words), signers...)
}

// Says returns the rule in words, without its workspace, which stands there as a tag.
func (r *Retention) Says() string {
	what := "records of " + r.Types
	switch {
	case r.Rejections:
		what = "rejections"
	case r.Types == "*":
		what = "records"
	}
	switch r.Period {
	case RuleEnds:
		return what + " have no rule of their own"
	case KeepForever:
		return what + " are kept for ever"
	}
	if day := uint64(24 * 60 * 60); r.Period%day == 0 {
		return fmt.Sprintf("%s are kept for %d days", what, r.Period/day)
	}
	return fmt.Sprintf("%s are kept for %s", what, time.Duration(r.Period)*time.Second)
}

// same reports whether two rules are for the same: then the later one replaces the
// earlier one.
func (r *Retention) same(of *Retention) bool {
	return r.Everywhere == of.Everywhere && r.Workspace == of.Workspace && r.Rejections == of.Rejections && r.Types == of.Types
}

// forKind reports whether the rule is for entries of a kind under a tag.
func (r *Retention) forKind(kind Kind, tag Hash) bool {
	if !r.Everywhere && r.Workspace != tag {
		return false
	}
	if r.Rejections {
		return kind == KindRejection
	}
	return kind == KindRecord || kind == KindConflict
}

// forType reports whether the rule is for a type.
func (r *Retention) forType(typ string) bool {
	if stem, many := strings.CutSuffix(r.Types, "*"); many {
		return strings.HasPrefix(typ, stem)
	}
	return r.Types == typ
}

// before reports whether a rule goes before another where both are for an entry: of
// its workspace before everywhere, then the longer beginning of types, then the very
// type.
func (r *Retention) before(other *Retention) bool {
	if r.Everywhere != other.Everywhere {
		return other.Everywhere
	}
	stem, many := strings.CutSuffix(r.Types, "*")
	otherStem, otherMany := strings.CutSuffix(other.Types, "*")
	if len(stem) != len(otherStem) {
		return len(stem) > len(otherStem)
	}
	return !many && otherMany
}

// With returns the rules once the statement in the entry at an index stands.
func (rs Rules) With(at uint64, r Retention) Rules {
	out := make(Rules, 0, len(rs)+1)
	for _, old := range rs {
		if !old.same(&r) {
			out = append(out, old)
		}
	}
	if r.Period != RuleEnds {
		out = append(out, Rule{r, at})
	}
	return out
}

// Find returns the rule that stands since an entry.
func (rs Rules) Find(at uint64) (rule Rule, ok bool) {
	for _, r := range rs {
		if r.At == at {
			return r, true
		}
	}
	return rule, false
}

// For returns the rule that is for an entry of a kind, a tag and, of records, a type;
// ok is false where none is, and it is kept.
func (rs Rules) For(kind Kind, tag Hash, typ string) (rule Rule, ok bool) {
	for i := range rs {
		r := &rs[i]
		if r.forKind(kind, tag) && r.forType(typ) && (!ok || r.before(&rule.Retention)) {
			rule, ok = *r, true
		}
	}
	return rule, ok
}

// Lets reports, by an error, why a rule lets an entry not go at a time, in ms. Of an
// entry whose payload is gone the type is not known: then it is enough that there may
// be a type which the rule is for.
func (rs Rules) Lets(rule *Rule, s *Selected, millis int64) error {
	switch {
	case !rule.forKind(s.Kind, s.Workspace):
		return fmt.Errorf("it is a %s, which the rule in entry %d is not for", s.Kind, rule.At)
	case rule.Period == KeepForever:
		return fmt.Errorf("the rule in entry %d keeps it for ever", rule.At)
	case s.Millis > millis || uint64(millis-s.Millis) < rule.Period*1000:
		return fmt.Errorf("it was recorded at %s, and the rule in entry %d keeps it for %d s", time.UnixMilli(s.Millis).UTC().Format(time.RFC3339Nano), rule.At, rule.Period)
	}
	if !s.Gone {
		if due, ok := rs.For(s.Kind, s.Workspace, s.Type); !ok || due.At != rule.At {
			return fmt.Errorf("the rule in entry %d is not the one that is for it", rule.At)
		}
		return nil
	}
	for i := range rs {
		if r := &rs[i]; r.forKind(s.Kind, s.Workspace) && r.before(&rule.Retention) && r.shadows(&rule.Retention) {
			return fmt.Errorf("the rule in entry %d goes before that in entry %d", r.At, rule.At)
		}
	}
	return nil
}

// shadows reports whether a rule is for every type that another is for.
func (r *Retention) shadows(other *Retention) bool {
	stem, many := strings.CutSuffix(r.Types, "*")
	if !many {
		return r.Types == other.Types
	}
	return strings.HasPrefix(strings.TrimSuffix(other.Types, "*"), stem)
}

// Rules returns the retention rules that stand.
func (s *State) Rules() Rules { return s.rules }

// retain is a rule's part of check 9.
func (s *State) retain(st *Statement) error {
	r, err := ParseRetention(st.Body)
	if err != nil {
		return err
	}
	if role := s.keys.Eraser(); r.Role != role {
		return fmt.Errorf("it says that the role %s signs it; here that is %s", r.Role, role)
	}
	rules := s.rules.With(s.Size, r)
	switch {
	case r.Period == RuleEnds && len(rules) == len(s.rules):
		return fmt.Errorf("it ends a rule that does not stand")
	case len(rules) > MaxRules:
		return fmt.Errorf("it would be one rule more than %d", MaxRules)
	}
	s.rules = rules
	return nil
}

func (rs Rules) append(dst []byte) []byte {
	dst = be32(dst, len(rs))
	for i := range rs {
		dst = be64(dst, rs[i].At)
		dst = rs[i].Append(dst)
	}
	return dst
}

// rules reads what [Rules.append] printed.
func (c *cursor) rules() (rs Rules) {
	for range c.u32() {
		rs = append(rs, Rule{At: c.u64(), Retention: c.retention()})
		if c.bad {
			break
		}
	}
	return rs
}
