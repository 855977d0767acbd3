package main

import (
	"context"
	"errors"
	"fmt"

	"annals/cmd/annals/internal/client"
	"annals/cmd/annals/internal/control"
	"annals/cmd/annals/internal/show"
	"annals/ledger/chain"

	"github.com/spf13/cobra"
)

type gapFlags struct {
	url, data, reason string
	keys              []string
	first, last       uint64
	yes               bool
}

func (a *app) gap() *cobra.Command {
	var f gapFlags
	cmd := &cobra.Command{
		Use:   "gap",
		Short: "Admit that messages of the stream are lost",
		Long: `Admit that messages are missing inside the stream, where a running server waits at
a hole and nobody has them any more: no server of the cluster, no mirror, no backup.
The statement is signed with the operator's key and goes into the stream, so that
every replica folds the same gap in their place. It can't be taken back: who still
finds the messages afterwards can't have them recorded in their place.

Without --yes, or --first and --last, it shows what the server misses and does
nothing. The private key is read here, from --data or --key, and is not sent.`,
		Example: `  annals gap --url http://127.0.0.1:8080 --data ./annals-data
  annals gap --url http://127.0.0.1:8080 --data ./annals-data --first 57 --last 58 --reason "disk of n2 died, no copy"
  annals gap --url http://127.0.0.1:8080 --key /media/usb/operator --yes --reason "ticket OPS-42"`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case f.first == 0 != (f.last == 0):
				return usagef("--first and --last belong together; they repeat what the server misses")
			case f.last < f.first:
				return usagef("--last is before --first")
			case (f.yes || f.first > 0) && f.reason == "":
				return usagef("--reason says in words why the messages are given up; it is kept in the ledger, and may be erased")
			case len(f.keys) > 0 && cmd.Flags().Changed("data"):
				return usagef("--key is the operator's key itself, --data the folder that it is in; give one of them")
			}
			return a.runGap(cmd.Context(), &f)
		},
	}
	a.urlFlag(cmd, &f.url)
	dataFlag(cmd, &f.data)
	operatorKeyFlag(cmd, &f.keys)
	cmd.Flags().StringVar(&f.reason, "reason", "", "why the messages are given up, in words: `TEXT`")
	cmd.Flags().Uint64Var(&f.first, "first", 0, "the first missing `SEQUENCE`, to confirm it")
	cmd.Flags().Uint64Var(&f.last, "last", 0, "the last missing `SEQUENCE`")
	cmd.Flags().BoolVar(&f.yes, "yes", false, "admit whatever the server misses, without repeating it")
	return cmd
}

// gapTries is how often a statement is signed anew when another control message
// came first.
const gapTries = 5

func (a *app) runGap(ctx context.Context, f *gapFlags) error {
	c, err := a.serverAt(f.url)
	if err != nil {
		return err
	}
	at, err := control.Look(ctx, c)
	if err != nil {
		return err
	}
	if at.Hole == nil {
		if at.State == "recording" {
			return errors.New("nothing is missing: the server records")
		}
		return fmt.Errorf("the server stands at no hole: %s", at.Error)
	}
	hole := *at.Hole
	fmt.Fprintf(a.out, "ledger   %s, %d entries\nstream   %s, epoch %d, folded up to %d\nmissing  %d to %d (%s)\n",
		at.Ledger, at.Size, at.Stream, at.Epoch, at.Sequence, hole.First, hole.Last, show.Count(hole.Last-hole.First+1, "message"))
	if hole.Folded {
		fmt.Fprintf(a.out, "folded   entry %d stands for them, but its statement was rejected: it has to be signed again\n", hole.Size)
	}
	switch {
	case f.first > 0 && (f.first != hole.First || f.last != hole.Last):
		return fmt.Errorf("--first %d --last %d is not what the server misses; nothing was signed", f.first, f.last)
	case f.first == 0 && !f.yes:
		return fmt.Errorf("nothing was signed; when nobody has these messages any more, run it again with --first %d --last %d --reason TEXT", hole.First, hole.Last)
	}
	signers, err := signersOf(f.data, f.keys, chain.RoleOperator)
	if err != nil {
		return err
	}
	answer, err := submitGap(ctx, c, f, at, hole, signers)
	if err != nil {
		return err
	}
	index := "not folded yet"
	if answer.Index != nil {
		index = fmt.Sprintf("entry %d", *answer.Index)
	}
	_, err = fmt.Fprintf(a.out, "signed   message %d, %s\n", answer.Sequence, index)
	return err
}

// submitGap signs and submits, with each key that may be the one in force, and anew
// where another control message came first.
func submitGap(ctx context.Context, c *client.Client, f *gapFlags, at *control.Standing, hole control.Hole, signers [][]chain.Signer) (answer control.Answer, err error) {
	for try := 0; try < gapTries; try++ {
		answer, err = submitSigned(ctx, c, signers, func(together []chain.Signer) []byte {
			return control.SealGap(at, &hole, f.reason, together...)
		})
		if !raced(err) {
			return answer, err
		}
		now, err := control.Look(ctx, c)
		switch {
		case err != nil:
			return answer, err
		case now.Hole == nil || *now.Hole != hole:
			return answer, errors.New("what the server misses has changed meanwhile; nothing was signed: look again")
		}
		at = now
	}
	return answer, err
}
