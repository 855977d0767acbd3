package evidence

import (
	"bytes"
	"fmt"
	"html"
	"strings"
	"testing"

	"annals/ledger/proof/pack"

	"github.com/go-json-experiment/json"
)

// TestGatherInItsWords: the report tells each record by the catalogue of its time, and
// the pack has the catalogues; where there are none, it has no word of them.
func TestGatherInItsWords(t *testing.T) {
	s := newSite(t)
	signing := func(n int) {
		s.stream.Publish("activity.ws_7._", fmt.Sprintf(`{"id":"c%d","type":"contract.signed","actor":{"type":"user","id":"dana","name":"Dana"},"object":{"type":"contract","id":"7","name":"Acme %d"}}`, n, n))
		s.settle()
	}
	settle := func(document string) uint64 {
		s.stream.Control = s.ledger.Head().State.Control
		s.stream.Catalogue(s.ledger.Tag("ws_7"), document)
		s.settle()
		return s.ledger.Head().Size - 1
	}
	files := func() map[string]string {
		t.Helper()
		s.sign()
		c := s.gather(Wanted{})
		r, err := c.Verify(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := pack.Write(&b, c, &r); err != nil {
			t.Fatal(err)
		}
		unzipped, err := pack.Unzip(bytes.NewReader(b.Bytes()), int64(b.Len()))
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]string{}
		for _, f := range unzipped {
			out[f.Name] = string(f.Data)
		}
		return out
	}
	typ := func(verb string) string {
		return fmt.Sprintf(`{"types":[{"slug":"contract.signed","label":"Contract","object":"contract","fields":[{"slug":"with","label":"Counterparty %s"}],"sentence":"{actor} %s {object}"}]}`, verb, verb)
	}
	signing(0)
	if got := files()["catalogue.json"]; strings.Contains(got, "catalogues") {
		t.Errorf("without any: %s", got)
	}
	first := settle(typ("inked"))
	signing(1)
	settle(`no JSON`)
	signing(2)
	last := settle(typ("sealed"))
	signing(3)
	got := files()
	report := html.UnescapeString(got["REPORT.html"])
	for _, want := range []string{
		`Dana performed "contract.signed" on contract "Acme 0"`, `Dana inked contract "Acme 1"`,
		`Dana performed "contract.signed" on contract "Acme 2"`, `Dana sealed contract "Acme 3"`,
		`has the field "Counterparty inked"`, `has the field "Counterparty sealed"`, `no catalogue has the type "contract.signed"`,
	} {
		if !strings.Contains(report, want) {
			t.Errorf("the report lacks %s", want)
		}
	}
	var catalogue struct {
		Catalogues []struct {
			Entry    uint64 `json:"entry"`
			Document any    `json:"document"`
		} `json:"catalogues"`
	}
	if err := json.Unmarshal([]byte(got["catalogue.json"]), &catalogue); err != nil {
		t.Fatal(err)
	}
	all := catalogue.Catalogues
	if len(all) != 3 || all[0].Entry != first || all[2].Entry != last || all[0].Document == nil || all[1].Document != nil || all[2].Document == nil {
		t.Errorf("%s", got["catalogue.json"])
	}
}
