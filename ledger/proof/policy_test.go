package proof_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	notes "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
	"annals/ledger/proof"
	"annals/ledger/proof/prooftest"
)

// witnessKey is the verifier key of a witness that a name stands for.
func witnessKey(name string) string {
	return proof.VKey(name+".example", 4, chaintest.Signer(name).Public(0).Public)
}

func TestParsePolicy(t *testing.T) {
	log := prooftest.VKeyOf("log.example", "log")
	w := func(name string) string { return "witness " + name + " " + witnessKey(name) + "\n" }
	three := w("X1") + w("X2") + w("X3")
	vkey := strings.Fields(w("X1"))[2]
	cases := []struct{ name, policy, wrong string }{
		{"the example", "log " + log + "\n\n" + three + "group X-witnesses 2 X1 X2 X3\n\n" + w("Y1") + w("Y2") + w("Y3") +
			"group Y-witnesses any Y1 Y2 Y3\n\ngroup X-and-Y all X-witnesses Y-witnesses\nquorum X-and-Y\n", ""},
		{"no witness", "quorum none\n", ""},
		{"no newline at the end", "quorum none", ""},
		{"a witness as quorum", w("X1") + "quorum X1\n", ""},
		{"URLs", "log " + log + " https://log.example/\nwitness X1 " + vkey + " https://w.example\nquorum X1\n", ""},
		{"white space and comments", " \t\n# a comment\n \t# and one more\n\t quorum \t none \t\n", ""},
		{"octets that are no UTF-8", "witness \xff\xfe " + vkey + " http://\x80\nquorum \xff\xfe\n# \xc3\x28\n", ""},
		{"a Kelvin sign is no K", "witness K " + vkey + "\nquorum \u212a\n", "line 2"},
		{"lines behind the quorum", "quorum none\nlog " + log + "\n" + w("X1"), ""},
		{"a group of one", w("X1") + "group g 1 X1\nquorum g\n", ""},
		{"32 of each", func() string {
			var b strings.Builder
			for i := range 32 {
				fmt.Fprintf(&b, "log %s\n%sgroup g%d any w%d\n", prooftest.VKeyOf("log.example", fmt.Sprint("log", i)), w(fmt.Sprint("w", i)), i, i)
			}
			return b.String() + "quorum g7\n"
		}(), ""},
		{"nothing", "", "no quorum line"},
		{"no quorum", three, "no quorum line"},
		{"two quorums", "quorum none\nquorum none\n", "line 2: a second quorum"},
		{"a quorum of two", w("X1") + w("X2") + "quorum X1 X2\n", "line 3"},
		{"a quorum of nothing", "quorum\n", "line 1"},
		{"a quorum before its witness", "quorum X1\n" + w("X1"), "line 1: no line before"},
		{"a group before its member", "group g any X1\n" + w("X1") + "quorum g\n", "line 1: no line before"},
		{"a group of itself", "group g any g\nquorum g\n", "line 1: no line before"},
		{"a group without members", w("X1") + "group g any\nquorum g\n", "line 2"},
		{"a group without a number", w("X1") + "group g X1\nquorum g\n", "line 2"},
		{"0 of 1", w("X1") + "group g 0 X1\nquorum g\n", "line 2"},
		{"2 of 1", w("X1") + "group g 2 X1\nquorum g\n", "line 2"},
		{"a number with a zero before it", w("X1") + "group g 01 X1\nquorum g\n", "line 2"},
		{"a number with a sign", w("X1") + "group g +1 X1\nquorum g\n", "line 2"},
		{"a hexadecimal number", w("X1") + "group g 0x1 X1\nquorum g\n", "line 2"},
		{"All", w("X1") + "group g All X1\nquorum g\n", "line 2"},
		{"none in a group", w("X1") + "group g any none X1\nquorum g\n", "line 2"},
		{"a member twice", w("X1") + "group g any X1 X1\nquorum g\n", "line 2: \"X1\" is a group's member already"},
		{"a member of two groups", w("X1") + "group g any X1\ngroup h any X1\nquorum h\n", "line 3"},
		{"a witness called none", "witness none " + vkey + "\nquorum none\n", "line 1"},
		{"a group called none", w("X1") + "group none any X1\nquorum none\n", "line 2"},
		{"two of a name", w("X1") + "witness X1 " + witnessKey("X2") + "\nquorum X1\n", "line 2"},
		{"a group called as a witness", w("X1") + "group X1 any X1\nquorum X1\n", "line 2"},
		{"a key twice", w("X1") + "witness X2 " + vkey + "\nquorum X1\n", "line 2: an earlier witness line"},
		{"a key twice under another name", w("X1") + "witness X2 " + proof.VKey("other", 4, chaintest.Signer("X1").Public(0).Public) + "\nquorum X1\n", "line 2: an earlier witness line"},
		{"a log twice", "log " + log + "\nlog " + log + " http://x\nquorum none\n", "line 2: an earlier log line"},
		{"a log twice under another name", "log " + log + "\nlog " + prooftest.VKeyOf("more.example", "log") + "\nquorum none\n", "line 2: an earlier log line"},
		{"a log without a key", "log\nquorum none\n", "line 1"},
		{"a log with a comment", "log " + log + " http://x # ours\nquorum none\n", "line 1"},
		{"a log's key cut short", "log " + log[:len(log)-2] + "\nquorum none\n", "line 1"},
		{"a log with a witness's key", "log " + vkey + "\nquorum none\n", "line 1"},
		{"a witness with a log's key", "witness X1 " + log + "\nquorum X1\n", "line 1"},
		{"a witness without a key", "witness X1\nquorum none\n", "line 1"},
		{"a witness with more", "witness X1 " + vkey + " http://x y\nquorum none\n", "line 1"},
		{"another word", "policy 1\nquorum none\n", "line 1"},
		{"capitals", "Quorum none\n", "line 1"},
		{"a carriage return", "quorum none\r\n", "line 1: octet 0x0d"},
		{"a control character in a comment", "# \x01\nquorum none\n", "line 1: octet 0x01"},
		{"DEL", "# \x7f\nquorum none\n", "line 1: octet 0x7f"},
		{"no-break space is no white space", "quorum\u00a0none\n", "line 1"},
	}
	for _, c := range cases {
		p, err := proof.ParsePolicy([]byte(c.policy))
		switch {
		case (err == nil) != (c.wrong == "") || (p == nil) != (err != nil):
			t.Errorf("%s: %v", c.name, err)
		case err != nil && !strings.Contains(err.Error(), c.wrong):
			t.Errorf("%s: %v, which does not say %q", c.name, err, c.wrong)
		}
	}
	if _, err := proof.ParsePolicy(make([]byte, 2<<20)); err == nil {
		t.Error("two megabytes pass")
	}
}

// cosigned adds witnesses' cosignatures to a checkpoint.
func cosigned(t testing.TB, n []byte, names ...string) []byte {
	t.Helper()
	text := string(n[:bytes.LastIndex(n, []byte("\n\n"))+1])
	out := bytes.Clone(n)
	for _, name := range names {
		origin := name + ".example"
		seed := chaintest.Secret(name)
		skey := fmt.Sprintf("PRIVATE+KEY+%s+00000000+%s", origin, base64Of(append([]byte{4}, seed[:]...)))
		s, err := notes.NewSignerForCosignatureV1(skey)
		if err != nil {
			t.Fatal(err)
		}
		signed, err := note.Sign(&note.Note{Text: text}, s)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, signed[bytes.LastIndex(signed, []byte("\n\n"))+2:]...)
	}
	return out
}

func TestJudge(t *testing.T) {
	l := prooftest.New("judged")
	own := l.Checkpoint(l.Size())
	var b strings.Builder
	for _, name := range []string{"X1", "X2", "X3", "Y1", "Y2"} {
		fmt.Fprintf(&b, "witness %s %s\n", name, witnessKey(name))
	}
	policy := func(log string) *proof.Policy {
		p, err := proof.ParsePolicy([]byte(log + b.String() + "group X 2 X1 X2 X3\ngroup Y any Y1 Y2\ngroup both all X Y\nquorum both\n"))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	known, other, none := policy("log "+l.VKey()+"\n"), policy("log "+prooftest.VKeyOf("other.example", "o")+"\n"), policy("")
	broken := func() []byte {
		n := cosigned(t, own, "X1")
		return append(n[:len(n)-10], []byte("AAAAAAA==\n")...)
	}()
	again := prooftest.New("judged").Checkpoint(1)
	cases := []struct {
		name   string
		policy *proof.Policy
		note   []byte
		met    bool
		wrong  error
	}{
		{"enough", known, cosigned(t, own, "X1", "X3", "Y2"), true, nil},
		{"all", known, cosigned(t, own, "Y1", "X1", "X2", "X3", "Y2"), true, nil},
		{"no log named", none, cosigned(t, own, "X1", "X2", "Y1"), true, nil},
		{"none", known, own, false, nil},
		{"one X", known, cosigned(t, own, "X1", "Y1"), false, nil},
		{"one X, twice", known, cosigned(t, own, "X1", "X1", "Y1"), false, nil},
		{"no Y", known, cosigned(t, own, "X1", "X2", "X3"), false, nil},
		{"strangers", known, cosigned(t, own, "Z1", "Z2", "Z3"), false, nil},
		{"another log", other, cosigned(t, own, "X1", "X2", "Y1"), false, chain.ErrUnknownKey},
		{"a broken cosignature", known, broken, false, chain.ErrSignature},
		{"no note", known, []byte("x"), false, proof.ErrNote},
		{"cosignatures of another checkpoint", known, func() []byte {
			c := cosigned(t, again, "X1", "X2", "Y1")
			return append(bytes.Clone(own), c[len(again):]...)
		}(), false, chain.ErrSignature},
	}
	for _, c := range cases {
		log, met, err := c.policy.Judge(c.note)
		if met != c.met || !errors.Is(err, c.wrong) || (err == nil) != (c.wrong == nil) {
			t.Errorf("%s: %v, %v", c.name, met, err)
		}
		if err == nil && (log.Size != l.Size() || log.Origin != l.Settled.Origin) {
			t.Errorf("%s: %+v", c.name, log)
		}
		f := c.policy.Judgement(c.note)
		if (f == nil) != (c.met && err == nil) || f != nil && err == nil && f.Finding != proof.WitnessQuorumNotMet {
			t.Errorf("%s: %+v", c.name, f)
		}
	}
}

func FuzzPolicy(f *testing.F) {
	f.Add([]byte("quorum none\n"))
	f.Add([]byte("log " + prooftest.VKeyOf("log.example", "log") + "\nwitness a " + witnessKey("a") + " http://x\ngroup g any a\nquorum g\n"))
	own := prooftest.New("fuzz").Checkpoint(2)
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := proof.ParsePolicy(b)
		if (p == nil) != (err != nil) {
			t.Errorf("%v, %v", p, err)
		}
		if err == nil {
			_, _, _ = p.Judge(own)
			_ = p.Need()
		}
	})
}

func base64Of(b []byte) string { return base64.StdEncoding.EncodeToString(b) }
