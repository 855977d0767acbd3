package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"annals/cmd/annals/internal/control"
	"annals/cmd/annals/internal/datadir"
	"annals/cmd/annals/internal/keys"
	"annals/cmd/annals/internal/proposal"
	"annals/cmd/annals/internal/show"
	"annals/cmd/annals/internal/succession"
	"annals/ledger/chain"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// namesFlag adds the flag that says where keys have names.
func namesFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVar(file, "names", "", "the `FILE` of what keys are called; default: keys/names.json of the data folder")
}

func namesIn(data string) string { return filepath.Join(data, datadir.Keys, keys.NamesFile) }

func (a *app) keysNew() *cobra.Command {
	var name, passphrase string
	var plain bool
	cmd := &cobra.Command{
		Use:   "new FILE",
		Short: "Make a key that a person holds, outside of the server",
		Long: `Make an Ed25519 key in a new file, mode 0600, and its public half in FILE.pub: that one
is for whoever runs the ledger, who has it named with "annals keys add". The key signs
what "annals sign" shows. Keep a copy; it can't be made again.

A passphrase encrypts the file (age, with scrypt). It is asked for, or read from
--passphrase-file; --no-passphrase leaves the file as it is made.`,
		Example: `  annals keys new dana.key --name "Dana, DPO"`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if plain && passphrase != "" {
				return usagef("--no-passphrase has none, and --passphrase-file names one; give one of them")
			}
			if err := keys.CheckName(name); err != nil {
				return usagef("--name: %w", err)
			}
			secret := ""
			if !plain {
				var err error
				if secret, err = a.newPassphrase(cmd.Context(), passphrase); err != nil {
					return err
				}
			}
			key, err := keys.NewPersonal(args[0], name, secret)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(a.out, "key      %s, in %s: keep it to yourself, and a copy of it\nid       %s\npublic   %s, in %s: for `annals keys add`\n",
				sealed(secret), args[0], key.ID(), keys.PublicLine(key.Public, ""), args[0]+keys.PublicSuffix)
			return err
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "whom you are to be called, such as \"Dana, DPO\"")
	passphraseFlag(cmd, &passphrase)
	cmd.Flags().BoolVar(&plain, "no-passphrase", false, "don't encrypt it: whoever reads the file can sign")
	return cmd
}

// sealed says how a key lies in its file.
func sealed(secret string) string {
	if secret == "" {
		return "not encrypted"
	}
	return "encrypted"
}

// newPassphrase asks for a passphrase twice, or reads it from a file.
func (a *app) newPassphrase(ctx context.Context, file string) (string, error) {
	f, ok := a.in.(*os.File)
	if file == "" && (!ok || !term.IsTerminal(int(f.Fd()))) {
		return "", usagef("there is no terminal to ask for a passphrase; name a file that holds it with --passphrase-file, or say --no-passphrase")
	}
	ask := a.passphrase(ctx, file)
	first, err := ask()
	if err != nil {
		return "", err
	}
	if first == "" {
		return "", errors.New("the passphrase is empty; nothing was made")
	}
	if file == "" {
		again, err := ask()
		if err != nil {
			return "", err
		}
		if again != first {
			return "", errors.New("the two are not the same; nothing was made")
		}
	}
	return first, nil
}

// outsideFlags are those of a change that names keys which others hold.
type outsideFlags struct {
	public    []string
	name      string
	threshold int
	proposeFlags
}

func (f *outsideFlags) add(cmd *cobra.Command, public string) {
	cmd.Flags().StringArrayVar(&f.public, "public", nil, public)
	cmd.Flags().StringVar(&f.name, "name", "", "whose key it is; it stays on this machine, in keys/names.json. Default: what the file says")
	cmd.Flags().IntVar(&f.threshold, "threshold", 0, "how many `KEYS` of the role have to sign together from then on")
	f.proposeFlags.add(cmd)
}

// keys reads the public keys for a role, and whose they are.
func (f *outsideFlags) keys(role chain.Role) (added []chain.Key, names keys.Names, err error) {
	names = keys.Names{}
	if f.name != "" && len(f.public) != 1 {
		return nil, nil, usagef("--name is whose the one key of --public is")
	}
	if err := keys.CheckName(f.name); err != nil {
		return nil, nil, usagef("--name: %w", err)
	}
	for _, text := range f.public {
		public, name, err := keys.ReadPublic(text)
		if err != nil {
			return nil, nil, err
		}
		key := chain.Key{Algorithm: chain.AlgorithmEd25519, Public: public, Roles: role}
		if f.name != "" {
			name = f.name
		}
		if name != "" {
			names[key.ID()] = name
		}
		added = append(added, key)
	}
	return added, names, nil
}

// thresholds is what --threshold sets.
func (f *outsideFlags) thresholds(cmd *cobra.Command, role chain.Role) ([]chain.Threshold, error) {
	if !cmd.Flags().Changed("threshold") {
		return nil, nil
	}
	return thresholdOf(role, f.threshold)
}

// together reports whether a role is one that several people sign in. What the others
// sign the server signs alone, and more than it holds would stop it.
func together(role chain.Role) bool {
	return role == chain.RoleEraser || role == chain.RoleOperator || role == chain.RoleRoot
}

func thresholdOf(role chain.Role, n int) ([]chain.Threshold, error) {
	if !together(role) {
		return nil, usagef("a threshold is for the role eraser, operator or root, not %q: what the others sign the server signs alone", role)
	}
	if n < 1 || n > 255 {
		return nil, usagef("a threshold is 1 to 255 keys, not %d", n)
	}
	return []chain.Threshold{{Role: role, Keys: uint8(n)}}, nil
}

func (a *app) keysAdd() *cobra.Command {
	var f changeFlags
	var outside outsideFlags
	var role string
	cmd := &cobra.Command{
		Use:   "add",
		Short: "Have the ledger name a key that somebody else holds",
		Long: `Have the ledger name a key in a role: an eraser's, which a data protection officer
holds, or any other. The server needs its public half and nothing else. The root keys
sign the change. Give --threshold with a role's first keys: from the moment that an
eraser is named the operator's key erases nothing any more, and what one of them may do
alone is what --threshold leaves.`,
		Example: `  annals keys add --role eraser --public dana.key.pub --public erin.key.pub --threshold 2 --root-key /media/usb/root
  annals keys add --role eraser --public q2Vn…= --name "Finn, DPO" --propose finn.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := chain.ParseRole(role)
			if err != nil {
				return usagef("--role is eraser, operator, root, ledger, checkpoint or heads, not %q", role)
			}
			if len(outside.public) == 0 {
				return usagef("--public names the public key: a file that `annals keys new` made, or its base64")
			}
			added, names, err := outside.keys(r)
			if err != nil {
				return err
			}
			thresholds, err := outside.thresholds(cmd, r)
			if err != nil {
				return err
			}
			change := chain.KeyChange{Reason: chain.Rotation, Added: added, Thresholds: thresholds}
			return a.changeKeys(cmd.Context(), &f, &outside.proposeFlags, change, names)
		},
	}
	f.add(a, cmd)
	cmd.Flags().StringVar(&role, "role", "eraser", "what it signs: `ROLE` is eraser, operator, root, ledger, checkpoint or heads")
	outside.add(cmd, "the public key: a `FILE` or base64; repeat it for several")
	return cmd
}

func (a *app) keysThreshold() *cobra.Command {
	var f changeFlags
	var p proposeFlags
	var role string
	cmd := &cobra.Command{
		Use:   "threshold KEYS",
		Short: "Say how many keys of a role have to sign together",
		Long: `Say how many different keys of a role have to sign what the role signs. The root keys
sign the change, as many as their own threshold says. A role never needs more keys than
it has. Under checkpoints and workspace heads one key is always enough.`,
		Example: `  annals keys threshold --role eraser 2 --root-key /media/usb/root
  annals keys threshold --role root 2 --propose two-roots.json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := chain.ParseRole(role)
			if err != nil || !together(r) {
				return usagef("--role is eraser, operator or root, not %q: what the others sign the server signs alone", role)
			}
			n, err := strconv.Atoi(args[0])
			if err != nil {
				return usagef("%q is no number of keys", args[0])
			}
			thresholds, err := thresholdOf(r, n)
			if err != nil {
				return err
			}
			return a.changeKeys(cmd.Context(), &f, &p, chain.KeyChange{Reason: chain.Rotation, Thresholds: thresholds}, nil)
		},
	}
	f.add(a, cmd)
	cmd.Flags().StringVar(&role, "role", "eraser", "`ROLE` is eraser, operator or root")
	p.add(cmd)
	return cmd
}

// revokeOutside revokes a key that the server doesn't hold, where the key's role or the
// flags say that it is one.
func (a *app) revokeOutside(cmd *cobra.Command, f *changeFlags, outside *outsideFlags, id chain.Hash) (ok bool, err error) {
	ctx := cmd.Context()
	c, err := a.serverAt(f.url)
	if err != nil {
		return false, err
	}
	if f.history, err = succession.Recent(ctx, c); err != nil {
		return false, err
	}
	roles := chain.Role(0)
	for _, k := range f.history.Keys {
		if k.ID != id || k.To != nil {
			continue
		}
		for _, name := range k.Roles {
			if role, err := chain.ParseRole(name); err == nil {
				roles |= role
			}
		}
	}
	asked := len(outside.public) > 0 || outside.file != "" || cmd.Flags().Changed("threshold")
	switch {
	case roles&(chain.RoleEraser|chain.RoleRoot) == 0 && !asked:
		return false, nil
	case roles == 0:
		return false, fmt.Errorf("the ledger at %s lists no key %s in force: `annals keys list --url %s` shows those that it has", c.URL(), id, c.URL())
	}
	added, names, err := outside.keys(roles)
	if err != nil {
		return true, err
	}
	change := chain.KeyChange{Reason: chain.Revocation, Removed: []chain.Hash{id}, Added: added}
	if change.Thresholds, err = outside.thresholds(cmd, roles); err != nil {
		return true, err
	}
	return true, a.changeKeys(ctx, f, &outside.proposeFlags, change, names)
}

// changeKeys has a change of keys published, or proposes it, and keeps what its keys are
// called.
func (a *app) changeKeys(ctx context.Context, f *changeFlags, p *proposeFlags, change chain.KeyChange, names keys.Names) error {
	o, err := f.options(a)
	if err != nil {
		return err
	}
	if p.file != "" {
		if len(f.root) > 0 {
			return usagef("--propose signs nothing; each root key signs by `annals sign FILE --key KEY`")
		}
		if err := p.bounds(); err != nil {
			return err
		}
		err = a.propose(ctx, o.Server, p, proposal.Told{Words: f.why}, func(at *control.Standing, signers ...chain.Signer) []byte {
			return chain.SealKeyChange(at.Ledger, at.Control, change, f.why, signers...)
		})
	} else {
		var done *succession.Change
		if done, err = succession.Amend(ctx, o, change); err == nil {
			err = a.changed("revoked", done)
		}
	}
	if err != nil {
		return err
	}
	for _, t := range change.Thresholds {
		fmt.Fprintf(a.out, "needs    %s of the role %s from then on\n", show.Count(int(t.Keys), "key"), t.Role)
	}
	return a.keepNames(f.data, names)
}

// keepNames keeps what keys are called, where there is a folder for it.
func (a *app) keepNames(data string, names keys.Names) error {
	if len(names) == 0 {
		return nil
	}
	if _, err := os.Stat(filepath.Dir(namesIn(data))); err != nil {
		_, err = fmt.Fprintf(a.out, "names    are not kept: %s is no data folder\n", data)
		return err
	}
	if err := names.Save(namesIn(data)); err != nil {
		return err
	}
	var out []string
	for id, name := range names {
		out = append(out, fmt.Sprintf("%s… is %s", id.String()[:16], name))
	}
	slices.Sort(out)
	_, err := fmt.Fprintf(a.out, "names    %s: %s\n", namesIn(data), strings.Join(out, "; "))
	return err
}

// listThresholds says how many keys of a role have to sign, where it is more than one.
func (a *app) listThresholds(roster *chain.Roster) error {
	for _, role := range []chain.Role{chain.RoleRoot, chain.RoleOperator, chain.RoleEraser} {
		n := 0
		for _, span := range roster.Spans() {
			if span.Roles&role != 0 && span.To == ^uint64(0) {
				n++
			}
		}
		if need := roster.Need(role); need > 1 || role == chain.RoleEraser && n > 0 {
			if _, err := fmt.Fprintf(a.out, "role %s: %d of %s have to sign\n", role, need, show.Count(n, "key")); err != nil {
				return err
			}
		}
	}
	return nil
}
