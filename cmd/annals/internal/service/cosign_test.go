package service

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"annals/cmd/annals/internal/datadir"
	"annals/cmd/annals/internal/keys"
	"annals/cmd/annals/internal/witness"
	"annals/ledger/chain"
	"annals/ledger/proof"
)

// witnessed is a service whose checkpoints a witness cosigns, while the test lets it.
type witnessed struct {
	*Service
	o      Options
	vkey   string // the ledger's
	policy *proof.Policy
}

// mustWitness starts a service, and it again with a witness behind a gate.
func mustWitness(t *testing.T, gate http.HandlerFunc) *witnessed {
	t.Helper()
	w := &witnessed{o: options(filepath.Join(t.TempDir(), "data"))}
	s := mustStart(t, w.o)
	for _, span := range func() []chain.KeySpan { state := s.Ledger().Head().State; return state.Keys() }() {
		if span.Roles == chain.RoleCheckpoint {
			w.vkey = keys.VKey(s.Ledger().Genesis().Origin, span.Key)
		}
	}
	mustClose(t, s)
	one, err := witness.Open(witness.Options{Path: filepath.Join(t.TempDir(), "witness"), Name: "witness.example/w1", Logs: []string{w.vkey}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := one.Close(); err != nil {
			t.Error(err)
		}
	})
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if gate != nil {
			gate(rw, r)
		}
		one.Handler().ServeHTTP(rw, r)
	}))
	t.Cleanup(server.Close)
	w.policy, err = proof.ParsePolicy([]byte("log " + w.vkey + "\nwitness w1 " + one.VKey() + " " + server.URL + "\nquorum w1\n"))
	if err != nil {
		t.Fatal(err)
	}
	w.o.Witnesses = w.policy
	w.Service = mustStart(t, w.o)
	return w
}

// TestWitnessed: what is recorded is witnessed a moment later, receipts say so and
// prove it, and the next mark commits to what was cosigned.
func TestWitnessed(t *testing.T) {
	w := mustWitness(t, nil)
	ring, err := proof.NewKeyring(w.vkey)
	if err != nil {
		t.Fatal(err)
	}
	status, body := post(t, w.Service, "one")
	if status != 200 {
		t.Fatal(status, body)
	}
	size := w.Ledger().Head().Size
	if _, err := w.cosigner.Await(t.Context(), size); err != nil {
		t.Fatal(err)
	}
	receipts, grade, err := w.api.Receipts(t.Context(), []uint64{size - 1}, true, proof.Recorded)
	if err != nil || grade != proof.Witnessed {
		t.Fatal(grade, err)
	}
	if proven, err := receipts[0].VerifyWitnessed(ring, w.policy); err != nil || proven.Grade != proof.Witnessed {
		t.Errorf("the receipt proves %s, %v", proven.Grade, err)
	}
	cosigned, note := w.cosigner.Witnessed()
	if err := w.keeper.Mark(t.Context()); err != nil {
		t.Fatal(err)
	}
	for index := w.Ledger().Head().Size; ; index-- {
		leaf, _, err := w.Ledger().Get(index - 1)
		if err != nil {
			t.Fatal(err)
		}
		if leaf.Entry.Kind != chain.KindControl || chain.ControlType(leaf.Entry.Code) != chain.ControlMark {
			continue
		}
		c, err := leaf.Entry.Control()
		if err != nil {
			t.Fatal(err)
		}
		mark, err := chain.ParseMark(c.Statement.Body)
		if err != nil {
			t.Fatal(err)
		}
		// A checkpoint may have been cosigned between the asking and the marking.
		now, later := w.cosigner.Witnessed()
		if mark.CosignedSize > c.Statement.Size ||
			!(mark.CosignedSize == cosigned && mark.CosignedHash == sha256.Sum256(note) || mark.CosignedSize == now && mark.CosignedHash == sha256.Sum256(later)) {
			t.Errorf("the mark speaks of %d cosigned entries of %d, hash %s; %d were", mark.CosignedSize, c.Statement.Size, mark.CosignedHash, cosigned)
		}
		break
	}
	// Over a restart nothing is lost.
	size, _ = w.cosigner.Witnessed()
	mustClose(t, w.Service)
	w.Service = mustStart(t, w.o)
	if _, err := w.cosigner.Await(t.Context(), size); err != nil {
		t.Error(err)
	}
	for _, name := range []string{datadir.Witnessed} {
		if d, err := datadir.Look(w.o.Data); err != nil || d.State != datadir.Whole {
			t.Errorf("%s beside the parts: %v", name, err)
		}
	}
}

// TestWitnessStalls: with a witness that takes requests and answers none, everything
// goes on, and who waits for it gets the lower grade.
func TestWitnessStalls(t *testing.T) {
	stalled, release := make(chan struct{}), make(chan struct{})
	first := true
	w := mustWitness(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if first {
			first = false
			close(stalled)
		}
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	defer close(release)
	<-stalled
	for _, id := range []string{"one", "two", "three"} {
		if status, body := post(t, w.Service, id); status != 200 || !strings.Contains(body, `"recorded"`) {
			t.Fatal(status, body)
		}
		size := w.Ledger().Head().Size
		if _, err := w.signer.Await(t.Context(), size); err != nil {
			t.Fatalf("signing waits for a witness: %v", err)
		}
		if err := w.keeper.Mark(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Ready(t.Context()); err != nil {
		t.Errorf("a witness that stalls makes the ledger unready: %v", err)
	}
	if size, _ := w.cosigner.Witnessed(); size != 0 {
		t.Errorf("%d entries are witnessed", size)
	}
	// Who is waiting when the server stops is answered.
	size := w.Ledger().Head().Size
	answered := make(chan error, 1)
	go func() {
		res, err := http.Post(w.URL()+"/v1/workspaces/ws_7/records?wait=witnessed", "application/json", strings.NewReader(recordNamed("four")))
		if err == nil {
			var body []byte
			body, err = io.ReadAll(res.Body)
			if !strings.Contains(string(body), `"grade":"recorded"`) || !strings.Contains(string(body), "too few witnesses") {
				err = errors.Join(err, errors.New(string(body)))
			}
		}
		answered <- err
	}()
	if _, err := w.Ledger().Wait(t.Context(), size); err != nil {
		t.Fatal(err)
	}
	if _, err := w.signer.Await(t.Context(), size+1); err != nil {
		t.Fatal(err)
	}
	mustClose(t, w.Service)
	if err := <-answered; err != nil {
		t.Error(err)
	}
}

// TestWitnessPolicy: one that nobody can follow is refused before anything is made.
func TestWitnessPolicy(t *testing.T) {
	o := options(filepath.Join(t.TempDir(), "data"))
	var err error
	if o.Witnesses, err = proof.ParsePolicy([]byte("quorum none\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(context.Background(), o); err == nil || !strings.Contains(err.Error(), "nobody to ask") {
		t.Error(err)
	}
	if d, err := datadir.Look(o.Data); err != nil || d.State != datadir.Empty {
		t.Errorf("something was made: %v, %v", d, err)
	}
}
