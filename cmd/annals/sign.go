package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"

	"annals/cmd/annals/internal/client"
	"annals/cmd/annals/internal/control"
	"annals/cmd/annals/internal/durable"
	"annals/cmd/annals/internal/keys"
	"annals/cmd/annals/internal/proposal"
	"annals/cmd/annals/internal/show"
	"annals/ledger/chain"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

type signFlags struct {
	key, name, passphrase, url string
	yes                        bool
}

func (a *app) signFile() *cobra.Command {
	var f signFlags
	cmd := &cobra.Command{
		Use:   "sign FILE…",
		Short: "Sign what somebody proposed, with a key of your own",
		Long: `Sign a proposal: a file that ` + "`annals erase --propose`" + ` wrote, or hold, retention or
keys. It shows what its statements do, made of the bytes that are signed, and refuses a
file that says anything else. Then it asks, and puts your signature into the file.
Several files are signed one after the other.

It needs the file and the key, and neither a server nor the ledger. But a statement
names entries by their numbers and a workspace by its tag: that these are what the
proposer says, only the ledger's server can tell. --url asks it.`,
		Example: `  annals sign request.json --key dana.key
  annals sign request.json --key dana.key --url https://audit.example.com --token-file dana.token`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.key == "" {
				return usagef("--key names the file of your key")
			}
			open := sync.OnceValues(func() (chain.Signer, error) { // for all files
				return keys.OpenPersonal(f.key, a.passphrase(cmd.Context(), f.passphrase))
			})
			answers := bufio.NewReader(a.stdin(cmd.Context()))
			for _, file := range args {
				if err := a.runSign(cmd.Context(), &f, file, answers, open); err != nil {
					return err
				}
			}
			return nil
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.key, "key", "", "the `FILE` of your key, as annals keys new makes it")
	fl.StringVar(&f.name, "name", "", "whom you are to be called in the file; default: what the key's .pub says")
	passphraseFlag(cmd, &f.passphrase)
	fl.StringVar(&f.url, "url", "", "the `URL` of the ledger's server: have it say whether what was told is so")
	a.tokenFlag(cmd)
	fl.BoolVar(&f.yes, "yes", false, "sign it without asking")
	return cmd
}

func passphraseFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVar(file, "passphrase-file", "", "a `FILE` with the passphrase that the key is encrypted by, instead of asking for it")
}

func (a *app) runSign(ctx context.Context, f *signFlags, file string, answers *bufio.Reader, open func() (chain.Signer, error)) error {
	read, err := readProposals([]string{file})
	if err != nil {
		return err
	}
	p := read[0]
	a.shows(p)
	for i := range p.Signatures {
		fmt.Fprintf(a.out, "by       %s\n", p.Signatures[i].Who())
	}
	if err := a.checkTold(ctx, f.url, p); err != nil {
		return err
	}
	if !f.yes {
		fmt.Fprintf(a.err, "sign %s with %s? yes or no: ", file, f.key)
		said, err := answers.ReadString('\n')
		if errors.Is(err, errInterrupted) {
			return fmt.Errorf("%w; nothing was signed", err)
		}
		if strings.TrimSpace(said) != "yes" {
			return errors.New("nothing was signed: say yes, or give --yes")
		}
	}
	signer, err := open()
	if err != nil {
		return err
	}
	name := f.name
	if name == "" {
		if public, called, err := keys.ReadPublic(f.key + keys.PublicSuffix); err == nil && string(public) == string(signer.Public(0).Public) {
			name = called
		}
	}
	if err := keys.CheckName(name); err != nil {
		return usagef("--name: %w", err)
	}
	if err := p.Sign(signer, name); err != nil {
		return err
	}
	b, err := p.Encode()
	if err != nil {
		return err
	}
	if err := durable.Replace(file, append(b, '\n')); err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.out, "signed   by %s; %s in the file\n", p.Signatures[len(p.Signatures)-1].Who(), show.Count(len(p.Signatures), "signature"))
	return err
}

// checkTold asks a server whether what was told of the statements is so. Without one it
// says that nobody was asked.
func (a *app) checkTold(ctx context.Context, address string, p *proposal.Proposal) error {
	switch {
	case p.Told.Workspace == "":
		return nil // there is nothing that the bytes don't say
	case address == "":
		_, err := fmt.Fprintln(a.out, "checked  nothing of what was told: it is the proposer's word; with --url the ledger's server is asked")
		return err
	}
	c, err := a.serverAt(address)
	if err != nil {
		return err
	}
	at, err := control.Look(ctx, c)
	if err != nil {
		return err
	}
	if at.Ledger != p.Ledger {
		return fmt.Errorf("the server at %s serves the ledger %s, and not the one that this is for; nothing was signed", address, at.Ledger)
	}
	if number := p.Hold(); number != 0 {
		return a.checkHold(ctx, c, p.Told.Workspace, number)
	}
	later, err := confirmTold(ctx, c, p)
	if err != nil {
		return fmt.Errorf("the server at %s doesn't bear out what was told: %w; nothing was signed", address, err)
	}
	fmt.Fprintf(a.out, "checked  the server at %s says the same of the workspace and of what is selected\n", address)
	if later > 0 {
		fmt.Fprintf(a.out, "later    %s came since, or was left out, and is not part of this\n", show.Count(later, "entry"))
	}
	return nil
}

// checkHold asks a server what a hold that is to be released keeps: a release names its
// number alone.
func (a *app) checkHold(ctx context.Context, c *client.Client, workspace string, number uint64) error {
	_, holds, err := standing(ctx, c, workspace)
	if unauthorised(err) {
		_, err = fmt.Fprintln(a.out, "checked  nothing: the token has not the scope audit, which shows what the hold keeps")
		return err
	}
	if err != nil {
		return err
	}
	for i := range holds {
		if holds[i].Number == number {
			_, err := fmt.Fprintf(a.out, "checked  the server at %s says of the workspace: %s\n", c.URL(), holds[i].says())
			return err
		}
	}
	return fmt.Errorf("the server at %s doesn't bear out what was told: no hold %d stands over %q; nothing was signed", c.URL(), number, workspace)
}

// confirmTold asks a server what was told: that the name's tag is the statements', and
// that the question selects what they do. later is how many entries it selects now that
// they don't.
func confirmTold(ctx context.Context, c *client.Client, p *proposal.Proposal) (later uint64, err error) {
	question, err := url.ParseQuery(p.Told.Select)
	if err != nil {
		return 0, fmt.Errorf("the question %q is none", p.Told.Select)
	}
	if p.Told.Select == "" {
		question = url.Values{"kind": {"gap"}} // for the tag alone
	}
	s, err := control.Select(ctx, c, p.Told.Workspace, question)
	if err != nil {
		return 0, err
	}
	now := s.Ranges()
	var all []chain.Range // of all statements
	for tag, ranges := range p.Selected() {
		if tag != s.Tag {
			return 0, fmt.Errorf("the workspace %q has the tag %s, and not %s", p.Told.Workspace, s.Tag, tag)
		}
		for index := range chain.Indexes(ranges) {
			if !chain.Covers(now, index) {
				return 0, fmt.Errorf("entry %d is not selected by %q: it is about something else, or was erased already", index, p.Told.Select)
			}
		}
		all = append(all, ranges...)
	}
	slices.SortFunc(all, func(a, b chain.Range) int { return cmp.Compare(a.From, b.From) })
	for i := 1; i < len(all); i++ {
		if all[i].From < all[i-1].To {
			return 0, fmt.Errorf("the statements select what %q does more than once: entry %d is in two of them", p.Told.Select, all[i].From)
		}
	}
	return chain.Count(now) - chain.Count(all), nil
}

// passphrase asks for a passphrase, or reads it from a file.
func (a *app) passphrase(ctx context.Context, file string) func() (string, error) {
	return func() (string, error) {
		if file != "" {
			b, err := readBounded(file, 4096)
			return strings.TrimRight(string(b), "\r\n"), err
		}
		f, ok := a.in.(*os.File)
		if !ok || !term.IsTerminal(int(f.Fd())) {
			return "", errors.New("it is encrypted, and there is no terminal to ask for the passphrase; name a file that holds it with --passphrase-file")
		}
		fmt.Fprint(a.err, "passphrase: ")
		text, err := unseen(ctx, f)
		fmt.Fprintln(a.err)
		return text, err
	}
}

// readBounded reads a file of no more than some bytes.
func readBounded(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(b)) > most {
		err = fmt.Errorf("%s has more than %d bytes", path, most)
	}
	return b, err
}
