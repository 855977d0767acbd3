package pack_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"annals/ledger/chain/chaintest"
	"annals/ledger/proof"
	"annals/ledger/proof/prooftest"

	notes "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
)

// judging has verify.py's policy judge notes: a line of JSON each, a finding back.
const judging = `
import importlib.util, base64, json, sys
spec = importlib.util.spec_from_file_location("verify", sys.argv[1])
verify = importlib.util.module_from_spec(spec)
sys.modules["verify"] = verify
spec.loader.exec_module(verify)
for line in sys.stdin:
    policy, note = (base64.b64decode(text) for text in json.loads(line))
    try:
        parsed = verify.Policy(policy)
    except verify.Form:
        print("refused")
        continue
    report = verify.Report()
    try:
        parsed.judge(note, report)
        print("clean")
    except verify.Fault as f:
        print(f.finding)
`

// cosignedBy adds a line by a witness that a secret's name stands for.
func cosignedBy(t *testing.T, n []byte, names ...string) []byte {
	t.Helper()
	text := string(n[:bytes.LastIndex(n, []byte("\n\n"))+1])
	for _, name := range names {
		seed := chaintest.Secret(name)
		s, err := notes.NewSignerForCosignatureV1("PRIVATE+KEY+" + name + ".example+00000000+" + base64.StdEncoding.EncodeToString(append([]byte{4}, seed[:]...)))
		if err != nil {
			t.Fatal(err)
		}
		line, err := note.Sign(&note.Note{Text: text}, s)
		if err != nil {
			t.Fatal(err)
		}
		n = append(bytes.Clone(n), line[bytes.LastIndex(line, []byte("\n\n"))+2:]...)
	}
	return n
}

// TestPoliciesAgree: verify.py and the code read the same policies, and judge
// checkpoints by them alike.
func TestPoliciesAgree(t *testing.T) {
	l := prooftest.New("policies")
	own := l.Checkpoint(l.Size())
	vkey := func(name string) string {
		return proof.VKey(name+".example", 4, chaintest.Signer(name).Public(0).Public)
	}
	_, mldsa, err := notes.GenerateMLDSAKey("m.example")
	if err != nil {
		t.Fatal(err)
	}
	w := func(names ...string) (b string) {
		for _, name := range names {
			b += "witness " + name + " " + vkey(name) + "\n"
		}
		return b
	}
	five := w("x1", "x2", "x3", "y1", "y2") + "group x 2 x1 x2 x3\ngroup y any y1 y2\ngroup both all x y\nquorum both\n"
	good := cosignedBy(t, own, "x1", "x3", "y2")
	broken := append(bytes.Clone(good[:len(good)-10]), []byte("AAAAAAA==\n")...)
	type pair struct {
		policy string
		note   []byte
	}
	var cases []pair
	for _, n := range [][]byte{
		own, good, broken, cosignedBy(t, own, "x1", "y1"), cosignedBy(t, own, "x1", "x1", "y1"), cosignedBy(t, own, "x1", "x2", "x3"),
		cosignedBy(t, own, "z", "x2", "x3", "y1"), cosignedBy(t, own, "z"), append(bytes.Clone(own), cosignedBy(t, l.Checkpoint(1), "x1", "x2", "y1")[len(l.Checkpoint(1)):]...),
	} {
		for _, log := range []string{"", "log " + l.VKey() + "\n", "log " + prooftest.VKeyOf("other.example", "o") + "\n", "log " + prooftest.VKeyOf(l.Settled.Origin, "o") + " https://x\n"} {
			cases = append(cases, pair{log + five, n}, pair{log + "quorum none\n", n})
		}
	}
	one := w("x1")
	for _, policy := range []string{
		"", "quorum none", "quorum none\nquorum none\n", one + "quorum x1\n", one + "quorum x2\n", one + "group g any x1\nquorum g\n",
		"quorum x1\n" + one, one + "group g 0 x1\nquorum g\n", one + "group g 2 x1\nquorum g\n", one + "group g 01 x1\nquorum g\n", one + "group g +1 x1\nquorum g\n",
		one + "group g any x1\ngroup h any x1\nquorum h\n", one + "group x1 any x1\nquorum x1\n", one + "group g any\nquorum g\n", one + one + "quorum x1\n",
		one + "witness none " + vkey("x2") + "\nquorum none\n", one + "witness again " + vkey("x1") + "\nquorum none\n", "# \t\n \tquorum \t none \t\n# \xff\n", "quorum none\r\n",
		"# \x01\nquorum none\n", "# \x7f\nquorum none\n", "Quorum none\n", "quorum\u00a0none\n", "witness \xff " + vkey("x1") + " http://\x80\nquorum \xff\n",
		"witness x " + l.VKey() + "\nquorum none\n", "log " + vkey("x1") + "\nquorum none\n", "log " + l.VKey() + "x\nquorum none\n", "log " + strings.Replace(l.VKey(), "+", "+0", 1) + "\nquorum none\n",
		"log " + l.VKey() + "\nlog " + l.VKey() + "\nquorum none\n", "log\nquorum none\n", "log " + l.VKey() + " a b\nquorum none\n", "witness x1\nquorum none\n",
		"witness m " + mldsa + "\nquorum m\n", "witness m " + mldsa + "x\nquorum m\n", one + "quorum x1 x1\n", one + "quorum\n", "attest x\nquorum none\n",
		"witness low " + proof.VKey("low.example", 4, make([]byte, 32)) + "\nquorum low\n", "witness short " + proof.VKey("s.example", 4, make([]byte, 31)) + "\nquorum short\n",
	} {
		cases = append(cases, pair{policy, good})
	}
	var in bytes.Buffer
	var want []string
	for _, c := range cases {
		line, err := json.Marshal([][]byte{[]byte(c.policy), c.note})
		if err != nil {
			t.Fatal(err)
		}
		in.Write(append(line, '\n'))
		switch p, err := proof.ParsePolicy([]byte(c.policy)); {
		case err != nil:
			want = append(want, "refused")
		default:
			found := proof.Clean
			if f := p.Judgement(c.note); f != nil {
				found = f.Finding
			}
			want = append(want, string(found))
		}
	}
	cmd := exec.Command(python(t), "-B", "-c", judging, "verify.py")
	var errs bytes.Buffer
	cmd.Stdin, cmd.Stderr = &in, &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, &errs)
	}
	got := strings.Fields(string(out))
	if len(got) != len(want) {
		t.Fatalf("%d of %d were judged", len(got), len(want))
	}
	seen := map[string]int{}
	for i := range want {
		seen[want[i]]++
		if got[i] != want[i] {
			t.Errorf("verify.py says %s, the code %s:\n%s\n%s", got[i], want[i], cases[i].policy, cases[i].note)
		}
	}
	for _, each := range []string{"refused", "clean", "bad_signature", "unknown_key", "witness_quorum_not_met"} {
		if seen[each] < 3 {
			t.Errorf("%s was to be said %d times: the test looks at too little", each, seen[each])
		}
	}
}

// TestVerifyPyPolicy calls it as an auditor does.
func TestVerifyPyPolicy(t *testing.T) {
	l := prooftest.Random(4, 40, 3)
	dir, policies := filepath.Join(t.TempDir(), "pack"), t.TempDir()
	unpacked(t, unzipped(t, written(t, contents(t, l, "ws_1", l.Size(), 0, l.Head("ws_1", l.Size()).Count-1, third))), dir)
	for policy, want := range map[string]struct {
		code int
		said string
	}{
		"log " + l.VKey() + "\nquorum none\n": {0, "clean: "},
		"witness w " + proof.VKey("w.example", 4, chaintest.Signer("w").Public(0).Public) + "\nquorum w\n": {36, "witness_quorum_not_met"},
		"quorum w\n": {2, "is no policy: line 1"},
	} {
		file := filepath.Join(policies, fmt.Sprint(want.code))
		if err := os.WriteFile(file, []byte(policy), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(python(t), "-B", "verify.py", "--key", l.VKey(), "--policy", file, dir).CombinedOutput()
		code := 0
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			code = exit.ExitCode()
		} else if err != nil {
			t.Fatal(err)
		}
		if code != want.code || !bytes.Contains(out, []byte(want.said)) {
			t.Errorf("%q: %d\n%s", policy, code, out)
		}
	}
}

// TestVerifyPyUncheckedWitness: where only an ML-DSA-44 cosignature meets the policy,
// which verify.py doesn't check, it says that it didn't, and never that the pack is fine.
func TestVerifyPyUncheckedWitness(t *testing.T) {
	l := prooftest.New("unchecked")
	own := l.Checkpoint(l.Size())
	skey, vkey, err := notes.GenerateMLDSAKey("m.example")
	if err != nil {
		t.Fatal(err)
	}
	s, err := notes.NewMLDSASigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	line, err := note.Sign(&note.Note{Text: string(own[:bytes.LastIndex(own, []byte("\n\n"))+1])}, s)
	if err != nil {
		t.Fatal(err)
	}
	cosigned := append(bytes.Clone(own), line[bytes.LastIndex(line, []byte("\n\n"))+2:]...)
	policy := []byte("witness m " + vkey + "\nquorum m\n")
	p, err := proof.ParsePolicy(policy)
	if err != nil {
		t.Fatal(err)
	}
	if f := p.Judgement(cosigned); f != nil {
		t.Fatalf("the code, which checks it, says %s: %s", f.Finding, f.Detail)
	}
	in, err := json.Marshal([][]byte{policy, cosigned})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(python(t), "-B", "-c", judging+"    print(report.notices)\n", "verify.py")
	cmd.Stdin = bytes.NewReader(in)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "witness_quorum_not_met\n") || !strings.Contains(string(out), "was not checked, and does not count") {
		t.Errorf("verify.py says %v\n%s", err, out)
	}
}
