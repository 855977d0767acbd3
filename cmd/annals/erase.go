package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"annals/cmd/annals/internal/client"
	"annals/cmd/annals/internal/control"
	"annals/cmd/annals/internal/proposal"
	"annals/cmd/annals/internal/show"
	"annals/ledger/chain"

	"github.com/spf13/cobra"
)

type eraseFlags struct {
	url, data, workspace  string
	workspaces            []string
	records               []string
	user, object          string
	reason, by, note      string
	keys                  []string
	conflicts, amendments bool
	dryRun, yes           bool
	proposeFlags
	parsedReason chain.EraseReason
	question     url.Values
}

func (a *app) erase() *cobra.Command {
	var f eraseFlags
	cmd := &cobra.Command{
		Use:   "erase",
		Short: "Have what records say destroyed, for good",
		Long: `Have the payloads of records destroyed: of those that are named, or of all that a user
did or that concern an object. Their entries stay, and every proof over them; what was
published goes, from the ledger, the indexes and the stream, with its duplicates. It
can't be taken back, and backups are for you to erase.

It shows first what would go, in how many statements, and what a hold keeps. The
statement is signed here, with the operator's key from --data or --key, or with the
erasers' once the ledger has any, and the key is not sent. Where several have to sign,
each at their own place, --propose writes what is to be signed into a file.
--by and --note are kept beside the statement's entry and may be erased too.`,
		Example: `  annals erase --workspace ws_7 --user usr_dana --reason request --by Erin --dry-run
  annals erase --workspace ws_7 --user usr_dana --reason request --by Erin --note "ticket 12" --yes
  annals erase --workspace ws_7 --user usr_dana --reason request --by Erin --propose request.json
  annals erase --workspace ws_7 --record 01KDYTTY4J0000000000000007 --reason secret --by Erin --with-conflicts --yes`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(cmd.Flags().Changed("data")); err != nil {
				return err
			}
			return a.eraseEach(cmd.Context(), &f)
		},
	}
	a.urlFlag(cmd, &f.url)
	dataFlag(cmd, &f.data)
	operatorKeyFlag(cmd, &f.keys)
	fl := cmd.Flags()
	fl.StringSliceVar(&f.workspaces, "workspace", nil, "the `NAMES` of the workspaces: each has statements of its own")
	fl.StringSliceVar(&f.records, "record", nil, "`ULIDS` of entries")
	fl.StringVar(&f.user, "user", "", "all that the user with this `ID` did, or that was done on their behalf")
	fl.StringVar(&f.object, "object", "", "all that concerns or links the object, `TYPE/ID`")
	fl.StringVar(&f.reason, "reason", "", "`CODE`: request, order, mistake, secret or contract; it stays in the ledger for ever")
	fl.StringVar(&f.by, "by", "", "`NAME` of who has it erased")
	fl.StringVar(&f.note, "note", "", "why, in words: `TEXT`")
	fl.BoolVar(&f.conflicts, "with-conflicts", false, "take along what came under the same ids with other bytes")
	fl.BoolVar(&f.amendments, "with-amendments", false, "take along records that amend them")
	fl.BoolVar(&f.dryRun, "dry-run", false, "show what would go, and do nothing")
	fl.BoolVar(&f.yes, "yes", false, "do it")
	f.proposeFlags.add(cmd)
	return cmd
}

// check reads the flags, and says what is missing or does not go together.
func (f *eraseFlags) check(data bool) (err error) {
	f.question = url.Values{}
	given := 0
	for name, values := range map[string][]string{"record": {strings.Join(f.records, ",")}, "user": {f.user}, "object": {f.object}} {
		if values[0] != "" {
			f.question[name] = values
			given++
		}
	}
	var along []string
	if f.conflicts {
		along = append(along, "conflicts")
	}
	if f.amendments {
		along = append(along, "amendments")
	}
	if len(along) > 0 {
		f.question.Set("along", strings.Join(along, ","))
	}
	switch {
	case len(f.workspaces) == 0:
		return usagef("--workspace says where")
	case given != 1:
		return usagef("say what goes by one of --record, --user and --object")
	case f.reason == "":
		return usagef("--reason is one of request, order, mistake, secret and contract")
	case f.by == "":
		return usagef("--by names who has it erased; it is kept in the ledger, and may be erased")
	case f.yes && f.dryRun:
		return usagef("--dry-run does nothing and --yes does it; give one of them")
	case len(f.keys) > 0 && data:
		return usagef("--key is the key itself, --data the folder that it is in; give one of them")
	}
	if f.parsedReason, err = chain.ParseEraseReason(f.reason); err != nil {
		return usagef("--reason is one of request, order, mistake, secret and contract")
	}
	return f.proposeFlags.check(f.yes, f.dryRun, f.keys)
}

func (a *app) runErase(ctx context.Context, f *eraseFlags) error {
	c, err := a.serverAt(f.url)
	if err != nil {
		return err
	}
	at, err := control.Look(ctx, c)
	if err != nil {
		return err
	}
	s, err := control.Select(ctx, c, f.workspace, f.question)
	if err != nil {
		return err
	}
	total := s.Records + s.Conflicts + s.Rejections + s.Controls
	fmt.Fprintf(a.out, "ledger   %s, %d entries\nwould go %s and %s of %s: %s, %s, %s\n", at.Ledger, s.Size,
		show.Count(total, "entry"), show.Count(s.Duplicates, "duplicate"), f.workspace,
		show.Count(s.Records, "record"), show.Count(s.Conflicts, "conflict"), show.Count(s.Rejections, "rejection"))
	if total == 0 {
		return errNothingToErase
	}
	role, err := chain.ParseRole(s.Role)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.out, "needs    %s, signed by %s of the role %s\n", show.Count(len(s.Parts), "statement"), show.Count(s.Needed, "key"), role)
	held := a.refusedByHolds(ctx, c, f.workspace, s.Ranges())
	var refuses *heldError
	switch {
	case f.dryRun && errors.As(held, &refuses):
		_, err = fmt.Fprintf(a.out, "signed   nothing; the ledger would refuse it: `annals hold list --workspace %s` shows what has to be released first\n", f.workspace)
		return err
	case held != nil:
		return held
	case f.file != "":
		return a.proposeErase(ctx, c, f, s)
	case !f.yes:
		if _, err := fmt.Fprintln(a.out, "signed   nothing; with --yes they are erased for good"); err != nil || f.dryRun {
			return err
		}
		return errors.New("nothing was erased: look at what would go, and run it again with --yes")
	}
	signers, err := signersOf(f.data, f.keys, role)
	if err != nil {
		return err
	}
	if len(signers[0]) < s.Needed {
		return fmt.Errorf("%d keys of the role %s have to sign, and here %s; name them all with --key, or have each sign at their own place: --propose FILE", s.Needed, role, signs(len(signers[0])))
	}
	words := f.words()
	for part := range s.Parts {
		e, err := s.Part(part, f.parsedReason)
		if err != nil {
			return err
		}
		answer, err := submitErase(ctx, c, at, s, e, words, signers)
		if held, _ := chain.Reason(uint16(chain.CodeHeld)); err != nil && answer.Code == held {
			return fmt.Errorf("part %d of %d: %w: a hold keeps some of what it selects; `annals hold list --workspace %s` shows which, and it has to be released first", part+1, len(s.Parts), err, f.workspace)
		}
		if err != nil {
			return fmt.Errorf("part %d of %d: %w; run it again for what is left", part+1, len(s.Parts), err)
		}
		fmt.Fprintf(a.out, "erased   %s by message %d, %s\n", show.Count(e.Count(), "entry"), answer.Sequence, whereOf(answer))
	}
	return a.saidErased(ctx, c)
}

// words are kept beside the statement's entry.
func (f *eraseFlags) words() string { return wordsOf(f.by, f.note) }

// signs says how many sign.
func signs(n int) string {
	if n == 1 {
		return "1 does"
	}
	return fmt.Sprintf("%d do", n)
}

// proposeErase writes all parts of an erasure into a file.
func (a *app) proposeErase(ctx context.Context, c *client.Client, f *eraseFlags, s *control.Selection) error {
	var seals []sealer
	for part := range s.Parts {
		e, err := s.Part(part, f.parsedReason)
		if err != nil {
			return err
		}
		seals = append(seals, func(at *control.Standing, signers ...chain.Signer) []byte {
			return control.SealErase(at, s, e, f.words(), signers...)
		})
	}
	told := proposal.Told{Workspace: f.workspace, Select: f.question.Encode(), Words: f.words()}
	return a.propose(ctx, c, &f.proposeFlags, told, seals...)
}

// saidErased says what is not complete yet.
func (a *app) saidErased(ctx context.Context, c *client.Client) error {
	at, err := control.Look(ctx, c)
	if err != nil {
		return err
	}
	if at.Erasing > 0 {
		fmt.Fprintln(a.out, "files    are being written anew: nobody reads it any more, and `erasing` of /v1/ledger goes when it is in no file")
	}
	if at.Salting > 0 {
		fmt.Fprintf(a.out, "salts    %s salted it and stays until the stream is trimmed: until then who reads the server's files could confirm a guess\n", show.Count(at.Salting, "seed"))
	}
	_, err = fmt.Fprintln(a.out, "backups  made before, and exports with payloads, still hold it: they are yours to erase")
	return err
}

// submitErase signs and submits one part, with each key that may be the one in force,
// and anew where another control message came first.
func submitErase(ctx context.Context, c *client.Client, at *control.Standing, s *control.Selection, e chain.Erase, words string, signers [][]chain.Signer) (answer control.Answer, err error) {
	for range gapTries {
		now, err := control.Look(ctx, c)
		if err != nil {
			return answer, err
		}
		if now.Ledger != at.Ledger {
			return answer, errors.New("the server serves another ledger than a moment ago; nothing was signed")
		}
		answer, err = submitSigned(ctx, c, signers, func(together []chain.Signer) []byte {
			return control.SealErase(now, s, e, words, together...)
		})
		if !raced(err) {
			return answer, err
		}
	}
	return answer, errors.New("other control messages came first each time; nothing was erased")
}
