package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"annals/cmd/annals/internal/audit"
	"annals/cmd/annals/internal/keys"
	"annals/internal/problem"
	"annals/ledger"
	"annals/ledger/chain"
	"annals/ledger/proof"
	"annals/ledger/proof/tiles"

	"github.com/go-json-experiment/json"
)

const (
	// askTimeout bounds one answer of a peer, which may be down.
	askTimeout = 15 * time.Second
	// maxBytes bounds an answer: its bodies, and one that is larger, in base64.
	maxBytes = 256 << 20
)

// What a peer may be refused for. Each says what is wrong with the peer, or with how
// it is asked, and nothing of the hole: the next rung may have what is missing.
var (
	ErrToken   = errors.New("it doesn't know this replica by its token: give both the same --peer-token")
	ErrOther   = errors.New("it is of another ledger")
	ErrSigned  = errors.New("its checkpoint is not signed by a key of this ledger")
	ErrOlder   = errors.New("its checkpoint is older than what is needed")
	ErrTree    = errors.New("its tiles don't show the tree that it signed")
	ErrAltered = errors.New("what it gave is not what it signed")
	ErrLacks   = errors.New("it has not got it")
)

// ForkError says that a peer's checkpoint, signed by a key of this ledger, is of
// another history: two heads, both signed for.
type ForkError struct {
	Peer  string
	Size  uint64     // this ledger's, or less: where the two differ
	Root  chain.Hash // this ledger's there
	Other proof.Checkpoint
}

func (e *ForkError) Error() string {
	return fmt.Sprintf("TWO HISTORIES OF THIS LEDGER: the peer %s shows a signed checkpoint of size %d with root %s, and that tree does not begin with this ledger's root %s at size %d: "+
		"nothing was taken from it, and nothing more is recorded or signed here; keep both folders, they are evidence, and compare each with a head that was kept outside",
		e.Peer, e.Other.Size, e.Other.Root, e.Root, e.Size)
}

// Peer is another replica's server.
type Peer struct {
	base  *url.URL
	token Token
	place *tiles.Place
	http  *http.Client
}

// New names a peer by the URL of its API. A token is not sent where others could
// read it on the way.
func New(where string, token Token) (*Peer, error) {
	u, err := url.Parse(where)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("a peer is named by the URL of its server, such as https://b.example.com, unlike %q", where)
	}
	if u.Scheme == "http" && !loopback(u.Hostname()) {
		return nil, fmt.Errorf("the peer %s would get the token in clear, and send what is secret in messages in clear: name it by https://, or by a tunnel's address on this machine", where)
	}
	u.Path = strings.TrimRight(u.Path, "/")
	place, err := tiles.Open(u.String(), tiles.Options{Token: token.text, Attempts: 2, Limit: askTimeout})
	if err != nil {
		return nil, err
	}
	return &Peer{base: u, token: token, place: place, http: &http.Client{
		Timeout: askTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// String is the peer's URL.
func (p *Peer) String() string { return p.base.Redacted() }

// Close lets go of connections.
func (p *Peer) Close() error {
	p.http.CloseIdleConnections()
	return p.place.Close()
}

// Found are messages that a peer gave, and the head that they make of the ledger.
type Found struct {
	Messages []chain.Message
	Head     ledger.Head
}

// Find asks the peer for the messages that follow the ledger's last one, up to last.
// What it returns was folded on trial, in a folder that it makes in scratch and
// removes: the root is the one that the peer's checkpoint has at that size. Nothing
// is appended. Errors wrap one of this package, are a *[ForkError], or say that the
// peer could not be asked.
func (p *Peer) Find(ctx context.Context, l *ledger.Ledger, last uint64, scratch string) (Found, error) {
	head := l.Head()
	signed, err := p.checkpoint(ctx, l, &head)
	if err != nil {
		return Found{}, err
	}
	messages, err := p.messages(ctx, l.ID(), head.State.Epoch, head.State.Sequence+1, last)
	if err != nil {
		return Found{}, err
	}
	trial, err := l.Trial(ctx, scratch, messages)
	switch {
	case err != nil && l.Err() == nil && ctx.Err() == nil:
		return Found{}, fmt.Errorf("%w: the ledger would not fold it: %w", ErrAltered, err)
	case err != nil:
		return Found{}, err
	case trial.State.Epoch != head.State.Epoch || trial.State.Sequence != messages[len(messages)-1].Sequence:
		return Found{}, fmt.Errorf("%w: folded, it leads to message %d of epoch %d", ErrAltered, trial.State.Sequence, trial.State.Epoch)
	case trial.Size > signed.Size:
		return Found{}, fmt.Errorf("%w: it has %d entries, and what it gave makes %d", ErrOlder, signed.Size, trial.Size)
	}
	err = p.place.At(signed).Begins(ctx, proof.Checkpoint{Origin: signed.Origin, Size: trial.Size, Root: trial.Root})
	if errors.Is(err, proof.ErrProof) {
		return Found{}, fmt.Errorf("%w: %w", ErrAltered, err)
	}
	if err != nil {
		return Found{}, fmt.Errorf("%w: %w", ErrTree, err)
	}
	return Found{Messages: messages, Head: trial}, nil
}

// checkpoint returns the peer's checkpoint, if it is of this ledger, by its keys, and
// goes on from what the ledger has.
func (p *Peer) checkpoint(ctx context.Context, l *ledger.Ledger, head *ledger.Head) (proof.Checkpoint, error) {
	key, err := keyOf(l.Genesis().Origin, head)
	if err != nil {
		return proof.Checkpoint{}, err
	}
	signed, _, err := audit.Open(ctx, p.place, key)
	switch {
	case errors.Is(err, proof.ErrOrigin):
		return signed, fmt.Errorf("%w: %w", ErrOther, err)
	case errors.Is(err, chain.ErrSignature), errors.Is(err, chain.ErrUnknownKey), errors.Is(err, proof.ErrNote):
		return signed, fmt.Errorf("%w: %w", ErrSigned, err)
	case err != nil:
		return signed, err
	}
	fork := &ForkError{Peer: p.String(), Size: head.Size, Root: head.Root, Other: signed}
	if signed.Size <= head.Size {
		if fork.Root, err = l.RootAt(signed.Size); err != nil {
			return signed, err
		}
		if fork.Size = signed.Size; fork.Root != signed.Root {
			return signed, fork
		}
		return signed, fmt.Errorf("%w: it has %d entries, this ledger %d", ErrOlder, signed.Size, head.Size)
	}
	err = p.place.At(signed).Begins(ctx, proof.Checkpoint{Origin: signed.Origin, Size: head.Size, Root: head.Root})
	switch {
	case errors.Is(err, proof.ErrProof):
		return signed, fork
	case err != nil:
		return signed, fmt.Errorf("%w: %w", ErrTree, err)
	}
	return signed, nil
}

// keyOf is the key by which the ledger's checkpoints are judged where it stands. The
// peer's may be by one that came later; its key history leads there from this one.
func keyOf(origin string, head *ledger.Head) (string, error) {
	for _, span := range head.State.Keys() {
		if span.Roles&chain.RoleCheckpoint != 0 && span.Algorithm == chain.AlgorithmEd25519 && span.InForce(head.Size) {
			return keys.VKey(origin, span.Key), nil
		}
	}
	return "", fmt.Errorf("the ledger has no key in force for checkpoints at size %d, so a peer's can't be judged", head.Size)
}

// messages asks for messages.
func (p *Peer) messages(ctx context.Context, id chain.Hash, epoch uint32, first, last uint64) ([]chain.Message, error) {
	where := fmt.Sprintf("%s%s?epoch=%d&first=%d&last=%d", p.base, Path, epoch, first, last)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, where, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+p.token.text)
	res, err := p.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxBytes+1))
	switch {
	case err != nil:
		return nil, err
	case len(body) > maxBytes:
		return nil, fmt.Errorf("its answer has more than %d bytes", maxBytes)
	case res.StatusCode != http.StatusOK:
		return nil, refusal(res, body)
	}
	var answer Given
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("its answer does not parse: %w", err)
	}
	if answer.Ledger != id {
		return nil, fmt.Errorf("%w: its id is %s, not %s", ErrOther, answer.Ledger, id)
	}
	if len(answer.Messages) == 0 {
		return nil, fmt.Errorf("%w: its answer is empty", ErrAltered)
	}
	out := make([]chain.Message, len(answer.Messages))
	for i := range answer.Messages {
		out[i] = answer.Messages[i].message()
		if due := first + uint64(i); out[i].Sequence != due || due > last {
			return nil, fmt.Errorf("%w: message %d was asked for, and it gave %d", ErrAltered, due, out[i].Sequence)
		}
	}
	return out, nil
}

// refusal reads why a peer gave nothing.
func refusal(res *http.Response, body []byte) error {
	var said struct {
		Code   problem.Code `json:"code"`
		Detail string       `json:"detail"`
	}
	_ = json.Unmarshal(body, &said) // whatever else answers there says it with its status
	switch said.Code {
	case problem.WrongToken:
		return ErrToken
	case problem.NoSuchMessage:
		return fmt.Errorf("%w: %s", ErrLacks, said.Detail)
	case problem.NoSuchPath:
		return fmt.Errorf("%w: it gives messages to nobody; start it with --peer-token", ErrLacks)
	}
	return fmt.Errorf("it answers %s %s", res.Status, said.Detail)
}
