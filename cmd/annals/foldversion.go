package main

import (
	"context"
	"errors"
	"fmt"

	"annals/cmd/annals/internal/client"
	"annals/cmd/annals/internal/control"
	"annals/ledger/chain"

	"github.com/spf13/cobra"
)

type foldVersionFlags struct {
	url, data, reason string
	keys              []string
	version           uint16
	yes               bool
}

func (a *app) foldVersion() *cobra.Command {
	var f foldVersionFlags
	cmd := &cobra.Command{
		Use:   "fold-version",
		Short: "Have the stream folded by a newer version of the rules",
		Long: `Announce that from its own place on the stream is folded by a newer version of the
rules. Version 2 reads CloudEvents: binary and structured mode on activity., and over
HTTP. What was recorded before stays what it was.

The statement is signed with the operator's key and goes into the stream, so that every
replica changes at the same message. It can't be taken back, and a program that doesn't
know the version stops there: update every replica, and whatever verifies the ledger,
first.

Without --yes it shows which version is in force and does nothing. The private key is
read here, from --data or --key, and is not sent.`,
		Example: `  annals fold-version --url http://127.0.0.1:8080
  annals fold-version --url http://127.0.0.1:8080 --data ./annals-data --yes
  annals fold-version --url http://127.0.0.1:8080 --key /media/usb/operator --yes --reason "OPS-44"`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case f.version < chain.FoldEvents || f.version > chain.LatestFold:
				return usagef("--to is a version that this program knows and every ledger does not begin with: %d", chain.LatestFold)
			case len(f.keys) > 0 && cmd.Flags().Changed("data"):
				return usagef("--key is the operator's key itself, --data the folder that it is in; give one of them")
			}
			return a.runFoldVersion(cmd.Context(), &f)
		},
	}
	a.urlFlag(cmd, &f.url)
	dataFlag(cmd, &f.data)
	operatorKeyFlag(cmd, &f.keys)
	cmd.Flags().Uint16Var(&f.version, "to", chain.LatestFold, "the `VERSION`")
	cmd.Flags().StringVar(&f.reason, "reason", "", "why, in words: `TEXT`; it is kept in the ledger, and may be erased")
	cmd.Flags().BoolVar(&f.yes, "yes", false, "do it")
	return cmd
}

func (a *app) runFoldVersion(ctx context.Context, f *foldVersionFlags) error {
	c, err := a.serverAt(f.url)
	if err != nil {
		return err
	}
	at, err := control.Look(ctx, c)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.out, "ledger   %s, %d entries\nfolded   by version %d of the rules; this program knows %d\n", at.Ledger, at.Size, at.Fold, chain.LatestFold)
	switch {
	case at.Fold >= f.version:
		return nil
	case at.State == "stopped":
		return fmt.Errorf("nothing was signed: the server records nothing: %s", at.Error)
	case !f.yes:
		return errors.New("nothing was signed; when every replica and every verifier knows the version, run it again with --yes")
	}
	signers, err := signersOf(f.data, f.keys, chain.RoleOperator)
	if err != nil {
		return err
	}
	answer, err := submitFoldVersion(ctx, c, f, at, signers)
	if err != nil {
		return err
	}
	index := "not folded yet"
	if answer.Index != nil {
		index = fmt.Sprintf("entry %d", *answer.Index)
	}
	_, err = fmt.Fprintf(a.out, "signed   message %d, %s; what follows is folded by version %d\n", answer.Sequence, index, f.version)
	return err
}

// submitFoldVersion signs and submits, with each key that may be the one in force, and
// anew where another control message came first.
func submitFoldVersion(ctx context.Context, c *client.Client, f *foldVersionFlags, at *control.Standing, signers [][]chain.Signer) (answer control.Answer, err error) {
	for try := 0; try < gapTries; try++ {
		answer, err = submitSigned(ctx, c, signers, func(together []chain.Signer) []byte {
			return chain.SealFoldVersion(at.Ledger, at.Control, f.version, f.reason, together...)
		})
		if !raced(err) {
			return answer, err
		}
		if at, err = control.Look(ctx, c); err != nil {
			return answer, err
		}
	}
	return answer, err
}
