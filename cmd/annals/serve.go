package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"annals/activity"
	"annals/activity/face"
	"annals/cmd/annals/internal/accessfile"
	"annals/cmd/annals/internal/anchor"
	"annals/cmd/annals/internal/natscontext"
	"annals/cmd/annals/internal/service"
	"annals/cmd/annals/internal/signer"
	"annals/internal/access"

	"github.com/spf13/cobra"
)

// stopTimeout bounds a clean stop: what is not acknowledged by then stays
// unacknowledged, and is in the stream or not.
const stopTimeout = 20 * time.Second

// minCheckpoint is how close checkpoints may follow each other: each is two fsyncs.
const minCheckpoint = 10 * time.Millisecond

type serveFlags struct {
	o         service.Options
	target    natscontext.Target
	witnesses string
	stamps    timestampFlags
	logLevel  string
	logFormat string

	access string

	trim     bool
	replicas []string
	zones    zoneFlags

	erasers       []string
	erasersNeeded int
}

func (a *app) serve() *cobra.Command {
	var f serveFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the ledger: the stream, recording, and the API",
		Long: `Run the ledger in one process: a NATS server with JetStream on disk, the ledger,
its indexes, and the API. Any NATS client can publish on activity.<workspace>.<type>.

The data folder is made when it is absent or empty, and holds jetstream, ledger,
projections and keys. One of them missing beside the others is an error: a loss to
look into, not a beginning.

With --nats or --context the stream is on a cluster instead, which must sync before
it acknowledges; the data folder then has no jetstream.

With --witness-policy witnesses are asked to cosign the checkpoints. Nothing waits for
them, but who asks for it: one that is down delays what is *witnessed*.

What is folded is removed from the stream, but for a margin. Other ledgers may fold a
cluster's stream too, so there nothing is removed until --replicas names them all.

Without API keys it serves this machine alone, and says so; ` + "`annals access add`" + ` makes
the first one, and from then on everybody is asked for a token.

SIGTERM or Ctrl-C stops it cleanly: what is in flight is answered. A second one ends
it at once, which loses nothing that was acknowledged.`,
		Example: `  annals serve
  annals serve --data /var/lib/annals --listen 127.0.0.1:8080 --nats-listen 127.0.0.1:4222
  annals serve --data ./annals-data --nats nats://n1:4222,nats://n2:4222 --creds annals.creds
  annals serve --context production --stream-replicas 3
  annals serve --context production --replica a --replicas a,b,c

  nats req activity.ws_7.app.renamed '{"actor":{"type":"user","id":"usr_dana"}}'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.runServe(cmd, &f)
		},
	}
	fl := cmd.Flags()
	dataFlag(cmd, &f.o.Data)
	fl.StringVar(&f.o.Listen, "listen", "127.0.0.1:8080", "where HTTP is served, `HOST:PORT`; port 0 takes any free one")
	fl.StringVar(&f.o.NATSListen, "nats-listen", "127.0.0.1:4222", "where the embedded NATS server listens, `HOST:PORT`; port 0 takes any free one")
	fl.BoolVar(&f.o.StageOnDisk, "stage-on-disk", false, "have the embedded NATS server stage atomic batches on the disk, even where /dev/shm has room for them")
	fl.StringVar(&f.target.URL, "nats", "", "use the stream on a cluster at this `URL` instead of embedding a server")
	fl.StringVar(&f.target.Creds, "creds", "", "credentials `FILE` for the cluster")
	fl.StringVar(&f.target.Nkey, "nkey", "", "the `FILE` of the seed by which the ledger gets into the cluster: nkeys/ledger.nk of annals nats-config")
	fl.StringVar(&f.target.CA, "nats-ca", "", "a `FILE` with the certificates (PEM) that the cluster's are to be signed by, instead of the system's")
	fl.StringVar(&f.o.NATSAccounts, "nats-accounts", "", "the `DIR` that annals nats-config wrote: whom the embedded NATS server lets in, and as whom; needed off the loopback")
	fl.StringVar(&f.o.NATSTLS.Cert, "nats-tls-cert", "", "the embedded NATS server speaks TLS by the certificate in this `FILE`, which may be replaced while it runs")
	fl.StringVar(&f.o.NATSTLS.Key, "nats-tls-key", "", "the `FILE` of that certificate's private key")
	fl.StringVar(&f.target.Context, "context", "", "`NAME` of a context of the nats command line, for the cluster")
	fl.IntVar(&f.o.StreamReplicas, "stream-replicas", 0, "how many of the cluster's servers hold the stream, when it has to be made: 1, 3 or 5")
	fl.StringVar(&f.o.Origin, "origin", "", "the `NAME` of a ledger that has to be made: a URL without scheme, such as example.com/audit; it can't be changed later")
	fl.StringArrayVar(&f.erasers, "eraser", nil, "a ledger that has to be made names this public key as an eraser's, a `FILE` of annals keys new or base64, so that the server's own keys never erase; may be repeated")
	fl.IntVar(&f.erasersNeeded, "erasers-needed", 1, "how many of the `KEYS` of --eraser have to sign together")
	fl.DurationVar(&f.o.Checkpoint, "checkpoint-every", signer.DefaultEvery, "how often a growing ledger gets a signed checkpoint")
	fl.BoolVar(&f.o.MLDSA, "mldsa", false, "a ledger that has to be made signs its checkpoints by an ML-DSA-44 key too, on a second line")
	fl.BoolVar(&f.trim, "trim", true, "remove from the stream what is folded, but for the margin; on a cluster only with --replicas")
	fl.DurationVar(&f.o.ExpireEvery, "expire-every", time.Hour, "how often to look for what a retention rule lets go, and have it destroyed; 0 for never")
	fl.Uint64Var(&f.o.Trim.Margin, "trim-margin", service.DefaultTrimMargin, "how many of the last `ENTRIES` keep their messages in the stream, though every replica has folded them")
	fl.StringVar(&f.o.Trim.Replica, "replica", "", "the `NAME` of this ledger among --replicas")
	fl.StringSliceVar(&f.replicas, "replicas", nil, "the `NAMES` of all ledgers that fold the cluster's stream, this one too, such as a,b,c: what each of them has folded may be trimmed")
	fl.IntVar(&f.o.Quorum, "quorum", 0, "how many `REPLICAS` of --replicas have to show the same tree before a checkpoint of it is signed, this one counted in")
	fl.StringVar(&f.o.Mirror, "mirror", "", "a `STREAM` on the same server or cluster that mirrors ANNALS: messages that the stream has lost are looked for there")
	fl.StringSliceVar(&f.o.Peers, "peer", nil, "the `URL` of another replica's server: messages that no copy of the stream has are taken from its ledger, if they make the root that it signed; may be repeated")
	fl.StringVar(&f.o.PeerToken, "peer-token", "", "the `FILE` of the token that the replicas share, mode 0600: who shows it is given messages, with all that is secret in them")
	fl.StringVar(&f.witnesses, "witness-policy", "", "ask the witnesses in `FILE` (C2SP tlog-policy, with URLs) to cosign each checkpoint; its quorum makes one *witnessed*")
	fl.BoolVar(&f.o.PlainWitnesses, "insecure-witness-http", false, "ask witnesses on other machines over http too")
	fl.StringVar(&f.o.TLS.Cert, "tls-cert", "", "serve HTTPS by the certificate in this `FILE`, which may be replaced while the server runs")
	fl.StringVar(&f.o.TLS.Key, "tls-key", "", "the `FILE` of the certificate's private key")
	fl.StringVar(&f.o.TLS.ClientCA, "tls-client-ca", "", "let in by certificates that the authorities in this `FILE` signed and the access configuration names")
	fl.StringVar(&f.access, "access-config", "", "a `FILE` that says who is let in beside the holders of API keys: docs/access.md")
	fl.StringVar(&f.o.AnonymousWorkspace, "anonymous-workspace", "", "the `NAME` of the workspace where events of POST /api/v1/activity/events are recorded that come without a token; without it they need one, once access is configured")
	fl.BoolVar(&f.o.RequireSession, "require-session", false, "refuse events of POST /api/v1/activity/events that come without a token and name no session")
	fl.IntVar(&f.o.ActivityDays, "user-activity-days", face.DefaultActivityRange, "how many `DAYS` one question of POST /api/rest/v1/management/user/activity may span")
	fl.StringVar(&f.o.DefaultWorkspace, "default-workspace", access.DefaultWorkspace, "the `NAME` of the workspace that requests act on whose path names none, while no access is configured")
	fl.StringArrayVar(&f.o.Anchors, "anchor", nil, "keep the last signed head elsewhere too: `PLACE` is file:PATH, nats://HOST:PORT/BUCKET or s3://BUCKET/PREFIX; may be given several times")
	fl.DurationVar(&f.o.AnchorEvery, "anchor-every", anchor.DefaultEvery, "how often a newer head is put into each --anchor")
	f.stamps.add(fl)
	f.zones.add(fl)
	fl.BoolVar(&f.o.NotDurable, "insecure-not-durable", false, "use a cluster that doesn't show that it syncs before it acknowledges")
	fl.StringVar(&f.logLevel, "log-level", "info", "debug, info, warn or error")
	fl.StringVar(&f.logFormat, "log-format", "text", "text or json")
	return cmd
}

func (a *app) runServe(cmd *cobra.Command, f *serveFlags) error {
	ctx := cmd.Context()
	log, err := logger(a.err, f.logLevel, f.logFormat)
	if err != nil {
		return err
	}
	if f.target != (natscontext.Target{}) {
		if f.target.URL == "" && f.target.Context == "" {
			return usagef("--creds, --nkey and --nats-ca are for a cluster: say which one with --nats or --context")
		}
		f.o.Cluster = &f.target
	} else if f.o.StreamReplicas > 1 {
		return usagef("--stream-replicas is for a cluster: say which one with --nats or --context; the embedded server is one")
	}
	if err := f.trimming(cmd); err != nil {
		return err
	}
	if len(f.o.Peers) > 0 && f.o.PeerToken == "" {
		return usagef("--peer needs --peer-token, the file of the token that the replicas share: nobody else is given messages")
	}
	if f.access != "" {
		if f.o.Access, err = accessfile.ReadConfig(f.access); err != nil {
			return err
		}
	}
	if !activity.ValidWorkspace(f.o.DefaultWorkspace) {
		return usagef("--default-workspace: %q is no workspace: a name is 1 to 64 of A-Z a-z 0-9 _ -, not beginning with _", f.o.DefaultWorkspace)
	}
	if f.o.AnonymousWorkspace != "" && !activity.ValidWorkspace(f.o.AnonymousWorkspace) {
		return usagef("--anonymous-workspace: %q is no workspace: a name is 1 to 64 of A-Z a-z 0-9 _ -, not beginning with _", f.o.AnonymousWorkspace)
	}
	if f.o.ActivityDays < 1 || f.o.ActivityDays > 36_500 {
		return usagef("--user-activity-days is 1 to 36500, not %d", f.o.ActivityDays)
	}
	if f.o.Checkpoint < minCheckpoint {
		return usagef("--checkpoint-every is %s at the least, not %s", minCheckpoint, f.o.Checkpoint)
	}
	if f.o.AnchorEvery < time.Second {
		return usagef("--anchor-every is a second at the least, not %s", f.o.AnchorEvery)
	}
	if f.o.Origin != "" {
		if err := service.CheckOrigin(f.o.Origin); err != nil {
			return usagef("--origin: %w", err)
		}
	}
	if f.o.Zones, err = f.zones.wanted(); err != nil {
		return err
	}
	if f.o.Erasers, f.o.ErasersNeeded, err = erasersOf(f.erasers, f.erasersNeeded); err != nil {
		return err
	}
	if f.o.Timestamps, err = f.stamps.wanted(); err != nil {
		return err
	}
	if f.o.Witnesses, err = readPolicy(f.witnesses); err != nil {
		return err
	}
	f.o.Logger, f.o.Version = log, versionName()
	f.o.Fatal = func(err error) {
		log.Error("this process can't go on; start it again", "error", err)
		os.Exit(exitFailure)
	}
	s, err := service.Start(ctx, f.o)
	if err != nil {
		return err
	}
	a.announce(ctx, s, f.o.Data)
	<-ctx.Done()
	log.Info("stopping")
	return stop(s)
}

// announce prints where things are: for people, and for scripts that let the
// system choose the ports. Where reads are served and nothing is recorded it says
// so, and "ready" only once that is mended, if it can be without a restart.
func (a *app) announce(ctx context.Context, s *service.Service, data string) {
	nats := s.NATSURL()
	if nats == "" {
		nats = "nobody is let in: see the log"
	}
	fmt.Fprintf(a.out, "HTTP    %s\ndocs    %[1]s/docs\nNATS    %s\ndata    %s\naccess  %s\nledger  %s, %d entries\n", s.URL(), nats, data, s.Access(), s.Ledger().ID(), s.Ledger().Head().Size)
	if err := s.Ready(ctx); err != nil {
		fmt.Fprintf(a.out, "NOT READY: %s\n", oneLine(err))
		for s.Ready(ctx) != nil {
			select {
			case <-ctx.Done():
				return
			case <-time.After(time.Second):
			}
		}
	}
	fmt.Fprintln(a.out, "ready")
}

func stop(s *service.Service) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if err := s.Close(ctx); err != nil {
		return fmt.Errorf("stopping: %w", err)
	}
	return nil
}

// logger prints on w.
func logger(w io.Writer, level, format string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, usagef("--log-level is debug, info, warn or error, not %q", level)
	}
	o := &slog.HandlerOptions{Level: l}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(w, o)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, o)), nil
	}
	return nil, usagef("--log-format is text or json, not %q", format)
}
