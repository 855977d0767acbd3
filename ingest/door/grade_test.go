package door_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"annals/activity"
	"annals/ingest/door"
	"annals/internal/access"
)

// TestGrade: how well it is known who acted, for each kind of token and record.
func TestGrade(t *testing.T) {
	everywhere, err := access.ParseWorkspaces([]string{access.Everywhere})
	if err != nil {
		t.Fatal(err)
	}
	everything := []access.Grant{{Scopes: access.All, Workspaces: everywhere}}
	principals := map[string]*access.Principal{
		"dana":     {Subject: "usr_dana", Grants: everything},
		"brought":  {Subject: "usr_dana", Through: "svc_gate", Grants: everything},
		"service":  {Subject: "svc_gate", Grants: everything},
		"trusted":  {Subject: "svc_gate", OnBehalf: true, Grants: everything},
		"stranger": {Subject: "usr_evil", Grants: everything},
	}
	verify := func(_ context.Context, token string) (*access.Principal, error) {
		if p := principals[token]; p != nil {
			return p, nil
		}
		return nil, errors.New("nobody's")
	}
	book, err := access.NewBook(nil, func([]byte) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	s := &stream{}
	at := open(t, door.Options{Publish: s.publish, Await: s.await, AckTimeout: time.Second, Access: mustGate(t, access.Options{Keys: book, Verify: verify})})
	const (
		danas   = `"actor":{"type":"user","id":"usr_dana"}`
		gates   = `"actor":{"type":"service","id":"svc_gate"}`
		forDana = `,"on_behalf_of":{"type":"user","id":"usr_dana"}`
		forGate = `,"on_behalf_of":{"id":"svc_gate"}`
		nobodys = `"actor":{"type":"anonymous","id":"usr_dana"}`
		systems = `"actor":{"type":"system"}`
	)
	for _, c := range []struct{ token, names, grade, producer string }{
		{"dana", danas, activity.GradeVerified, "usr_dana"},
		{"dana", danas + forDana, activity.GradeVerified, "usr_dana"},
		{"dana", danas + forGate, activity.GradeAsserted, "usr_dana"},
		{"dana", gates + forDana, activity.GradeAsserted, "usr_dana"},
		{"dana", nobodys, activity.GradeAnonymous, "usr_dana"},
		{"dana", systems, activity.GradeAsserted, "usr_dana"},
		{"brought", danas, activity.GradeDelegated, "svc_gate"},
		{"brought", gates, activity.GradeAsserted, "svc_gate"},
		{"service", gates, activity.GradeVerified, "svc_gate"},
		{"service", danas, activity.GradeAsserted, "svc_gate"},
		{"service", gates + forDana, activity.GradeAsserted, "svc_gate"},
		{"trusted", gates, activity.GradeVerified, "svc_gate"},
		{"trusted", gates + forDana, activity.GradeDelegated, "svc_gate"},
		{"trusted", danas, activity.GradeDelegated, "svc_gate"},
		{"trusted", systems, activity.GradeAsserted, "svc_gate"},
		{"trusted", systems + forDana, activity.GradeDelegated, "svc_gate"},
		{"trusted", nobodys, activity.GradeAnonymous, "svc_gate"},
		{"stranger", danas, activity.GradeAsserted, "usr_evil"},
	} {
		s.frames = nil
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, at.url+"/v1/workspaces/ws_7/records", strings.NewReader(`{"type":"t",`+c.names+`}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+c.token)
		// What a client says of itself here is heard by nobody.
		r.Header.Set("X-Annals-Grade", activity.GradeVerified)
		res, err := at.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if res.StatusCode != http.StatusAccepted || len(s.frames) != 1 {
			t.Fatalf("%s: %d %s", c.token, res.StatusCode, body)
		}
		_, frame, _ := strings.Cut(string(s.frames[0]), " ")
		v, bad := activity.SplitVouched([]byte(frame))
		if bad != nil {
			t.Fatal(bad)
		}
		if d := v.Door; d.Grade != c.grade || d.Producer != c.producer || d.Subject != principals[c.token].Subject || d.RequestID != "req-1" || d.RemoteAddr == "" {
			t.Errorf("%s records %s: %+v, want grade %s and producer %s", c.token, c.names, d, c.grade, c.producer)
		}
	}
}

func mustGate(t testing.TB, o access.Options) *access.Gate {
	t.Helper()
	g, err := access.NewGate(o)
	if err != nil {
		t.Fatal(err)
	}
	return g
}
