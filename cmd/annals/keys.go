package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"

	"annals/cmd/annals/internal/client"
	"annals/cmd/annals/internal/datadir"
	"annals/cmd/annals/internal/keys"
	"annals/cmd/annals/internal/succession"
	"annals/ledger/chain"
	"annals/ledger/proof"

	"github.com/spf13/cobra"
)

func (a *app) keys() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "The ledger's keys: print, list, make, add, rotate, revoke",
		Long: `What the ledger signs by. An auditor needs the key that "keys public" prints, and
nothing else; after a change of keys an old one still leads to the new one.

People hold keys as well: "keys new" makes one, "keys add" has the ledger name it, and
"keys threshold" says how many of a role have to sign together.`,
		Example: `  annals keys public --data ./annals-data
  annals keys list --url http://127.0.0.1:8080
  annals keys rotate --data ./annals-data --role checkpoint`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	for _, sub := range []*cobra.Command{a.keysPublic(), a.keysList(), a.keysNew(), a.keysAdd(), a.keysThreshold(), a.keysRotate(), a.keysRevoke()} {
		sub.Args = a.arguments(sub.Args)
		cmd.AddCommand(sub)
	}
	return cmd
}

func (a *app) keysPublic() *cobra.Command {
	var data string
	var mldsa bool
	cmd := &cobra.Command{
		Use:   "public",
		Short: "Print the key that checkpoints are verified by",
		Long: `Print the note verifier key (C2SP signed-note) that the last checkpoint is verified
by, and nothing else. The server may be running. Hand it to auditors on another way
than the ledger's own.`,
		Example: `  annals keys public --data ./annals-data
  annals verify --url https://audit.example.com --key "$(annals keys public --data ./annals-data)"`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			vkey, err := publicKey(data, mldsa)
			if err == nil {
				_, err = fmt.Fprintln(a.out, vkey)
			}
			return err
		},
	}
	dataFlag(cmd, &data)
	cmd.Flags().BoolVar(&mldsa, "mldsa", false, "the ML-DSA-44 key, of the second line, instead of the Ed25519 key")
	return cmd
}

// publicKey finds the key that signed the last checkpoint of a data folder. No
// other part of the folder is opened: the server may have it.
func publicKey(data string, mldsa bool) (string, error) {
	folder, checkpoint, err := lastSigned(data)
	if err != nil {
		return "", err
	}
	algorithm := chain.AlgorithmEd25519
	if mldsa {
		algorithm = chain.AlgorithmMLDSA44
	}
	for _, p := range folder.List() {
		if p.Role == chain.RoleCheckpoint && p.Algorithm == algorithm && p.Signed(checkpoint.Origin, checkpoint.Note) {
			return p.VKey(checkpoint.Origin), nil
		}
	}
	if mldsa {
		return "", fmt.Errorf("the last checkpoint in %s has no second line, by an ML-DSA-44 key in %s", data, folder.Dir())
	}
	return "", fmt.Errorf("none of the keys in %s signed the last checkpoint in %s: bring back the key that did", folder.Dir(), data)
}

// lastSigned reads the last checkpoint of a data folder, and its keys.
func lastSigned(data string) (*keys.Folder, proof.Checkpoint, error) {
	path := filepath.Join(data, datadir.Checkpoint)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if d, lookErr := datadir.Look(data); lookErr == nil && d.State != datadir.Empty {
			return nil, proof.Checkpoint{}, fmt.Errorf("%s holds no checkpoint yet: `annals serve --data %s` signs the first", data, data)
		}
		return nil, proof.Checkpoint{}, fmt.Errorf("%s %w", data, datadir.ErrNone)
	}
	if err != nil {
		return nil, proof.Checkpoint{}, datadir.Unusable(data, err)
	}
	c, err := proof.ParseCheckpoint(b)
	if err != nil {
		return nil, c, fmt.Errorf("%s: %w", path, err)
	}
	folder, err := keys.Load(filepath.Join(data, datadir.Keys))
	return folder, c, err
}

func (a *app) keysList() *cobra.Command {
	var data, url, names string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the ledger's keys",
		Long: `List the private keys that a data folder holds (--data), or every key that the
ledger of a running server ever named, with the sizes that each is in force for, and
how many of a role have to sign (--url). What a key is called is in no ledger: it is in
keys/names.json of the data folder where it was added, or in --names.`,
		Example: `  annals keys list --data ./annals-data
  annals keys list --url http://127.0.0.1:8080`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			here, there := cmd.Flags().Changed("data"), cmd.Flags().Changed("url")
			switch {
			case here && there:
				return usagef("--data lists a folder's private keys, --url a ledger's public ones; give one of them")
			case there, !here && url != "": // the environment's
				return a.listNamed(cmd, url, data, names)
			}
			return a.listHeld(data)
		},
	}
	dataFlag(cmd, &data)
	cmd.Flags().StringVar(&url, "url", "", "the `URL` of a running server, instead of --data")
	namesFlag(cmd, &names)
	a.tokenFlag(cmd)
	return cmd
}

// listHeld lists a folder's keys.
func (a *app) listHeld(data string) error {
	if d, err := datadir.Look(data); err != nil {
		return err
	} else if d.State == datadir.Empty {
		return fmt.Errorf("%s %w", data, datadir.ErrNone)
	}
	folder, err := keys.Load(filepath.Join(data, datadir.Keys))
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "file\tid")
	for _, p := range folder.List() {
		fmt.Fprintf(w, "%s\t%s\n", p.File, p.Key().ID())
	}
	return w.Flush()
}

// rosterOf asks a server for its ledger's keys as they are now. Nothing of it is proven.
func rosterOf(ctx context.Context, c *client.Client) (*proof.KeyHistory, *chain.Roster, error) {
	history, err := succession.Recent(ctx, c)
	if err != nil {
		return nil, nil, err
	}
	roster, err := history.Roster()
	return history, roster, err
}

// listNamed lists what a ledger names.
func (a *app) listNamed(cmd *cobra.Command, url, data, file string) error {
	names, err := namedKeys(file, data)
	if err != nil {
		return err
	}
	c, err := a.serverAt(url)
	if err != nil {
		return err
	}
	history, roster, err := rosterOf(cmd.Context(), c)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "roles\tfrom size\tbelow size\tid\tverifier key\tname")
	for _, k := range history.Keys {
		to := "-"
		if k.To != nil {
			to = strconv.FormatUint(*k.To, 10)
		}
		vkey := cmp.Or(k.VKey, "-")
		if k.Algorithm == chain.AlgorithmMLDSA44 {
			vkey = "ML-DSA-44" // some 1,800 characters
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\n", strings.Join(k.Roles, ","), k.From, to, k.ID, vkey, cmp.Or(names[k.ID], "-"))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return a.listThresholds(roster)
}

// changeFlags are those of a change of keys.
type changeFlags struct {
	data, url, why string
	root           []string

	history *proof.KeyHistory // what the server said of its keys; nil: it was not asked yet
}

func (f *changeFlags) add(a *app, cmd *cobra.Command) {
	dataFlag(cmd, &f.data)
	a.urlFlag(cmd, &f.url)
	cmd.Flags().StringArrayVar(&f.root, "root-key", nil, "the `FILE` of the root key, where it isn't kept in the data folder; repeat it where several must sign")
	cmd.Flags().StringVar(&f.why, "why", "", "the reason, as free `TEXT`; it is kept beside the entry and may be erased")
}

func (f *changeFlags) options(a *app) (succession.Options, error) {
	c, err := a.serverAt(f.url)
	if err != nil {
		return succession.Options{}, err
	}
	return succession.Options{Server: c, Keys: filepath.Join(f.data, datadir.Keys), Root: f.root, Why: f.why, History: f.history}, nil
}

func (a *app) keysRotate() *cobra.Command {
	var f changeFlags
	var role string
	var mldsa bool
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Have a new key take a key's place",
		Long: `Make a key, and have it take the place of the one in force, in good order: the
change is signed here, by the root key and by the key that goes, and published
through the running server, which takes the new key from the data folder as soon as
the ledger says so. The old key's file stays; it may be taken away once the change is
recorded. Auditors who know the old key follow the change to the new one.

The root key may be kept off the machine: bring it for this command, and take it away
again.`,
		Example: `  annals keys rotate --data ./annals-data --role checkpoint
  annals keys rotate --data ./annals-data --role ledger --root-key /media/usb/root
  annals keys rotate --data ./annals-data --role checkpoint --mldsa`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := chain.ParseRole(role)
			switch {
			case err != nil || r == chain.RoleRoot || r == chain.RoleEraser:
				return usagef("--role is checkpoint, ledger, heads or operator, not %q: the key of a %s is held by a person, who makes the next one with annals keys new; annals keys add names it, annals keys revoke takes the old one out", role, cmp.Or(role, "role"))
			case mldsa && r != chain.RoleCheckpoint:
				return usagef("--mldsa is for --role checkpoint: no other key can be of ML-DSA-44")
			}
			algorithm := chain.AlgorithmEd25519
			if mldsa {
				algorithm = chain.AlgorithmMLDSA44
			}
			o, err := f.options(a)
			if err != nil {
				return err
			}
			change, err := succession.Rotate(cmd.Context(), o, r, algorithm)
			if err != nil {
				return err
			}
			return a.changed("rotated", change)
		},
	}
	f.add(a, cmd)
	cmd.Flags().StringVar(&role, "role", "checkpoint", "which key: `ROLE` is checkpoint, ledger, heads or operator")
	cmd.Flags().BoolVar(&mldsa, "mldsa", false, "the ML-DSA-44 key that signs checkpoints on a second line; where there is none, the first")
	return cmd
}

func (a *app) keysRevoke() *cobra.Command {
	var f changeFlags
	var outside outsideFlags
	var key, role string
	cmd := &cobra.Command{
		Use:   "revoke",
		Short: "Take a key out of force that is lost or stolen",
		Long: `Take a key out of force that is lost, or that somebody else may have: the root key
alone signs the change, and another key takes the place. Whoever knows the revoked
key only is told of the others by the root key, and by nothing that the revoked one
signs. Give auditors the new key.

For a key that the server holds, this makes the next. For one that a person holds, such
as an eraser's, --public names the next, if there is one; and --threshold says how many
of the role have to sign from then on. No role is left with fewer keys than have to sign.`,
		Example: `  annals keys list --url http://127.0.0.1:8080
  annals keys revoke --key 7d1f… --root-key /media/usb/root --why "laptop stolen"
  annals keys revoke --key 7d1f… --public erin-2.key.pub --root-key /media/usb/root`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if key == "" {
				return usagef("--key says which key; `annals keys list --url %s` shows their ids", f.url)
			}
			id, err := succession.ParseID(key)
			if err != nil {
				return usagef("--key: %w", err)
			}
			if ok, err := a.revokeOutside(cmd, &f, &outside, id); ok || err != nil {
				return err
			}
			r := chain.Role(0)
			if role != "" {
				if r, err = chain.ParseRole(role); err != nil || r == chain.RoleRoot || r == chain.RoleEraser {
					return usagef("--role is checkpoint, ledger, heads or operator, not %q", role)
				}
			}
			o, err := f.options(a)
			if err != nil {
				return err
			}
			change, err := succession.Revoke(cmd.Context(), o, id, r)
			if err != nil {
				return err
			}
			return a.changed("revoked", change)
		},
	}
	f.add(a, cmd)
	cmd.Flags().StringVar(&key, "key", "", "the `ID` of the key, 64 hexadecimal digits")
	outside.add(cmd, "the public key that takes the place, a `FILE` or base64, where a person holds it")
	cmd.Flags().StringVar(&role, "role", "", "the key's `ROLE`, where the server doesn't list it: it was lost before a checkpoint covered it")
	return cmd
}

// changed says what a change of keys has come to.
func (a *app) changed(what string, c *succession.Change) error {
	var b strings.Builder
	for _, id := range c.Removed {
		fmt.Fprintf(&b, "%s  %s\n", what, id)
	}
	for _, id := range c.Named {
		fmt.Fprintf(&b, "in force %s\n", id)
	}
	if c.Added != nil {
		fmt.Fprintf(&b, "in force %s, in %s\n", c.Added.Key().ID(), c.Added.File)
	}
	if c.Answer.Index != nil {
		fmt.Fprintf(&b, "entry    %d\n", *c.Answer.Index)
	} else {
		fmt.Fprintf(&b, "accepted, message %d; not recorded yet\n", c.Answer.Sequence)
	}
	if vkey := c.VKey(); vkey != "" && c.Added.Algorithm == chain.AlgorithmEd25519 {
		fmt.Fprintf(&b, "key      %s\n", vkey)
	}
	if c.Unsigned {
		b.WriteString("no checkpoint covers it yet: until one does, `annals keys public` prints the key of the last one\n")
	}
	_, err := fmt.Fprint(a.out, b.String())
	return err
}
