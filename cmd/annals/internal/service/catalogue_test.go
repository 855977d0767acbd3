package service

import (
	"errors"
	"strings"
	"testing"

	"annals/cmd/annals/internal/client"
	"annals/cmd/annals/internal/control"
)

// settleCatalogue has a workspace's catalogue be a document, as the command does.
func settleCatalogue(t *testing.T, s *Service, workspace, document string) error {
	t.Helper()
	_, err := unraced(func() (control.Answer, error) {
		at, is, err := control.LookCatalogue(t.Context(), asking(t, s), workspace)
		if err != nil {
			return control.Answer{}, err
		}
		return control.Submit(t.Context(), asking(t, s), control.SealCatalogue(at, is.Tag, []byte(document), operator(t, s)))
	})
	return err
}

// TestUnreadableCatalogue: what no reader could read is refused before it is published,
// with its place in the document.
func TestUnreadableCatalogue(t *testing.T) {
	s := mustStart(t, options(t.TempDir()+"/data"))
	before := s.ledger.Head().State.Control
	for document, want := range map[string]string{
		`no JSON`: "no JSON",
		`{"types":[{"slug":"a.b","label":"A","sentence":"{actor} {x}"}]}`: "/types/0/sentence",
		`{"types":[{"slug":"a.b"}]}`:                                      "/types/0/label",
	} {
		var p *client.Problem
		if err := settleCatalogue(t, s, "ws_7", document); !errors.As(err, &p) || p.Code != "control_refused" || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", document, err, want)
		}
	}
	if err := settleCatalogue(t, s, "ws_7", `{"strict":true}`); err != nil {
		t.Error(err)
	}
	if after := s.ledger.Head().State.Control; after < before+1 || after > before+2 { // a mark may have come
		t.Errorf("control statements: %d before, %d after", before, after)
	}
}
