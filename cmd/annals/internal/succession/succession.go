// Package succession puts one key in another's place: it makes the new key, signs
// the change, and has a running server publish it.
//
// The rule it exists for: a private key goes nowhere. The change is signed here,
// where the keys are, by the root key and, in good order, by the key that goes; the
// server gets what was signed, and finds the new key in its folder once the ledger
// says that it is in force. A key that may have signed stays where it is.
package succession

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"annals/cmd/annals/internal/client"
	"annals/cmd/annals/internal/control"
	"annals/cmd/annals/internal/keys"
	"annals/internal/problem"
	"annals/ledger/chain"
	"annals/ledger/proof"
)

// Options of a change of keys.
type Options struct {
	Server *client.Client // of the running server
	Keys   string         // the folder of the private keys
	Root   []string       // files of root keys that are kept elsewhere; nil: those in the folder
	Why    string         // free text, kept beside the entry, which may be erased
	// History is what [Recent] said a moment ago; nil: it is asked.
	History *proof.KeyHistory
}

// Change is what became of it.
type Change struct {
	Removed []chain.Hash
	Added   *keys.Private // nil when none takes the place
	Named   []chain.Hash  // keys that others hold and that came into force
	Origin  string
	Answer  control.Answer
	// Unsigned: no checkpoint covers the change yet, so the last one is still by a key
	// of before.
	Unsigned bool
}

// VKey is the note verifier key that is to be given to auditors now; "" when the
// new key signs no notes.
func (c *Change) VKey() string {
	if c.Added == nil || c.Added.Role&(chain.RoleCheckpoint|chain.RoleHeads) == 0 {
		return ""
	}
	return c.Added.VKey(c.Origin)
}

// Rotate has a new key take the place of the one in force in a role, in good order:
// the old key signs too. Of ML-DSA-44 there may be none yet.
func Rotate(ctx context.Context, o Options, role chain.Role, algorithm uint8) (*Change, error) {
	s, err := look(ctx, o)
	if err != nil {
		return nil, err
	}
	change := chain.KeyChange{Reason: chain.Rotation}
	for _, k := range s.inForce(func(k proof.NamedKey) bool { return k.Algorithm == algorithm && one(k) == role }) {
		old, err := s.private(k.ID)
		if err != nil {
			return nil, err
		}
		change.Removed = append(change.Removed, k.ID)
		if signer, ok := old.Signer(); ok {
			s.signers = append(s.signers, signer)
		}
	}
	if len(change.Removed) == 0 && algorithm == chain.AlgorithmEd25519 {
		return nil, fmt.Errorf("the ledger at %s names no key of its own for the role %s", o.Server.URL(), role)
	}
	return s.submit(ctx, change, role, algorithm)
}

// Revoke takes a key out of force that is lost or somebody else's: the root key
// alone signs. Another one takes its place, unless it was a second line.
//
// role is that of a key which no checkpoint covers yet, so that the server doesn't
// list it; 0: it is listed.
func Revoke(ctx context.Context, o Options, id chain.Hash, role chain.Role) (*Change, error) {
	s, err := look(ctx, o)
	if err != nil {
		return nil, err
	}
	found := s.inForce(func(k proof.NamedKey) bool { return k.ID == id })
	algorithm := chain.AlgorithmEd25519
	switch {
	case len(found) > 0:
		role, algorithm = one(found[0]), found[0].Algorithm
	case role == 0:
		return nil, fmt.Errorf("the ledger at %s lists no key %s in force: `annals keys list --url %s` shows those that it has; of a key that was lost before the first checkpoint by it say the --role",
			o.Server.URL(), id, o.Server.URL())
	}
	if role == 0 || role == chain.RoleRoot {
		return nil, fmt.Errorf("the key %s is a root key or has several roles, and this command puts no other in its place", id)
	}
	return s.submit(ctx, chain.KeyChange{Reason: chain.Revocation, Removed: []chain.Hash{id}}, role, algorithm)
}

// one is a key's role; 0 when it has several.
func one(k proof.NamedKey) chain.Role {
	if len(k.Roles) != 1 {
		return 0
	}
	role, err := chain.ParseRole(k.Roles[0])
	if err != nil {
		return 0
	}
	return role
}

// scene is what a change needs to know.
type scene struct {
	o       Options
	folder  *keys.Folder
	history *proof.KeyHistory
	signers []chain.Signer // the root's, and those of keys that go in good order
}

func look(ctx context.Context, o Options) (*scene, error) {
	folder, err := keys.Load(o.Keys)
	if errors.Is(err, fs.ErrNotExist) && len(o.Root) > 0 {
		folder, err = new(keys.Folder), nil // the root keys are all that is needed
	}
	if err != nil {
		return nil, err
	}
	s := &scene{o: o, folder: folder, history: o.History}
	if s.history == nil {
		if s.history, err = Recent(ctx, o.Server); err != nil {
			return nil, err
		}
	}
	return s, s.root()
}

// patience is how long a checkpoint is waited for that covers the ledger. Where the
// key that signs them is the one that is lost there will be none.
const patience = 3 * time.Second

// Recent asks for the keys as they are now: a server lists them as of its last
// checkpoint, which may be from before a change that was made a moment ago.
func Recent(ctx context.Context, c *client.Client) (*proof.KeyHistory, error) {
	at, err := control.Look(ctx, c)
	if err != nil {
		return nil, running(err)
	}
	h, _, err := covering(ctx, c, at.Size)
	return h, err
}

// covering asks for the keys until the checkpoint that they are listed as of has so many
// entries, or patience ends.
func covering(ctx context.Context, c *client.Client, size uint64) (h *proof.KeyHistory, covers bool, err error) {
	for deadline := time.Now().Add(patience); ; {
		h, err := History(ctx, c)
		if err != nil {
			return nil, false, err
		}
		signed, err := proof.ParseCheckpoint([]byte(h.Checkpoint))
		if err != nil {
			return nil, false, err
		}
		if covers := signed.Size >= size; covers || time.Now().After(deadline) {
			return h, covers, nil
		}
		select {
		case <-time.After(patience / 60):
		case <-ctx.Done():
			return nil, false, ctx.Err()
		}
	}
}

// History asks a server for the keys of its ledger. Nothing of it is proven: who
// changes keys signs what they know, and the ledger checks it.
func History(ctx context.Context, c *client.Client) (*proof.KeyHistory, error) {
	a, err := c.Get(ctx, "/keys", nil, "")
	if err != nil {
		return nil, running(err)
	}
	return proof.ParseKeyHistory(a.Body)
}

// running says of a server that isn't reached what it is needed for.
func running(err error) error {
	var unreached *client.UnreachedError
	if errors.As(err, &unreached) {
		return fmt.Errorf("%w; a change of keys is published through the running server, which reads its keys from the same folder", err)
	}
	return err
}

// root finds the root keys in force.
func (s *scene) root() error {
	held := s.folder.List()
	if len(s.o.Root) > 0 {
		held = nil
	}
	for _, path := range s.o.Root {
		p, err := keys.Open(path, chain.RoleRoot)
		if err != nil {
			return err
		}
		held = append(held, p)
	}
	for _, k := range s.inForce(func(k proof.NamedKey) bool { return slices.Contains(k.Roles, chain.RoleRoot.String()) }) {
		i := slices.IndexFunc(held, func(p keys.Private) bool { return p.Key().ID() == k.ID })
		if i < 0 {
			continue
		}
		if signer, ok := held[i].Signer(); ok {
			s.signers = append(s.signers, signer)
		}
	}
	if len(s.signers) == 0 {
		return fmt.Errorf("no root key of the ledger at %s is in %s or was named with --root-key: a change of keys is signed by it", s.o.Server.URL(), s.o.Keys)
	}
	return nil
}

func (s *scene) inForce(is func(proof.NamedKey) bool) []proof.NamedKey {
	return slices.DeleteFunc(slices.Clone(s.history.Keys), func(k proof.NamedKey) bool { return k.To != nil || !is(k) })
}

// private finds a key in the folder.
func (s *scene) private(id chain.Hash) (keys.Private, error) {
	held := s.folder.List()
	i := slices.IndexFunc(held, func(p keys.Private) bool { return p.Key().ID() == id })
	if i < 0 {
		return keys.Private{}, fmt.Errorf("the key %s that is to be rotated isn't in %s: a rotation is signed by it too; name the ledger's own data folder with --data, or, if the key is lost, `annals keys revoke --key %s`",
			id, s.o.Keys, id)
	}
	return held[i], nil
}

// races is how often a change is signed anew because another control message came
// first: the ledger publishes one a minute.
const races = 5

// submit makes the new key and has the change published.
func (s *scene) submit(ctx context.Context, change chain.KeyChange, role chain.Role, algorithm uint8) (*Change, error) {
	out := &Change{Removed: change.Removed, Origin: s.history.Origin}
	if change.Reason == chain.Rotation || algorithm == chain.AlgorithmEd25519 {
		next, err := keys.Add(s.o.Keys, role, algorithm)
		if err != nil {
			return nil, err
		}
		out.Added, change.Added = &next, []chain.Key{next.Key()}
	}
	return s.publish(ctx, out, change, role == chain.RoleCheckpoint)
}

// publish has a change published. checkpoints: it puts another key in force for them.
func (s *scene) publish(ctx context.Context, out *Change, change chain.KeyChange, checkpoints bool) (*Change, error) {
	for left := races; ; left-- {
		standing, err := control.Look(ctx, s.o.Server)
		if err != nil {
			return nil, s.unmade(out, err)
		}
		if standing.Ledger != s.history.Ledger {
			return nil, s.unmade(out, fmt.Errorf("the ledger at %s has become another one", s.o.Server.URL()))
		}
		out.Answer, err = control.Submit(ctx, s.o.Server, chain.SealKeyChange(standing.Ledger, standing.Control, change, s.o.Why, s.signers...))
		if err == nil {
			if checkpoints {
				// Where no checkpoint comes that covers it the change is recorded all the same.
				signed := false
				if at := out.Answer.Index; at != nil {
					_, signed, _ = covering(ctx, s.o.Server, *at+1)
				}
				out.Unsigned = !signed
			}
			return out, nil
		}
		var refused *client.Problem
		var unreached *client.UnreachedError
		if errors.As(err, &refused) && refused.Code == string(problem.ControlRaced) && left > 1 {
			continue
		}
		if errors.As(err, &refused) && refused.Code != string(problem.Unavailable) ||
			errors.As(err, &unreached) && unreached.Unsent || out.Answer.Status == control.Rejected {
			return nil, s.unmade(out, err)
		}
		kept := ""
		if out.Added != nil {
			kept = ", and the new key stays in " + s.o.Keys
		}
		return nil, fmt.Errorf("%w; whether the change was published is not known: `annals keys list --url %s` will show it%s", err, s.o.Server.URL(), kept)
	}
}

// unmade takes the new key away again, which nobody has heard of.
func (s *scene) unmade(c *Change, err error) error {
	if c.Added == nil {
		return err
	}
	return errors.Join(err, os.Remove(filepath.Join(s.o.Keys, c.Added.File)))
}

// ParseID reads a key's id.
func ParseID(s string) (id chain.Hash, err error) {
	if _, err = hex.DecodeString(s); err != nil || len(s) != 2*len(id) {
		return id, fmt.Errorf("%q is no key's id: that is 64 hexadecimal digits, as `annals keys list` prints it", s)
	}
	return id, id.UnmarshalText([]byte(s))
}
