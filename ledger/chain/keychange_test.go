package chain_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"reflect"
	"testing"

	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
)

// keyed is a stream whose genesis names a key of each role, folded up to its seed
// and one record.
func keyed(t testing.TB, name string) (*chaintest.Stream, *chaintest.Log) {
	t.Helper()
	s := chaintest.NewKeyed(name)
	s.Record("ws_7", "1", "1")
	l := newLog(t, s.Messages[0])
	if err := l.Fold(s.Messages, oneByOne); err != nil {
		t.Fatal(err)
	}
	return s, l
}

// next folds the stream's last message and returns its entry in a line.
func next(t testing.TB, l *chaintest.Log, s *chaintest.Stream) string {
	t.Helper()
	if err := l.Fold(s.Messages[len(s.Messages)-1:], oneByOne); err != nil {
		t.Fatal(err)
	}
	s.Control = l.State.Control // a rejected one uses up no number
	return outcome(&l.Entries[len(l.Entries)-1].Entry)
}

const (
	accepted  = "control 0/1 key"
	badBody   = "rejection 0/1 control_body"
	badSigned = "rejection 0/1 control_signature"
)

// TestKeyChanges is docs/format/control.md's section on changes of keys, a line
// each. The genesis names one key of each role.
func TestKeyChanges(t *testing.T) {
	root, ledger, operator := chaintest.Signer("root"), chaintest.Signer("keeper"), chaintest.Signer("operator")
	checkpoint, heads := chaintest.Signer("checkpoint"), chaintest.Signer("heads")
	fresh, other := chaintest.Signer("fresh"), chaintest.Signer("other")
	id := func(s chain.Signer) chain.Hash { return s.Public(0).ID() }
	ids := func(signers ...chain.Signer) (out []chain.Hash) {
		for _, s := range signers {
			out = append(out, id(s))
		}
		return out
	}
	keys := func(list ...chain.Key) []chain.Key { return list }
	type signers = []chain.Signer
	for _, c := range []struct {
		name    string
		change  chain.KeyChange
		signers signers
		want    string
	}{
		{"add a key", chain.KeyChange{Added: keys(fresh.Public(chain.RoleLedger))}, signers{root}, accepted},
		{"add one of two roles", chain.KeyChange{Added: keys(fresh.Public(chain.RoleLedger | chain.RoleOperator))}, signers{root}, accepted},
		{"add one of a role to come", chain.KeyChange{Added: keys(fresh.Public(1 << 14))}, signers{root}, accepted},
		{"add an ML-DSA key", chain.KeyChange{Added: keys(chaintest.MLDSA("m"))}, signers{root}, accepted},
		{"rotate", chain.KeyChange{Removed: ids(checkpoint), Added: keys(fresh.Public(chain.RoleCheckpoint))}, signers{root, checkpoint}, accepted},
		{"rotate two", chain.KeyChange{
			Removed: ids(checkpoint, heads), Added: keys(fresh.Public(chain.RoleCheckpoint | chain.RoleHeads)),
		}, signers{root, heads, checkpoint}, accepted},
		{"rotate the root", chain.KeyChange{Removed: ids(root), Added: keys(fresh.Public(chain.RoleRoot))}, signers{root}, accepted},
		{"revoke and replace", chain.KeyChange{Reason: chain.Revocation, Removed: ids(operator), Added: keys(fresh.Public(chain.RoleOperator))}, signers{root}, accepted},
		{"a revoked key signs too", chain.KeyChange{Reason: chain.Revocation, Removed: ids(operator), Added: keys(fresh.Public(chain.RoleOperator))}, signers{operator, root}, accepted},
		{"a threshold", chain.KeyChange{
			Added: keys(fresh.Public(chain.RoleRoot)), Thresholds: []chain.Threshold{{Role: chain.RoleRoot, Keys: 2}},
		}, signers{root}, accepted},
		{"a role's first keys", chain.KeyChange{
			Added:      keys(fresh.Public(chain.RoleEraser), other.Public(chain.RoleEraser)),
			Thresholds: []chain.Threshold{{Role: chain.RoleEraser, Keys: 2}},
		}, signers{root}, accepted},
		{"a threshold for nobody yet", chain.KeyChange{Thresholds: []chain.Threshold{{Role: chain.RoleEraser, Keys: 2}}}, signers{root}, accepted},

		{"signed by the ledger", chain.KeyChange{Added: keys(fresh.Public(chain.RoleLedger))}, signers{ledger}, badSigned},
		{"signed by the key that it adds", chain.KeyChange{Added: keys(fresh.Public(chain.RoleRoot))}, signers{root, fresh}, badSigned},
		{"signed by nobody", chain.KeyChange{Added: keys(fresh.Public(chain.RoleLedger))}, nil, badSigned},
		{"a rotation that the old key did not sign", chain.KeyChange{Removed: ids(checkpoint), Added: keys(fresh.Public(chain.RoleCheckpoint))}, signers{root}, badSigned},
		{"a rotation that one of two old keys signed", chain.KeyChange{
			Removed: ids(checkpoint, heads), Added: keys(fresh.Public(chain.RoleCheckpoint | chain.RoleHeads)),
		}, signers{root, heads}, badSigned},
		{"a rotation that the root did not sign", chain.KeyChange{Removed: ids(checkpoint), Added: keys(fresh.Public(chain.RoleCheckpoint))}, signers{checkpoint}, badSigned},

		{"nothing", chain.KeyChange{}, signers{root}, badBody},
		{"a revocation of nothing", chain.KeyChange{Reason: chain.Revocation, Added: keys(fresh.Public(chain.RoleLedger))}, signers{root}, badBody},
		{"a key that is known", chain.KeyChange{Added: keys(ledger.Public(chain.RoleOperator))}, signers{root}, badBody},
		{"a key twice", chain.KeyChange{Added: keys(fresh.Public(chain.RoleLedger), fresh.Public(chain.RoleHeads))}, signers{root}, badBody},
		{"out and in again", chain.KeyChange{Removed: ids(ledger), Added: keys(ledger.Public(chain.RoleLedger))}, signers{root, ledger}, badBody},
		{"a key without a role", chain.KeyChange{Added: keys(fresh.Public(0))}, signers{root}, badBody},
		{"a stranger's removal", chain.KeyChange{Removed: ids(fresh)}, signers{root}, badBody},
		{"a removal twice", chain.KeyChange{Removed: []chain.Hash{id(operator), id(operator)}, Added: keys(fresh.Public(chain.RoleOperator))}, signers{root, operator}, badBody},
		{"a role without a key", chain.KeyChange{Removed: ids(operator)}, signers{root, operator}, badBody},
		{"no root", chain.KeyChange{Removed: ids(root)}, signers{root}, badBody},
		{"a replacement for another role", chain.KeyChange{Removed: ids(operator), Added: keys(fresh.Public(chain.RoleHeads))}, signers{root, operator}, badBody},
		{"an ML-DSA key in the stead of another", chain.KeyChange{Removed: ids(checkpoint), Added: keys(chaintest.MLDSA("m"))}, signers{root, checkpoint}, badBody},
		{"a threshold that nobody reaches", chain.KeyChange{Thresholds: []chain.Threshold{{Role: chain.RoleOperator, Keys: 2}}}, signers{root}, badBody},
		{"a role's first key, of two that it needs", chain.KeyChange{
			Added: keys(fresh.Public(chain.RoleEraser)), Thresholds: []chain.Threshold{{Role: chain.RoleEraser, Keys: 2}},
		}, signers{root}, badBody},
		{"a threshold of none", chain.KeyChange{Thresholds: []chain.Threshold{{Role: chain.RoleOperator}}}, signers{root}, badBody},
		{"a threshold of two roles", chain.KeyChange{Thresholds: []chain.Threshold{{Role: chain.RoleOperator | chain.RoleHeads, Keys: 1}}}, signers{root}, badBody},
		{"a threshold of no role", chain.KeyChange{Thresholds: []chain.Threshold{{Keys: 1}}}, signers{root}, badBody},
		{"a threshold twice", chain.KeyChange{Thresholds: []chain.Threshold{{Role: chain.RoleHeads, Keys: 1}, {Role: chain.RoleHeads, Keys: 1}}}, signers{root}, badBody},
		{"an ML-DSA key for seeds", chain.KeyChange{Added: keys(chain.Key{Algorithm: 2, Public: chaintest.MLDSA("m").Public, Roles: chain.RoleLedger})}, signers{root}, badBody},
		{"an ML-DSA key for more than checkpoints", chain.KeyChange{Added: keys(chain.Key{Algorithm: 2, Public: chaintest.MLDSA("m").Public, Roles: chain.RoleCheckpoint | chain.RoleHeads})}, signers{root}, badBody},
		{"a short key", chain.KeyChange{Added: keys(chain.Key{Algorithm: 1, Public: make([]byte, 31), Roles: chain.RoleHeads})}, signers{root}, badBody},
		{"a short ML-DSA key", chain.KeyChange{Added: keys(chain.Key{Algorithm: 2, Public: make([]byte, 1311), Roles: chain.RoleCheckpoint})}, signers{root}, badBody},
		{"what is malformed beside what is newer", chain.KeyChange{Reason: 0, Added: keys(
			chain.Key{Algorithm: 3, Public: []byte{1}, Roles: chain.RoleHeads}, chain.Key{Algorithm: 1, Public: make([]byte, 31), Roles: chain.RoleHeads},
		)}, signers{root}, badBody},

		{"what is malformed for a reason to come", chain.KeyChange{Reason: 2, Added: keys(chain.Key{Algorithm: 1, Public: make([]byte, 31), Roles: chain.RoleHeads})}, signers{root}, badBody},

		{"an algorithm to come", chain.KeyChange{Added: keys(chain.Key{Algorithm: 3, Public: []byte{1}, Roles: chain.RoleHeads})}, signers{root}, "halt"},
		{"a reason to come", chain.KeyChange{Reason: 2, Added: keys(fresh.Public(chain.RoleHeads))}, signers{root}, "halt"},
	} {
		s, l := keyed(t, "keys")
		was := l.State.Keys()
		s.ChangeKeys(c.change, "because", c.signers...)
		body := s.Messages[len(s.Messages)-1].Body
		checked := chain.CheckControl(&l.State, body)
		var halt *chain.HaltError
		if c.want == "halt" {
			if err := l.Fold(s.Messages[3:], oneByOne); !errors.As(err, &halt) || !errors.As(checked, &halt) {
				t.Errorf("%s: the fold: %v; the check: %v; want both to halt", c.name, err, checked)
			}
			continue
		}
		got := next(t, l, s)
		if got != c.want {
			t.Errorf("%s: %s, want %s (%v)", c.name, got, c.want, checked)
		}
		var refused *chain.ControlError
		if (checked == nil) != (c.want == accepted) || checked != nil && !errors.As(checked, &refused) {
			t.Errorf("%s: the check says %v of %s", c.name, checked, c.want)
		}
		if changed := !reflect.DeepEqual(l.State.Keys(), was); changed != (c.want == accepted) && c.change.Removed != nil {
			t.Errorf("%s: keys changed: %v", c.name, changed)
		}
	}
}

// TestKeysInForce: a change counts from the message after it, and a key's sizes are
// those that docs/format/control.md says.
func TestKeysInForce(t *testing.T) {
	s, l := keyed(t, "in force")
	fresh := chaintest.Signer("fresh")
	old := s.Keeper
	s.ChangeKeys(chain.KeyChange{Removed: []chain.Hash{old.Public(0).ID()}, Added: []chain.Key{fresh.Public(chain.RoleLedger)}}, "", s.Root, old)
	if got := next(t, l, s); got != accepted {
		t.Fatal(got)
	}
	at := l.State.Size - 1 // the entry that changed them
	s.Seed()
	if got := next(t, l, s); got != badSigned {
		t.Errorf("a seed by the removed key: %s", got)
	}
	s.Keeper, s.Seeds = fresh, s.Seeds-1
	s.Seed()
	if got := next(t, l, s); got != "control 0/1 seed" {
		t.Errorf("a seed by the new key: %s", got)
	}
	for _, span := range l.State.Keys() {
		want := chain.KeySpan{Key: span.Key, From: 1, To: 1<<64 - 1}
		switch span.ID() {
		case old.Public(0).ID():
			want.To = at + 1
		case fresh.Public(0).ID():
			want.From = at + 1
		}
		if !reflect.DeepEqual(span, want) {
			t.Errorf("key %s is in force from %d to %d, want %d to %d", span.ID(), span.From, span.To, want.From, want.To)
		}
		for size, in := range map[uint64]bool{0: false, want.From: true, want.From - 1: false, want.To - 1: true, want.To: false} {
			if want.To != 1<<64-1 && span.InForce(size) != in {
				t.Errorf("key %s at size %d: in force %v", span.ID(), size, !in)
			}
		}
	}
	// What was named once is never named again, however long it is gone.
	s.ChangeKeys(chain.KeyChange{Added: []chain.Key{old.Public(chain.RoleHeads)}}, "", s.Root)
	if got := next(t, l, s); got != badBody {
		t.Errorf("a removed key comes back: %s", got)
	}
}

func FuzzParseKeyChange(f *testing.F) {
	id := sha256.Sum256(nil)
	for _, change := range []chain.KeyChange{
		{Added: []chain.Key{chaintest.Signer("a").Public(chain.RoleLedger), chaintest.MLDSA("m")}},
		{Reason: chain.Revocation, Removed: []chain.Hash{{1}, id}, Thresholds: []chain.Threshold{{Role: 1, Keys: 1}, {Role: 2, Keys: 3}}},
	} {
		f.Add(change.Append(nil))
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		change, err := chain.ParseKeyChange(b)
		if err != nil {
			if !errors.Is(err, chain.ErrMalformed) && !errors.Is(err, chain.ErrUnsupported) {
				t.Errorf("%x: %v", b, err)
			}
			return
		}
		if !bytes.Equal(change.Append(nil), b) {
			t.Errorf("%x parses and prints as %x", b, change.Append(nil))
		}
		genesis := chaintest.NewKeyed("fuzz").Settled
		if next, err := genesis.Roster().Apply(5, &change); err == nil && len(next.Spans()) != len(genesis.Keys)+len(change.Added) {
			t.Errorf("%x: a key was lost", b)
		}
	})
}
