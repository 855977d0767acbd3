package witness

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"annals/cmd/annals/internal/cosign"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Timeouts of the server: who sends or takes bytes too slowly keeps no connection.
const (
	readTimeout  = 10 * time.Second
	writeTimeout = 20 * time.Second
	idleTimeout  = 2 * time.Minute
	drainTimeout = 5 * time.Second
	maxHeader    = 16 << 10
	maxRequests  = 64 // at once; the rest are told to come again
)

func public(seed []byte) []byte {
	return ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
}

// statuses is what each refusal is answered with (C2SP tlog-witness, add-checkpoint).
var statuses = []struct {
	err    error
	status int
}{
	{cosign.ErrRequest, http.StatusBadRequest},
	{ErrOldSize, http.StatusBadRequest},
	{ErrOrigin, http.StatusNotFound},
	{ErrSignature, http.StatusForbidden},
	{ErrForked, http.StatusConflict},
	{ErrUnproven, http.StatusUnprocessableEntity},
	{ErrDisk, http.StatusServiceUnavailable},
}

// Handler serves add-checkpoint, /v1/logs, /healthz and /metrics.
func (w *Witness) Handler() http.Handler {
	mux := http.NewServeMux()
	room := make(chan struct{}, maxRequests)
	mux.HandleFunc("POST "+cosign.Path, func(rw http.ResponseWriter, r *http.Request) {
		select {
		case room <- struct{}{}:
			defer func() { <-room }()
			w.add(rw, r)
		default:
			rw.Header().Set("Retry-After", "1")
			w.answer(rw, http.StatusTooManyRequests, "text/plain; charset=utf-8", "too many ask at once; try again\n")
		}
	})
	mux.HandleFunc("GET /v1/logs", func(rw http.ResponseWriter, _ *http.Request) {
		b, err := json.Marshal(struct {
			VKey string `json:"vkey"`
			Logs []Log  `json:"logs"`
		}{w.vkey, w.Logs()}, jsontext.Multiline(true))
		if err != nil {
			http.Error(rw, err.Error(), http.StatusInternalServerError)
			return
		}
		rw.Header().Set("Content-Type", "application/json")
		_, _ = rw.Write(append(b, '\n')) // the client is gone
	})
	mux.HandleFunc("GET /healthz", w.health)
	registry := prometheus.NewRegistry()
	registry.MustRegister(w)
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	return mux
}

// health says whether every log can be cosigned.
func (w *Witness) health(rw http.ResponseWriter, _ *http.Request) {
	rw.Header().Set("Content-Type", "application/json")
	for _, l := range w.Logs() {
		if l.Error != "" {
			rw.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(rw, `{"status":"failed"}`)
			return
		}
	}
	_, _ = io.WriteString(rw, `{"status":"ok"}`)
}

// add answers one request.
func (w *Witness) add(rw http.ResponseWriter, r *http.Request) {
	const plain = "text/plain; charset=utf-8"
	body, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, cosign.MaxRequest))
	var request cosign.Request
	var lines []byte
	if err != nil {
		err = fmt.Errorf("%w: %w", cosign.ErrRequest, err)
	} else if request, err = cosign.ParseRequest(body); err == nil {
		lines, err = w.Add(&request)
	}
	if err == nil {
		w.answer(rw, http.StatusOK, plain, string(lines))
		return
	}
	if stale, ok := errors.AsType[*StaleError](err); ok {
		w.answer(rw, http.StatusConflict, cosign.MediaSize, strconv.FormatUint(stale.Size, 10)+"\n")
		return
	}
	for _, row := range statuses {
		if errors.Is(err, row.err) {
			w.answer(rw, row.status, plain, err.Error()+"\n")
			return
		}
	}
	w.o.Logger.Error("a checkpoint was not cosigned", "error", err)
	w.answer(rw, http.StatusInternalServerError, plain, "internal error\n")
}

func (w *Witness) answer(rw http.ResponseWriter, status int, media, body string) {
	w.counting.Lock()
	w.answers[status]++
	w.counting.Unlock()
	rw.Header()["Content-Type"] = []string{media}
	rw.Header().Set("Content-Length", strconv.Itoa(len(body)))
	rw.WriteHeader(status)
	_, _ = io.WriteString(rw, body) // a client that is gone asks again, and is told the size
}

// Serve answers on a listener until ctx ends, and lets what is under way finish.
func (w *Witness) Serve(ctx context.Context, l net.Listener) error {
	srv := &http.Server{
		Handler: w.Handler(), ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(w.o.Logger.Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	err := srv.Shutdown(limit)
	if err != nil {
		err = errors.Join(err, srv.Close())
	}
	if e := <-served; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, e)
	}
	return err
}

var (
	answersDesc  = prometheus.NewDesc("annals_witness_requests_total", "Requests to add a checkpoint, by the status that they were answered with: 200 cosigned, 409 another size or root, 422 no proof.", []string{"status"}, nil)
	logSizeDesc  = prometheus.NewDesc("annals_witness_log_size", "Entries that the last cosigned checkpoint of the log speaks of.", []string{"log"}, nil)
	evidenceDesc = prometheus.NewDesc("annals_witness_contradictions_total", "Checkpoints, signed by the log's key, that do not follow from what was cosigned.", []string{"log"}, nil)
)

// Describe implements [prometheus.Collector].
func (w *Witness) Describe(out chan<- *prometheus.Desc) {
	out <- answersDesc
	out <- logSizeDesc
	out <- evidenceDesc
}

// Collect implements [prometheus.Collector].
func (w *Witness) Collect(out chan<- prometheus.Metric) {
	w.counting.Lock()
	for status, n := range w.answers {
		out <- prometheus.MustNewConstMetric(answersDesc, prometheus.CounterValue, float64(n), strconv.Itoa(status))
	}
	w.counting.Unlock()
	for _, l := range w.Logs() {
		out <- prometheus.MustNewConstMetric(logSizeDesc, prometheus.GaugeValue, float64(l.Size), l.Origin)
		out <- prometheus.MustNewConstMetric(evidenceDesc, prometheus.CounterValue, float64(l.Evidence), l.Origin)
	}
}
