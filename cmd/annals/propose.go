package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"time"

	"annals/cmd/annals/internal/client"
	"annals/cmd/annals/internal/control"
	"annals/cmd/annals/internal/durable"
	"annals/cmd/annals/internal/keys"
	"annals/cmd/annals/internal/proposal"
	"annals/cmd/annals/internal/show"
	"annals/ledger/chain"

	"github.com/spf13/cobra"
)

// sealer seals a statement for where the ledger stands. Without signers it is the
// statement alone, with its private part.
type sealer func(at *control.Standing, signers ...chain.Signer) []byte

// proposeFlags are those of a statement that others are to sign.
type proposeFlags struct {
	file    string
	goodFor time.Duration
}

const (
	// numberLasts is how long a busy ledger takes for one control number: it marks its
	// state once a minute, and has seeds, trims and expiries besides.
	numberLasts = 36 * time.Second
	goodFor     = 72 * time.Hour
)

func (f *proposeFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.file, "propose", "", "sign nothing here, but write what is to be signed into a new `FILE`, for `annals sign` and `annals submit`")
	cmd.Flags().DurationVar(&f.goodFor, "good-for", goodFor, "how long the proposal is to be good for while the ledger is busy; on an idle one it is good for longer")
}

// check says what does not go together.
func (f *proposeFlags) check(yes, dryRun bool, keys []string) error {
	if f.file == "" {
		return nil
	}
	switch {
	case yes, dryRun:
		return usagef("--propose writes what is to be signed, and does nothing else; leave --yes and --dry-run out")
	case len(keys) > 0:
		return usagef("--propose signs nothing; each key signs by `annals sign FILE --key KEY`")
	}
	return f.bounds()
}

// bounds holds --good-for to what a proposal can have.
func (f *proposeFlags) bounds() error {
	if longest := numberLasts * proposal.MaxNumbers; f.goodFor < numberLasts || f.goodFor > longest {
		return usagef("--good-for is between %s and %s, not %s", numberLasts, longest, f.goodFor)
	}
	return nil
}

// propose writes what seals make into a file, for others to sign.
func (a *app) propose(ctx context.Context, c *client.Client, f *proposeFlags, told proposal.Told, seals ...sealer) error {
	at, err := control.Look(ctx, c)
	if err != nil {
		return err
	}
	var statements []chain.Statement
	for _, seal := range seals {
		s, ok := chain.StatementOf(seal(at))
		if !ok {
			return errors.New("what was to be proposed is no statement")
		}
		statements = append(statements, s)
	}
	run := proposal.Run{Ledger: at.Ledger, Number: at.Control, Numbers: uint64(f.goodFor / numberLasts)}
	p, err := proposal.New(run, at.Origin, told, statements...)
	if err != nil {
		return err
	}
	_, roster, err := rosterOf(ctx, c)
	if err != nil {
		return err
	}
	b, err := p.Encode()
	if err != nil {
		return err
	}
	if err := durable.New(f.file, append(b, '\n')); errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already; name another file with --propose", f.file)
	} else if err != nil {
		return err
	}
	a.shows(p)
	t := p.Tally(roster)
	_, err = fmt.Fprintf(a.out, "needs    %d of %s of the role %s\nwrote    %s: each signs it with `annals sign %s --key KEY`, and `annals submit %s` publishes it\n",
		t.Need, show.Count(len(t.Missing), "key"), t.Role, f.file, f.file, f.file)
	return err
}

// shows prints what a proposal's statements do, which its bytes say, and what was told
// besides, which nobody can see in them. What was told is quoted: it may say anything.
func (a *app) shows(p *proposal.Proposal) {
	fmt.Fprintf(a.out, "ledger   %s, %s\n", p.Ledger, strconv.Quote(p.Origin))
	for _, says := range p.Says {
		fmt.Fprintf(a.out, "does     %s\n", says)
	}
	if p.Told.Workspace != "" {
		fmt.Fprintf(a.out, "told     that this is the workspace %s\n", strconv.Quote(p.Told.Workspace))
	}
	if p.Told.Select != "" {
		fmt.Fprintf(a.out, "told     that these are what %s selects\n", strconv.Quote(p.Told.Select))
	}
	fmt.Fprintf(a.out, "words    %s\nnumbers  good for the control numbers %d to %d: some %s of a busy ledger\nprint    %s\n",
		strconv.Quote(p.Told.Words), p.Number, p.Number+p.Numbers-1, time.Duration(p.Numbers)*numberLasts, p.Fingerprint())
}

// readProposals reads proposals in the order of their files. Copies of one have the
// signatures of all of them.
func readProposals(files []string) (all []*proposal.Proposal, err error) {
	at := map[chain.Hash]*proposal.Proposal{}
	for _, file := range files {
		b, err := readBounded(file, proposal.MaxFile)
		if err != nil {
			return nil, err
		}
		p, err := proposal.Parse(b)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		print := p.Fingerprint()
		if first := at[print]; first != nil {
			if err := first.Merge(p); err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
			continue
		}
		at[print], all = p, append(all, p)
	}
	return all, nil
}

// namedKeys are what keys are called on this machine.
func namedKeys(file, data string) (keys.Names, error) {
	if file == "" {
		file = namesIn(data)
	}
	return keys.ReadNames(file)
}
