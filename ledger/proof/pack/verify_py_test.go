package pack_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"annals/ledger/chain"
	"annals/ledger/proof"
	"annals/ledger/proof/pack"
	"annals/ledger/proof/prooftest"
)

const scripts = "testdata/verify" // verify.py's own tests

// python is the interpreter that verify.py runs with.
func python(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("NOT CHECKED: verify.py needs python3, which is not installed here")
	}
	return path
}

// TestVerifyPy runs verify.py's own tests, which make their ledgers from the pages of
// docs/format alone.
func TestVerifyPy(t *testing.T) {
	run := exec.Command(python(t), "-B", "-m", "unittest", "discover", "-p", "test_*.py")
	run.Dir = scripts
	seen(t, scripts, "../../../docs/format")
	out, err := run.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if m := regexp.MustCompile(`Ran (\d+) tests`).FindSubmatch(out); m == nil || len(m[1]) < 2 {
		t.Fatalf("the tests were not found:\n%s", out)
	}
}

// seen reads what Python is about to read: go test remembers that a test passed for as
// long as what the test itself has read stays the same.
func seen(t *testing.T, folders ...string) {
	t.Helper()
	for _, folder := range folders {
		err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				_, err = os.ReadFile(path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestVerifyPySum holds docs/format/pack.md to verify.py: whoever has the page can
// tell whether a pack's verify.py is this one.
func TestVerifyPySum(t *testing.T) {
	script, err := os.ReadFile("verify.py")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../../docs/format/pack.md")
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(script)
	want := hex.EncodeToString(sum[:]) + "  verify.py"
	if said := regexp.MustCompile(`(?m)^[0-9a-f]{64}  verify\.py$`).FindAllString(string(page), -1); len(said) != 1 || said[0] != want {
		t.Errorf("docs/format/pack.md says %q, and it is\n%s", said, want)
	}
}

// unpacked writes a pack's files into a folder.
func unpacked(t *testing.T, files []pack.File, folder string) {
	t.Helper()
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(folder, f.Name), f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// judged is what verify.py says of a pack.
type judged struct {
	Findings []struct {
		Finding proof.Finding
		Index   *uint64
		Detail  string
	}
	Notices []string
}

// names are the findings by rank, with the entry at fault.
func (j *judged) names() []string {
	names := []string{}
	for _, f := range j.Findings {
		names = append(names, named(f.Finding, f.Index))
	}
	return names
}

func named(f proof.Finding, index *uint64) string {
	if index == nil {
		return string(f)
	}
	return fmt.Sprintf("%s at %d", string(f), *index)
}

// brought is a pack's files and the verifier key that its reader has.
type brought struct {
	files []pack.File
	vkey  string
}

// verifyAll runs verify.py over packs, in one process.
func verifyAll(t *testing.T, packs []brought) []judged {
	t.Helper()
	interpreter, folder := python(t), t.TempDir()
	var in strings.Builder
	for i, b := range packs {
		where := filepath.Join(folder, fmt.Sprint(i))
		unpacked(t, b.files, where)
		fmt.Fprintf(&in, "%s\t%s\n", where, b.vkey)
	}
	run := exec.Command(interpreter, "-B", "many.py")
	run.Dir, run.Stdin = scripts, strings.NewReader(in.String())
	var failed bytes.Buffer
	run.Stderr = &failed
	out, err := run.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, failed.Bytes())
	}
	var all []judged
	for line := range bytes.Lines(out) {
		var j judged
		if err := json.Unmarshal(line, &j); err != nil {
			t.Fatal(err)
		}
		all = append(all, j)
	}
	if len(all) != len(packs) {
		t.Fatalf("%d verdicts on %d packs\n%s", len(all), len(packs), failed.Bytes())
	}
	return all
}

// TestVerifyPyClean has verify.py, which was written from the pages, verify what the
// code writes: random ledgers, every range of a workspace.
func TestVerifyPyClean(t *testing.T) {
	var packs []brought
	for seed := range uint64(3) {
		l := prooftest.Random(100+seed, 40, 3)
		count := l.Head("ws_1", l.Size()).Count
		for first := range count {
			for _, last := range []uint64{first, (first + count) / 2, count - 1} {
				with := []func(*chain.Leaf) bool{records, none, prooftest.All}[first%3]
				b := written(t, contents(t, l, "ws_1", l.Size(), first, last, with))
				packs = append(packs, brought{unzipped(t, b), l.VKey()})
			}
		}
	}
	for i, j := range verifyAll(t, packs) {
		if len(j.Findings) > 0 || slices.Contains(j.Notices, "foreign_file") {
			t.Fatalf("pack %d: %+v", i, j)
		}
	}
}

// TestVerifyPyInThePack checks a pack as whoever gets it does: by the script in it.
func TestVerifyPyInThePack(t *testing.T) {
	l := prooftest.Random(4, 40, 3)
	folder := t.TempDir()
	files := unzipped(t, written(t, contents(t, l, "ws_1", l.Size(), 0, l.Head("ws_1", l.Size()).Count-1, records)))
	unpacked(t, files, folder)
	for _, c := range []struct {
		args []string
		code int
		say  string
	}{
		{[]string{"--key", l.VKey()}, 0, "clean: "},
		{nil, 0, "no --key was given"},
		{[]string{"--key", prooftest.VKeyOf(l.Settled.Origin, "nobody")}, 20, "unknown_key: "},
		{[]string{"--key", "nonsense"}, 2, "no verifier key"},
	} {
		out, err := exec.Command(python(t), append([]string{"-B", filepath.Join(folder, pack.Script)}, c.args...)...).CombinedOutput()
		code := 0
		if failed := (*exec.ExitError)(nil); errors.As(err, &failed) {
			code = failed.ExitCode()
		} else if err != nil {
			t.Fatal(err)
		}
		if code != c.code || !strings.Contains(string(out), c.say) {
			t.Errorf("%q: exit code %d, want %d and %q:\n%s", c.args, code, c.code, c.say, out)
		}
	}
}

// TestVectorPack has the code verify the pack that stands in docs/format/vectors,
// which verify.py's tests made.
func TestVectorPack(t *testing.T) {
	const vectors = "../../../docs/format/vectors"
	var files []pack.File
	for _, name := range []string{pack.Manifest, pack.Note, pack.Keys, pack.Head, pack.Entries} {
		data, err := os.ReadFile(filepath.Join(vectors, "pack", name))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, pack.File{Name: name, Data: data})
	}
	vkey, err := os.ReadFile(filepath.Join(vectors, "pack.vkey"))
	if err != nil {
		t.Fatal(err)
	}
	if r := verdict(t, zipped(t, files), strings.TrimSpace(string(vkey))); r.Verdict != proof.Clean || len(r.Notices) != 1 || r.Notices[0].Notice != proof.KeysChanged || r.Entries != 10 || r.Payloads != 3 {
		t.Errorf("%+v", r)
	}
	text, err := os.ReadFile(filepath.Join(vectors, "pack.tlog-proof"))
	if err != nil {
		t.Fatal(err)
	}
	receipt, err := proof.ParseReceipt(text)
	if err != nil {
		t.Fatal(err)
	}
	history, err := proof.ParseKeyHistory(files[2].Data)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := history.Verify(strings.TrimSpace(string(vkey)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := receipt.Verify(ring); err != nil {
		t.Error(err)
	}
}

// TestCheckpointByHand runs the script of docs/format/checkpoint.md, which makes a
// checkpoint with OpenSSL. verify.py's tests check the signature that it prints.
func TestCheckpointByHand(t *testing.T) {
	for _, tool := range []string{"bash", "xxd", "openssl", "sha256sum"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("NOT CHECKED: the page's script needs %s, which is not installed here", tool)
		}
	}
	page, err := os.ReadFile("../../../docs/format/checkpoint.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?s)```bash\n(.*?)```.*?```text\n(.*?)```").FindSubmatch(page)
	if m == nil {
		t.Fatal("the page has no script, or not what it prints")
	}
	run := exec.Command("bash")
	run.Dir, run.Stdin = t.TempDir(), bytes.NewReader(m[1])
	printed, err := run.CombinedOutput()
	if err != nil || !bytes.Equal(printed, m[2]) {
		t.Errorf("%v: the script prints\n%s\nand the page says\n%s", err, printed, m[2])
	}
}
