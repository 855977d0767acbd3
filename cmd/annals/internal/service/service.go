// Package service is the whole of Annals in one process: broker, ledger,
// projections and API, started in the order in which each needs the one before,
// and stopped in the reverse.
//
// The rule it exists for: nobody is told of a service that does not record yet,
// and nothing that was taken is left unanswered. So producers are let in only
// once the ledger has been opened and has published a mark, and a stop takes no
// more requests, answers those it has, and only then stops recording.
package service

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"annals/cmd/annals/internal/accessfile"
	"annals/cmd/annals/internal/anchor"
	"annals/cmd/annals/internal/cosign"
	"annals/cmd/annals/internal/datadir"
	"annals/cmd/annals/internal/journal"
	"annals/cmd/annals/internal/keeper"
	"annals/cmd/annals/internal/keys"
	"annals/cmd/annals/internal/natscontext"
	"annals/cmd/annals/internal/peer"
	"annals/cmd/annals/internal/signer"
	"annals/ingest"
	"annals/ingest/door"
	"annals/internal/access"
	"annals/internal/access/oidc"
	"annals/internal/heapfloor"
	"annals/ledger"
	"annals/ledger/chain"
	"annals/ledger/proof"
	"annals/projections"
	"annals/query"
)

// Options of a service. Data is required.
type Options struct {
	Data       string // the data folder
	Listen     string // HOST:PORT for HTTP
	NATSListen string // HOST:PORT for NATS clients, where the server is embedded
	// NATSAccounts is a folder that natsconfig wrote: who is let in there. "": whoever
	// reaches it, on the loopback alone.
	NATSAccounts string
	// NATSTLS names the files that the embedded server speaks TLS by.
	NATSTLS accessfile.TLS

	// StageOnDisk has the embedded server stage atomic batches on the disk, even where
	// there is memory for it.
	StageOnDisk bool

	// Cluster is the external cluster that holds the stream; nil embeds a server.
	Cluster *natscontext.Target
	// StreamReplicas is how many of the cluster's servers hold a stream that has to
	// be made; 0: one.
	StreamReplicas int
	// Trim says what becomes of the stream's beginning.
	Trim Trim
	// Mirror is a stream on the same server or cluster that mirrors the log: messages
	// that the log has lost are looked for there. "": there is none.
	Mirror string
	// Peers are the URLs of other replicas' servers: what no copy of the stream has is
	// looked for in their ledgers. PeerToken is the file of the token that the replicas
	// share; with it, this one gives messages to them.
	Peers     []string
	PeerToken string
	// Quorum is how many of Trim.Replicas have to show the same tree before a checkpoint
	// of it is signed, this one counted in. 0: this one signs alone.
	Quorum int
	// NotDurable goes on with a cluster that doesn't show that it syncs before it
	// acknowledges.
	NotDurable bool
	// TLS names the files that HTTPS is served by; the zero value is plain HTTP.
	TLS accessfile.TLS
	// Access says who is let in beside the holders of API keys.
	Access accessfile.Config
	// DefaultWorkspace is where a request acts whose path names no workspace, while
	// access is not configured; "": [access.DefaultWorkspace].
	DefaultWorkspace string
	// AnonymousWorkspace is where events are recorded that a frontend reports without a
	// token; "": nowhere, but in development mode in the default workspace.
	// RequireSession refuses those that name no session.
	AnonymousWorkspace string
	RequireSession     bool
	// ActivityDays is how many days one question of user activity may span; 0: 90.
	ActivityDays int
	// Zones are the time zones of workspaces, for the user activity log; of others it is
	// UTC.
	Zones map[string]*time.Location
	// Checkpoint is how often a growing ledger gets a signed checkpoint; 0: each
	// second.
	Checkpoint time.Duration
	// MLDSA gives a ledger that has to be made an ML-DSA-44 key besides, which signs
	// checkpoints on a second line.
	MLDSA bool
	// Witnesses are asked to cosign checkpoints (C2SP tlog-policy); nil: nobody is.
	Witnesses *proof.Policy
	// PlainWitnesses asks them over http on other machines too.
	PlainWitnesses bool
	// Anchors are where the last signed head is kept besides, as [anchor.Open] takes
	// them, each AnchorEvery; 0: every five minutes.
	Anchors     []string
	AnchorEvery time.Duration
	// Timestamps says who signs the times of checkpoints.
	Timestamps Timestamps
	// ExpireEvery is how often it looks for what a retention rule lets go; 0: never.
	ExpireEvery time.Duration
	// Origin is the name of a ledger that has to be made; "" makes one up.
	Origin string
	// Erasers are the public keys that a ledger which has to be made names as its erasers,
	// and ErasersNeeded how many of them have to sign together. Their private halves are
	// their holders'.
	Erasers       []chain.Key
	ErasersNeeded uint8

	Version string
	Logger  *slog.Logger
	// Fatal is told of what the process can't survive; it must not return.
	Fatal func(error)

	// step is told of each step of a first start, so that tests can die there.
	step func(string)
	// journalEvery replaces how often the ledger is told what was counted.
	journalEvery time.Duration
	// tokenTime is the time by which a provider's tokens are judged; nil: the present.
	tokenTime func() time.Time
	// holeRetry replaces the constant of that name: tests can't wait.
	holeRetry time.Duration
	// scrubEvery likewise.
	scrubEvery time.Duration
	// fresh is how long a page waits for the indexes; 0: as long as query says.
	fresh time.Duration
}

func (o *Options) defaults() {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Fatal == nil {
		o.Fatal = func(err error) { panic(err) }
	}
	if o.step == nil {
		o.step = func(string) {}
	}
}

// mostFloor bounds by how many bytes more than Go would let it the heap may grow before it
// is collected: a 64th of the memory that the process may use.
const mostFloor = 256 << 20

// Service is a running service.
type Service struct {
	o Options

	releaseHeap func() // nil: this one only looks after its folder

	dir  *datadir.Dir
	lock io.Closer
	keys *keys.Folder

	http        net.Listener
	line        *line
	ledger      *ledger.Ledger
	token       peer.Token
	peers       []*peer.Peer
	projections *projections.Live
	pump        *pump
	behind      behind
	keeper      *keeper.Keeper
	heads       keeper.HeadsMaps // outlives keepers
	signer      *signer.Signer
	cosigner    *cosign.Collector // nil: nobody is asked
	places      []anchor.Place
	anchors     *anchor.Anchors   // nil: there are none
	publisher   *ingest.Publisher // of what the door vouches for
	unvouched   *ingest.Publisher // of what comes by request/reply
	replies     *door.Service
	book        *access.Book // API keys; nil: access is not configured
	tls         *tls.Config  // nil: plain HTTP
	provider    *oidc.Verifier
	gate        *access.Gate // nil: development mode
	journal     *journal.Journal
	api         *query.API

	// What runs beside, and how to stop it: each waits for its end.
	stopHTTP, stopKeeper, stopFollower, stopQuorum, stopSigner, stopCosigner, stopAnchors, stopTimestamps, stopKeys, stopJournal, stopScrubber func() error

	closing sync.Once
	closed  error
}

// Start starts a service and returns once it is ready. It creates a ledger in an
// empty or absent folder only, and goes on with a first start that was cut short.
// ctx bounds the starting, not the service.
func Start(ctx context.Context, o Options) (*Service, error) {
	o.defaults()
	s := &Service{o: o, releaseHeap: heapfloor.Keep(min(ledger.CacheOfMemory()/8, mostFloor))}
	if err := s.start(ctx); err != nil {
		err = s.line.denied(err)
		stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		return nil, errors.Join(err, s.Close(stopCtx))
	}
	return s, nil
}

func (s *Service) start(ctx context.Context) error {
	if err := s.admit(); err != nil {
		return err
	}
	if err := s.namePeers(); err != nil {
		return err
	}
	if err := s.knowWitnesses(); err != nil {
		return err
	}
	if err := s.knowAnchors(); err != nil {
		return err
	}
	if err := s.take(); err != nil {
		return err
	}
	// Again, now that nobody else changes the keys.
	if err := s.admit(); err != nil {
		return err
	}
	if err := s.sayAccess(); err != nil {
		return err
	}
	var err error
	if s.http, err = net.Listen("tcp", s.o.Listen); err != nil {
		return fmt.Errorf("can't listen for HTTP; choose another port with --listen (0 takes any free one): %w", err)
	}
	if err := s.begin(); err != nil {
		return err
	}
	if s.line, err = s.openLine(true); err != nil {
		return err
	}
	if err := s.open(ctx); err != nil {
		return err
	}
	if err := s.letIn(ctx); err != nil {
		return err
	}
	return s.run()
}

// take takes the data folder for this process. What there is to refuse is refused
// before anything is made.
func (s *Service) take() error {
	d, err := s.folder()
	if err != nil {
		return err
	}
	if s.lock, err = d.Lock(); err != nil {
		return err
	}
	s.o.step("locked")
	s.dir, err = s.folder()
	return err
}

// folder looks at the data folder, and refuses one that this service can't go on
// with.
func (s *Service) folder() (*datadir.Dir, error) {
	d, err := datadir.Look(s.o.Data)
	if err != nil {
		return nil, err
	}
	external := s.o.Cluster != nil
	switch {
	case d.State == datadir.Empty:
	case d.Note.External && !external:
		return nil, fmt.Errorf("%s belongs to a stream on an external cluster: say which one with --nats or --context", d.Root)
	case !d.Note.External && external:
		return nil, fmt.Errorf("%s has its stream in it, in %s: leave out --nats and --context, or name another folder with --data", d.Root, datadir.Stream)
	}
	return d, d.Complete()
}

// begin writes down that a ledger is being begun, where there is none, and gets
// the keys.
func (s *Service) begin() error {
	if err := s.dir.Begin(s.o.Cluster != nil); err != nil {
		return err
	}
	s.o.step("noted")
	dir := s.dir.Path(datadir.Keys)
	var err error
	if s.dir.State == datadir.Whole {
		s.keys, err = keys.Load(dir)
	} else {
		s.keys, err = keys.Make(dir, s.o.MLDSA)
	}
	if err != nil {
		return err
	}
	for _, path := range s.keys.Exposed() {
		s.o.Logger.Warn("a private key can be read by others than its owner; `chmod 600` it", "file", path)
	}
	s.o.step("keys")
	return nil
}

// open opens the ledger and the projections, or makes them.
func (s *Service) open(ctx context.Context) error {
	if err := os.RemoveAll(s.dir.Path(trialFolder)); err != nil { // of a process that died in a trial
		return err
	}
	created, err := s.openLedger(ctx)
	if err != nil {
		return err
	}
	genesis, state := s.ledger.Genesis(), s.ledger.Head().State
	if !s.keys.Belongs(state.Keys()) {
		return fmt.Errorf("%s is no key of this ledger: bring back the keys that belong to it from a backup", s.dir.Path(datadir.Keys))
	}
	if err := s.checkOrigin(genesis.Origin); err != nil {
		return err
	}
	if err := s.checkErasers(&genesis); err != nil {
		return err
	}
	s.projections, err = projections.OpenLive(s.dir.Path(datadir.Projections), s.ledger.ID(), projections.Options{Logger: s.o.Logger})
	if err != nil {
		return err
	}
	s.o.step("projections")
	if err := s.dir.Finish(created); err != nil {
		return err
	}
	s.o.step("finished")
	return nil
}

// letIn publishes a mark while nobody else can reach the stream, and then lets
// producers in. Where the stream is not the one that the ledger folds, it lets
// nobody in: what producers would publish now may take sequences that were used
// before. Reads are served all the same.
func (s *Service) letIn(ctx context.Context) error {
	s.pump = s.newPump()
	if err := s.pump.settled(ctx); err != nil {
		return err
	}
	if err := s.pump.stranger(); err != nil {
		if s.pump.follows { // producers are there already, and the ledger's next stream may come
			s.keeper = s.newKeeper()
			return nil
		}
		s.o.Logger.Warn("no producers are let in, for the stream is not the ledger's") // the pump has said why
		return nil
	}
	s.keeper = s.newKeeper()
	if err := s.keeper.Mark(ctx); err != nil {
		// Whoever has lost the ledger's key revokes it through a server that runs.
		lost := errors.Is(err, keys.ErrNotHeld)
		if s.pump.stopped() == nil && s.pump.hole.Load() == nil && s.ledger.Err() == nil && s.o.Cluster == nil && !lost {
			return fmt.Errorf("no mark could be published, so producers were not let in: %w", err)
		}
		s.o.Logger.Warn("no mark was published", "error", err)
		// What the stream orders to be destroyed is, before anybody reads: to publish a
		// mark would have waited for that.
		if err := s.keeper.Level(ctx); err != nil {
			s.o.Logger.Warn("erasures in the stream may not be folded yet", "error", err)
		}
	}
	if !s.line.quiet {
		return nil
	}
	if err := s.hangUp(ctx); err != nil {
		return err
	}
	var err error
	if s.line, err = s.openLine(false); err != nil {
		return err
	}
	s.pump = s.newPump()
	s.keeper = s.newKeeper()
	return s.pump.settled(ctx)
}

func (s *Service) newKeeper() *keeper.Keeper {
	return keeper.New(keeper.Options{
		Ledger: s.ledger, Conn: s.line.nc, Signer: s.ledgerSigner, Check: s.pump.whole, Logger: s.o.Logger,
		Trim: s.trimming(), Every: s.o.Trim.every, Heads: &s.heads, Cosigned: s.cosigned,
		ExpireEvery: s.o.ExpireEvery,
	})
}

// hangUp stops reading and closes the line.
func (s *Service) hangUp(ctx context.Context) error {
	s.pump.stop()
	s.pump = nil
	if err := s.ledger.Flush(ctx); err != nil && s.ledger.Err() == nil {
		return err
	}
	err := s.line.close()
	s.line = nil
	return err
}

// URL is where HTTP is served: every address as it was asked for.
func (s *Service) URL() string {
	addr := s.http.Addr().(*net.TCPAddr)
	host := addr.IP.String()
	if asked, _, err := net.SplitHostPort(s.o.Listen); err == nil && addr.IP.IsUnspecified() {
		host = cmp.Or(asked, "0.0.0.0") // the listener itself says [::] for that
	}
	scheme := "http"
	if s.tls != nil {
		scheme = "https"
	}
	return scheme + "://" + net.JoinHostPort(host, strconv.Itoa(addr.Port))
}

// NATSURL is where producers connect to; "" when none are let in.
func (s *Service) NATSURL() string {
	if s.line == nil || s.pump.stranger() != nil {
		return ""
	}
	return s.line.url
}

// Ledger is the open ledger, until Close.
func (s *Service) Ledger() *ledger.Ledger { return s.ledger }

// Projections are the open projections, until Close.
func (s *Service) Projections() *projections.Live { return s.projections }
