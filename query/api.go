package query

import (
	"bytes"
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"annals/internal/access"
	"annals/internal/problem"
	"annals/ledger"
	"annals/ledger/proof"
	"annals/projections"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/prometheus/client_golang/prometheus"
)

// Options of the API. Ledger and Projections are required.
type Options struct {
	Ledger      *ledger.Ledger
	Projections *projections.Live

	// Ready says whether reading and recording work; its error is served by
	// /v1/ledger, and by /readyz where Access is nil. nil: as long as the ledger records.
	Ready func(context.Context) error
	// TrimHeld says why the stream can't be trimmed at the moment, "" when it can or
	// need not. nil: always "".
	TrimHeld func() string
	// Checkpoint returns the last signed checkpoint (C2SP tlog-checkpoint) and the
	// size of the tree that it speaks of; size 0 while there is none. What it returns
	// never goes back, and the ledger holds that tree. nil: there is none, and tiles
	// go as far as the ledger.
	Checkpoint func() (size uint64, note []byte)
	// AwaitCheckpoint returns the first checkpoint of at least that size, once it is
	// signed; it waits as long as ctx allows. nil: there will be none.
	AwaitCheckpoint func(ctx context.Context, size uint64) (note []byte, err error)
	// ProofTimeout is how long a receipt waits for a checkpoint. 0: 10 s.
	ProofTimeout time.Duration
	// Witnesses tells what witnesses do for this ledger. Its zero value: nobody asks
	// any.
	Witnesses Witnesses
	// SignHead signs a text by the key that workspaces' heads are signed with. nil:
	// there is none.
	SignHead func(text []byte) (note []byte, err error)
	// Mark returns the last mark of the ledger that this process knows the map of heads
	// of, in an entry below an index. nil: there is none.
	Mark func(below uint64) (index uint64, heads *proof.HeadsMap, ok bool)
	// Retired returns the last checkpoint by each key that signs no more, by size.
	// nil: there is none.
	Retired func() [][]byte
	// Submit publishes a control message that was signed elsewhere, and returns its
	// sequence in the stream; its errors are problems. nil: none is taken.
	Submit func(ctx context.Context, body []byte) (sequence uint64, err error)
	// Due counts what each retention rule lets go now, and Expire has it let go: it
	// returns once that is done, or ctx's error while it goes on. nil: nothing expires.
	Due    func(ctx context.Context) ([]DueRule, error)
	Expire func(ctx context.Context) error
	// FoldTimeout is how long the answer to a submitted message waits for its entry,
	// and that to an asked expiry for its end.
	// 0: 5 s.
	FoldTimeout time.Duration
	// Hole returns what of the stream is missing and admitted by nothing in the ledger,
	// nil where nothing is, and the number that the next control statement has to have.
	// nil: nothing is, and the ledger's own.
	Hole func(ctx context.Context) (hole *Hole, control uint64)
	// TLS is what connections are served by; nil: they are not encrypted.
	TLS *tls.Config
	// Access says who asks, and keeps what is theirs out of the caches on the way. nil:
	// everybody may do everything.
	Access *access.Gate
	// DefaultWorkspace is where a request acts whose path names no workspace, while
	// access is not configured; "": [access.DefaultWorkspace].
	DefaultWorkspace string
	// ActivityDays is how many days one question of user activity may span. 0: 90.
	ActivityDays int
	// Zones are the time zones of workspaces, in which the user activity log writes its
	// dates and times unless it is asked for another; of a workspace that is not there it
	// is UTC.
	Zones map[string]*time.Location
	// Keys are the API keys, for who administers them over the API. nil: they can't be.
	Keys *access.Book
	// Origins are those of the web pages that may ask, such as
	// https://app.example.com. One that is none is an error of the caller's, and panics.
	Origins []string

	// Version is what the OpenAPI document names; "" is "dev".
	Version string
	// Collectors are served by /metrics beside the API's own.
	Collectors []prometheus.Collector
	Logger     *slog.Logger // nil discards

	// Fresh is how long a first page waits for the indexes to reach what was
	// durable when it was asked, so that whoever was told "recorded" finds the
	// record. 0: 250 ms. The page's as_of says how far it got.
	Fresh time.Duration
	// Work is how many rows of the indexes one answer reads before it stops and says
	// so. 0: [projections.DefaultWork].
	Work int
	// Bounds are those of every client.
	Bounds Bounds
	// Tail bounds the live tail.
	Tail TailOptions
}

// API answers requests. It is an [http.Handler].
type API struct {
	o        Options
	mux      *routes
	huma     huma.API
	metrics  *metrics
	cursors  sealer
	opened   uint64               // the ledger's size when the API began
	root     atomic.Pointer[asOf] // the last one asked for: pages come in runs
	zones    zones
	document document
	hub      *hub
	served   http.Handler
	atOnce   uint64 // entries that user activity asks the indexes for at once
	turns    *turns

	protection http.CrossOriginProtection
}

// New returns an API that reads from an open ledger and its projections.
// [API.Huma] is where a door adds its own operation.
func New(o Options) *API {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Ready == nil {
		o.Ready = func(context.Context) error { return o.Ledger.Err() }
	}
	if o.TrimHeld == nil {
		o.TrimHeld = func() string { return "" }
	}
	if o.Version == "" {
		o.Version = "dev"
	}
	if o.Fresh == 0 {
		o.Fresh = 250 * time.Millisecond
	}
	if o.ProofTimeout == 0 {
		o.ProofTimeout = proofTimeout
	}
	if o.Witnesses.Timeout == 0 {
		o.Witnesses.Timeout = witnessTimeout
	}
	if o.FoldTimeout == 0 {
		o.FoldTimeout = foldTimeout
	}
	o.Bounds = o.Bounds.filled()
	if o.Tail.WriteTimeout == 0 {
		o.Tail.WriteTimeout = time.Duration(o.Bounds.StalledSeconds) * time.Second
	}
	problem.Install()
	a := &API{o: o, mux: &routes{ServeMux: http.NewServeMux()}, opened: o.Ledger.Head().Size, atOnce: projections.MaxLimit, turns: newTurns(runtime.GOMAXPROCS(0))}
	a.turns.recorded = func() uint64 { return o.Ledger.Head().Size }
	a.cursors = newSealer(o.Ledger.ID())
	for _, origin := range o.Origins {
		if err := a.protection.AddTrustedOrigin(origin); err != nil {
			panic(err)
		}
	}
	a.hub = newHub(a, o.Tail)
	a.o.Collectors = append(slices.Clip(o.Collectors), a.hub.metrics.collectors()...)
	a.metrics = newMetrics(&a.o)
	a.huma = humago.New(a.mux, config(o.Version))
	for i := range operations {
		a.register(&operations[i])
	}
	a.served = a.guard(http.HandlerFunc(a.route))
	return a
}

// Huma is the API that operations of other packages are registered with; they
// appear in the OpenAPI document. Register before the first request.
func (a *API) Huma() huma.API { return a.huma }

// ServeHTTP answers one request.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.served.ServeHTTP(w, r) }

// config is huma's, without its defaults: no schema links in answers, no page
// that loads from the network, no errors of its own.
func config(version string) huma.Config {
	return huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title:   "Annals",
				Version: version,
				Description: "An append-only audit ledger. A page, its total and its `as_of` speak of one tree size. " +
					"`record` is what was published, byte for byte but for white space around it. " +
					"Percent-encode ids in paths: `/` is `%2F`.",
				License: &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"},
			},
			Components: &huma.Components{
				Schemas: huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
				SecuritySchemes: map[string]*huma.SecurityScheme{securityName: {
					Type: "http", Scheme: "bearer",
					Description: "An API key, or a token of the OpenID provider that the server knows. A server in development mode asks for none.",
				}},
			},
		},
		// "json" is what huma looks up for application/problem+json.
		Formats:       map[string]huma.Format{jsonMedia: huma.DefaultJSONFormat, "json": huma.DefaultJSONFormat},
		DefaultFormat: jsonMedia,
	}
}

// routes is a mux that remembers what was registered with it, so that a test can
// compare it with the document.
type routes struct {
	*http.ServeMux
	patterns []string
}

// HandleFunc registers a handler.
func (m *routes) HandleFunc(pattern string, handler func(http.ResponseWriter, *http.Request)) {
	// A path's rest is {name...} to the mux and {name} to the document.
	m.patterns = append(m.patterns, strings.Replace(pattern, "...}", "}", 1))
	m.ServeMux.HandleFunc(pattern, handler)
}

// buffers hold answers while they are put together.
var buffers = newBuffers()

// write answers with a body that is complete.
func write(w http.ResponseWriter, mediaType string, body []byte) error {
	return writeStatus(w, http.StatusOK, mediaType, body)
}

// writeStatus answers with a status of its own.
func writeStatus(w http.ResponseWriter, status int, mediaType string, body []byte) error {
	writeHead(w, status, mediaType, len(body))
	_, err := bytes.NewReader(body).WriteTo(w)
	return err
}

// writeHead begins an answer whose body has so many bytes.
func writeHead(w http.ResponseWriter, status int, mediaType string, size int) {
	h := w.Header()
	h.Set("Content-Type", mediaType)
	h.Set("Content-Length", strconv.Itoa(size))
	w.WriteHeader(status)
}
