package main

import (
	"github.com/spf13/cobra"
)

// root is the command above the commands.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:     "annals",
		Short:   "An audit ledger: publish, look up, verify",
		Version: versionLine(),
		Long: `Annals is an audit ledger. Services publish what somebody did; Annals keeps it
in order for ever, shows it newest first, and lets anybody with a copy check that
nothing was changed, dropped or reordered.

Every flag can be given as an environment variable too: --nats-listen is
ANNALS_NATS_LISTEN. The flag wins. The token that a server asks for is in
ANNALS_TOKEN or in the file that --token-file names, and on no command line.

Exits with 0 when all is well, with 2 when it was asked wrongly, and otherwise with 1;
verify, receipt, evidence and reconcile say by further codes what they found.`,
		Example: `  annals demo                                     see it work, in a temporary folder
  annals serve --data ./annals-data               run it
  annals publish activity.jsonl --workspace ws_7  record a file
  annals timeline --workspace ws_7 --user usr_dana
  annals verify --data ./annals-data              check every byte (server stopped)`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          a.arguments(cobra.NoArgs),
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.fromEnvironment(cmd); err != nil {
				return err
			}
			return needed(cmd)
		},
	}
	root.SetHelpCommand(help(root))
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetFlagErrorFunc(a.flagError)
	for _, cmd := range []*cobra.Command{
		a.serve(), a.demo(), a.publish(), a.imports(), a.timeline(), a.counts(), a.tail(), a.record(), a.amend(), a.receipt(), a.verify(), a.evidence(), a.reconcile(), a.witness(), a.export(), a.access(), a.keys(), a.natsConfig(), a.rebuild(), a.gap(), a.erase(), a.signFile(), a.submitFile(), a.expire(), a.retention(), a.hold(), a.catalogue(), a.epoch(), a.foldVersion(), a.bench(), a.healthcheck(), a.version(),
	} {
		cmd.Args = a.arguments(cmd.Args)
		root.AddCommand(cmd)
	}
	complete(root, choices())
	return root
}

// help is annals help: that of a command, and of one that isn't there the same as without
// help before it. It looks at no variable: help is for who has given one wrongly, too.
func help(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:              "help [COMMAND]…",
		Short:            "Help about any command",
		Example:          "  annals help\n  annals help keys rotate",
		PersistentPreRun: func(*cobra.Command, []string) {},
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err != nil {
				return err
			}
			if len(rest) > 0 {
				return noCommand(cmd, rest[0])
			}
			cmd.InitDefaultHelpFlag()
			return cmd.Help()
		},
	}
}

// urlFlag adds the flags by which client commands find their server, and get in.
func (a *app) urlFlag(cmd *cobra.Command, url *string) {
	cmd.Flags().StringVar(url, "url", "http://127.0.0.1:8080", "the server's `URL`")
	a.tokenFlag(cmd)
}

// tokenFlag adds the flag by which client commands get in.
func (a *app) tokenFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.tokenFile, "token-file", "", "a `FILE` with the token that the server asks for; or set "+tokenVariable+" to the token")
	cmd.Flags().StringVar(&a.caFile, "ca-file", "", "a `FILE` with the certificates (PEM) that the server's is to be signed by, instead of the system's")
}

// dataFlag adds the flag that names the data folder.
func dataFlag(cmd *cobra.Command, data *string) {
	cmd.Flags().StringVar(data, "data", "./annals-data", "the data `DIR`")
}
