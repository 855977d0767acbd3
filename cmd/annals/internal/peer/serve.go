package peer

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"annals/internal/problem"
	"annals/ledger"
	"annals/ledger/chain"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/go-json-experiment/json"
)

// Path is where a replica gives messages to others.
const Path = "/v1/peer/messages"

const (
	mediaJSON = "application/json"
	// maxAnswer is how many bytes of bodies one answer has, or the bytes of one body.
	maxAnswer = 4 << 20
	// maxAtOnce is how many answers are put together at once.
	maxAtOnce = 2
)

// Given is what a peer gives.
type Given struct {
	Ledger   chain.Hash `json:"ledger" doc:"The ledger's id, in hexadecimal."`
	Messages []Message  `json:"messages" doc:"In the stream's order, without a hole, from the first that was asked for on."`
}

// Message is one message of the stream, put together from its entries.
type Message struct {
	Sequence uint64   `json:"sequence"`
	Time     int64    `json:"time" doc:"The stream's timestamp, in nanoseconds since 1970."`
	Subject  []byte   `json:"subject" doc:"In base64."`
	Headers  []Header `json:"headers,omitzero" doc:"Those that are retained."`
	Body     []byte   `json:"body" doc:"In base64."`
}

// Header is one value of a header.
type Header struct {
	Name  []byte `json:"name" doc:"In base64."`
	Value []byte `json:"value" doc:"In base64."`
}

// messageOf prints a message.
func messageOf(m *chain.Message) Message {
	out := Message{Sequence: m.Sequence, Time: m.Time, Subject: []byte(m.Subject), Body: m.Body}
	for name, values := range m.Header {
		for _, value := range values {
			out.Headers = append(out.Headers, Header{[]byte(name), []byte(value)})
		}
	}
	return out
}

// message is what [messageOf] printed. That a root proves the bytes is true of all
// but what may be many records: what ends their last line, no entry tells.
func (m *Message) message() chain.Message {
	out := chain.Message{Sequence: m.Sequence, Time: m.Time, Subject: string(m.Subject), Body: m.Body}
	for _, h := range m.Headers {
		if out.Header == nil {
			out.Header = map[string][]string{}
		}
		out.Header[string(h.Name)] = append(out.Header[string(h.Name)], string(h.Value))
	}
	out.Rebuilt = len(out.Header["Content-Type"]) > 0
	return out
}

// Options of giving. Ledger and Token are required.
type Options struct {
	Ledger *ledger.Ledger
	Token  Token
	Logger *slog.Logger // nil discards
}

// Register adds to an API what other replicas ask.
func Register(api huma.API, o Options) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	g := &giver{o: o, room: make(chan struct{}, maxAtOnce)}
	op := document(api.OpenAPI().Components.Schemas)
	api.OpenAPI().AddOperation(op)
	api.Adapter().Handle(op, api.Middlewares().Handler(func(ctx huma.Context) {
		r, w := humago.Unwrap(ctx)
		if err := g.give(w, r); err != nil {
			problem.Write(w, r, err)
		}
	}))
}

func document(registry huma.Registry) *huma.Operation {
	number := func(name, about string) *huma.Param {
		least := 0.0
		return &huma.Param{Name: name, In: "query", Required: true, Description: about, Schema: &huma.Schema{Type: huma.TypeInteger, Minimum: &least}}
	}
	op := &huma.Operation{
		Method: http.MethodGet, Path: Path, OperationID: "peer-messages", Summary: "Messages, for other replicas",
		Description: "Messages of the stream as this ledger folded them, secrets and all: for replicas of the same ledger, which show the token that they share as `Authorization: Bearer TOKEN`. " +
			"As many as fit, one at the least. No reader needs them.",
		Parameters: []*huma.Param{
			number("epoch", "The stream's epoch."), number("first", "The first sequence."), number("last", "The last one."),
			{Name: "Authorization", In: "header", Required: true, Description: "Bearer, and the replicas' token.", Schema: &huma.Schema{Type: huma.TypeString}},
		},
		Responses: map[string]*huma.Response{
			"200": {Description: "The messages.", Content: map[string]*huma.MediaType{mediaJSON: {Schema: registry.Schema(reflect.TypeFor[Given](), true, "")}}},
		},
	}
	problem.Document(op, registry, problem.WrongToken, problem.InvalidParameter, problem.NoSuchMessage, problem.TooManyRequests, problem.Internal)
	return op
}

type giver struct {
	o    Options
	room chan struct{}
}

// give answers one request.
func (g *giver) give(w http.ResponseWriter, r *http.Request) error {
	shown, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || !g.o.Token.Is(shown) {
		g.o.Logger.Warn("somebody asked for messages without the peers' token", "remote", r.RemoteAddr)
		w.Header().Set("WWW-Authenticate", "Bearer")
		return problem.New(problem.WrongToken, "")
	}
	var epoch, first, last uint64
	for _, p := range []struct {
		name string
		bits int
		to   *uint64
	}{{"epoch", 32, &epoch}, {"first", 64, &first}, {"last", 64, &last}} {
		n, err := strconv.ParseUint(r.URL.Query().Get(p.name), 10, p.bits)
		if err != nil {
			return problem.Parameter(p.name, "invalid_number", "give a whole number")
		}
		*p.to = n
	}
	if first > last {
		return problem.Parameter("last", "invalid_number", "it is before first")
	}
	select {
	case g.room <- struct{}{}:
		defer func() { <-g.room }()
	default:
		return problem.New(problem.TooManyRequests, "")
	}
	body, err := g.answer(r.Context(), uint32(epoch), first, last)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", mediaJSON)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // the replica is gone: it asks again
	return nil
}

func (g *giver) answer(ctx context.Context, epoch uint32, first, last uint64) ([]byte, error) {
	found, err := g.o.Ledger.Messages(ctx, epoch, first, last, maxAnswer)
	switch {
	case errors.Is(err, ledger.ErrNotFound), errors.Is(err, chain.ErrNotKept):
		return nil, problem.New(problem.NoSuchMessage, "%v", err).From(err)
	case err != nil:
		g.o.Logger.Error("messages for a peer could not be read", "epoch", epoch, "first", first, "error", err)
		return nil, err
	}
	g.o.Logger.Info("gave messages to a peer", "epoch", epoch, "first", first, "last", found[len(found)-1].Sequence)
	out := Given{Ledger: g.o.Ledger.ID(), Messages: make([]Message, len(found))}
	for i := range found {
		out.Messages[i] = messageOf(&found[i])
	}
	return json.Marshal(&out)
}
