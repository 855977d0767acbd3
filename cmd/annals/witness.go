package main

import (
	"fmt"
	"net"
	"slices"

	"annals/cmd/annals/internal/witness"

	"github.com/spf13/cobra"
)

// witnessing is what one run of witness was asked for.
type witnessing struct {
	o         witness.Options
	listen    string
	policy    string
	logLevel  string
	logFormat string
}

func (a *app) witness() *cobra.Command {
	v := &witnessing{}
	cmd := &cobra.Command{
		Use:   "witness",
		Short: "Run a witness: cosign checkpoints of other people's logs",
		Long: `Run a witness (C2SP tlog-witness): it cosigns the checkpoints of the logs that it
follows, each only if it continues the last one that it cosigned. Of one log it never
cosigns two histories: whoever shows different ones to different people needs every
witness of a quorum to lie with him.

The folder is made when it is absent or empty, and holds the witness's key and, for
each log, the last checkpoint that was cosigned. It must never be restored from an
older copy: a witness that has forgotten what it cosigned may cosign another history.
Two histories that a log signed are refused, and both are kept under evidence, shown in
the log, and counted in /v1/logs and /metrics.

A log is named by its verifier key: --log, once for each, or the log lines of a policy
(C2SP tlog-policy) with --policy. When a log's key is rotated, name the new one beside
the old one and start again.`,
		Example: `  annals witness --data ./witness --name witness.example/w1 --listen 127.0.0.1:8090 --log "$VKEY"
  annals witness public --data ./witness`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runWitness(cmd, v) },
	}
	fl := cmd.Flags()
	fl.StringVar(&v.o.Path, "data", "./annals-witness", "the witness's `DIR`")
	fl.StringVar(&v.o.Name, "name", "", "the `NAME` of a witness that has to be made: a URL without scheme, such as witness.example/w1; it can't be changed later")
	fl.StringVar(&v.listen, "listen", "127.0.0.1:8090", "where HTTP is served, `HOST:PORT`; port 0 takes any free one")
	fl.StringArrayVar(&v.o.Logs, "log", nil, "follow the log with this verifier key: `VKEY`; may be given several times")
	fl.StringVar(&v.policy, "policy", "", "follow the logs that the policy in `FILE` names")
	fl.StringVar(&v.logLevel, "log-level", "info", "debug, info, warn or error")
	fl.StringVar(&v.logFormat, "log-format", "text", "text or json")
	public := a.witnessPublic()
	public.Args = a.arguments(public.Args)
	cmd.AddCommand(public)
	return cmd
}

func (a *app) witnessPublic() *cobra.Command {
	var data string
	cmd := &cobra.Command{
		Use:   "public",
		Short: "Print the key that the witness's cosignatures are verified by",
		Long: `Print the witness's verifier key (C2SP signed-note, cosignature/v1), and nothing else,
for the witness line of a policy. The witness may be running.`,
		Example: `  echo "witness w1 $(annals witness public --data ./witness) https://witness.example/w1" >> policy`,
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			vkey, err := witness.Public(data)
			if err == nil {
				_, err = fmt.Fprintln(a.out, vkey)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&data, "data", "./annals-witness", "the witness's `DIR`")
	return cmd
}

func (a *app) runWitness(cmd *cobra.Command, v *witnessing) error {
	log, err := logger(a.err, v.logLevel, v.logFormat)
	if err != nil {
		return err
	}
	policy, err := readPolicy(v.policy)
	if err != nil {
		return err
	}
	v.o.Logger, v.o.Logs = log, slices.Clone(v.o.Logs)
	if policy != nil {
		v.o.Logs = append(v.o.Logs, policy.Logs()...)
	}
	if len(v.o.Logs) == 0 {
		return usagef("whose checkpoints? Give the log's verifier key with --log, as `annals keys public` prints it, or a policy that has it with --policy")
	}
	listener, err := net.Listen("tcp", v.listen)
	if err != nil {
		return fmt.Errorf("can't listen; choose another port with --listen (0 takes any free one): %w", err)
	}
	w, err := witness.Open(v.o)
	if err != nil {
		_ = listener.Close() // it served nobody
		return err
	}
	fmt.Fprintf(a.out, "HTTP    http://%s\ndata    %s\nvkey    %s\n", listener.Addr(), v.o.Path, w.VKey())
	for _, l := range w.Logs() {
		fmt.Fprintf(a.out, "log     %s, %d entries\n", l.Origin, l.Size)
	}
	fmt.Fprintln(a.out, "ready")
	err = w.Serve(cmd.Context(), listener)
	if closing := w.Close(); err == nil {
		err = closing
	}
	return err
}
