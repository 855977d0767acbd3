package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"annals/activity"
	"annals/cmd/annals/internal/catalogue"
	"annals/cmd/annals/internal/control"
	"annals/ledger/chain"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"
)

// catalogueFlags are those of the commands that sign a catalogue.
type catalogueFlags struct {
	url, data, workspace string
	keys                 []string
	dryRun, yes          bool

	replace, everything, lenient bool
	groups, objects, reasons     []string
}

func (a *app) catalogue() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "catalogue",
		Short: "Give a workspace types and words of its own",
		Long: `Say which types a workspace has beside the published ones, what it calls them, how they
read, and which reasons its records give. It is signed with the operator's key and stands
in the ledger; what was recorded before reads as it did (docs/catalogue.md).`,
		Example: `  annals catalogue add contracts.yaml --workspace ws_7 --dry-run
  annals catalogue add contracts.yaml --workspace ws_7 --yes
  annals catalogue list --workspace ws_7
  annals catalogue show --workspace ws_7
  annals catalogue remove contract.signed --workspace ws_7 --yes`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	for _, sub := range []*cobra.Command{a.catalogueAdd(), a.catalogueList(), a.catalogueShow(), a.catalogueRemove()} {
		sub.Args = a.arguments(sub.Args)
		cmd.AddCommand(sub)
	}
	return cmd
}

func (f *catalogueFlags) add(a *app, cmd *cobra.Command) {
	a.urlFlag(cmd, &f.url)
	dataFlag(cmd, &f.data)
	operatorKeyFlag(cmd, &f.keys)
	fl := cmd.Flags()
	fl.StringVar(&f.workspace, "workspace", "", "the `NAME` of the workspace")
	fl.BoolVar(&f.dryRun, "dry-run", false, "show what would be signed, and sign nothing")
	fl.BoolVar(&f.yes, "yes", false, "do it")
}

func (f *catalogueFlags) check(cmd *cobra.Command) error {
	switch {
	case f.workspace == "":
		return usagef("--workspace says whose catalogue it is")
	case f.yes && f.dryRun:
		return usagef("--dry-run does nothing and --yes does it; give one of them")
	case len(f.keys) > 0 && cmd.Flags().Changed("data"):
		return usagef("--key is the key itself, --data the folder that it is in; give one of them")
	}
	return nil
}

func (a *app) catalogueAdd() *cobra.Command {
	var f catalogueFlags
	cmd := &cobra.Command{
		Use: "add FILE", Short: "Sign what a file adds to a workspace's catalogue, or says otherwise", Args: cobra.ExactArgs(1),
		Long: `Lay a file, JSON or YAML, over the workspace's catalogue: what both have becomes the
file's. With --replace the file is all of it. - is standard input.`,
		Example: "  annals catalogue add contracts.yaml --workspace ws_7 --yes",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(cmd); err != nil {
				return err
			}
			text, err := a.readText(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			file, err := catalogue.Read(args[0], text)
			if err != nil {
				return err
			}
			return a.settle(cmd.Context(), &f, func(is *activity.Overlay) (*activity.Overlay, error) {
				if f.replace {
					is = &activity.Overlay{}
				}
				return file.Over(is)
			})
		},
	}
	f.add(a, cmd)
	cmd.Flags().BoolVar(&f.replace, "replace", false, "the file is the whole catalogue: take out what it lacks")
	return cmd
}

func (a *app) catalogueRemove() *cobra.Command {
	var f catalogueFlags
	cmd := &cobra.Command{
		Use: "remove [TYPE]...", Short: "Sign that a workspace's catalogue has something no more", Args: cobra.ArbitraryArgs,
		Long: `Take types, groups, objects and reasons out of the workspace's catalogue. What was
recorded before reads as it did.`,
		Example: "  annals catalogue remove contract.signed --workspace ws_7 --yes\n  annals catalogue remove --reasons R1 --workspace ws_7 --yes",
		RunE: func(cmd *cobra.Command, types []string) error {
			if err := f.check(cmd); err != nil {
				return err
			}
			names := catalogue.Names{Types: types, Groups: f.groups, Objects: f.objects, Reasons: f.reasons, Strict: f.lenient}
			given := len(types)+len(f.groups)+len(f.objects)+len(f.reasons) > 0 || f.lenient
			if given == f.everything {
				return usagef("name the types to remove, or say what by --groups, --objects, --reasons, --strict, or --everything")
			}
			return a.settle(cmd.Context(), &f, func(is *activity.Overlay) (*activity.Overlay, error) {
				if f.everything {
					return &activity.Overlay{}, nil
				}
				return catalogue.Without(is, names)
			})
		},
	}
	f.add(a, cmd)
	fl := cmd.Flags()
	fl.StringSliceVar(&f.groups, "groups", nil, "groups, by their `SLUGS`")
	fl.StringSliceVar(&f.objects, "objects", nil, "objects, by their `TYPES`")
	fl.StringSliceVar(&f.reasons, "reasons", nil, "reasons, by their `CODES`")
	fl.BoolVar(&f.lenient, "strict", false, "have the doors take what breaks the catalogue again")
	fl.BoolVar(&f.everything, "everything", false, "all of it")
	return cmd
}

// maxCatalogueFile bounds what is read: comments and white space are no part of a
// document.
const maxCatalogueFile = 4 * activity.MaxOverlay

// readText reads a file, or standard input.
func (a *app) readText(ctx context.Context, name string) ([]byte, error) {
	in := a.stdin(ctx)
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		in = file
	}
	text, err := io.ReadAll(io.LimitReader(in, maxCatalogueFile+1))
	if err == nil && len(text) > maxCatalogueFile {
		err = fmt.Errorf("%s has more than %d bytes; a catalogue has at most %d", name, maxCatalogueFile, activity.MaxOverlay)
	}
	return text, err
}

// overlayOf is the catalogue that a workspace has.
func overlayOf(is *control.Catalogue) (*activity.Overlay, error) {
	switch {
	case is.Fault != "":
		return nil, fmt.Errorf("the catalogue in entry %d can't be read: %s; `annals catalogue add --replace` puts another in its place", *is.Index, is.Fault)
	case is.Document == nil:
		return &activity.Overlay{}, nil
	}
	return activity.ParseOverlay(is.Document)
}

// settle signs what change makes of the workspace's catalogue: anew, from what it is
// then, where another control message came first.
func (a *app) settle(ctx context.Context, f *catalogueFlags, change func(is *activity.Overlay) (*activity.Overlay, error)) error {
	c, err := a.serverAt(f.url)
	if err != nil {
		return err
	}
	first, is, err := control.LookCatalogue(ctx, c, f.workspace)
	if err != nil {
		return err
	}
	next, document, err := becomes(is, f, change)
	if err != nil {
		return err
	}
	if err := a.describeChange(is, next, document); err != nil || f.dryRun {
		return err
	}
	if !f.yes {
		return errors.New("nothing was signed: look at what it would say, and run it again with --yes")
	}
	signers, err := signersOf(f.data, f.keys, chain.RoleOperator)
	if err != nil {
		return err
	}
	for range gapTries {
		now, is, err := control.LookCatalogue(ctx, c, f.workspace)
		if err != nil {
			return err
		}
		if now.Ledger != first.Ledger {
			return errors.New("the server serves another ledger than a moment ago; nothing was signed")
		}
		_, document, err := becomes(is, f, change)
		if err != nil {
			return err
		}
		if bytes.Equal(document, is.Document) {
			_, err := fmt.Fprintln(a.out, "signed   nothing: the catalogue says this already")
			return err
		}
		answer, err := submitSigned(ctx, c, signers, func(together []chain.Signer) []byte {
			return control.SealCatalogue(now, is.Tag, document, together...)
		})
		if raced(err) {
			continue
		}
		return a.tellSigned(answer, err)
	}
	return errors.New("other control messages came first each time; nothing was signed")
}

func (a *app) tellSigned(answer control.Answer, err error) error {
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.out, "signed   message %d, %s; what is recorded from then on is told by it\n", answer.Sequence, whereOf(answer))
	return err
}

// becomes is what becomes of a catalogue. One that can't be read is replaced, or stays.
func becomes(is *control.Catalogue, f *catalogueFlags, change func(is *activity.Overlay) (*activity.Overlay, error)) (*activity.Overlay, []byte, error) {
	now, err := overlayOf(is)
	if err != nil && !f.replace && !f.everything {
		return nil, nil, err
	}
	if err != nil {
		now = &activity.Overlay{}
	}
	next, err := change(now)
	if err != nil {
		return nil, nil, err
	}
	document, err := catalogue.Print(next)
	return next, document, err
}

// describeChange says what would be signed.
func (a *app) describeChange(is *control.Catalogue, next *activity.Overlay, document []byte) error {
	from := "none of its own"
	if is.Index != nil {
		from = fmt.Sprintf("the one in entry %d", *is.Index)
	}
	_, err := fmt.Fprintf(a.out, "was      %s\nwould be %s: %d bytes\n", from, countsOf(next), len(document))
	return err
}

func countsOf(o *activity.Overlay) string {
	s := fmt.Sprintf("%d types, %d groups, %d objects, %d reasons", len(o.Types), len(o.Groups), len(o.Objects), len(o.Reasons))
	if o.Strict {
		s += ", strict"
	}
	return s
}

// aboutCatalogue is a command that shows a workspace's catalogue.
func (a *app) aboutCatalogue(use, short, example string, args cobra.PositionalArgs, show func(is *control.Catalogue, o *activity.Overlay, args []string) error) *cobra.Command {
	var address, workspace string
	var size uint64
	cmd := &cobra.Command{
		Use: use, Short: short, Args: args, Example: example,
		RunE: func(cmd *cobra.Command, args []string) error {
			if workspace == "" {
				return usagef("--workspace says whose catalogue it is")
			}
			c, err := a.serverAt(address)
			if err != nil {
				return err
			}
			is, err := control.CatalogueOf(cmd.Context(), c.Client, workspace, size)
			if err != nil {
				return err
			}
			o, err := overlayOf(is)
			if err != nil {
				return err
			}
			return show(is, o, args)
		},
	}
	a.urlFlag(cmd, &address)
	cmd.Flags().StringVar(&workspace, "workspace", "", "the `NAME` of the workspace")
	cmd.Flags().Uint64Var(&size, "as-of", 0, "as it was when the ledger had so many `ENTRIES`; 0: as it is")
	return cmd
}

func (a *app) catalogueList() *cobra.Command {
	return a.aboutCatalogue("list", "List what a workspace's catalogue says", "  annals catalogue list --workspace ws_7", cobra.NoArgs,
		func(is *control.Catalogue, o *activity.Overlay, _ []string) error {
			lines := []string{"the workspace has no catalogue of its own"}
			switch {
			case is.Erased:
				lines = []string{fmt.Sprintf("entry %d, %s  %s  erased: what it told is told by what is published", *is.Index, is.ULID, is.RecordedAt)}
			case is.Index != nil:
				lines = []string{fmt.Sprintf("entry %d, %s  %s  %s; catalogues so far: %d", *is.Index, is.ULID, is.RecordedAt, countsOf(o), len(is.Versions))}
			}
			words, err := activity.Catalogue().With(o)
			if err != nil {
				return err
			}
			for _, t := range o.Types {
				d, _ := words.Definition(t.Slug)
				lines = append(lines, fmt.Sprintf("type %s  %s: %s", d.Slug, d.Label, d.Sentence))
			}
			for _, g := range o.Groups {
				lines = append(lines, fmt.Sprintf("group %s  %s", g.Slug, g.Label))
			}
			for _, n := range o.Objects {
				lines = append(lines, fmt.Sprintf("object %s  %s, %s", n.Type, n.Noun, n.One))
			}
			for _, r := range o.Reasons {
				lines = append(lines, fmt.Sprintf("reason %s  %s", r.Code, r.Label))
			}
			for _, line := range lines {
				if _, err := fmt.Fprintln(a.out, line); err != nil {
					return err
				}
			}
			return nil
		})
}

func (a *app) catalogueShow() *cobra.Command {
	return a.aboutCatalogue("show [TYPE]", "Print a workspace's catalogue, or one type of it, as a file for add", "  annals catalogue show --workspace ws_7 > catalogue.json", cobra.MaximumNArgs(1),
		func(_ *control.Catalogue, o *activity.Overlay, args []string) error {
			if len(args) == 1 {
				one := &activity.Overlay{}
				for _, t := range o.Types {
					if t.Slug == args[0] {
						one.Types = append(one.Types, t)
						one.Groups = slices.DeleteFunc(slices.Clone(o.Groups), func(g activity.OwnGroup) bool { return g.Slug != t.Group })
					}
				}
				if one.Types == nil {
					return fmt.Errorf("the workspace's catalogue has no type %q", args[0])
				}
				o = one
			}
			b, err := json.Marshal(o, json.Deterministic(true), jsontext.Multiline(true), jsontext.WithIndent("  "))
			if err != nil {
				return err
			}
			_, err = a.out.Write(append(b, '\n'))
			return err
		})
}
