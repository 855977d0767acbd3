package natsconfig

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"annals/activity"
	"annals/cmd/annals/internal/durable"
	"annals/ingest"
)

// AccountsFile is the name of the file that says who may do what, in the folder that
// was generated.
const AccountsFile = "accounts.conf"

// Node is one server of a cluster.
type Node struct {
	Name  string // 1 to 64 of A-Z a-z 0-9 _ -
	Route string // HOST:PORT where the others find it
}

// Options say which servers and users there are.
type Options struct {
	Dir string // where it is written; made where absent

	Nodes         []Node // 1, 3 or 5. One has no Route
	Listen        string // HOST:PORT for clients
	ClusterListen string // HOST:PORT for the other servers
	Store         string // the folder of JetStream, on the servers
	Monitor       string // HOST:PORT of monitoring over HTTP, for everybody who reaches it; "": none

	// Cert, Key and CA are the files of TLS, on the servers; "": none. With CA the
	// servers of a cluster show each other certificates.
	Cert, Key, CA string

	Workspaces   []string // that have a producer of their own
	Replicas     []string // the names of ledgers besides the first
	Door         bool     // there is a door of its own
	Mirror       string   // a stream that mirrors the log; "": there is none
	AnchorBucket string   // a bucket for heads; "": there is none

	// Operator writes JWTs, for servers in operator mode, and users' credentials instead
	// of seeds.
	Operator bool
}

// Written says what was.
type Written struct {
	Files []string // configurations
	Seeds []string // the names of users whose seed, or credentials, are new
}

var name = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)

// Check refuses what can't be, before anything is written.
func (o *Options) Check() error {
	if n := len(o.Nodes); n != 1 && n != 3 && n != 5 {
		return fmt.Errorf("a cluster has 3 or 5 servers, not %d: with an even number one more may not die than with one less", n)
	}
	var names []string
	for _, n := range o.Nodes {
		if !name.MatchString(n.Name) || slices.Contains(names, n.Name) || n.Name == "accounts" {
			return fmt.Errorf("%q is no name of a server, or was given twice: 1 to 64 of A-Z a-z 0-9 _ -", n.Name)
		}
		names = append(names, n.Name)
		if len(o.Nodes) > 1 {
			if err := address(n.Route); err != nil {
				return fmt.Errorf("the server %s: %w", n.Name, err)
			}
		}
	}
	listens := []string{o.Listen}
	if len(o.Nodes) > 1 {
		listens = append(listens, o.ClusterListen)
	}
	if o.Monitor != "" {
		listens = append(listens, o.Monitor)
	}
	for _, l := range listens {
		if err := address(l); err != nil {
			return err
		}
	}
	if o.Store == "" || (o.Cert == "") != (o.Key == "") || o.CA != "" && o.Cert == "" {
		return errors.New("a server needs a folder for its streams, and of TLS the certificate and its key, or neither")
	}
	for _, w := range o.Workspaces {
		if !activity.ValidWorkspace(w) {
			return fmt.Errorf("%q is no workspace: 1 to %d of A-Z a-z 0-9 _ -, not beginning with _", w, activity.MaxWorkspace)
		}
	}
	for _, r := range o.Replicas {
		if !ingest.ValidReplica(r) {
			return fmt.Errorf("%q is no name of a replica: 1 to 64 of A-Z a-z 0-9 _ -", r)
		}
	}
	for _, n := range []string{o.Mirror, o.AnchorBucket} {
		if n != "" && !name.MatchString(n) {
			return fmt.Errorf("%q is no name of a stream or bucket here: 1 to 64 of A-Z a-z 0-9 _ -", n)
		}
	}
	if slices.Contains(o.streams()[:3], o.Mirror) {
		return fmt.Errorf("%s is no mirror of itself", o.Mirror)
	}
	return nil
}

func address(s string) error {
	if host, port, err := net.SplitHostPort(s); err != nil || host == "" || port == "" || strings.ContainsAny(s, "\"\\ \t\r\n") {
		return fmt.Errorf("%q is no HOST:PORT", s)
	}
	return nil
}

// Write writes a configuration for each server, accounts.conf, which they share, and
// the seeds. Seeds that are there stay as they are; the rest is written anew.
func Write(o Options) (*Written, error) {
	slices.Sort(o.Workspaces)
	o.Workspaces = slices.Compact(o.Workspaces)
	slices.Sort(o.Replicas)
	o.Replicas = slices.Compact(o.Replicas)
	if err := o.Check(); err != nil {
		return nil, err
	}
	if err := durable.Dir(filepath.Join(o.Dir, seedFolder)); err != nil {
		return nil, err
	}
	s := &seeds{dir: o.Dir}
	accounts, made, err := o.printUsers(s)
	if err != nil {
		return nil, err
	}
	password := ""
	if len(o.Nodes) > 1 {
		if password, err = s.routePassword(); err != nil {
			return nil, err
		}
	}
	w := &Written{Seeds: made}
	put := func(file, text string) error {
		path := filepath.Join(o.Dir, file)
		w.Files = append(w.Files, path)
		return durable.Replace(path, []byte(text))
	}
	if err := put(AccountsFile, accounts); err != nil {
		return nil, err
	}
	for i := range o.Nodes {
		if err := put(o.Nodes[i].Name+".conf", o.printNode(i, password)); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// printUsers prints accounts.conf, and returns the names of those who are new in it.
func (o *Options) printUsers(s *seeds) (text string, made []string, err error) {
	if o.Operator {
		return o.printOperator()
	}
	text, err = printAccounts(o.accounts(), s.public)
	return text, s.made, err
}
