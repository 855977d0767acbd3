package main

import (
	"slices"
	"strconv"
	"strings"

	"annals/ingest"

	"github.com/spf13/cobra"
)

// trimming checks what the flags say of trimming, and hands it on.
func (f *serveFlags) trimming(cmd *cobra.Command) error {
	t, names := &f.o.Trim, slices.Clone(f.replicas)
	slices.Sort(names)
	cluster := f.o.Cluster != nil
	switch {
	case len(names) == 1 && t.Replica == "" && number(names[0]):
		return usagef("--replicas names the ledgers that fold the stream, such as a,b,c; how many servers hold it is --stream-replicas")
	case !cluster && (len(names) > 0 || t.Replica != ""):
		return usagef("--replicas and --replica are for a cluster: say which one with --nats or --context; the embedded server's stream has one ledger")
	case len(names) > 0 && t.Replica == "":
		return usagef("--replicas names %s: say which of them this one is with --replica", strings.Join(names, ", "))
	case len(names) == 0 && t.Replica != "":
		return usagef("--replica names this ledger: name all that fold the stream, this one too, with --replicas")
	case f.o.Quorum != 0 && len(names) == 0:
		return usagef("--quorum is of --replicas: name all that fold the stream")
	case f.o.Quorum != 0 && (f.o.Quorum < 2 || f.o.Quorum >= len(names)):
		return usagef("--quorum is 2 at the least, and less than the %d replicas that are named, so that one may be down; not %d", len(names), f.o.Quorum)
	case len(names) > 255:
		return usagef("--replicas names %d ledgers; the most is 255", len(names))
	case t.Margin == 0:
		return usagef("--trim-margin is 1 at the least: by the last message that was folded a stream is known again")
	case cluster && f.trim && len(names) == 0 && cmd.Flags().Changed("trim"):
		return usagef("--trim on a cluster needs --replicas, the names of all ledgers that fold the stream: what one of them lacks must not go")
	}
	for i, name := range names {
		if !ingest.ValidReplica(name) {
			return usagef("--replicas: %q is no name of a replica; it has 1 to 64 of A-Z, a-z, 0-9, _ and -", name)
		}
		if i > 0 && names[i-1] == name {
			return usagef("--replicas names %s twice; each ledger has a name of its own", name)
		}
	}
	if len(names) > 0 && !slices.Contains(names, t.Replica) {
		return usagef("--replica %s is not among --replicas %s; name all of them, this one too", t.Replica, strings.Join(names, ","))
	}
	t.Off, t.Replicas = !f.trim, names
	return nil
}

func number(s string) bool {
	_, err := strconv.Atoi(s)
	return err == nil
}
