package main

import (
	"annals/cmd/annals/internal/client"
	"annals/cmd/annals/internal/natscontext"

	"github.com/spf13/cobra"
)

// recording says where a command records: over HTTP, or by requests over NATS.
type recording struct {
	url    string
	target natscontext.Target
}

// recordingFlags adds the flags of commands that record.
func (a *app) recordingFlags(cmd *cobra.Command, r *recording) {
	a.urlFlag(cmd, &r.url)
	fl := cmd.Flags()
	fl.StringVar(&r.target.URL, "nats", "", "record over NATS instead, by requests to the servers at this `URL`")
	fl.StringVar(&r.target.Context, "context", "", "record over NATS, by a context of the nats command line with this `NAME`")
	fl.StringVar(&r.target.Creds, "creds", "", "credentials `FILE` for NATS")
	fl.StringVar(&r.target.Nkey, "nkey", "", "the `FILE` of the seed that NATS lets us in by")
	fl.StringVar(&r.target.CA, "nats-ca", "", "a `FILE` with the certificates (PEM) that NATS's are to be signed by, instead of the system's")
}

// recorder is what the flags say, and what closes it.
func (a *app) recorder(cmd *cobra.Command, r *recording) (client.Recorder, func(), error) {
	fl := cmd.Flags()
	over := r.target.URL != "" || r.target.Context != ""
	switch {
	case !over && r.target != (natscontext.Target{}):
		return nil, nil, usagef("--creds, --nkey and --nats-ca are for NATS: say which servers with --nats or --context")
	case over && fl.Changed("url") && (fl.Changed("nats") || fl.Changed("context")):
		return nil, nil, usagef("--url records over HTTP, --nats and --context over NATS: give one of them")
	case over && !fl.Changed("url"):
		c, err := client.Connect(r.target, "annals "+cmd.Name())
		if err != nil {
			return nil, nil, err
		}
		return c, c.Close, nil
	}
	c, err := a.serverAt(r.url)
	return c, func() {}, err
}
