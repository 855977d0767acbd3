package broker

import (
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// Errors of [Start]. Each is wrapped with the address or folder it is about.
var (
	// ErrAddress is an address that can't be listened on.
	ErrAddress = errors.New("broker: can't listen for NATS clients; choose another address or port (0 takes any free port), or stop what is listening there")
	// ErrStoreDir is a folder that can't be written.
	ErrStoreDir = errors.New("broker: can't write the stream's folder; check that it exists, is a folder, and belongs to this user")
	// ErrInUse is a folder that another server is running on.
	ErrInUse = errors.New("broker: the stream's folder is in use by another process; stop that one first, or give this one a folder of its own")
	// ErrStart is anything else that keeps the server from starting.
	ErrStart = errors.New("broker: the NATS server did not start")
)

// Options say where the server keeps its stream and where it listens.
type Options struct {
	StoreDir string // the folder of JetStream; made when absent. Required.
	Host     string // what to listen on; "" is 127.0.0.1
	Port     int    // 0 or -1 takes any free port

	// MaxStore bounds what JetStream may use of the disk, in bytes; 0 leaves it
	// to the server, which takes three quarters of what is free at the start.
	MaxStore int64
	// MaxPayload bounds one message, in bytes; 0 is the server's 1 MiB. Raise it
	// to have larger records rejected by the ledger, which keeps evidence of
	// them, rather than by the server, which keeps none.
	MaxPayload int32

	// Staging is a folder in memory, such as [Memory] finds. The server then stages
	// atomic batches there until they are in the stream, instead of on the disk, which
	// takes several syncs a batch. "" leaves it to the server.
	Staging string

	// Accounts is a file of accounts in the server's language, which says who is let
	// in; "" lets in whoever comes, as a producer. Seed is then the file of the seed by
	// which [Broker.Connect] gets in.
	Accounts, Seed string
	// TLS is what clients are served by; nil: plain.
	TLS *tls.Config

	Logger       *slog.Logger  // nil discards; notices of the server are at level Debug
	StartTimeout time.Duration // 0 is 30 s; recovering a large stream takes a while
}

// Broker is a running server.
type Broker struct {
	srv      *server.Server
	staging  *staging // nil: on the disk
	lock     *os.File
	password string // "": with the seed
	seed     string
	tls      bool
}

// Start starts a server and returns once it accepts connections and JetStream
// has recovered what is in the folder. Its errors are those above. It handles no
// signals: stopping is the caller's, with [Broker.Close].
func Start(o Options) (*Broker, error) {
	if o.StoreDir == "" {
		return nil, fmt.Errorf("%w: no folder given", ErrStoreDir)
	}
	if o.Host == "" {
		o.Host = "127.0.0.1"
	}
	if o.Port == 0 {
		o.Port = server.RANDOM_PORT
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.StartTimeout == 0 {
		o.StartTimeout = 30 * time.Second
	}
	if err := checkAddress(o.Host, o.Port); err != nil {
		return nil, err
	}
	if err := checkFolder(o.StoreDir); err != nil {
		return nil, err
	}
	held, err := lock(o.StoreDir)
	if err != nil {
		return nil, err
	}
	b, err := start(o, held)
	if err != nil {
		held.Close()
		return nil, err
	}
	return b, nil
}

func start(o Options, held *os.File) (*Broker, error) {
	b := &Broker{lock: held, seed: o.Seed, tls: o.TLS != nil}
	so, err := b.admitting(o.Accounts)
	if err != nil {
		return nil, err
	}
	so.TLSConfig = o.TLS
	so.ServerName = "annals"
	so.Host, so.Port = o.Host, o.Port
	so.JetStream = true
	so.StoreDir = o.StoreDir
	if filepath.Base(o.StoreDir) == server.JetStreamStoreDir {
		so.StoreDir = filepath.Dir(o.StoreDir) // the server adds that name by itself
	}
	so.SyncAlways = true
	so.JetStreamMaxStore = o.MaxStore
	so.MaxPayload = o.MaxPayload
	so.NoSigs = true
	so.NoLog = true // SetLogger below gives it ours
	if o.Staging != "" {
		if b.staging, err = newStaging(o.Staging, storeDir(so)); err != nil {
			return nil, err
		}
	}
	if b.srv, err = serve(so, o); err != nil {
		if b.staging != nil {
			b.staging.remove()
		}
		return nil, err
	}
	if b.staging != nil {
		b.staging.run()
	}
	return b, nil
}

// admitting returns the server's options with who is let in: whom a file names, or,
// where there is none, everybody, and the ledger by a password that is drawn here.
func (b *Broker) admitting(accounts string) (*server.Options, error) {
	if accounts != "" {
		return optionsOf(accounts)
	}
	var secret [24]byte
	if _, err := rand.Read(secret[:]); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrStart, err)
	}
	b.password = hex.EncodeToString(secret[:])
	return options(b.password)
}

// serve starts the server and returns once it has recovered and listens.
func serve(so *server.Options, o Options) (*server.Server, error) {
	srv, err := server.NewServer(so)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrStart, err)
	}
	log := newLogger(o.Logger)
	srv.SetLoggerV2(log, false, false, false)
	go srv.Start() // returns once everything is started, or on a fatal error
	if err := await(srv, log, o.StartTimeout); err != nil {
		srv.Shutdown()
		srv.WaitForShutdown()
		return nil, err
	}
	return srv, nil
}

// await waits for the server to be ready, to die, or for the time to be up.
func await(srv *server.Server, log *logger, limit time.Duration) error {
	deadline := time.Now().Add(limit)
	for !srv.ReadyForConnections(20 * time.Millisecond) {
		select {
		case <-log.died:
			return fmt.Errorf("%w: %w", ErrStart, log.err())
		default:
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%w within %s; if it is still recovering a large stream, allow it more time", ErrStart, limit)
		}
	}
	return nil
}

// checkAddress listens and stops again. The server would log the failure, close
// and leave us to guess, so we ask the system first, where the reason is plain.
func checkAddress(host string, port int) error {
	if port == server.RANDOM_PORT {
		port = 0
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrAddress, err)
	}
	return l.Close()
}

// checkFolder makes the folder and writes a file in it.
func checkFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("%w: %w", ErrStoreDir, err)
	}
	probe, err := os.CreateTemp(dir, ".probe-*")
	if err != nil {
		return fmt.Errorf("%w: %w", ErrStoreDir, err)
	}
	err = errors.Join(probe.Close(), os.Remove(filepath.Join(dir, filepath.Base(probe.Name()))))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrStoreDir, err)
	}
	return nil
}

// ClientURL is the nats:// URL that producers connect to, without credentials.
func (b *Broker) ClientURL() string { return b.srv.ClientURL() }

// Addr is the host and port the server listens on.
func (b *Broker) Addr() *net.TCPAddr { return b.srv.Addr().(*net.TCPAddr) }

// TLS reports whether clients are served by TLS.
func (b *Broker) TLS() bool { return b.tls }

// Connect connects as the ledger's user, over the loopback: the server's write
// buffers and the kernel's carry a stream faster than an in-process pipe does. With
// TLS it is that pipe all the same: it leads to this server and no other, whatever
// name its certificate has. The password, where there is
// one, is drawn anew at each start and never leaves the process.
func (b *Broker) Connect(opts ...nats.Option) (*nats.Conn, error) {
	who := nats.UserInfo(UserLedger, b.password)
	if b.password == "" {
		var err error
		if who, err = nats.NkeyOptionFromSeed(b.seed); err != nil {
			return nil, fmt.Errorf("broker: the ledger's seed: %w", err)
		}
	}
	if b.tls {
		opts = append(opts, nats.InProcessServer(b.srv), nats.Secure(&tls.Config{InsecureSkipVerify: true})) // #nosec G402 -- see above
	}
	return nats.Connect(b.ClientURL(), append([]nats.Option{who}, opts...)...)
}

// Stage looks after the staging of a stream that was just made, which otherwise
// begins a second later.
func (b *Broker) Stage() {
	if b.staging != nil {
		b.staging.tend()
	}
}

// Close stops the server: it stops listening, closes its connections, writes
// what is not yet on the disk, and gives the folder free. It may be called once.
func (b *Broker) Close() error {
	b.srv.Shutdown()
	b.srv.WaitForShutdown()
	if b.staging != nil {
		b.staging.close()
	}
	return b.lock.Close()
}
