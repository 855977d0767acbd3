package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"annals/cmd/annals/internal/client"
	"annals/cmd/annals/internal/show"
	"annals/ledger/chain"
	"annals/ledger/proof"

	"github.com/go-json-experiment/json"
	"github.com/oklog/ulid/v2"
	"github.com/spf13/cobra"
)

// receipting is what one run of receipt was asked for.
type receipting struct {
	ulid, workspace, url string
	file, key, policy    string
	output               string
	bare                 bool
}

func (a *app) receipt() *cobra.Command {
	v := &receipting{}
	cmd := &cobra.Command{
		Use:   "receipt {ULID --workspace WS | --file FILE} [--key VKEY]",
		Short: "Show what a receipt proves, and verify it",
		Long: `Fetch the receipt of an entry, or read one from a file, verify it by the ledger's
key, and say what it proves. Of a rejection that is the refusal: what was refused,
and why.

-o receipt prints the receipt itself, to be kept in a .tlog-proof file: with the key
it is verified offline, for ever. --key VKEY is the ledger's verifier key, from
somebody other than who shows the receipt; without it nothing is verified. With
--policy FILE (C2SP tlog-policy) the checkpoint must be cosigned by witnesses too.

Exits with 0 when the receipt holds, or was fetched without --key; else with the
code that ` + "`annals verify`" + ` has for what is wrong.`,
		Example: `  annals receipt 01KA2B3C4D0000000000000005 --workspace ws_7 --key "$VKEY"
  annals receipt 01KA2B3C4D0000000000000005 --workspace ws_7 -o receipt > evidence.tlog-proof
  annals receipt --file evidence.tlog-proof --key "$VKEY" -o json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case v.output != "text" && v.output != "json" && v.output != "receipt":
				return usagef("-o is text, json or receipt, not %q", v.output)
			case len(args) == 1 && v.file != "":
				return usagef("give a ULID or --file, not both")
			case len(args) == 0 && v.file == "":
				return usagef("whose receipt? Give a ULID with --workspace, or a receipt with --file")
			case len(args) == 1 && v.workspace == "":
				return usagef("which workspace? Give one with --workspace")
			}
			if len(args) == 1 {
				if _, err := ulid.ParseStrict(args[0]); err != nil {
					return usagef("%q is no ULID: it is 26 characters of Crockford's base 32, as `annals timeline` prints them", args[0])
				}
				v.ulid = args[0]
			}
			if v.policy != "" && v.key == "" {
				return usagef("--policy needs --key VKEY, the ledger's verifier key")
			}
			if v.key != "" {
				if _, err := proof.ParseKey(v.key); err != nil {
					return &usageError{err}
				}
			}
			return a.runReceipt(cmd.Context(), v)
		},
	}
	a.urlFlag(cmd, &v.url)
	cmd.Flags().StringVar(&v.workspace, "workspace", "", "the workspace that the entry belongs to")
	cmd.Flags().StringVar(&v.file, "file", "", "read the receipt in `FILE`")
	cmd.Flags().StringVar(&v.key, "key", "", "the ledger's verifier key: `VKEY`")
	cmd.Flags().StringVar(&v.policy, "policy", "", "ask for the witnesses that the policy in `FILE` asks for")
	cmd.Flags().BoolVar(&v.bare, "without-payload", false, "leave out what was published")
	cmd.Flags().StringVarP(&v.output, "output", "o", "text", "text, json or receipt")
	return cmd
}

func (a *app) runReceipt(ctx context.Context, v *receipting) error {
	policy, err := readPolicy(v.policy)
	if err != nil {
		return err
	}
	var c *client.Client
	var text []byte
	if v.file != "" {
		text, err = os.ReadFile(v.file)
	} else {
		if c, err = a.serverAt(v.url); err == nil {
			text, err = c.Receipt(ctx, v.workspace, v.ulid, !v.bare)
		}
	}
	if err != nil {
		return err
	}
	r, err := proof.ParseReceipt(text)
	if err != nil {
		return err
	}
	if v.bare {
		r = r.WithoutPayload()
	}
	var proven *proof.Proven
	var wrong error
	if v.key != "" {
		var p proof.Proven
		if p, wrong = verifyReceipt(ctx, c, r, v.key, policy); wrong == nil {
			proven = &p
		}
	}
	if err := a.printReceipt(r, proven, wrong, v.output); err != nil {
		return err
	}
	switch {
	case wrong != nil:
		return statusError(codeOf(proof.FindingOf(wrong)))
	case proven == nil && v.file != "":
		return statusError(exitFailure)
	}
	return nil
}

// verifyReceipt verifies by a key, or by one that it was rotated to: a server that
// is at hand shows how.
func verifyReceipt(ctx context.Context, c *client.Client, r *proof.Receipt, key string, policy *proof.Policy) (proof.Proven, error) {
	verify := func(ring *proof.Keyring) (proof.Proven, error) {
		if policy != nil {
			return r.VerifyWitnessed(ring, policy)
		}
		return r.Verify(ring)
	}
	ring, err := proof.NewKeyring(key)
	if err != nil {
		return proof.Proven{}, err
	}
	proven, err := verify(ring)
	if err == nil || c == nil || !errors.Is(err, chain.ErrUnknownKey) {
		return proven, err
	}
	answer, failed := c.Get(ctx, "/keys", nil, "")
	if failed != nil {
		return proven, err
	}
	history, failed := proof.ParseKeyHistory(answer.Body)
	if failed != nil {
		return proven, err
	}
	if ring, err = history.Verify(key); err != nil {
		return proven, err
	}
	return verify(ring)
}

func (a *app) printReceipt(r *proof.Receipt, proven *proof.Proven, wrong error, output string) error {
	switch output {
	case "receipt":
		_, err := a.out.Write(r.Text())
		return err
	case "json":
		b, err := json.Marshal(show.ReceiptOf(r, proven, wrong), json.Deterministic(true))
		if err != nil {
			return err
		}
		return a.printJSON(b)
	}
	if err := show.Receipt(a.out, show.ReceiptOf(r, proven, wrong)); err != nil {
		return fmt.Errorf("printing the receipt: %w", err)
	}
	return nil
}
