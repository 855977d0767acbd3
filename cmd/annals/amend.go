package main

import (
	"fmt"
	"os"

	"annals/activity"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/oklog/ulid/v2"
	"github.com/spf13/cobra"
)

func (a *app) amend() *cobra.Command {
	var url, workspace, actor, data string
	r := activity.Record{Actor: &activity.Actor{}, Reason: &activity.Reason{}}
	cmd := &cobra.Command{
		Use:   "amend ULID --workspace WS --reason CODE",
		Short: "Correct or complete a record",
		Long: `Record that an earlier record of a workspace is to be read otherwise: why, and
what is to stand in its data. Nothing is edited. The amendment is a record of its
own, and readers are shown the original, every amendment, and the present state: the
data with the top-level members that amendments gave in their place.

--reason is a code of your own, --details and --commentary say more; one of the
three has to be there.`,
		Example: `  annals amend 01KA2B3C4D0000000000000005 --workspace ws_7 --actor usr_dana \
    --reason typo --data '{"new_name":"Line 4 inspection"}'
  annals record 01KA2B3C4D0000000000000005 --workspace ws_7`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := ulid.ParseStrict(args[0])
			switch {
			case err != nil:
				return usagef("%q is no ULID: it is 26 characters of Crockford's base 32, as `annals timeline` prints them", args[0])
			case workspace == "":
				return usagef("which workspace? Give one with --workspace")
			case actor == "":
				return usagef("who amends it? Give their id with --actor")
			case r.Reason.Code == "" && r.Reason.Details == "" && r.Reason.Commentary == "":
				return usagef("why? Give --reason, --details or --commentary")
			}
			r.Actor.ID = actor
			if data != "" {
				if r.Data, err = object(data); err != nil {
					return err
				}
			}
			body, err := r.AppendJSON(nil)
			if err != nil {
				return err
			}
			c, err := a.serverAt(url)
			if err != nil {
				return err
			}
			outcome, err := c.Amend(cmd.Context(), workspace, id.String(), body)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(a.out, "%s %s amends %s\n", outcome.Status, outcome.ULID, id)
			return err
		},
	}
	fl := cmd.Flags()
	a.urlFlag(cmd, &url)
	fl.StringVar(&workspace, "workspace", "", "the workspace of the record")
	fl.StringVar(&actor, "actor", "", "who amends it: an `ID`")
	fl.StringVar(&r.Actor.Type, "actor-type", "user", "what the actor is: user, service, system or another `TYPE`")
	fl.StringVar(&r.Reason.Code, "reason", "", "why: a `CODE`")
	fl.StringVar(&r.Reason.Details, "details", "", "why, in words: a `TEXT`")
	fl.StringVar(&r.Reason.Commentary, "commentary", "", "a remark: a `TEXT`")
	fl.StringVar(&data, "data", "", "the members of the record's data that are to be others: a `JSON` object, or @FILE with one")
	fl.StringVar(&r.ID, "id", "", "your `ID` of the amendment: sent again, it is a duplicate")
	return cmd
}

// object reads a JSON object that stands on the command line, or in the file that an @
// goes before.
func object(text string) (jsontext.Value, error) {
	v := jsontext.Value(text)
	if text[0] == '@' {
		b, err := os.ReadFile(text[1:])
		if err != nil {
			return nil, fmt.Errorf("can't read --data: %w", err)
		}
		v = b
	}
	if !v.IsValid() || v.Kind() != '{' {
		return nil, usagef("--data is a JSON object, such as '{\"new_name\":\"Line 4\"}'")
	}
	return v, nil
}
