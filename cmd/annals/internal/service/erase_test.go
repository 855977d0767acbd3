package service

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"annals/cmd/annals/internal/client"
	"annals/cmd/annals/internal/control"
	"annals/cmd/annals/internal/evidence"
	"annals/internal/disk/disktest"
	"annals/ledger/chain"
	"annals/ledger/proof"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// told is a record of a user that says something which nobody else's does.
func told(user string) string {
	return fmt.Sprintf(`{"id":"of-%[1]s","type":"app.renamed","actor":{"type":"user","id":%[1]q},"object":{"type":"app","id":"app-of-%[1]s"},`+
		`"context":{"session_id":"session-of-%[1]s","ip":"192.0.2.7"},"dimensions":{"org":"org-of-%[1]s"},"data":{"said":"%[1]s has a telephone"}}`, user)
}

// publish records over HTTP, and waits until that is durable.
func publishRecord(t *testing.T, s *Service, record string) {
	t.Helper()
	res, err := http.Post(s.URL()+"/v1/workspaces/ws_7/records?wait=recorded", "application/json", strings.NewReader(record))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err = errors.Join(err, res.Body.Close()); err != nil || res.StatusCode != http.StatusOK {
		t.Fatal(res.StatusCode, string(body), err)
	}
}

// eraseUser erases all of a user's records, as the command does.
func eraseUser(t *testing.T, s *Service, user string) control.Answer {
	t.Helper()
	answer, err := tryErase(t, s, user, operator(t, s))
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func tryErase(t *testing.T, s *Service, user string, signer chain.Signer) (control.Answer, error) {
	selected, err := control.Select(t.Context(), asking(t, s), "ws_7", url.Values{"user": {user}})
	if err != nil {
		return control.Answer{}, err
	}
	if len(selected.Parts) != 1 {
		return control.Answer{}, fmt.Errorf("selected %+v", selected)
	}
	e, err := selected.Part(0, chain.EraseRequest)
	if err != nil {
		return control.Answer{}, err
	}
	return unraced(func() (control.Answer, error) {
		at, err := control.Look(t.Context(), asking(t, s))
		if err != nil {
			return control.Answer{}, err
		}
		return control.Submit(t.Context(), asking(t, s), control.SealErase(at, selected, e, "by Erin", signer))
	})
}

// holding lists the files below a folder that hold text, compressed or not, and below the folders in
// memory that links in it lead to, where batches are staged.
func holding(t *testing.T, dir, text string) []string {
	t.Helper()
	found, err := disktest.Holding(vfs.Default, dir, text)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// scrubbed waits until the service has nothing to remove any more.
func scrubbed(t *testing.T, s *Service) {
	t.Helper()
	eventually(t, "what was erased is removed from the files", func() bool {
		unscrubbed, err := s.ledger.Unscrubbed()
		if err != nil {
			t.Fatal(err)
		}
		return len(unscrubbed) == 0
	})
}

// TestEraseEverywhere: what a user did is found by nothing any more once it is erased,
// stands in no file, and comes back neither by a restart nor by a rebuild; what others
// did is as it was.
func TestEraseEverywhere(t *testing.T) {
	o := options(filepath.Join(t.TempDir(), "data"))
	o.scrubEvery, o.fresh = 10*time.Millisecond, time.Minute // a busy machine folds late
	s := mustStart(t, o)
	const dana, carl = "usr-dana-4711", "usr-carl-4712"
	for _, user := range []string{dana, carl, dana, "usr-else-1"} { // one of them twice: a duplicate
		publishRecord(t, s, told(user))
	}
	for i := range 30 {
		publishRecord(t, s, told(fmt.Sprint("usr-other-", i)))
	}
	if len(holding(t, filepath.Join(o.Data, "jetstream"), dana)) == 0 {
		t.Fatal("the stream holds nothing of the user before it is erased: the search finds nothing")
	}
	_, before := ask(t, s, "GET", "/v1/workspaces/ws_7/timeline?limit=100")
	if !strings.Contains(before, dana) {
		t.Fatal(before)
	}
	size := s.ledger.Head().Size
	answer := eraseUser(t, s, dana)
	if answer.Status != control.Recorded || answer.ULID == "" || *answer.Index < size {
		t.Fatalf("%+v", answer)
	}
	gone := func(s *Service, when string) {
		t.Helper()
		if err := s.projections.Wait(t.Context(), *answer.Index+1); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{
			"/users/" + dana + "/timeline?kind=record,conflict,duplicate", "/objects/app/app-of-" + dana + "/history",
			"/timeline?session=session-of-" + dana, "/timeline?dimension.org=org-of-" + dana,
			"/users/" + dana + "/timeline?as_of=" + fmt.Sprint(size),
		} {
			if status, body := ask(t, s, "GET", "/v1/workspaces/ws_7"+path); status != 200 || !strings.Contains(body, `"records":[],"total":0`) {
				t.Errorf("%s, %s: %d %s", when, path, status, body)
			}
		}
		for _, path := range []string{"/timeline?limit=100", "/timeline?limit=100&kind=record,conflict,duplicate", "/timeline?limit=100&as_of=" + fmt.Sprint(size), "/counts?by=user"} {
			if status, body := ask(t, s, "GET", "/v1/workspaces/ws_7"+path); status != 200 || strings.Contains(body, dana) || strings.Contains(path, "counts") != strings.Contains(body, `"by":"user"`) {
				t.Errorf("%s, %s: %d %s", when, path, status, body)
			}
		}
		if _, body := ask(t, s, "GET", "/v1/workspaces/ws_7/timeline?limit=100"); !strings.Contains(body, `"erased":{"at":"`) ||
			!strings.Contains(body, `"by":"operator","reason":"request","control":"`+answer.ULID+`"}`) || !strings.Contains(body, `"total":33`) {
			t.Errorf("%s: the timeline shows no stub: %s", when, body)
		}
		if _, body := ask(t, s, "GET", "/v1/workspaces/ws_7/users/"+carl+"/timeline"); !strings.Contains(body, `"total":1`) || !strings.Contains(body, carl) {
			t.Errorf("%s: of somebody else: %s", when, body)
		}
	}
	gone(s, "at once")
	scrubbed(t, s)
	files := func(when string) {
		t.Helper()
		if found := holding(t, o.Data, dana); len(found) > 0 {
			t.Errorf("%s: the erased user still stands in %v", when, found)
		}
		if len(holding(t, filepath.Join(o.Data, "jetstream"), carl)) == 0 {
			t.Errorf("%s: somebody else is gone from the stream", when)
		}
	}
	files("scrubbed")
	clean(t, s)
	tenantsAfter(t, s)
	// The id is used up, whatever comes under it, and what comes is not kept.
	publishRecord(t, s, told(dana))
	if _, body := ask(t, s, "GET", "/v1/workspaces/ws_7/timeline?kind=duplicate&limit=1"); !strings.Contains(body, `"compared":false`) || strings.Contains(body, dana) {
		t.Errorf("a repeat: %s", body)
	}
	mustClose(t, s)
	s = mustStart(t, o)
	gone(s, "after a restart")
	if err := s.projections.Rebuild(t.Context(), s.ledger.Leaves, func() uint64 { return s.ledger.Head().Size }, nil); err != nil {
		t.Fatal(err)
	}
	gone(s, "rebuilt")
	clean(t, s)
}

// eraseSteps are those at which a process may die while it obeys an erasure.
var eraseSteps = []string{"projections scrubbed", "ledger scrubbed", "messages erased"}

// TestEraseSurvivesDying kills the process between the steps of an erasure; the next
// start ends it.
func TestEraseSurvivesDying(t *testing.T) {
	for _, step := range eraseSteps {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			o := options(filepath.Join(t.TempDir(), "data"))
			o.scrubEvery = time.Hour // it dies before it looks
			s := mustStart(t, o)
			for i := range 10 {
				publishRecord(t, s, told(fmt.Sprint("usr-number-", i)))
			}
			eraseUser(t, s, "usr-number-3")
			mustClose(t, s)
			if unscrubbed, _ := holding(t, filepath.Join(o.Data, "jetstream"), "usr-number-3"), 0; len(unscrubbed) == 0 {
				t.Fatal("it is erased from the stream already")
			}
			dieDoingIn(t, o.Data, step, "erase")
			o.scrubEvery = 10 * time.Millisecond
			s = mustStart(t, o)
			scrubbed(t, s)
			if found := holding(t, o.Data, "usr-number-3"); len(found) > 0 {
				t.Errorf("the erased user still stands in %v", found)
			}
			clean(t, s)
		})
	}
}

// TestEraseRaced: erasures that are signed at the same time all come to be, whichever
// control message comes first.
func TestEraseRaced(t *testing.T) {
	o := options(filepath.Join(t.TempDir(), "data"))
	o.scrubEvery = 10 * time.Millisecond
	s := mustStart(t, o)
	const users = 6
	for i := range users {
		publishRecord(t, s, told(fmt.Sprint("usr-number-", i)))
	}
	type outcome struct {
		control.Answer
		err error
	}
	done := make(chan outcome, users)
	signer := operator(t, s)
	for i := range users {
		go func() {
			answer, err := tryErase(t, s, fmt.Sprint("usr-number-", i), signer)
			done <- outcome{answer, err}
		}()
	}
	var indexes []uint64
	for range users {
		o := <-done
		if o.err != nil || o.Index == nil {
			t.Fatalf("%+v", o)
		}
		indexes = append(indexes, *o.Index)
	}
	slices.Sort(indexes)
	if len(slices.Compact(indexes)) != users {
		t.Errorf("entries %v", indexes)
	}
	scrubbed(t, s)
	if found := holding(t, o.Data, "usr-number-"); len(found) > 0 {
		t.Errorf("erased users still stand in %v", found)
	}
	clean(t, s)
}

// tenantsAfter verifies the workspace as its tenant does: what was erased is told from
// what is missing by entries that are signed and stand in the tree, and by nothing else.
func tenantsAfter(t *testing.T, s *Service) {
	t.Helper()
	c, err := client.New(s.URL(), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "a checkpoint covers the erasure", func() bool {
		return s.covered(t).Size == s.ledger.Head().Size
	})
	other := func(e []proof.KeyEntry, change func(b []byte)) []proof.KeyEntry {
		out := slices.Clone(e)
		out[0].Entry = bytes.Clone(out[0].Entry)
		change(out[0].Entry)
		return out
	}
	for name, is := range map[string]struct {
		change func(e []proof.KeyEntry) []proof.KeyEntry
		want   proof.Finding
	}{
		"as it is":      {func(e []proof.KeyEntry) []proof.KeyEntry { return e }, proof.Clean},
		"kept back":     {func([]proof.KeyEntry) []proof.KeyEntry { return nil }, proof.PayloadMissing},
		"altered":       {func(e []proof.KeyEntry) []proof.KeyEntry { return other(e, func(b []byte) { b[40] ^= 1 }) }, proof.RootMismatch},
		"another place": {func(e []proof.KeyEntry) []proof.KeyEntry { e = slices.Clone(e); e[0].Proof = nil; return e }, proof.RootMismatch},
	} {
		signed, err := evidence.Fetch(t.Context(), c.Client, "ws_7")
		if err != nil {
			t.Fatal(err)
		}
		tenant := signed.Tenant(t.Context(), c.Client, "ws_7", s.verifier(t))
		if len(tenant.Erasures) != 1 {
			t.Fatalf("%d erasures", len(tenant.Erasures))
		}
		tenant.Erasures = is.change(tenant.Erasures)
		r, err := tenant.Verify(t.Context())
		said := slices.ContainsFunc(r.Notices, func(n proof.Notice) bool { return n.Notice == proof.Erased })
		if err != nil || r.Verdict != is.want || said != (is.want == proof.Clean) {
			t.Errorf("an erasure %s: %s, notice %v, %v", name, r.Sentence, said, err)
		}
	}
}
