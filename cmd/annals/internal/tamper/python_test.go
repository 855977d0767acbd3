package tamper_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"annals/ledger/proof"
	"annals/ledger/proof/pack"
)

// script is the verifier that a pack brings along.
const script = "../../../../ledger/proof/pack/verify.py"

// auditPack is what annals verify --pack does.
func auditPack(t testing.TB, f files, k knowledge) proof.Report {
	t.Helper()
	var list []pack.File
	for _, name := range slices.Sorted(maps.Keys(f)) {
		list = append(list, pack.File{Name: name, Data: f[name]})
	}
	var b bytes.Buffer
	if err := pack.Zip(&b, list); err != nil {
		t.Fatal(err)
	}
	p, err := pack.Open(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		return proof.Refused(err)
	}
	tenant, err := p.Tenant(k.vkey)
	if err != nil {
		return proof.Refused(err)
	}
	if policy := parsed(k.policy); policy != nil {
		if found := policy.Judgement(tenant.Checkpoint); found != nil {
			tenant.Before = append(tenant.Before, *found)
		}
	}
	r, err := tenant.Verify(t.Context())
	if err != nil && r.Verdict != proof.Inconclusive {
		t.Errorf("beside a report of %s: %v", r.Verdict, err)
	}
	return r.Report
}

// batch runs the script's main over many packs in one process: starting Python takes
// longer than most packs do.
const batch = `
import importlib.util, io, json, sys
spec = importlib.util.spec_from_file_location("verify", sys.argv[1])
verify = importlib.util.module_from_spec(spec)
sys.modules["verify"] = verify
spec.loader.exec_module(verify)
for line in sys.stdin:
    out = sys.stdout = io.StringIO()
    status = verify.main(json.loads(line))
    sys.stdout = sys.__stdout__
    print(json.dumps({"status": status, "report": json.loads(out.getvalue())}), flush=True)
`

// auditAsScript has verify.py look at a pack.
func auditAsScript(t testing.TB, f files, k knowledge) proof.Report {
	t.Helper()
	return auditAsScripts(t, []files{f}, []knowledge{k})[0]
}

// auditAsScripts has verify.py look at packs, each with what its auditor knows.
func auditAsScripts(t testing.TB, packs []files, knows []knowledge) []proof.Report {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("NOT CHECKED: verify.py needs python3, which is not installed here")
	}
	path, err := filepath.Abs(script)
	if err != nil {
		t.Fatal(err)
	}
	var asked bytes.Buffer
	for i, f := range packs {
		dir := t.TempDir()
		f.write(t, dir)
		args := []string{"-o", "json", "--key", knows[i].vkey}
		if knows[i].policy != nil {
			policies := t.TempDir()
			files{"policy": knows[i].policy}.write(t, policies)
			args = append(args, "--policy", filepath.Join(policies, "policy"))
		}
		asked.Write(append(mustJSON(append(args, dir)), '\n'))
	}
	cmd := exec.CommandContext(t.Context(), python, "-c", batch, path)
	var errs bytes.Buffer
	cmd.Stdin, cmd.Stderr = &asked, &errs
	answers, err := cmd.Output()
	if err != nil {
		t.Fatalf("verify.py: %v\n%s", err, &errs)
	}
	var out []proof.Report
	for line := range bytes.Lines(answers) {
		var r struct {
			Status int
			Report struct {
				Verdict  proof.Finding
				Findings []proof.Found
				Notices  []proof.Notice
				FirstBad *uint64 `json:"first_bad_index"`
				Sentence string
			}
		}
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatalf("verify.py: %v\n%s", err, line)
		}
		if (r.Status == 0) != (r.Report.Verdict == proof.Clean) {
			t.Errorf("verify.py exits with %d and says %s", r.Status, r.Report.Verdict)
		}
		out = append(out, proof.Report{
			Notices: r.Report.Notices, Verdict: r.Report.Verdict, Findings: r.Report.Findings, FirstBad: r.Report.FirstBad, Sentence: r.Report.Sentence,
		})
	}
	if len(out) != len(packs) {
		t.Fatalf("verify.py looked at %d packs of %d\n%s", len(out), len(packs), &errs)
	}
	return out
}

func TestPacksOnBase(t *testing.T) {
	b := base(t)
	c := &tampering{at: nowhere, want: proof.Clean, insider: true}
	d := c.tamper(b)
	for i := range b.rows {
		e := b.rows[i].entry()
		if e.Position != 0 || e.Workspace.IsZero() {
			continue
		}
		f := d.packOf(i).lay()
		for _, r := range []proof.Report{auditPack(t, f, d.knows), auditAsScript(t, f, d.knows)} {
			if r.Verdict != proof.Clean {
				t.Errorf("%s: %s%s", d.packOf(i).workspace, r.Sentence, details(r))
			}
		}
	}
}

// TestNameOfAWorkspace: a tag is proven, a name only by a payload's subject. Where no
// payload is in a pack, somebody else's history may bear the name: that is said.
func TestNameOfAWorkspace(t *testing.T) {
	d := (&tampering{insider: true}).tamper(base(t))
	for bare, want := range map[bool]bool{false: false, true: true} {
		e := d.packOf(middle(d.honest))
		if e.bare = bare; bare {
			e.workspace = "ws_9" // another one's
		}
		f := e.lay()
		for who, r := range map[string]proof.Report{"annals": auditPack(t, f, d.knows), "verify.py": auditAsScript(t, f, d.knows)} {
			said := slices.ContainsFunc(r.Notices, func(n proof.Notice) bool { return n.Notice == proof.NameUnproven })
			if r.Verdict != proof.Clean || said != want {
				t.Errorf("%s, without payloads %v: %s, %+v", who, bare, r.Sentence, r.Notices)
			}
		}
	}
}
