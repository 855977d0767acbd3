package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"annals/cmd/annals/internal/accessfile"
	"annals/cmd/annals/internal/client"
	"annals/cmd/annals/internal/datadir"
	"annals/cmd/annals/internal/journal"
	"annals/internal/access"

	"github.com/spf13/cobra"
)

// accessHelp is what the commands have in common.
const accessHelp = `With --data the folder's server must be stopped; with --url a running server does it,
for whoever has a token with the scope admin.`

func (a *app) access() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "access",
		Short: "API keys: add, list, revoke",
		Long: `Who may record, read, audit and erase. A server whose folder has no key runs in
development mode, on the loopback alone, and asks nobody; from the first key on it
asks everybody, also after the last one was revoked.

` + accessHelp,
		Example: `  annals access add --data ./annals-data --name ops --scope read,audit,admin
  annals access add --url https://audit.example.com --name billing --scope record --workspace ws_7
  annals access list --data ./annals-data
  annals access revoke 00112233aabbccdd --data ./annals-data`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	for _, sub := range []*cobra.Command{a.accessAdd(), a.accessList(), a.accessRevoke()} {
		sub.Args = a.arguments(sub.Args)
		cmd.AddCommand(sub)
	}
	return cmd
}

// whereFlags say whose keys are meant: a stopped folder's, or a running server's.
type whereFlags struct {
	data, url string
	reads     bool // nothing is changed
}

func (f *whereFlags) add(a *app, cmd *cobra.Command) {
	dataFlag(cmd, &f.data)
	cmd.Flags().StringVar(&f.url, "url", "", "the `URL` of a running server, instead of --data")
	a.tokenFlag(cmd)
}

// do runs one of two functions.
func (f *whereFlags) do(a *app, cmd *cobra.Command, here func(*access.Book) error, there func(*client.Client) error) (err error) {
	if cmd.Flags().Changed("data") && cmd.Flags().Changed("url") {
		return usagef("--data is for a folder whose server is stopped, --url for a running server; give one of them")
	}
	if f.url != "" && !cmd.Flags().Changed("data") {
		c, err := a.serverAt(f.url)
		if err != nil {
			return err
		}
		return there(c)
	}
	d, err := datadir.Look(f.data)
	if err != nil {
		return err
	}
	if f.reads { // a file that is replaced whole needs no lock
		book, err := accessfile.Load(f.data)
		if book == nil && err == nil {
			err = fmt.Errorf("%s has no API keys: a server on it runs in development mode", f.data)
		}
		if err != nil {
			return err
		}
		return here(book)
	}
	lock, err := d.Lock()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	book, err := accessfile.LoadOrNew(f.data)
	if err != nil {
		return err
	}
	return here(book)
}

func (a *app) accessAdd() *cobra.Command {
	var where whereFlags
	var q client.KeyRequest
	var days int
	cmd := &cobra.Command{
		Use:   "add --name NAME --scope SCOPES",
		Short: "Make an API key, and print it once",
		Long: `Make an API key and print it. It is shown here and never again: what is kept is its
SHA-256. Clients send it as "Authorization: Bearer KEY"; the commands of annals take
it from ANNALS_TOKEN or --token-file.

  record  record activity
  read    timelines, records, counts, the live tail, receipts
  audit   verify: a workspace's chain; with all workspaces also tiles and metrics
  erase   ask for the erasure of what was published
  admin   keys; with all workspaces also control messages, expiry and rebuilds

None of them includes another. A workspace that a key doesn't name is to it as if it
weren't there.

` + accessHelp,
		Example: `  annals access add --name ops --scope read,audit,admin
  annals access add --name billing --scope record --workspace ws_7 --days 30
  annals access add --name gateway --subject svc_gateway --on-behalf --scope record`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if days < 1 {
				return usagef("--days is 1 at the least, not %d", days)
			}
			q.ExpiresIn = int64(days) * 24 * 60 * 60
			return where.do(a, cmd, func(book *access.Book) error { return a.addHere(book, &q) },
				func(c *client.Client) error { return a.addThere(cmd.Context(), c, &q) })
		},
	}
	where.add(a, cmd)
	fl := cmd.Flags()
	fl.StringVar(&q.Name, "name", "", "what to call it: `NAME`")
	fl.StringVar(&q.Subject, "subject", "", "whom it stands for: the producer of what it records, and the actor.id whose own word it is; default: the name")
	fl.BoolVar(&q.OnBehalf, "on-behalf", false, "the subject is a service that is trusted to say for whom it acts")
	fl.StringSliceVar(&q.Scopes, "scope", nil, "what it is for: `SCOPES` of record, read, audit, erase, admin")
	fl.StringSliceVar(&q.Workspaces, "workspace", []string{access.Everywhere}, "the `WORKSPACES` that it names, or * for all of them")
	fl.IntVar(&days, "days", int(access.DefaultLife/(24*time.Hour)), "in how many days it expires")
	_ = cmd.MarkFlagRequired("name")
	_ = cmd.MarkFlagRequired("scope")
	return cmd
}

func (a *app) addHere(book *access.Book, q *client.KeyRequest) error {
	scopes, err := access.ParseScopes(q.Scopes)
	if err != nil {
		return usagef("--scope: %w", err)
	}
	workspaces, err := access.ParseWorkspaces(q.Workspaces)
	if err != nil {
		return usagef("--workspace: %w", err)
	}
	k, token, err := book.Add(access.Request{
		Name: q.Name, Subject: q.Subject, OnBehalf: q.OnBehalf, Scopes: scopes, Workspaces: workspaces,
		Life: time.Duration(q.ExpiresIn) * time.Second, By: journal.CommandLine,
	}, time.Now())
	if invalid, ok := errors.AsType[*access.InvalidError](err); ok {
		return &usageError{invalid}
	} else if err != nil {
		return err
	}
	return a.printToken(k.ID, k.Expires, token)
}

func (a *app) addThere(ctx context.Context, c *client.Client, q *client.KeyRequest) error {
	m, err := c.MintKey(ctx, q)
	if err != nil {
		return err
	}
	return a.printToken(m.Key.ID, m.Key.Expires, m.Token)
}

// printToken prints the key alone where scripts read, and the rest for people.
func (a *app) printToken(id string, expires time.Time, token string) error {
	fmt.Fprintf(a.err, "key %s, until %s; it is shown this once:\n", id, expires.UTC().Format(time.DateOnly))
	_, err := fmt.Fprintln(a.out, token)
	return err
}

func (a *app) accessList() *cobra.Command {
	where := whereFlags{reads: true}
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the API keys",
		Long:    "List every API key, revoked and expired ones too; the keys themselves are kept by nobody\nbut their holders.\n\n" + accessHelp,
		Example: "  annals access list\n  annals access list --url https://audit.example.com --token-file admin.token",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return where.do(a, cmd, func(book *access.Book) error {
				everywhere, err := access.ParseWorkspaces([]string{access.Everywhere})
				if err != nil {
					return err
				}
				var keys []client.Key
				for _, k := range book.List(everywhere) {
					keys = append(keys, client.Key{
						ID: k.ID, Name: k.Name, Subject: k.Subject, OnBehalf: k.OnBehalf, Scopes: k.Scopes.Names(),
						Workspaces: k.Workspaces.Names(), State: k.State(time.Now()), Expires: k.Expires, LastUsed: k.LastUsed,
					})
				}
				return a.printKeys(keys)
			}, func(c *client.Client) error {
				keys, err := c.Keys(cmd.Context())
				if err != nil {
					return err
				}
				return a.printKeys(keys)
			})
		},
	}
	where.add(a, cmd)
	return cmd
}

func (a *app) printKeys(keys []client.Key) error {
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "id\tname\tsubject\tscopes\tworkspaces\tstate\texpires\tlast used")
	for _, k := range keys {
		used := "-"
		if !k.LastUsed.IsZero() {
			used = k.LastUsed.UTC().Format("2006-01-02 15:04")
		}
		subject := k.Subject
		if k.OnBehalf {
			subject += " (on behalf)"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", k.ID, k.Name, subject, strings.Join(k.Scopes, ","), strings.Join(k.Workspaces, ","),
			k.State, k.Expires.UTC().Format(time.DateOnly), used)
	}
	return w.Flush()
}

func (a *app) accessRevoke() *cobra.Command {
	var where whereFlags
	cmd := &cobra.Command{
		Use:     "revoke ID",
		Short:   "End an API key at once",
		Long:    "End an API key at once, and the live tails that it listens to. It stays on the list.\n\n" + accessHelp,
		Example: "  annals access revoke 00112233aabbccdd\n  annals access revoke 00112233aabbccdd --url https://audit.example.com",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			err := where.do(a, cmd, func(book *access.Book) error {
				everywhere, err := access.ParseWorkspaces([]string{access.Everywhere})
				if err == nil {
					_, err = book.Revoke(args[0], everywhere, journal.CommandLine, time.Now())
				}
				return err
			}, func(c *client.Client) error { return c.RevokeKey(cmd.Context(), args[0]) })
			if err == nil {
				fmt.Fprintf(a.out, "key %s is revoked\n", args[0])
			}
			return err
		},
	}
	where.add(a, cmd)
	return cmd
}
