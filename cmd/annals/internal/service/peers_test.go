package service

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"annals/cmd/annals/internal/control"
	"annals/cmd/annals/internal/keys"
	"annals/cmd/annals/internal/peer"
	"annals/ingest"
	"annals/ledger"
	"annals/ledger/chain"
	"annals/ledger/proof"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
	"golang.org/x/mod/sumdb/note"
)

const token = "0123456789abcdef0123456789abcdef"

func tokenFile(t *testing.T, token string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// parted are two replicas of one ledger: one that has folded all of a stream, and
// runs, and the options of one whose copy of the stream then lost some messages.
// first is the sequence of nine messages' first; a seed comes behind the third.
func parted(t *testing.T, lose func(first uint64) []uint64) (good *Service, o Options, last uint64) {
	t.Helper()
	o = options(filepath.Join(t.TempDir(), "data"))
	o.PeerToken = tokenFile(t, token)
	o.holeRetry = 20 * time.Millisecond
	first := holed(t, o, 3, func(uint64) []uint64 { return nil })
	l, err := ledger.Open(filepath.Join(o.Data, "ledger"), ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	state := l.Head().State
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	folder, err := keys.Load(filepath.Join(o.Data, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	signer, err := folder.Signer(&state, chain.RoleLedger)
	if err != nil {
		t.Fatal(err)
	}
	onStream(t, o, func(nc *nats.Conn) {
		seed := chain.SealSeed(state.Ledger(), state.Control, state.Seed+1, [32]byte{7}, signer)
		if _, err := ingest.PublishControl(t.Context(), nc, chain.ControlSeed.Subject(), seed, state.ControlSequence); err != nil {
			t.Fatal(err)
		}
		for i := range 5 {
			m := &nats.Msg{Subject: "activity.ws_7._", Data: []byte(recordNamed(fmt.Sprint("more", i))), Header: nats.Header{}}
			if i%2 == 0 { // the last one too
				m.Header["Content-Type"] = []string{chain.NDJSON}
			}
			if _, err := nc.RequestMsg(m, 5*time.Second); err != nil {
				t.Fatal(err)
			}
		}
		if last, err = ingest.LastSequence(t.Context(), nc); err != nil {
			t.Fatal(err)
		}
	})
	good = mustStart(t, copied(t, o))
	eventually(t, "the good replica has it all, and signed it", func() bool {
		signed, ok := good.signer.Latest()
		return ok && good.ledger.Head().State.Sequence > last && signed.Size == good.ledger.Head().Size
	})
	onStream(t, o, func(nc *nats.Conn) { deleteMessages(t, nc, lose(first)...) })
	return good, o, last
}

// reaching is how many of a ledger's entries are of messages up to a sequence.
func reaching(t *testing.T, l *ledger.Ledger, last uint64) (size uint64) {
	t.Helper()
	for leaf, err := range l.Leaves(t.Context(), 0, l.Head().Size) {
		if err != nil {
			t.Fatal(err)
		}
		if leaf.Entry.Sequence <= last {
			size++
		}
	}
	return size
}

// TestRepairedFromPeer: what no copy of the stream has is taken from another
// replica's ledger, whatever it is, and the same root comes of it. Peers that are
// down, or lie, are passed over.
func TestRepairedFromPeer(t *testing.T) {
	for _, c := range []struct {
		name string
		lose func(first uint64) []uint64
	}{
		{"one", func(first uint64) []uint64 { return []uint64{first} }},
		{"lines", func(first uint64) []uint64 { return []uint64{first + 1} }},
		{"a seed among others", func(first uint64) []uint64 { return []uint64{first + 2, first + 3, first + 4} }},
		{"at the end", func(first uint64) []uint64 { return []uint64{first + 6, first + 7, first + 8} }},
		{"all", func(first uint64) (all []uint64) {
			for i := range uint64(9) {
				all = append(all, first+i)
			}
			return all
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			good, o, last := parted(t, c.lose)
			down := httptest.NewServer(nil)
			down.Close()
			liar := before(t, good, altering(func(m []peer.Message) { m[0].Time++ }))
			o.Peers = []string{down.URL, liar, good.URL()}
			s := mustStart(t, o)
			eventually(t, "all is folded", func() bool { return s.ledger.Head().State.Sequence >= last })
			eventually(t, "ready", func() bool { return s.Ready(t.Context()) == nil })
			size := reaching(t, good.ledger, last)
			want, err := good.ledger.RootAt(size)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := s.ledger.RootAt(size); err != nil || got != want {
				t.Errorf("it has the root %s at %d, %v; the peer has %s", got, size, err, want)
			}
			if n := s.pump.repaired.Load(); n == 0 {
				t.Error("nothing was repaired")
			}
			if status, body := post(t, s, "after"); status != http.StatusOK {
				t.Errorf("recording after the repair: %d %s", status, body)
			}
			clean(t, s)
			mustClose(t, s)
			s = mustStart(t, o) // and it knows its stream again
			eventually(t, "ready again", func() bool { return s.Ready(t.Context()) == nil })
		})
	}
}

// before is a server that hands a service's answers on, changed.
func before(t *testing.T, s *Service, change func(path string, body []byte) []byte) string {
	t.Helper()
	to, err := url.Parse(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.ModifyResponse = func(res *http.Response) error {
		body, err := io.ReadAll(res.Body)
		if err != nil {
			return err
		}
		body = change(res.Request.URL.Path, body)
		res.Body = io.NopCloser(strings.NewReader(string(body)))
		res.ContentLength = int64(len(body))
		res.Header.Set("Content-Length", fmt.Sprint(len(body)))
		return nil
	}
	srv := httptest.NewServer(proxy)
	t.Cleanup(srv.Close)
	return srv.URL
}

// altering changes the messages that a peer gives.
func altering(change func([]peer.Message)) func(string, []byte) []byte {
	return func(path string, body []byte) []byte {
		if path != peer.Path {
			return body
		}
		var answer peer.Given
		if err := json.Unmarshal(body, &answer); err != nil {
			return body
		}
		change(answer.Messages)
		body, _ = json.Marshal(&answer)
		return body
	}
}

// showing puts another checkpoint in the place of a peer's.
func showing(n []byte) func(string, []byte) []byte {
	return func(path string, body []byte) []byte {
		if path == "/checkpoint" {
			return n
		}
		return body
	}
}

// signed is a checkpoint of a service's ledger, by its own key, that it never signed.
func signed(t *testing.T, s *Service, size uint64, root chain.Hash) []byte {
	t.Helper()
	state := s.ledger.Head().State
	signers, err := s.keys.InForce(state.Keys(), chain.RoleCheckpoint, size)
	if err != nil {
		t.Fatal(err)
	}
	c := proof.Checkpoint{Origin: s.ledger.Genesis().Origin, Size: size, Root: root}
	var by []note.Signer
	for _, k := range signers {
		signer, err := k.Note(c.Origin)
		if err != nil {
			t.Fatal(err)
		}
		by = append(by, signer)
	}
	n, err := note.Sign(&note.Note{Text: c.Text()}, by...)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestLyingPeers: each lie has its own name, and nothing comes of it: no entry, no
// folder, no stop.
func TestLyingPeers(t *testing.T) {
	good, o, last := parted(t, func(first uint64) []uint64 { return []uint64{first + 1, first + 2} })
	o.holeRetry = time.Hour
	s := mustStart(t, o)
	atHole(t, s)
	head := s.ledger.Head()
	hole := s.pump.hole.Load()

	other := options(filepath.Join(t.TempDir(), "other"))
	other.PeerToken = o.PeerToken
	stranger := mustStart(t, other)
	other = options(filepath.Join(t.TempDir(), "namesake"))
	other.PeerToken, other.Origin = o.PeerToken, s.ledger.Genesis().Origin
	namesake := mustStart(t, other)
	mute := options(filepath.Join(t.TempDir(), "mute"))
	mute.Data = copied(t, good.o).Data
	gives := mustStart(t, mute) // without a token

	end := reaching(t, good.ledger, last)
	endRoot, err := good.ledger.RootAt(head.Size + 1)
	if err != nil {
		t.Fatal(err)
	}
	latest, _ := good.signer.Latest()
	unsigned := []byte(strings.Replace(string(latest.Note), "\n\n\u2014 ", "\n\n\u2014 x", 1))
	own, err := os.ReadFile(filepath.Join(o.Data, "checkpoint"))
	if err != nil {
		t.Fatal(err)
	}
	honest := func(_ string, body []byte) []byte { return body }
	body := altering(func(m []peer.Message) { m[1].Body[len(m[1].Body)-3] ^= 1 })
	for _, c := range []struct {
		name  string
		where string
		token string
		want  error
	}{
		{"a byte of a record", before(t, good, body), token, peer.ErrAltered},
		{"the time of a message", before(t, good, altering(func(m []peer.Message) { m[0].Time-- })), token, peer.ErrAltered},
		{"another workspace", before(t, good, altering(func(m []peer.Message) { m[1].Subject = []byte("activity.ws_8.app.renamed") })), token, peer.ErrAltered},
		{"a header more", before(t, good, altering(func(m []peer.Message) {
			m[1].Headers = append(m[1].Headers, peer.Header{Name: []byte("ce-id"), Value: []byte("1")})
		})), token, peer.ErrAltered},
		{"lines torn apart", before(t, good, altering(func(m []peer.Message) { m[0].Body = append(m[0].Body, '\n') })), token, peer.ErrAltered},
		{"another place", before(t, good, altering(func(m []peer.Message) { m[0].Sequence++ })), token, peer.ErrAltered},
		{"another order", before(t, good, altering(func(m []peer.Message) {
			m[0].Body, m[1].Body, m[0].Headers, m[1].Headers = m[1].Body, m[0].Body, m[1].Headers, m[0].Headers
		})), token, peer.ErrAltered},
		{"no message", before(t, good, func(path string, body []byte) []byte {
			if path == peer.Path {
				return fmt.Appendf(nil, `{"ledger":%q,"messages":[]}`, s.ledger.ID())
			}
			return body
		}), token, peer.ErrAltered},
		{"a root that its tiles don't show", before(t, good, showing(signed(t, good, latest.Size, chain.Hash{1}))), token, peer.ErrTree},
		{"no signature", before(t, good, showing(unsigned)), token, peer.ErrSigned},
		{"no checkpoint at all", before(t, good, showing([]byte("trust me\n"))), token, peer.ErrSigned},
		{"an old checkpoint", before(t, good, showing(own)), token, peer.ErrOlder},
		{"a checkpoint that covers too little", before(t, good, showing(signed(t, good, head.Size+1, endRoot))), token, peer.ErrOlder},
		{"another ledger", stranger.URL(), token, peer.ErrOther},
		{"another ledger of the same name", namesake.URL(), token, peer.ErrSigned},
		{"another ledger's messages", before(t, good, func(path string, body []byte) []byte {
			if path != peer.Path {
				return body
			}
			return []byte(strings.Replace(string(body), s.ledger.ID().String(), stranger.ledger.ID().String(), 1))
		}), token, peer.ErrOther},
		{"gives to nobody", gives.URL(), token, peer.ErrLacks},
		{"knows us not", good.URL(), strings.Repeat("x", 40), peer.ErrToken},
		{"none", before(t, good, honest), token, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			shown, err := peer.ReadToken(tokenFile(t, c.token))
			if err != nil {
				t.Fatal(err)
			}
			p, err := peer.New(c.where, shown)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close() //nolint:errcheck // connections
			found, err := p.Find(t.Context(), s.ledger, hole.Last(), filepath.Join(o.Data, trialFolder))
			if !errors.Is(err, c.want) || c.want == nil && err != nil {
				t.Errorf("got %v, want %v", err, c.want)
			}
			for _, name := range []error{peer.ErrAltered, peer.ErrTree, peer.ErrSigned, peer.ErrOlder, peer.ErrOther, peer.ErrLacks, peer.ErrToken} {
				if name != c.want && errors.Is(err, name) {
					t.Errorf("%v is %v as well", err, name)
				}
			}
			if c.want == nil && (len(found.Messages) != 2 || found.Head.Size > end) {
				t.Errorf("found %d messages, up to size %d", len(found.Messages), found.Head.Size)
			}
			if now := s.ledger.Head(); now.Size != head.Size || now.Root != head.Root || s.ledger.Err() != nil {
				t.Errorf("the ledger has %d entries, %v; had %d", now.Size, s.ledger.Err(), head.Size)
			}
			if _, err := os.Lstat(filepath.Join(o.Data, trialFolder)); err == nil {
				t.Error("the trial's folder is still there")
			}
		})
	}
}

// TestPeerOfAnotherHistory: two heads that are both signed for stop a replica at its
// hole. Nothing is taken, and the other's checkpoint is kept.
func TestPeerOfAnotherHistory(t *testing.T) {
	o := options(filepath.Join(t.TempDir(), "data"))
	o.PeerToken = tokenFile(t, token)
	o.holeRetry = 20 * time.Millisecond
	holed(t, o, 0, func(uint64) []uint64 { return nil })
	forked := mustStart(t, copied(t, o)) // it signs and records on its own from here on
	for i := range 20 {
		if status, body := post(t, forked, fmt.Sprint("other", i)); status != http.StatusOK {
			t.Fatal(status, body)
		}
	}
	allSigned(t, forked)
	holed(t, o, 6, func(first uint64) []uint64 { return []uint64{first + 2} })
	o.Peers = []string{forked.URL()}
	s := mustStart(t, o)
	eventually(t, "recording stops", func() bool { return s.pump.stopped() != nil })
	if err := s.Ready(t.Context()); !errors.As(err, new(*peer.ForkError)) {
		t.Errorf("stopped because of %v", err)
	}
	if err := s.pump.check(t.Context()); err == nil {
		t.Error("a signer would sign")
	}
	kept, err := os.ReadFile(filepath.Join(o.Data, forkFile))
	latest, _ := forked.signer.Latest()
	if err != nil || !strings.Contains(string(kept), string(latest.Note)) || !strings.Contains(string(kept), s.ledger.Head().Root.String()) {
		t.Errorf("the evidence is %s, %v", kept, err)
	}
	size := s.ledger.Head().Size
	if status, body := post(t, s, "more"); status == http.StatusOK || s.ledger.Head().Size != size {
		t.Errorf("recording beside another history: %d %s", status, body)
	}
	clean(t, s)
}

// TestPeersInVain: where no peer has it, the hole says which were asked, and the
// operator's gap is what is left.
func TestPeersInVain(t *testing.T) {
	good, o, _ := parted(t, func(first uint64) []uint64 { return []uint64{first + 1} })
	mustClose(t, good)
	o.Peers = []string{good.URL()}
	s := mustStart(t, o)
	atHole(t, s)
	eventually(t, "it says whom it asked", func() bool {
		err := s.Ready(t.Context())
		return err != nil && strings.Contains(err.Error(), "peer ledger "+good.URL())
	})
	if _, err := control.Submit(t.Context(), asking(t, s), sealGap(t, s, atHole(t, s))); err != nil {
		t.Fatal(err)
	}
	eventually(t, "ready", func() bool { return s.Ready(t.Context()) == nil })
	clean(t, s)
}
