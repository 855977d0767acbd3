package door

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"annals/activity"
	"annals/ingest"
	"annals/internal/problem"
	"annals/ledger/chain"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
)

// The subjects of request/reply. Each is served as it is, and with a workspace as a
// token behind it, so that an account can be let in for one workspace alone. They
// lie outside of the stream's: what is asked here is stored nowhere.
const (
	SubjectRecord  = "annals.api.record"
	SubjectReceipt = "annals.api.receipt"
)

// The headers of a request on [SubjectRecord]: what the parameters of HTTP are.
const (
	HeaderWait    = "Annals-Wait"    // recorded, receipt or witnessed
	HeaderPayload = "Annals-Payload" // true or false
)

// ServiceName is what `nats micro ls` shows.
const ServiceName = "annals"

// ServiceOptions of request/reply. All but Version are required, Receipts too.
type ServiceOptions struct {
	// Options are a door's. Publish publishes under `activity.`: see [Serve].
	Options
	// PublishEvent publishes a CloudEvent under `activity.` as it came, with the headers
	// that say what it is, in a message of its own, and returns when the stream has it; see
	// [ingest.PublishMessage]. nil: no event is taken.
	PublishEvent func(ctx context.Context, workspace string, header nats.Header, body []byte) (ingest.Ack, error)
	// Tag gives a workspace's tag.
	Tag func(workspace string) chain.Hash
	// Absent is what the errors of Get and Await wrap when there is no such entry.
	Absent error
	// FoldTimeout is how long a request for a receipt waits for the ledger to fold a
	// message that the stream has; 0: 5 s.
	FoldTimeout time.Duration
	// OnlyKnown gives a receipt to who names the digest of what was published, and to
	// others the answer that there is none. Set it where access is configured: there
	// tiles show entries to auditors alone.
	OnlyKnown bool
	Version   string // of the program
}

// Service answers requests on NATS.
type Service struct {
	door
	o     ServiceOptions
	nc    *nats.Conn
	micro micro.Service

	ctx      context.Context
	cancel   context.CancelFunc
	room     chan struct{} // for records
	receipts room
	end      *end
	mu       sync.Mutex // no request begins once Close has
	running  sync.WaitGroup
}

// Serve answers requests on [SubjectRecord] and [SubjectReceipt] as a NATS micro
// service, until Close.
//
// Who asks can't be told apart, and nothing is seen of them: so nothing is vouched
// for. A record is published under `activity.`, byte for byte, with the same grade
// and the same scope of its id as if its producer had published it there. And
// nobody is told what they don't know already: a receipt shows salt and payload to
// whoever names the digest of what was published. Others see the entry alone, as
// tiles show it to everybody; with [ServiceOptions.OnlyKnown] they see nothing, and
// an entry is not told from none.
func Serve(nc *nats.Conn, o ServiceOptions) (*Service, error) {
	o.Options = o.filled()
	if o.FoldTimeout == 0 {
		o.FoldTimeout = 5 * time.Second
	}
	s := &Service{
		door: door{o: o.Options}, o: o, nc: nc,
		room: make(chan struct{}, maxRecordsAtOnce), receipts: room{all: maxReceiptsAtOnce, each: maxReceiptsOfOne},
		end: newEnd(func(ctx context.Context) (uint64, error) { return ingest.LastSequence(ctx, nc) }),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	var err error
	s.micro, err = micro.AddService(nc, micro.Config{
		Name: ServiceName, Version: semantic(o.Version),
		Description: "An append-only audit ledger: records, and the proofs that they are in it.",
		ErrorHandler: func(_ micro.Service, e *micro.NATSError) {
			o.Logger.Warn("request/reply", "subject", e.Subject, "error", e.Description)
		},
	})
	if err != nil {
		s.cancel()
		return nil, fmt.Errorf("door: serving requests on NATS: %w", err)
	}
	for _, e := range []struct {
		name, subject, about string
		admit                admit
	}{
		{"record", SubjectRecord, "records the request's body, a record that names its workspace", s.recording},
		{"record-in", SubjectRecord + ".*", "records the request's body in the workspace of the subject", s.recording},
		{"receipt", SubjectReceipt, "the receipt of an entry", s.proving},
		{"receipt-in", SubjectReceipt + ".*", "the receipt of an entry of the workspace of the subject", s.proving},
	} {
		err := s.micro.AddEndpoint(e.name, s.handler(e.admit), micro.WithEndpointSubject(e.subject),
			micro.WithEndpointMetadata(map[string]string{"about": e.about}))
		if err != nil {
			s.Close()
			return nil, fmt.Errorf("door: serving %s: %w", e.subject, err)
		}
	}
	// So that whoever is told of the service finds it; a connection that is away at
	// the moment subscribes when it is back.
	_ = nc.FlushTimeout(5 * time.Second)
	return s, nil
}

// Close takes no more requests and waits for those that are being answered.
func (s *Service) Close() {
	_ = s.micro.Stop() // what it may fail at, the connection's end does
	s.mu.Lock()
	s.cancel()
	s.mu.Unlock()
	s.running.Wait()
}

// handler answers each request that has a place in a goroutine of its own, so that
// one that waits for the ledger keeps nobody else waiting.
func (s *Service) handler(admit admit) micro.HandlerFunc {
	return func(r micro.Request) {
		answer, release, err := admit(r)
		switch {
		case err != nil:
			s.refuse(r, err)
			return
		case answer == nil:
			return
		case !s.begin():
			release()
			return
		}
		go func() {
			defer s.running.Done()
			defer release()
			body, media, err := answer(s.ctx)
			if err == nil && int64(len(body)) > s.nc.MaxPayload() {
				err = problem.New(problem.TooLarge, "the answer has %d bytes and the NATS server takes %d in one message; ask without the payload, or over HTTP", len(body), s.nc.MaxPayload())
			}
			if err != nil {
				s.refuse(r, err)
				return
			}
			s.reply(r, nats.Header{"Content-Type": {media}}, body)
		}()
	}
}

// begin counts a request in that is to be answered, unless Close came before it.
func (s *Service) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return false
	}
	s.running.Add(1)
	return true
}

// reply answers. Not through the request: micro looks at what it was answered with as
// soon as its handler returns, which is before that.
func (s *Service) reply(r micro.Request, header nats.Header, body []byte) {
	if r.Reply() == "" {
		return // nobody waits for it
	}
	if err := s.nc.PublishMsg(&nats.Msg{Subject: r.Reply(), Header: header, Data: body}); err != nil {
		s.o.Logger.Warn("a request on NATS was not answered", "subject", r.Subject(), "error", err)
	}
}

// refuse answers with a micro error: its code is the problem's, its body the whole
// problem.
func (s *Service) refuse(r micro.Request, err error) {
	p := *problem.As(err)
	if p.Status >= http.StatusInternalServerError {
		s.o.Logger.Log(s.ctx, slog.LevelError, "a request on NATS failed", "subject", r.Subject(), "error", err)
	}
	body, failed := json.Marshal(&p, json.Deterministic(true))
	if failed != nil {
		p.Items = nil
		body, _ = json.Marshal(&p)
	}
	s.reply(r, nats.Header{
		micro.ErrorHeader: {p.Title}, micro.ErrorCodeHeader: {string(p.Code)}, "Content-Type": {problem.MediaType},
	}, body)
}

// workspaceOf is the workspace that a request's subject names, "" where it names
// none.
func workspaceOf(r micro.Request, subject string) (string, error) {
	workspace, named := strings.CutPrefix(r.Subject(), subject+".")
	if !named {
		return "", nil
	}
	return workspace, legal(workspace)
}

// post records the record that a request is, or the records that it has, one a line
// (Content-Type: application/x-ndjson).
func (s *Service) post(ctx context.Context, r micro.Request) ([]byte, string, error) {
	workspace, err := workspaceOf(r, SubjectRecord)
	if err != nil {
		return nil, "", err
	}
	var wants wants
	for _, p := range []struct{ header, name string }{{HeaderWait, "wait"}, {HeaderPayload, "payload"}} {
		if value := nats.Header(r.Headers()).Get(p.header); value != "" {
			if err := wants.set(p.name, value); err != nil {
				return nil, "", err
			}
		}
	}
	batch, err := s.take(ctx, workspace, nats.Header(r.Headers()), r.Data(), wants)
	if err != nil {
		return nil, "", err
	}
	if s.o.OnlyKnown {
		untell(batch.items, wants)
	}
	body, err := json.Marshal(Answer{batch.items})
	return body, mediaJSON, err
}

// take records what a request is: an event, records a line each, or one record.
// workspace is what the subject names, "" where only the record does.
func (s *Service) take(ctx context.Context, workspace string, header nats.Header, body []byte, wants wants) (*batch, error) {
	if record, is, bad := chain.EventOf(header, body); is {
		return s.event(ctx, workspace, header, body, record, bad, wants)
	}
	bodies, lone := [][]byte{body}, true
	if media := header.Values("Content-Type"); len(media) == 1 && media[0] == mediaNDJSON {
		var err error
		if bodies, err = s.lines(workspace, body, wants); err != nil {
			return nil, err
		}
		lone = false
	} else if workspace == "" {
		workspace = named(body) // what is missing is said of the record
	}
	b := s.held(workspace, bodies, false, func(body []byte, keys *activity.Keys) ([]byte, string) { return body, strings.Clone(keys.ID) })
	return b, s.record(ctx, b, lone, wants)
}

// named is the workspace that a record names, "" where it names none or is none.
func named(record []byte) string {
	var keys activity.Keys
	if activity.Scan(record, &keys) != nil {
		return ""
	}
	return strings.Clone(keys.Workspace)
}

// MaxRequested bounds the records of one request on [SubjectRecord]: what is answered of
// them has to fit into a message.
const MaxRequested = 1000

// lines takes a request apart that has a record a line. All of them are of the workspace
// that the subject names, and are waited for no longer than until they are recorded:
// receipts of many would not fit into one message.
func (s *Service) lines(workspace string, body []byte, wants wants) ([][]byte, error) {
	switch {
	case workspace == "":
		return nil, problem.New("missing_workspace", "name the workspace of the records behind the subject: %s.ws_7", SubjectRecord)
	case wants.wait != "" && wants.wait != waitRecorded:
		return nil, problem.New(problem.BadRequest, "receipts are answered one by one: ask for each record, or wait for recorded")
	}
	return lines(body, MaxRequested)
}

// untell takes out of an answer what it says of others' records: whether the id was
// taken, and by which entry. The record is in the ledger either way. Who asks for the
// receipt gets that of their own entry, whole.
func untell(items []Fate, wants wants) {
	if wants.wait != waitRecorded {
		return
	}
	for i := range items {
		switch item := &items[i]; item.Status {
		case recorded, duplicate, conflict:
			item.Status, item.Kind, item.Ref = recorded, "", nil
			item.Detail = untold
		}
	}
}

// untold is said to who waited for a record on NATS, where access is configured.
const untold = "it is in the ledger; whether as a record, or as a duplicate or conflict of another under its id, is told over HTTP, and by its receipt"

// semantic makes a version that micro takes of the program's: three numbers, and
// whatever follows them.
func semantic(version string) string {
	if v := strings.TrimPrefix(version, "v"); semanticForm.MatchString(v) {
		return v
	}
	return "0.0.0"
}

var semanticForm = regexp.MustCompile(`^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$`)
