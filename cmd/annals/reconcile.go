package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"

	"annals/cmd/annals/internal/audit"
	"annals/cmd/annals/internal/reconcile"
	"annals/cmd/annals/internal/show"
	"annals/ingest"
	"annals/ledger"
	"annals/ledger/chain"
	"annals/ledger/proof"
	"annals/ledger/proof/tiles"

	"github.com/go-json-experiment/json"
	"github.com/spf13/cobra"
)

// reconcileCodes are the exit codes of verdicts; frozen, as the names are.
var reconcileCodes = map[reconcile.Verdict]int{
	reconcile.Satisfied:      exitOK,
	reconcile.Erased:         exitOK,
	reconcile.Contradicted:   10,
	reconcile.NotRecorded:    11,
	reconcile.Pending:        12,
	reconcile.PayloadMissing: 13,
	reconcile.Inconclusive:   exitFailure,
}

// reconciling is what one run was asked for.
type reconciling struct{ receipts, url, data, key, output string }

func (a *app) reconcile() *cobra.Command {
	v := &reconciling{}
	cmd := &cobra.Command{
		Use:   "reconcile --receipts DIR --key VKEY",
		Short: "Hold kept receipts against the ledger",
		Long: `Hold what a producer kept (claims and receipts, by the SDK's option Receipts)
against the ledger as it is now, and say of each:

  satisfied              its entry is in the signed tree, and of the same bytes
  satisfied_erased       its entry is in the signed tree, and another one says that
                         its payload was erased
  payload_missing        its entry is in the signed tree, its payload is not shown,
                         and no entry says that it was erased
  pending                the signed tree does not reach it yet
  inconclusive           the ledger went on in another stream, and nothing says which
                         one acknowledged it
  accepted_not_recorded  the stream acknowledged it, the ledger went past it, and
                         has no entry of it
  contradicted           the ledger shows something else than it signed, or than
                         was published

--key VKEY is the ledger's verifier key, from somebody other than who shows the
ledger. With --url, everything is asked of a server; with --data, of the folder of
a ledger whose server is stopped, and the checkpoint beside it.

After a change of keys an older key does as well: it is followed to the ones since.

Exits with 0 when all are satisfied, else by the gravest: 10 contradicted, 11
accepted_not_recorded, 13 payload_missing, 1 inconclusive, 12 pending; 1 when it
could not be told.`,
		Example: `  annals reconcile --receipts ./receipts --url https://annals.example --key "$VKEY"
  annals reconcile --receipts ./receipts --data ./annals-data --key "$VKEY" -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case v.receipts == "":
				return usagef("which receipts? Name their folder with --receipts")
			case v.key == "":
				return usagef("--key VKEY is missing, the ledger's verifier key: without it a ledger can say anything")
			case v.output != "text" && v.output != "json":
				return usagef("-o is text or json, not %q", v.output)
			case cmd.Flags().Changed("data") && cmd.Flags().Changed("url"):
				return usagef("give one of --data and --url: they are two ledgers")
			}
			if _, err := proof.ParseKey(v.key); err != nil {
				return &usageError{err}
			}
			if !cmd.Flags().Changed("data") {
				v.data = ""
			}
			return a.runReconcile(cmd.Context(), v)
		},
	}
	cmd.Flags().StringVar(&v.receipts, "receipts", "", "the folder of receipts, `DIR`")
	a.urlFlag(cmd, &v.url)
	dataFlag(cmd, &v.data)
	cmd.Flags().StringVar(&v.key, "key", "", "the ledger's verifier key: `VKEY`")
	cmd.Flags().StringVarP(&v.output, "output", "o", "text", "text or json")
	return cmd
}

// reconciled is the report.
type reconciled struct {
	Verdict reconcile.Verdict         `json:"verdict"` // the gravest
	Counts  map[reconcile.Verdict]int `json:"counts"`
	Size    uint64                    `json:"size"` // of the checkpoint that they were held against
	Root    chain.Hash                `json:"root"`
	Claims  []reconcile.Item          `json:"claims"`
}

func (a *app) runReconcile(ctx context.Context, v *reconciling) error {
	l, closing, err := a.ledgerFor(ctx, v)
	if err != nil {
		return err
	}
	defer closing()
	out := reconciled{
		Verdict: reconcile.Satisfied, Counts: map[reconcile.Verdict]int{}, Claims: []reconcile.Item{},
		Size: l.Checkpoint.Size, Root: l.Checkpoint.Root,
	}
	bar := a.progress(-1, "reconciling", false)
	defer func() { _ = bar.Finish() }()
	for k, err := range ingest.ReadReceipts(v.receipts) {
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("there are no receipts in %s: %w", v.receipts, err)
		} else if err != nil {
			return fmt.Errorf("reading the receipts: %w", err)
		}
		item, err := l.Judge(ctx, &k)
		if err != nil {
			return fmt.Errorf("the record at place %d of message %d: %w", k.Place, k.Sequence, err)
		}
		_ = bar.Add(1)
		out.Counts[item.Verdict]++
		out.Claims = append(out.Claims, item)
	}
	if len(out.Claims) == 0 {
		// Whoever names another folder must not read that all is well.
		return fmt.Errorf("%s holds no claims, so nothing was held against the ledger: name the folder in which the SDK keeps receipts (claims-….jsonl)", v.receipts)
	}
	for _, worst := range reconcile.Verdicts() {
		if out.Counts[worst] > 0 {
			out.Verdict = worst
			break
		}
	}
	if err := a.printReconciled(&out, v.output); err != nil {
		return err
	}
	if code := reconcileCodes[out.Verdict]; code != exitOK {
		return statusError(code)
	}
	return nil
}

// ledgerFor opens the ledger that v names, under its signed checkpoint.
func (a *app) ledgerFor(ctx context.Context, v *reconciling) (*reconcile.Ledger, func(), error) {
	if v.data != "" {
		return ledgerIn(ctx, v.data, v.key)
	}
	return a.ledgerAt(ctx, v.url, v.key)
}

// ledgerIn opens the ledger of a data folder.
func ledgerIn(ctx context.Context, data, key string) (*reconcile.Ledger, func(), error) {
	signed, err := audit.ReadSigned(data)
	if err != nil {
		return nil, nil, err
	}
	if signed.Checkpoint == nil {
		return nil, nil, fmt.Errorf("%s has no signed checkpoint: nothing there is vouched for; reconcile with --url, or with the folder of a server that has run", data)
	}
	src, err := openForAudit(data)
	if err != nil {
		return nil, nil, err
	}
	l := &reconcile.Ledger{Source: src}
	l.Payload = l.Beside
	if err := follow(ctx, l, src, signed, key); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("the checkpoint of %s: %w", data, err), src.Close())
	}
	hints := reconcile.Hints{Erasures: func(ctx context.Context, _ string, e *chain.Entry) ([]uint64, error) {
		return src.Erasures(ctx, e.Workspace)
	}}
	if roster, err := src.Roster(); err == nil {
		hints.Changes = roster.Changes()
	} else {
		hints.Erasures = untold(err)
	}
	l.Erased = l.Told(hints)
	return l, func() { _ = src.Close() }, nil
}

// follow opens a folder's checkpoint by a key, or by one that the ledger's entries
// lead to from it: receipts may be of before a change of keys, the key of before or
// behind it.
func follow(ctx context.Context, l *reconcile.Ledger, src *ledger.Source, signed audit.Signed, key string) error {
	ring, err := proof.NewKeyring(key)
	if err != nil {
		return err
	}
	if l.Checkpoint, err = proof.ParseCheckpoint(signed.Checkpoint); err != nil {
		return err
	}
	followed, err := func() (*proof.Keyring, error) {
		roster, err := src.Roster()
		if err != nil {
			return nil, err
		}
		history, err := l.History(ctx, roster.Changes(), signed.Retired)
		if err != nil {
			return nil, err
		}
		return history.Verify(key)
	}()
	if err == nil {
		ring = followed
	}
	l.Ring = ring
	checkpoint, failed := ring.Open(signed.Checkpoint)
	l.Checkpoint = checkpoint
	if failed != nil && err != nil {
		return err // why no other key is known
	}
	return failed
}

// ledgerAt opens the ledger that a server shows.
func (a *app) ledgerAt(ctx context.Context, url, key string) (*reconcile.Ledger, func(), error) {
	ring, err := proof.NewKeyring(key)
	if err != nil {
		return nil, nil, err
	}
	c, err := a.serverAt(url)
	if err != nil {
		return nil, nil, err
	}
	place, err := a.placeAt(url)
	if err != nil {
		return nil, nil, &usageError{err}
	}
	l := &reconcile.Ledger{Ring: ring}
	if l.Checkpoint, _, err = audit.Open(ctx, place, key); err != nil {
		return nil, nil, errors.Join(err, place.Close())
	}
	hints := reconcile.Hints{Erasures: reconcile.AskedErasures(c.Client)}
	if h, err := historyOf(ctx, place); err == nil {
		// Receipts may be older than the last rotation.
		if followed, err := h.Verify(key); err == nil {
			l.Ring = followed
		}
		for i := range h.Changes {
			hints.Changes = append(hints.Changes, h.Changes[i].Index)
		}
	} else {
		hints.Erasures = untold(err)
	}
	l.Source, l.Payload = place.At(l.Checkpoint), reconcile.Asked(c.Client)
	l.Erased = l.Told(hints)
	return l, func() { _ = place.Close() }, nil
}

// untold is for a ledger whose changes of keys couldn't be read.
func untold(err error) func(context.Context, string, *chain.Entry) ([]uint64, error) {
	return func(context.Context, string, *chain.Entry) ([]uint64, error) {
		return nil, fmt.Errorf("%w: which keys may erase is not known: %w", reconcile.ErrUntold, err)
	}
}

func historyOf(ctx context.Context, place *tiles.Place) (*proof.KeyHistory, error) {
	b, err := place.Keys(ctx)
	if err != nil {
		return nil, err
	}
	return proof.ParseKeyHistory(b)
}

func (a *app) printReconciled(r *reconciled, output string) error {
	if output == "json" {
		b, err := json.Marshal(r, json.Deterministic(true))
		if err != nil {
			return err
		}
		return a.printJSON(b)
	}
	shown := 0
	for _, i := range r.Claims {
		if i.Verdict == reconcile.Satisfied || i.Verdict == reconcile.Erased {
			continue
		}
		if shown++; shown > maxShown {
			continue
		}
		fmt.Fprintf(a.out, "%s: %s, place %d of message %d", i.Verdict, cmp.Or(show.Clean(i.ID), "a record without an id"), i.Place, i.Sequence)
		if i.Detail != "" {
			fmt.Fprintf(a.out, ": %s", show.Clean(i.Detail))
		}
		fmt.Fprintln(a.out)
	}
	if shown > maxShown {
		fmt.Fprintf(a.out, "and %d more; -o json lists them all\n", shown-maxShown)
	}
	fmt.Fprintf(a.out, "%d claims, held against %d entries:", len(r.Claims), r.Size)
	for _, v := range reconcile.Verdicts() {
		if r.Counts[v] > 0 {
			fmt.Fprintf(a.out, " %d %s", r.Counts[v], v)
		}
	}
	fmt.Fprintln(a.out)
	return nil
}
