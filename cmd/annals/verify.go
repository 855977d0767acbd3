package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"annals/cmd/annals/internal/anchor"
	"annals/cmd/annals/internal/audit"
	"annals/ledger/proof"

	"github.com/spf13/cobra"
)

// findingCodes are the exit codes of verdicts. They are frozen, as the names are:
// a new finding gets the next number.
var findingCodes = []struct {
	finding proof.Finding
	code    int
}{
	{proof.Clean, exitOK},
	{proof.Inconclusive, exitFailure},
	{proof.WrongLedger, 10},
	{proof.Truncated, 11},
	{proof.MissingEntry, 12},
	{proof.Reordered, 13},
	{proof.AlteredEntry, 14},
	{proof.MalformedEntry, 15},
	{proof.TrailingBytes, 16},
	{proof.WorkspaceChainBroken, 17},
	{proof.Hole, 18},
	{proof.BadSignature, 19},
	{proof.UnknownKey, 20},
	{proof.UnauthorisedControl, 21},
	{proof.Clock, 22},
	{proof.FalseDuplicate, 23},
	{proof.Forked, 24},
	{proof.RootMismatch, 25},
	{proof.AlteredPayload, 26},
	{proof.PayloadMissing, 27},
	{proof.TreeDamaged, 28},
	{proof.Unsupported, 29},
	{proof.StaleHead, 30},
	{proof.TailUnproven, 31},
	{proof.IndexLies, 32},
	{proof.ErasureIncomplete, 33},
	{proof.ExpiredEarly, 34},
	{proof.HoldViolated, 35},
	{proof.WitnessQuorumNotMet, 36},
	{proof.BadTimestamp, 37},
}

// codeOf returns a verdict's exit code. A finding without one is a failure all
// the same.
func codeOf(f proof.Finding) int {
	for _, c := range findingCodes {
		if c.finding == f {
			return c.code
		}
	}
	return exitFailure
}

// verifying is what one run of verify was asked for.
type verifying struct {
	data, url, pack string
	workspace       string
	receipts        string
	key, policy     string
	tsaRoots        string
	remember        string
	output          string
	indexes         bool
}

func (a *app) verify() *cobra.Command {
	v := &verifying{}
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check every byte of a ledger, from its folder or from anywhere",
		Long: `Check a ledger: recompute every hash, link, signature and time, and compare each
with every other.

  --data DIR   the folder of a ledger whose server is stopped; salted commitments
               and payloads too, and the signed checkpoint beside them
  --url URL    what a server shows to everybody, or a folder that annals export
               wrote: the signed checkpoint, every entry and tile. Needs --key
  --pack FILE  an evidence pack; without --key it is only shown to agree with itself

--workspace NAME with --url verifies one workspace as its tenant: complete up to a
signed head, with payloads, by what the server shows of that workspace. --receipts
DIR holds the receipts in DIR (.tlog-proof) against it: one of an entry that the
signed head leaves out proves a lie.

--indexes with --data folds the entries anew, in a temporary folder, and compares
the indexes with what comes of it: what a server would answer from them must follow
from the ledger.

--key VKEY is the ledger's verifier key, from somebody other than who shows the
ledger (annals keys public prints it). An old key serves too where each rotation
since was signed by the key before.

A ledger whose end was cut off looks sound from the inside. --remember FILE checks
against the head in FILE, and when all is well writes the new one there. Keep the
file where whoever could change the ledger can't change it. It also takes an anchor,
as serve --anchor does (nats://…, s3://…), and then only reads. --policy FILE (C2SP
tlog-policy) asks for witnesses' cosignatures besides. --tsa-roots FILE says whose
timestamps (RFC 3161) are believed: the report then says at which times the ledger
stood there.

With -o json there is always a report on standard output, but for wrong usage: one
that could not be made is inconclusive and says why in "error". "remembered" is the
head that was compared, null when none was.

Exits with 0 only when the ledger is clean. Each verdict has its own code:
` + codesHelp(),
		Example: `  annals verify --data ./annals-data
  annals verify --data ./annals-data --remember /elsewhere/head.json
  annals verify --url https://annals.example --key "$VKEY" --remember head.json
  annals verify --url https://annals.example --key "$VKEY" --workspace ws_7
  annals verify --pack pack.zip --key "$VKEY"
  annals verify --url ./export --key "$VKEY" --policy witnesses.txt
  annals verify --data /backups/annals-data -o json | jq .verdict`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, from := range []string{"url", "pack"} {
				for _, other := range []string{"data", "pack"} {
					if from != other && cmd.Flags().Changed(from) && cmd.Flags().Changed(other) {
						return usagef("give one of --data, --url and --pack: %s and %s are two ledgers", "--"+from, "--"+other)
					}
				}
			}
			if !cmd.Flags().Changed("url") {
				v.url = ""
			}
			if !cmd.Flags().Changed("pack") {
				v.pack = ""
			}
			return a.runVerify(cmd.Context(), v)
		},
	}
	dataFlag(cmd, &v.data)
	cmd.Flags().StringVar(&v.url, "url", "", "audit what this server shows, or an export's folder: `URL`")
	a.tokenFlag(cmd)
	cmd.Flags().StringVar(&v.pack, "pack", "", "verify the evidence pack in `FILE`")
	cmd.Flags().StringVar(&v.receipts, "receipts", "", "with --workspace: compare with the receipts in `DIR`")
	cmd.Flags().StringVar(&v.workspace, "workspace", "", "with --url: verify this workspace, `NAME`, as its tenant")
	cmd.Flags().StringVar(&v.key, "key", "", "the ledger's verifier key: `VKEY`")
	cmd.Flags().StringVar(&v.policy, "policy", "", "ask for the witnesses that the policy in `FILE` asks for")
	cmd.Flags().StringVar(&v.tsaRoots, "tsa-roots", "", "believe the timestamp tokens in the ledger that lead to the certificates in `FILE` (PEM)")
	cmd.Flags().BoolVar(&v.indexes, "indexes", false, "with --data: hold the indexes against the ledger too")
	cmd.Flags().StringVar(&v.remember, "remember", "", "check against the head in `FILE`, and keep the new one there; an anchor, nats://… or s3://…, is only read")
	cmd.Flags().StringVarP(&v.output, "output", "o", "text", "text or json")
	return cmd
}

func codesHelp() string {
	var b strings.Builder
	for _, c := range findingCodes {
		fmt.Fprintf(&b, "  %2d  %s\n", c.code, c.finding)
	}
	return b.String()
}

// check refuses what can't be meant.
func (v *verifying) check() error {
	if v.output != "text" && v.output != "json" {
		return usagef("-o is text or json, not %q", v.output)
	}
	if v.receipts != "" && v.workspace == "" {
		return usagef("--receipts are compared with one workspace's head: give --workspace; annals reconcile holds them against a whole ledger")
	}
	if v.workspace != "" && v.url == "" {
		return usagef("--workspace is verified by what a server shows of it: give --url and --key too")
	}
	if v.tsaRoots != "" && (v.pack != "" || v.workspace != "") {
		return usagef("timestamp tokens stand in the system's chain: --tsa-roots is for whole ledgers, neither for a pack nor for a workspace")
	}
	if v.indexes && (v.url != "" || v.pack != "") {
		return usagef("--indexes are those in a data folder: give --data")
	}
	if v.key == "" && v.url != "" {
		return usagef("--url needs --key VKEY, the ledger's verifier key: what a server says of itself proves nothing")
	}
	if v.key != "" {
		if _, err := proof.NewKeyring(v.key); err != nil {
			return &usageError{err}
		}
	}
	if v.remember == "" {
		return nil
	}
	if path, ok := strings.CutPrefix(v.remember, "file:"); ok {
		v.remember = strings.TrimPrefix(path, "//")
	}
	if anchor.Elsewhere(v.remember) {
		return v.checkAnchor()
	}
	if v.pack != "" {
		return usagef("--remember is for whole ledgers, not for a pack")
	}
	if err := audit.Place(v.remember); err != nil {
		return &usageError{err}
	}
	inside := v.data
	if v.url != "" {
		inside = strings.TrimPrefix(v.url, "file://")
		if strings.Contains(inside, "://") {
			return nil
		}
	}
	if err := audit.Outside(v.remember, inside); err != nil {
		return &usageError{err}
	}
	return nil
}

// checkAnchor refuses what names no anchor, or what an anchor can't be used for.
func (v *verifying) checkAnchor() error {
	if v.pack != "" || v.workspace != "" {
		return usagef("an anchor keeps the head of a whole ledger: --remember %s is neither a pack's nor a workspace's", v.remember)
	}
	p, err := anchor.Open(v.remember)
	if err != nil {
		return &usageError{err}
	}
	return p.Close()
}

// recall reads the head that --remember names: a file, or an anchor.
func (v *verifying) recall(ctx context.Context) (*audit.Remembered, error) {
	if anchor.Elsewhere(v.remember) {
		return anchor.Recall(ctx, v.remember)
	}
	return audit.Recall(v.remember)
}

func (a *app) runVerify(ctx context.Context, v *verifying) error {
	if err := v.check(); err != nil {
		return err
	}
	if v.pack != "" {
		return a.verifyPack(ctx, v)
	}
	if v.workspace != "" {
		return a.verifyTenant(ctx, v)
	}
	r, known, err := a.check(ctx, v)
	if err != nil && v.output == "text" {
		return err // there is nothing to say on standard output
	}
	if printErr := a.printReport(&verdict{Report: r.Report, Remembered: comparedWith(known), Error: text(err)}, &r.Report, v.output); printErr != nil {
		return printErr
	}
	// What an anchor keeps is the ledger's to put there, and the auditor's to read.
	if err := ended(ctx, err, r.Verdict); err != nil || v.remember == "" || anchor.Elsewhere(v.remember) {
		return err
	}
	if err := audit.Remember(v.remember, audit.Remembered{Ledger: r.Ledger, Head: r.Head, Note: r.Note}); err != nil {
		return fmt.Errorf("the ledger is clean, but its head was not remembered: %w", err)
	}
	if v.output == "text" {
		a.sayRemembered(known, r.Head, v.remember)
	}
	return nil
}

// check audits what v names. An error says that there was no audit; the report says
// so as well. What ends an audit half way is in the report alone.
func (a *app) check(ctx context.Context, v *verifying) (audit.Result, *audit.Remembered, error) {
	none := func(err error) (audit.Result, *audit.Remembered, error) {
		return audit.Result{Report: couldNot(err)}, nil, err
	}
	o := audit.Options{Key: v.key}
	if v.remember != "" {
		var err error
		if o.Remembered, err = v.recall(ctx); err != nil {
			return none(err)
		}
	}
	var err error
	if o.Policy, err = readPolicy(v.policy); err != nil {
		return none(err)
	}
	if o.Token, err = judgeTokens(v.tsaRoots); err != nil {
		return none(err)
	}
	bar := a.progress(-1, "verifying", false)
	defer func() { _ = bar.Finish() }()
	o.Progress = func(read, of uint64) {
		bar.ChangeMax64(int64(of))
		_ = bar.Set64(int64(read))
	}
	var r audit.Result
	if v.url != "" {
		r, err = a.checkURL(ctx, v.url, o)
	} else {
		r, err = checkData(ctx, v.data, v.indexes, o)
	}
	if err != nil && len(r.Findings) == 0 {
		return none(err)
	}
	return r, o.Remembered, nil
}

// readPolicy reads a policy; nil when no file is named.
func readPolicy(path string) (*proof.Policy, error) {
	if path == "" {
		return nil, nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("the policy can't be read: %w", err)
	}
	p, err := proof.ParsePolicy(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}

func (a *app) checkURL(ctx context.Context, url string, o audit.Options) (audit.Result, error) {
	place, err := a.placeAt(url)
	if err != nil {
		return audit.Result{}, err
	}
	r, err := audit.Remote(ctx, place, o)
	return r, errors.Join(err, place.Close())
}

func checkData(ctx context.Context, data string, indexes bool, o audit.Options) (audit.Result, error) {
	src, err := openForAudit(data)
	if err != nil {
		return audit.Result{}, err
	}
	if o.Signed, err = audit.ReadSigned(data); err != nil {
		return audit.Result{}, errors.Join(err, src.Close())
	}
	r, err := audit.Run(ctx, src, o)
	if indexes && err == nil {
		err = checkIndexes(ctx, data, src, &r, o.Progress)
	}
	if closing := src.Close(); closing != nil {
		return audit.Result{}, errors.Join(err, fmt.Errorf("closing %s: %w", data, closing))
	}
	return r, err
}
