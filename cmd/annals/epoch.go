package main

import (
	"context"
	"fmt"

	"annals/cmd/annals/internal/natscontext"
	"annals/cmd/annals/internal/service"
	"annals/ledger/chain"

	"github.com/spf13/cobra"
)

type epochFlags struct {
	o        service.Options
	target   natscontext.Target
	keys     []string
	reason   string
	yes      bool
	logLevel string
}

func (a *app) epoch() *cobra.Command {
	var f epochFlags
	cmd := &cobra.Command{
		Use:   "epoch",
		Short: "Go on with a new stream after the old one was lost",
		Long: `Go on with a new stream where the ledger's own was lost, rewound or made anew. The
server is stopped. The ledger is verified from end to end, and refused where it is not
whole; a stream that is fine is refused too.

The old stream's folder is moved aside and never deleted. The new stream begins with a
statement under the operator's key, before any producer may connect: epoch, last
sequence of the old stream, size and root of the ledger. On a cluster the old stream
is not touched: keep a copy of it and remove it first, or let it be gone.

What the old stream took after the last message that this ledger folded is not in the
ledger. With several replicas begin the epoch on the one that has folded furthest, and
the others again from its folder.

Without --yes it shows what is wrong and what it would do, and does nothing.`,
		Example: `  annals epoch --data ./annals-data
  annals epoch --data ./annals-data --yes --reason "disk died; stream restored from nothing"
  annals epoch --data ./annals-data --context production --stream-replicas 3 --yes --reason "OPS-43"`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case f.yes && f.reason == "":
				return usagef("--reason says in words why the stream is given up; it is kept in the ledger and can't be erased, so put no name into it")
			case f.target == (natscontext.Target{}) && f.o.StreamReplicas > 1:
				return usagef("--stream-replicas is for a cluster: say which one with --nats or --context")
			case f.target != (natscontext.Target{}) && f.target.URL == "" && f.target.Context == "":
				return usagef("--creds, --nkey and --nats-ca are for a cluster: say which one with --nats or --context")
			}
			return a.runEpoch(cmd.Context(), &f)
		},
	}
	fl := cmd.Flags()
	dataFlag(cmd, &f.o.Data)
	fl.StringVar(&f.target.URL, "nats", "", "the `URL` of the cluster that held the stream")
	fl.StringVar(&f.target.Creds, "creds", "", "credentials `FILE` for the cluster")
	fl.StringVar(&f.target.Nkey, "nkey", "", "the `FILE` of the seed by which the ledger gets into the cluster")
	fl.StringVar(&f.target.CA, "nats-ca", "", "a `FILE` with the certificates (PEM) that the cluster's are to be signed by")
	fl.StringVar(&f.target.Context, "context", "", "`NAME` of a context of the nats command line, for the cluster")
	fl.IntVar(&f.o.StreamReplicas, "stream-replicas", 0, "how many of the cluster's servers hold the new stream: 1, 3 or 5")
	fl.BoolVar(&f.o.NotDurable, "insecure-not-durable", false, "use a cluster that doesn't show that it syncs before it acknowledges")
	operatorKeyFlag(cmd, &f.keys)
	fl.StringVar(&f.reason, "reason", "", "why the stream is given up, in words: `TEXT`")
	fl.BoolVar(&f.yes, "yes", false, "do it")
	fl.StringVar(&f.logLevel, "log-level", "warn", "debug, info, warn or error")
	return cmd
}

func (a *app) runEpoch(ctx context.Context, f *epochFlags) error {
	log, err := logger(a.err, f.logLevel, "text")
	if err != nil {
		return err
	}
	f.o.Logger = log
	if f.target != (natscontext.Target{}) {
		f.o.Cluster = &f.target
	}
	signers, err := keysIn(f.keys, chain.RoleOperator)
	if err != nil {
		return err
	}
	// Nobody is to find the server that holds the new stream meanwhile.
	f.o.NATSListen = "127.0.0.1:0"
	var plan service.EpochPlan
	err = service.BeginEpoch(ctx, f.o, service.EpochOptions{
		Reason: f.reason, Signers: signers,
		Agree: func(p service.EpochPlan) bool {
			plan = p
			a.showEpoch(&p)
			return f.yes
		},
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.out, "begun    epoch %d; `annals serve` goes on with it\n", plan.Epoch)
	return err
}

// showEpoch prints what is wrong, what would be done, and what is lost by it.
func (a *app) showEpoch(p *service.EpochPlan) {
	fmt.Fprintf(a.out, "ledger   %s, %d entries, verified; root %s\nfolded   up to message %d of epoch %d\n",
		p.Ledger, p.Size, p.Root, p.Folded, p.Epoch-1)
	if p.Why == nil {
		fmt.Fprintf(a.out, "stream   has begun epoch %d already; the ledger has only to take it in\n", p.Epoch)
		return
	}
	fmt.Fprintf(a.out, "stream   %s\n", oneLine(p.Why))
	if p.Aside != "" {
		fmt.Fprintf(a.out, "kept     the old stream is moved to %s\n", p.Aside)
	}
	lost := fmt.Sprintf("whatever was accepted after message %d", p.Folded)
	switch {
	case p.Last > p.Folded:
		lost += fmt.Sprintf("; the stream that is there ends at %d", p.Last)
	case p.Last > 0:
		lost += fmt.Sprintf("; the stream that is there ends before it, at %d, and can't say", p.Last)
	default:
		lost += "; no stream is there to say what that was"
	}
	fmt.Fprintf(a.out, "lost     %s. Producers that kept their acknowledgements can publish it again: what the ledger has, it takes once\n", lost)
}
