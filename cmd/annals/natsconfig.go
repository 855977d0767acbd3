package main

import (
	"fmt"
	"strings"

	"annals/cmd/annals/internal/natsconfig"

	"github.com/spf13/cobra"
)

func (a *app) natsConfig() *cobra.Command {
	var o natsconfig.Options
	var cluster []string
	var server string
	cmd := &cobra.Command{
		Use:   "nats-config --out DIR",
		Short: "Write the configuration of NATS servers that others than this machine reach",
		Long: `Write the configuration of the NATS server, or of a cluster's, that holds the stream:
accounts and permissions by which each of those who connect reaches what they have
business with and nothing else, and a seed (nkey) for each.

  NAME.conf      a server's, for nats-server --config
  accounts.conf  who may do what; the servers share it, and so may the embedded one:
                 annals serve --nats-accounts DIR
  nkeys/*.nk     the seeds, mode 0600. They are printed nowhere; give each to its own

  ledger         annals serve --nkey; nobody else deletes, purges, updates, restores
  ledger-NAME    another replica of the ledger, for each --replica
  producer       records in any workspace
  producer-WS    records in one workspace, for each --workspace
  operator       looks at the streams, moves the lead; sees no message
  system         watches the servers
  door, anchor, anchor-owner   with --door and --anchor-bucket

With --operator-mode the accounts are JWTs that an operator signs, for servers in
operator mode, and the users have credentials:

  creds/*.creds  annals serve --creds, nats --creds; mode 0600
  authority/     the seeds of the operator and the accounts. No server needs them: keep
                 them where you keep private keys

It may be run again, to add somebody: seeds that are there stay as they are. Without
its file somebody gets a new seed, and the old one is good for nothing once the servers
have taken the new configuration over (nats-server --signal reload).`,
		Example: `  annals nats-config --out ./nats --workspace ws_7,ws_12 --tls-cert cert.pem --tls-key key.pem
  annals nats-config --out ./nats --cluster n1=10.0.0.1:6222,n2=10.0.0.2:6222,n3=10.0.0.3:6222 --replica b,c
  annals serve --nats tls://10.0.0.1:4222,tls://10.0.0.2:4222 --nkey ./nats/nkeys/ledger.nk --stream-replicas 3
  annals nats-config --out ./nats --operator-mode --workspace ws_7 --tls-cert cert.pem --tls-key key.pem
  annals serve --nats tls://10.0.0.1:4222 --creds ./nats/creds/ledger.creds
  annals serve --nats-listen 0.0.0.0:4222 --nats-accounts ./nats --nats-tls-cert cert.pem --nats-tls-key key.pem`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Dir == "" {
				return usagef("which folder? Give one with --out")
			}
			if len(cluster) == 0 {
				o.Nodes = []natsconfig.Node{{Name: server}}
			}
			for _, n := range cluster {
				name, route, ok := strings.Cut(n, "=")
				if !ok {
					return usagef("--cluster: %q is no NAME=HOST:PORT", n)
				}
				o.Nodes = append(o.Nodes, natsconfig.Node{Name: name, Route: route})
			}
			if err := o.Check(); err != nil {
				return &usageError{err}
			}
			written, err := natsconfig.Write(o)
			if err != nil {
				return err
			}
			for _, path := range written.Files {
				fmt.Fprintln(a.out, "wrote ", path)
			}
			for _, name := range written.Seeds {
				fmt.Fprintln(a.out, "secret", o.SecretFile(name))
			}
			if o.Cert == "" {
				fmt.Fprintln(a.err, "annals: without --tls-cert what is recorded travels in the clear")
			} else if len(cluster) > 0 && o.CA == "" {
				fmt.Fprintln(a.err, "annals: without --tls-ca it travels in the clear between the servers")
			}
			return nil
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&o.Dir, "out", "", "the `DIR` to write to; made where absent")
	fl.StringVar(&server, "server-name", "nats", "the `NAME` of a single server")
	fl.StringSliceVar(&cluster, "cluster", nil, "the servers of a cluster, `NAME=HOST:PORT` each, where the others find it; 3 or 5")
	fl.StringVar(&o.Listen, "client-listen", "0.0.0.0:4222", "where each server listens for clients, `HOST:PORT`")
	fl.StringVar(&o.ClusterListen, "cluster-listen", "0.0.0.0:6222", "where each listens for the others, `HOST:PORT`")
	fl.StringVar(&o.Store, "store", "/var/lib/nats", "the `DIR` of the streams, on each server")
	fl.StringVar(&o.Monitor, "monitor", "", "where each answers monitoring over HTTP, which asks nobody who they are: `HOST:PORT`")
	fl.StringVar(&o.Cert, "tls-cert", "", "the `FILE` of each server's certificate, on the server")
	fl.StringVar(&o.Key, "tls-key", "", "the `FILE` of its private key")
	fl.StringVar(&o.CA, "tls-ca", "", "the `FILE` of who signed the certificates that a cluster's servers show each other")
	fl.StringSliceVar(&o.Workspaces, "workspace", nil, "`WORKSPACES` with a producer of their own, in an account that reaches nothing else")
	fl.StringSliceVar(&o.Replicas, "replica", nil, "the `NAMES` of further ledgers that fold the stream")
	fl.BoolVar(&o.Operator, "operator-mode", false, "JWTs instead of accounts in the servers' own language, and credentials instead of seeds")
	fl.BoolVar(&o.Door, "door", false, "somebody who vouches for others' records, without being the ledger")
	fl.StringVar(&o.Mirror, "mirror", "", "a `STREAM` in the ledger's account that mirrors the log")
	fl.StringVar(&o.AnchorBucket, "anchor-bucket", "", "an account for heads kept outside, with this `BUCKET`")
	return cmd
}
