package service

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"annals/cmd/annals/internal/client"
	"annals/cmd/annals/internal/control"
	"annals/ingest"
	"annals/ledger/chain"

	"github.com/nats-io/nats.go"
)

// The users of whom something is destroyed in these tests, and one who stays.
const (
	erasedUser, expiredUser, stayingUser = "usr-dana-4711", "usr-old-4712", "usr-carl-4713"
)

// filled records what is to be destroyed, and a rule that lets some of it go at once.
func filled(t *testing.T, s *Service) {
	t.Helper()
	for _, user := range []string{erasedUser, expiredUser, stayingUser, erasedUser} {
		record := told(user)
		if user == expiredUser {
			record = strings.Replace(record, "app.renamed", "app.created", 1)
		}
		publishRecord(t, s, record)
	}
	rule := chain.Retention{Role: chain.RoleOperator, Workspace: s.ledger.Tag("ws_7"), Types: "app.created", Period: 1}
	submitUntil(t, s, func(at *control.Standing) []byte {
		return chain.SealRetention(at.Ledger, at.Control, rule, "", operator(t, s))
	})
}

// submitUntil submits a statement until it is one that came first.
func submitUntil(t *testing.T, s *Service, seal func(at *control.Standing) []byte) control.Answer {
	t.Helper()
	answer, err := unraced(func() (control.Answer, error) {
		at, err := control.Look(t.Context(), asking(t, s))
		if err != nil {
			return control.Answer{}, err
		}
		return control.Submit(t.Context(), asking(t, s), seal(at))
	})
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// unraced submits again while another control message came first.
func unraced(submit func() (control.Answer, error)) (control.Answer, error) {
	for {
		answer, err := submit()
		var p *client.Problem
		if !errors.As(err, &p) || p.Code != "control_raced" {
			return answer, err
		}
	}
}

// destroy erases one user's records, and has the other's expire.
func destroy(t *testing.T, s *Service) {
	t.Helper()
	eraseUser(t, s, erasedUser)
	var index, rule uint64
	for leaf, err := range s.ledger.Leaves(t.Context(), 0, s.ledger.Head().Size) {
		if err != nil {
			t.Fatal(err)
		}
		if leaf.Payload != nil && leaf.Entry.Kind == chain.KindRecord && strings.Contains(string(leaf.Payload.Body), expiredUser) {
			index = leaf.Entry.Index
		}
		if leaf.Entry.Kind == chain.KindControl && leaf.Entry.Code == uint16(chain.ControlRetention) {
			rule = leaf.Entry.Index
		}
	}
	e := chain.Erase{
		Role: chain.RoleLedger, Reason: chain.EraseExpired, Rule: rule, Workspace: s.ledger.Tag("ws_7"),
		Parts: 1, Ranges: []chain.Range{{From: index, To: index + 1}},
	}
	e.Leaves, _ = chain.SelectionHash(s.ledger.ID(), e.Workspace, e.Ranges, func(index uint64) (chain.Hash, error) {
		_, hash, err := s.ledger.Get(index)
		return hash, err
	})
	e.Selection = e.Leaves
	// Until it is due by the stream's clock, which nothing turns, it is a rejection.
	eventually(t, "the record expired", func() bool {
		head := s.ledger.Head()
		keeper, err := s.keys.Signer(&head.State, chain.RoleLedger)
		if err != nil {
			t.Fatal(err)
		}
		body := chain.SealExpiry(s.ledger.ID(), head.State.Control, head.Size, head.Root, e, keeper)
		if sequence, err := ingest.PublishControl(t.Context(), s.line.nc, chain.ControlExpire.Subject(), body, head.State.ControlSequence); err == nil {
			if _, err := s.ledger.Await(t.Context(), sequence, 0); err != nil {
				t.Fatal(err)
			}
		}
		leaf, _, err := s.ledger.Get(index)
		return err == nil && leaf.Payload == nil
	})
}

// goneOnceReady asks until the service says that it is ready, and then at once for all
// that was destroyed: nothing of it is there.
func goneOnceReady(t *testing.T, s *Service) {
	t.Helper()
	eventually(t, "ready", func() bool {
		status, _ := ask(t, s, http.MethodGet, "/readyz")
		return status == http.StatusOK
	})
	for _, user := range []string{erasedUser, expiredUser} {
		for _, path := range []string{
			"/users/" + user + "/timeline?kind=record,conflict,duplicate", "/objects/app/app-of-" + user + "/history", "/timeline?session=session-of-" + user,
		} {
			if status, body := ask(t, s, http.MethodGet, "/v1/workspaces/ws_7"+path); status != http.StatusOK || !strings.Contains(body, `"records":[],"total":0`) {
				t.Errorf("%s: %d %s", path, status, body)
			}
		}
		if _, body := ask(t, s, http.MethodGet, "/v1/workspaces/ws_7/timeline?limit=100&kind=record,conflict,duplicate"); strings.Contains(body, user) {
			t.Errorf("the timeline shows %s: %s", user, body)
		}
	}
	if _, body := ask(t, s, http.MethodGet, "/v1/workspaces/ws_7/users/"+stayingUser+"/timeline"); !strings.Contains(body, `"total":1`) {
		t.Errorf("of somebody else: %s", body)
	}
	left := map[string]bool{}
	for leaf, err := range s.ledger.Leaves(t.Context(), 0, s.ledger.Head().Size) {
		if err != nil {
			t.Fatal(err)
		}
		for _, user := range []string{erasedUser, expiredUser, stayingUser} {
			if leaf.Payload != nil && strings.Contains(string(leaf.Payload.Body), user) {
				left[user] = true
			}
		}
	}
	if left[erasedUser] || left[expiredUser] || !left[stayingUser] {
		t.Errorf("payloads are there of %v", left)
	}
}

// mixed is a copy of a folder, some parts of which are an earlier copy's; of "" there
// are none.
func mixed(t *testing.T, now Options, parts map[string]string) Options {
	t.Helper()
	o := copied(t, now)
	for part, from := range parts {
		if err := os.RemoveAll(filepath.Join(o.Data, part)); err != nil {
			t.Fatal(err)
		}
		if from == "" {
			continue
		}
		if err := os.CopyFS(filepath.Join(o.Data, part), os.DirFS(filepath.Join(from, part))); err != nil {
			t.Fatal(err)
		}
	}
	return o
}

// TestErasedBeforeReady: a service that is restarted, or restored from a backup of any
// of its parts, and finds erasures and expiries in its stream that its ledger or its
// indexes have not folded, is not ready before they have.
func TestErasedBeforeReady(t *testing.T) {
	o := options(filepath.Join(t.TempDir(), "data"))
	o.Trim.Off = true
	o.scrubEvery = 10 * time.Millisecond
	s := mustStart(t, o)
	filled(t, s)
	if err := s.projections.Wait(t.Context(), s.ledger.Head().Size); err != nil {
		t.Fatal(err)
	}
	mustClose(t, s)
	before := copied(t, o).Data
	s = mustStart(t, o)
	destroy(t, s)
	scrubbed(t, s)
	mustPost(t, s, "later", 3)
	mustClose(t, s)
	for name, parts := range map[string]map[string]string{
		"restarted":                          {},
		"the ledger from a backup":           {"ledger": before},
		"ledger and indexes from a backup":   {"ledger": before, "projections": before},
		"the indexes from a backup":          {"projections": before},
		"the ledger from one, no indexes":    {"ledger": before, "projections/1": "", "projections/SERVING": ""},
		"from a backup, without its own key": {"ledger": before, "projections": before, "keys/ledger": ""},
	} {
		t.Run(name, func(t *testing.T) {
			o := mixed(t, o, parts)
			s := mustStart(t, o)
			goneOnceReady(t, s)
			clean(t, s)
			scrubbed(t, s)
			for _, user := range []string{erasedUser, expiredUser} {
				if found := holding(t, o.Data, user); len(found) > 0 {
					t.Errorf("%s still stands in %v", user, found)
				}
			}
		})
	}
}

// TestErasedBeforeReadyFromPeer: where the stream has lost the erasure, and it comes
// from another replica's ledger.
func TestErasedBeforeReadyFromPeer(t *testing.T) {
	o := options(filepath.Join(t.TempDir(), "data"))
	o.Trim.Off = true
	o.PeerToken = tokenFile(t, token)
	o.holeRetry, o.scrubEvery = 20*time.Millisecond, time.Hour // the messages stay
	s := mustStart(t, o)
	filled(t, s)
	mustClose(t, s)
	before := copied(t, o).Data
	s = mustStart(t, o)
	first := s.ledger.Head().State.Sequence + 1
	destroy(t, s)
	last := s.ledger.Head().State.Sequence
	mustPost(t, s, "later", 3)
	mustClose(t, s)
	behind := mixed(t, o, map[string]string{"ledger": before, "projections": before})
	good := mustStart(t, o)
	allSigned(t, good)
	var lost []uint64
	for sequence := first; sequence <= last; sequence++ {
		lost = append(lost, sequence)
	}
	onStream(t, behind, func(nc *nats.Conn) { deleteMessages(t, nc, lost...) })
	behind.Peers = []string{good.URL()}
	s = mustStart(t, behind)
	goneOnceReady(t, s)
	if s.pump.repaired.Load() == 0 {
		t.Error("nothing came from the peer")
	}
	clean(t, s)
}

// TestErasedBeforeReadyReplicated: a replica that was away while another one erased.
func TestErasedBeforeReadyReplicated(t *testing.T) {
	o, _ := onCluster(t)
	s := mustStart(t, o)
	filled(t, s)
	if err := s.projections.Wait(t.Context(), s.ledger.Head().Size); err != nil {
		t.Fatal(err)
	}
	mustClose(t, s)
	other := copied(t, o)
	names := []string{"a", "b"}
	o.Trim = Trim{Margin: 1000, Replica: "a", Replicas: names, every: 10 * time.Millisecond}
	other.Trim = Trim{Margin: 1000, Replica: "b", Replicas: names, every: 10 * time.Millisecond}
	o.scrubEvery, other.scrubEvery = 10*time.Millisecond, 10*time.Millisecond
	s = mustStart(t, o)
	destroy(t, s)
	mustPost(t, s, "later", 3)
	away := mustStart(t, other)
	goneOnceReady(t, away)
	clean(t, away)
	eventually(t, "the two agree", func() bool { return s.ledger.Head().Root == away.ledger.Head().Root })
	scrubbed(t, s)
	scrubbed(t, away)
	for _, data := range []string{o.Data, other.Data} {
		for _, user := range []string{erasedUser, expiredUser} {
			if found := holding(t, data, user); len(found) > 0 {
				t.Errorf("%s still stands in %v", user, found)
			}
		}
	}
}
