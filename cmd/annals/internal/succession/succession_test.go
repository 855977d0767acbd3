package succession

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"annals/cmd/annals/internal/client"
	"annals/cmd/annals/internal/control"
	"annals/cmd/annals/internal/keys"
	"annals/ledger/chain"
	"annals/ledger/proof"

	"github.com/go-json-experiment/json"
)

// place is a server that names a folder's keys and answers what a test says.
type place struct {
	t       *testing.T
	folder  *keys.Folder
	genesis chain.Genesis
	url     string

	answers   []string // to one submission after the other; the last stays
	submitted []chain.KeyChange
	numbers   []uint64
	control   uint64
	unsigned  bool // no checkpoint covers what was submitted
}

// size is how many entries there are: before a change, and behind it.
func (p *place) size() uint64 {
	if len(p.submitted) == 0 {
		return 5
	}
	return 9
}

const (
	recorded    = `200 {"status":"recorded","sequence":9,"index":8}`
	rejected    = `200 {"status":"rejected","sequence":9,"index":8,"code":"control_body"}`
	raced       = `409 {"code":"control_raced","detail":"another came first"}`
	refused     = `422 {"code":"control_refused","detail":"it would do no good"}`
	unavailable = `503 {"code":"unavailable","detail":"it may have been published"}`
)

func newPlace(t *testing.T, answers ...string) *place {
	t.Helper()
	folder, err := keys.Make(t.TempDir(), true)
	if err != nil {
		t.Fatal(err)
	}
	p := &place{t: t, folder: folder, answers: answers, control: 7}
	p.genesis = chain.Genesis{Origin: "annals.example/succession", Stream: "ANNALS", FirstSequence: 1, Partitions: 1, Keys: folder.Public()}
	srv := httptest.NewServer(http.HandlerFunc(p.serve))
	t.Cleanup(srv.Close)
	p.url = srv.URL
	return p
}

func (p *place) serve(w http.ResponseWriter, r *http.Request) {
	answer := func(v any) {
		b, err := json.Marshal(v)
		if err != nil {
			p.t.Error(err)
		}
		_, _ = w.Write(b)
	}
	switch r.URL.Path {
	case "/keys":
		roster, size := p.genesis.Roster(), p.size()
		if p.unsigned {
			size = 5
		}
		note := fmt.Sprintf("%s\n%d\n%s\n\n— x AAAAAAAA\n", p.genesis.Origin, size, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
		answer(proof.KeyHistory{Origin: p.genesis.Origin, Ledger: p.genesis.LedgerID(), Keys: proof.NamedKeys(p.genesis.Origin, roster), Checkpoint: note})
	case "/v1/ledger":
		answer(control.Standing{Ledger: p.genesis.LedgerID(), Size: p.size(), Control: p.control})
		p.control++
	case control.Path:
		b, err := io.ReadAll(r.Body)
		statement, ok := chain.StatementOf(b)
		change, parseErr := chain.ParseKeyChange(statement.Body)
		if err != nil || !ok || parseErr != nil {
			p.t.Error(err, ok, parseErr)
		}
		p.submitted, p.numbers = append(p.submitted, change), append(p.numbers, statement.Number)
		status, body, _ := strings.Cut(p.answers[min(len(p.submitted), len(p.answers))-1], " ")
		if status != "200" {
			w.Header().Set("Content-Type", "application/problem+json")
		}
		var code int
		_, _ = fmt.Sscan(status, &code)
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func (p *place) options() Options {
	c, err := client.New(p.url, client.Options{})
	if err != nil {
		p.t.Fatal(err)
	}
	return Options{Server: c, Keys: p.folder.Dir()}
}

// files are those of keys that took another's place.
func (p *place) files() (later []string) {
	names, err := os.ReadDir(p.folder.Dir())
	if err != nil {
		p.t.Fatal(err)
	}
	for _, n := range names {
		if strings.Count(n.Name(), "-") > strings.Count(n.Name(), "-mldsa44") {
			later = append(later, n.Name())
		}
	}
	return later
}

// TestKeptOrNot: the new key stays where the change was made or may have been, and
// goes where it certainly wasn't.
func TestKeptOrNot(t *testing.T) {
	for name, c := range map[string]struct {
		answers []string
		fails   string
		kept    bool
		asked   int
	}{
		"recorded":         {[]string{recorded}, "", true, 1},
		"raced once":       {[]string{raced, recorded}, "", true, 2},
		"always raced":     {[]string{raced}, "another came first", false, races},
		"refused":          {[]string{refused}, "no good", false, 1},
		"rejected":         {[]string{rejected}, "control_body", false, 1},
		"perhaps":          {[]string{unavailable}, "not known", true, 1},
		"raced, perhaps":   {[]string{raced, unavailable}, "not known", true, 2},
		"raced, then none": {[]string{raced, refused}, "no good", false, 2},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t, c.answers...)
			change, err := Rotate(t.Context(), p.options(), chain.RoleHeads, chain.AlgorithmEd25519)
			if c.fails == "" && err != nil || c.fails != "" && (err == nil || !strings.Contains(err.Error(), c.fails)) {
				t.Errorf("%v, want %q", err, c.fails)
			}
			if got := p.files(); (len(got) == 1) != c.kept {
				t.Errorf("new keys %q", got)
			}
			if len(p.submitted) != c.asked {
				t.Errorf("submitted %d times", len(p.submitted))
			}
			if slices.Sort(p.numbers); len(slices.Compact(p.numbers)) != c.asked {
				t.Error("a statement was submitted again with the same number")
			}
			if err == nil && change.VKey() != change.Added.VKey(p.genesis.Origin) {
				t.Error("the new verifier key isn't said")
			}
		})
	}
}

// TestChanges: what each change takes out of force, and puts in.
func TestChanges(t *testing.T) {
	p := newPlace(t, recorded)
	held := map[string]keys.Private{}
	for _, k := range p.folder.List() {
		held[k.File] = k
	}
	submitted := func(err error) chain.KeyChange {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return p.submitted[len(p.submitted)-1]
	}
	signed, err := Rotate(t.Context(), p.options(), chain.RoleCheckpoint, chain.AlgorithmMLDSA44)
	if c := submitted(err); c.Reason != chain.Rotation || c.Removed[0] != held["checkpoint-mldsa44"].Key().ID() || c.Added[0].Algorithm != chain.AlgorithmMLDSA44 || signed.Unsigned {
		t.Errorf("%+v, unsigned: %t", c, signed.Unsigned)
	}
	_, err = Revoke(t.Context(), p.options(), held["checkpoint"].Key().ID(), 0)
	if c := submitted(err); c.Reason != chain.Revocation || c.Removed[0] != held["checkpoint"].Key().ID() || c.Added[0].Roles != chain.RoleCheckpoint {
		t.Errorf("%+v", c)
	}
	_, err = Revoke(t.Context(), p.options(), held["checkpoint-mldsa44"].Key().ID(), 0)
	if c := submitted(err); c.Reason != chain.Revocation || len(c.Added) != 0 { // a second line needs no successor
		t.Errorf("%+v", c)
	}
	for name, id := range map[string]chain.Hash{"root": held["root"].Key().ID(), "unlisted": {1}} {
		if _, err := Revoke(t.Context(), p.options(), id, 0); err == nil {
			t.Errorf("the %s key is revoked", name)
		}
	}
	if _, err := Rotate(t.Context(), p.options(), chain.RoleEraser, chain.AlgorithmEd25519); err == nil {
		t.Error("a key that nobody has is rotated")
	}
	// Another ledger's root key signs nothing here, and a key that isn't at hand can't
	// sign its own end.
	o := p.options()
	o.Root = []string{filepath.Join(newPlace(t, recorded).folder.Dir(), "root")}
	if _, err := Rotate(t.Context(), o, chain.RoleHeads, chain.AlgorithmEd25519); err == nil || !strings.Contains(err.Error(), "no root key") {
		t.Error(err)
	}
	if err := os.Remove(filepath.Join(p.folder.Dir(), "heads")); err != nil {
		t.Fatal(err)
	}
	if _, err := Rotate(t.Context(), p.options(), chain.RoleHeads, chain.AlgorithmEd25519); err == nil || !strings.Contains(err.Error(), "annals keys revoke") {
		t.Error(err)
	}
}

// TestUnsigned: what no checkpoint covers in time is recorded, and said to be unsigned.
func TestUnsigned(t *testing.T) {
	p := newPlace(t, recorded)
	p.unsigned = true
	c, err := Rotate(t.Context(), p.options(), chain.RoleCheckpoint, chain.AlgorithmMLDSA44)
	if err != nil || !c.Unsigned || len(p.submitted) != 1 {
		t.Errorf("%+v, %v, submitted %d times", c, err, len(p.submitted))
	}
}

func TestParseID(t *testing.T) {
	id := strings.Repeat("0f", 32)
	if got, err := ParseID(id); err != nil || got.String() != id {
		t.Error(got, err)
	}
	for _, s := range []string{"", "0f", id[:63], id + "00", strings.Repeat("zz", 32)} {
		if _, err := ParseID(s); err == nil {
			t.Errorf("%q passes", s)
		}
	}
}
