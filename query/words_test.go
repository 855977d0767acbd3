package query

import (
	"encoding/csv"
	"fmt"
	"slices"
	"strings"
	"testing"

	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"

	"github.com/go-json-experiment/json"
)

// catalogue publishes a workspace's catalogue, and waits for it.
func (s *served) catalogue(workspace, document string) {
	s.t.Helper()
	s.settle()
	l := s.api.o.Ledger
	head := l.Head()
	s.stream.Control = head.State.Control
	s.stream.Catalogue(l.Tag(workspace), document)
	s.settle()
	if now := l.Head(); now.State.Control != head.State.Control+1 {
		s.t.Fatalf("the catalogue was rejected: control number %d after %d", now.State.Control, head.State.Control)
	}
}

// signed is a catalogue in which contract.signed reads in some way.
func signed(verb string) string {
	return fmt.Sprintf(`{"types":[{"slug":"contract.signed","label":"Contract %s","object":"contract","sentence":"{actor} %s {object}"}],
		"objects":[{"type":"contract","noun":"deal","one":"a deal"}],"reasons":[{"code":"R1","label":"Reason %s"}]}`, verb, verb, verb)
}

// signing publishes a record of contract.signed.
func (s *served) signing(workspace string, n int) {
	s.publish(workspace, fmt.Sprintf(`{"id":"c%d","type":"contract.signed","actor":{"type":"user","id":"dana","name":"Dana"},"object":{"type":"contract","id":"7","name":"Acme"},"reason":{"code":"R1"}}`, n))
	s.settle()
}

// told is what each face of the API says of the records of a workspace, oldest first:
// label and sentence.
func (s *served) told(workspace, asOf string) map[string][]string {
	s.t.Helper()
	base := "/v1/workspaces/" + workspace
	out := map[string][]string{"export": nil} // a face that answers nothing is one, too
	for name, path := range map[string]string{"feed": base + "/feed?first=oldest", "object's feed": base + "/objects/contract/7/feed?first=oldest"} {
		out[name] = nil
		for _, d := range s.feed(path + asOf).Days {
			for _, i := range d.Items {
				out[name] = append(out[name], i.Label+": "+i.Sentence.Text)
			}
		}
	}
	rows, err := csv.NewReader(strings.NewReader(string(s.do("GET", base+"/feed.csv?first=oldest"+asOf).body))).ReadAll()
	if err != nil {
		s.t.Fatal(err)
	}
	for _, row := range rows[1:] {
		out["export"] = append(out["export"], row[slices.Index(rows[0], "label")]+": "+row[slices.Index(rows[0], "sentence")])
	}
	for name, path := range map[string]string{"timeline": base + "/timeline?first=oldest&with=sentence", "user's timeline": base + "/users/dana/timeline?first=oldest&with=sentence", "object's history": base + "/objects/contract/7/history?first=oldest&with=sentence"} {
		out[name] = nil
		if asOf == "" {
			out["record of the "+name] = nil
		}
		for _, r := range s.page(path + asOf).Records {
			out[name] = append(out[name], r.Sentence.Text)
			if asOf == "" {
				var one oneItem
				a := s.do("GET", base+"/records/"+r.ULID+"?with=sentence")
				if err := json.Unmarshal(a.body, &one); err != nil {
					s.t.Fatal(err)
				}
				out["record of the "+name] = append(out["record of the "+name], one.Sentence.Text)
			}
		}
	}
	return out
}

// TestWordsOfTheirTime: everywhere a record is told by the catalogue that was in force
// where it stands. Later ones change nothing of it, nor do a restart, new indexes, or
// the size that is asked about; and another workspace's is nothing to it.
func TestWordsOfTheirTime(t *testing.T) {
	s := serveOn(t, chaintest.NewKeyed("words"), Options{})
	unknown := `: Dana performed "contract.signed" on contract "Acme"`
	in := func(verb string) string { return "Contract " + verb + `: Dana ` + verb + ` deal "Acme"` }
	var want []string
	var sizes []uint64
	step := func(document, line string) {
		if document != "" {
			s.catalogue("ws_7", document)
		}
		s.signing("ws_7", len(want))
		want = append(want, line)
		sizes = append(sizes, s.api.o.Ledger.Head().Size)
	}
	check := func(when, asOf string, want []string) {
		t.Helper()
		for name, got := range s.told("ws_7", asOf) {
			lines := slices.Clone(want)
			if !strings.Contains(name, "feed") && name != "export" {
				for i := range lines {
					_, lines[i], _ = strings.Cut(lines[i], ": ")
				}
			}
			if !slices.Equal(got, lines) {
				t.Errorf("%s, %s:\n%s\nwant\n%s", when, name, strings.Join(got, "\n"), strings.Join(lines, "\n"))
			}
		}
	}
	step("", unknown)
	step(signed("inked"), in("inked"))
	step("", in("inked"))
	s.catalogue("ws_8", signed("stamped"))
	step("", in("inked"))
	step(signed("sealed"), in("sealed"))
	step(`{"types":1}`, unknown) // can't be read: as if nothing were said
	step(signed("signed"), in("signed"))
	step(`{}`, unknown)
	check("as it stands", "", want)
	for i, size := range sizes {
		check("then", fmt.Sprint("&as_of=", size), want[:i+1])
	}
	s.signing("ws_8", 0)
	if got := s.told("ws_8", "")["feed"]; !slices.Equal(got, []string{in("stamped")}) {
		t.Errorf("of another workspace: %q", got)
	}
	s = s.restart()
	check("after a restart", "", want)
	s.do("POST", "/v1/indexes/rebuild")
	s.rebuilt()
	check("by new indexes", "", want)
}

// TestErasedWords: of a catalogue that is erased nothing is said any more, at once.
func TestErasedWords(t *testing.T) {
	s := serveOn(t, chaintest.NewKeyed("erased words"), Options{})
	s.catalogue("ws_7", signed("inked"))
	at := s.api.o.Ledger.Head().Size - 1
	s.signing("ws_7", 0)
	if got := s.told("ws_7", "")["timeline"]; !slices.Equal(got, []string{`Dana inked deal "Acme"`}) {
		t.Fatalf("%q", got)
	}
	head := s.api.o.Ledger.Head()
	leaf, hash, err := s.api.o.Ledger.Get(at)
	if err != nil || leaf.Payload == nil {
		t.Fatal(err)
	}
	e := chain.Erase{Role: chain.RoleOperator, Reason: chain.EraseMistake, Rule: chain.NoRef, Parts: 1, Ranges: []chain.Range{{From: at, To: at + 1}}}
	if e.Leaves, err = chain.SelectionHash(s.stream.ID, e.Workspace, e.Ranges, func(uint64) (chain.Hash, error) { return hash, nil }); err != nil {
		t.Fatal(err)
	}
	e.Selection = e.Leaves
	s.stream.Control = head.State.Control
	s.stream.Erase(head.Size, head.Root, e, "")
	s.settle()
	if got := s.told("ws_7", "")["timeline"]; !slices.Equal(got, []string{`Dana performed "contract.signed" on contract "Acme"`}) {
		t.Errorf("erased: %q", got)
	}
	var c Catalogue
	if a := s.do("GET", "/v1/workspaces/ws_7/catalogue"); json.Unmarshal(a.body, &c) != nil || !c.Erased || c.Document != nil || len(c.Versions) != 1 {
		t.Errorf("%s", a.body)
	}
}

// TestTailInItsWords: who listens hears each record in the words of its time, though
// the catalogue came while they listened.
func TestTailInItsWords(t *testing.T) {
	s := serveOn(t, chaintest.NewKeyed("tail words"), Options{})
	e := s.open("/v1/workspaces/ws_7/tail?with=sentence")
	eventually(t, "the listener is there", func() bool { return s.attached() > 0 })
	for n, step := range []struct{ document, want string }{
		{"", `Dana performed "contract.signed" on contract "Acme"`},
		{signed("inked"), `Dana inked deal "Acme"`},
		{signed("sealed"), `Dana sealed deal "Acme"`},
		{`{}`, `Dana performed "contract.signed" on contract "Acme"`},
	} {
		if step.document != "" {
			s.catalogue("ws_7", step.document)
		}
		s.signing("ws_7", n)
		h := e.event()
		var item oneItem
		if err := json.Unmarshal([]byte(h.data), &item); err != nil || item.Sentence.Text != step.want {
			t.Errorf("heard %s (%v), want %s", h.data, err, step.want)
		}
	}
}

// TestCatalogueAnswer asks for a workspace's catalogue as it is and as it was.
func TestCatalogueAnswer(t *testing.T) {
	s := serveOn(t, chaintest.NewKeyed("catalogue answer"), Options{})
	ask := func(query string) (c Catalogue) {
		t.Helper()
		a := s.do("GET", "/v1/workspaces/ws_7/catalogue"+query)
		if err := json.Unmarshal(a.body, &c); err != nil || a.status != 200 {
			t.Fatalf("%d %s %v", a.status, a.body, err)
		}
		return c
	}
	if c := ask(""); c.Index != nil || c.Document != nil || c.Versions == nil || len(c.Versions) != 0 || c.Tag != s.api.o.Ledger.Tag("ws_7").String() {
		t.Errorf("of nothing: %+v", c)
	}
	s.catalogue("ws_7", `{"strict":true}`)
	first := s.api.o.Ledger.Head().Size
	s.catalogue("ws_8", `{}`)
	s.catalogue("ws_7", `no JSON`)
	if c := ask(""); *c.Index != first+1 || c.Document != nil || c.Fault == "" || len(c.Versions) != 2 {
		t.Errorf("what can't be read: %+v", c)
	}
	c := ask(fmt.Sprint("?as_of=", first))
	if *c.Index != first-1 || string(c.Document) != `{"strict":true}` || len(c.Versions) != 1 || c.RecordedAt == "" {
		t.Errorf("as it was: %+v %s", c, c.Document)
	}
	if c := ask(fmt.Sprint("?as_of=", first-1)); c.Index != nil || len(c.Versions) != 0 {
		t.Errorf("before: %+v", c)
	}
	s.refused(400, "invalid_parameter", "GET", "/v1/workspaces/ws_7/catalogue?as_of=1000")
}

// TestLogInItsWords reads the billing platform's log with the preset values of a
// workspace, and finds its entries by code and by label.
func TestLogInItsWords(t *testing.T) {
	s := serveOn(t, chaintest.NewKeyed("log words"), Options{DefaultWorkspace: "ws_7"})
	s.signing("ws_7", 0)
	s.catalogue("ws_7", signed("inked"))
	s.signing("ws_7", 1)
	s.catalogue("ws_7", signed("sealed"))
	s.signing("ws_7", 2)
	s.publish("ws_7", `{"type":"app.renamed","actor":{"type":"user","id":"li"},"reason":{"code":"R2"}}`)
	s.settle()
	log := func(query string) (out []string) {
		t.Helper()
		a := s.do("GET", LogPath+"/"+query)
		var entries []struct{ ID, ActivityType, ActivityReason string }
		if err := json.Unmarshal(a.body, &entries, json.MatchCaseInsensitiveNames(true)); err != nil || a.status != 200 {
			t.Fatalf("%s: %d %s %v", query, a.status, a.body, err)
		}
		for _, e := range entries {
			var one struct{ ActivityType string }
			if err := json.Unmarshal(s.do("GET", LogPath+"/"+e.ID).body, &one, json.MatchCaseInsensitiveNames(true)); err != nil || one.ActivityType != e.ActivityType {
				t.Errorf("entry %s is of %q in the list and of %q by itself: %v", e.ID, e.ActivityType, one.ActivityType, err)
			}
			out = append(out, e.ActivityType+"/"+e.ActivityReason)
		}
		return out
	}
	none, inked, sealed, renamed := "contract.signed/R1", "Contract inked/Reason inked", "Contract sealed/Reason sealed", "app.renamed/R2"
	for query, want := range map[string][]string{
		"":                                                 {none, inked, sealed, renamed},
		"?activityType=contract.signed":                    {none, inked, sealed},
		"?activityType=Contract%20inked":                   {inked},
		"?activityType=Contract%20sealed":                  {sealed},
		"?activityType=Contract":                           nil,
		"?activityType=App%20Renamed":                      nil, // published labels are no preset values of the log
		"?activityReason=R1":                               {none, inked, sealed},
		"?activityReason=Reason%20inked":                   {inked},
		"?activityReason=R2":                               {renamed},
		"?activityType=Contract%20inked&activityReason=R1": {inked},
		"?activityType=contract.signed&activityReason=Reason+sealed": {sealed},
	} {
		if got := log(query); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
}

// TestGroupsOfItsOwn asks for groups of a workspace's: on pages, in counts, with NOT, as
// of a size, and by tails from before and after a group became another.
func TestGroupsOfItsOwn(t *testing.T) {
	s := serveOn(t, chaintest.NewKeyed("own groups"), Options{})
	publish := func(typ string, n int) {
		s.publish("ws_7", fmt.Sprintf(`{"id":"g%d","type":%q,"actor":{"type":"user","id":"u"}}`, n, typ))
		s.settle()
	}
	of := func(workspace, question string) (types []string) {
		t.Helper()
		for _, r := range s.page("/v1/workspaces/" + workspace + "/timeline?first=oldest&" + question).Records {
			types = append(types, r.Type)
		}
		return types
	}
	base := "/v1/workspaces/ws_7/timeline?group="
	for n, typ := range []string{"contract.signed", "app.renamed", "app.created", "deal.lost", "table.created"} {
		publish(typ, n)
	}
	before := s.api.o.Ledger.Head().Size
	s.refused(400, "invalid_parameter", "GET", base+"contracts")
	s.catalogue("ws_7", `{"groups":[{"slug":"contracts","label":"Contracts"},{"slug":"empty","label":"Empty"}],"types":[
		{"slug":"contract.*","label":"Contract","group":"contracts","open":true,"sentence":"{actor}"},
		{"slug":"app.created","label":"Made","group":"contracts"},
		{"slug":"deal.lost","label":"Lost","group":"app","sentence":"{actor}"}]}`)
	for question, want := range map[string][]string{
		"group=contracts":                      {"contract.signed", "app.created"},
		"group=app":                            {"app.renamed", "deal.lost"},
		"group=app,contracts":                  {"contract.signed", "app.renamed", "app.created", "deal.lost"},
		"group!=contracts":                     {"app.renamed", "deal.lost", "table.created"},
		"group=contracts&type=contract.*":      {"contract.signed"},
		"group=empty":                          nil,
		"group=table":                          {"table.created"},
		"group!=app&group!=contracts":          {"table.created"},
		fmt.Sprint("group=app&as_of=", before): {"app.renamed", "app.created"},
	} {
		if got := of("ws_7", question); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", question, got, want)
		}
	}
	for _, path := range []string{base + "contracts&as_of=" + fmt.Sprint(before), base + "nowhere", "/v1/workspaces/ws_8/timeline?group=contracts", "/v1/workspaces/ws_8/tail?group=contracts", "/v1/workspaces/ws_7/counts?by=day&group=nowhere"} {
		if p := s.refused(400, "invalid_parameter", "GET", path); len(p.Errors) != 1 || p.Errors[0].Code != "unknown_group" {
			t.Errorf("%s: %+v", path, p)
		}
	}
	e := s.open("/v1/workspaces/ws_7/tail?group=contracts")
	eventually(t, "the listener is there", func() bool { return s.attached() > 0 })
	publish("app.renamed", 10)
	publish("contract.ended", 11)
	if h := e.event(); !strings.Contains(h.data, "contract.ended") {
		t.Errorf("heard %s", h.data)
	}
	// Who comes once the group is another hears that one, beside who came before.
	s.catalogue("ws_7", `{"groups":[{"slug":"contracts","label":"Contracts"}],"types":[{"slug":"app.renamed","label":"Renamed","group":"contracts"}]}`)
	later := s.open("/v1/workspaces/ws_7/tail?group=contracts")
	eventually(t, "both are there", func() bool { return s.attached() > 1 })
	publish("app.renamed", 12)
	publish("contract.ended", 13)
	if h := later.event(); !strings.Contains(h.data, "app.renamed") {
		t.Errorf("who came later heard %s", h.data)
	}
	if h := e.event(); !strings.Contains(h.data, "contract.ended") {
		t.Errorf("who came before heard %s", h.data)
	}
}
