package service

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"time"

	"annals/cmd/annals/internal/datadir"
	"annals/ingest"
	"annals/ingest/broker"

	"github.com/nats-io/nats.go"
)

// line is the connection to the stream, and the server at its other end where
// that is ours.
type line struct {
	broker *broker.Broker // nil with an external cluster
	nc     *nats.Conn
	url    string
	// quiet: nobody has been told of the server's port, and nobody will be.
	quiet bool
}

// openLine connects to the stream. quietly starts the embedded server on a port
// that nobody knows: what must precede all producers is done there. Where the
// port is any free one, nobody knows it either, and it stays.
func (s *Service) openLine(quietly bool) (*line, error) {
	if s.o.Cluster != nil {
		return s.openCluster()
	}
	host, port, err := splitAddress(s.o.NATSListen)
	if err != nil {
		return nil, err
	}
	o := broker.Options{StoreDir: s.dir.Path(datadir.Stream), Host: host, Port: port, Logger: s.o.Logger}
	if !s.o.StageOnDisk {
		o.Staging = broker.Memory()
	}
	if err := s.accounts(&o); err != nil {
		return nil, err
	}
	quietly = quietly && port != 0
	if quietly {
		if err := free(s.o.NATSListen); err != nil {
			return nil, err
		}
		o.Host, o.Port = "127.0.0.1", 0
	}
	b, err := broker.Start(o)
	if err != nil {
		return nil, err
	}
	nc, err := b.Connect(ingest.ConnOptions("annals", s.o.Logger)...)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("connecting to the embedded server: %w", err), b.Close())
	}
	return &line{broker: b, nc: nc, url: clientURL(b), quiet: quietly}, nil
}

// clientURL is where a client on this machine reaches the server.
func clientURL(b *broker.Broker) string {
	addr := b.Addr()
	scheme := "nats://"
	if b.TLS() {
		scheme = "tls://"
	}
	if addr.IP.IsUnspecified() {
		return scheme + "127.0.0.1:" + strconv.Itoa(addr.Port)
	}
	return scheme + addr.String()
}

// free says early, before anything is made, that a port is taken.
func free(address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("can't listen for NATS clients; choose another port with --nats-listen (0 takes any free one): %w", err)
	}
	return l.Close()
}

func splitAddress(address string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(address)
	if err == nil {
		port, err = strconv.Atoi(text)
	}
	if err != nil {
		return "", 0, fmt.Errorf("%q is no HOST:PORT: %w", address, err)
	}
	if host == "" {
		host = "0.0.0.0"
	}
	return host, port, nil
}

// openCluster connects to an external cluster. It reconnects for ever once it
// was connected, but a cluster that can't be reached at the start is an error.
func (s *Service) openCluster() (*line, error) {
	urls, opts, err := s.o.Cluster.Resolve()
	if err != nil {
		return nil, err
	}
	if password := os.Getenv("ANNALS_NATS_PASSWORD"); password != "" && len(opts) == 0 {
		opts = append(opts, nats.UserInfo(broker.UserLedger, password)) // a URL's own user wins
	}
	nc, err := nats.Connect(urls, append(ingest.ConnOptions("annals", s.o.Logger), opts...)...)
	if bad, ok := errors.AsType[*url.Error](err); ok {
		err = bad.Err // the URL that it quotes has the password
	}
	if err != nil {
		return nil, fmt.Errorf("can't connect to NATS; check --nats, --nkey, --creds, --nats-ca and --context: %w", err)
	}
	return &line{nc: nc, url: nc.ConnectedUrlRedacted()}, nil
}

// durable refuses a cluster that acknowledges before it syncs, or doesn't show
// that it doesn't, unless that was asked for.
func (s *Service) durable(ctx context.Context) error {
	if s.o.Cluster == nil {
		return nil // the embedded server syncs always
	}
	err := ingest.CheckDurability(ctx, s.line.nc)
	var lazy *ingest.NotDurableError
	var unseen *ingest.UnseenDurabilityError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &lazy) && !errors.As(err, &unseen):
		s.o.Logger.Warn("the cluster could not be asked whether it syncs before it acknowledges", "error", err)
		return nil
	case s.o.NotDurable:
		s.o.Logger.Warn("--insecure-not-durable: a power cut may take records that were acknowledged", "error", err)
		return nil
	}
	return fmt.Errorf("%w (or, where records may be lost, start with --insecure-not-durable)", err)
}

// denied explains a start that failed because NATS lets this user do less than a ledger does.
// The server says so beside its answers, and what was asked only times out.
func (l *line) denied(err error) error {
	if l == nil || l.nc == nil || !errors.Is(l.nc.LastError(), nats.ErrPermissionViolation) {
		return err
	}
	return fmt.Errorf("%w; NATS lets this user do less than a ledger does: give the ledger's seed with --nkey, or its credentials with --creds, as annals nats-config writes them: %w", err, l.nc.LastError())
}

// stage lets the embedded server stage the batches of a stream that was just made.
func (l *line) stage() {
	if l.broker != nil {
		l.broker.Stage()
	}
}

func (l *line) close() error {
	if l == nil {
		return nil
	}
	if l.nc != nil {
		_ = l.nc.FlushTimeout(time.Second)
		l.nc.Close()
	}
	if l.broker != nil {
		return l.broker.Close()
	}
	return nil
}
