package audit

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"maps"
	"testing"

	"annals/ledger/chain/chaintest"
	"annals/ledger/proof"
	"annals/ledger/proof/tiles"

	notes "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
)

// cosigned is a checkpoint under which a witness's line stands, and its verifier key.
func cosigned(t testing.TB, c proof.Checkpoint) (n []byte, vkey string) {
	t.Helper()
	seed := chaintest.Secret("witness")
	s, err := notes.NewSignerForCosignatureV1("PRIVATE+KEY+w.example+00000000+" + base64.StdEncoding.EncodeToString(append([]byte{4}, seed[:]...)))
	if err != nil {
		t.Fatal(err)
	}
	line, err := note.Sign(&note.Note{Text: c.Text()}, s)
	if err != nil {
		t.Fatal(err)
	}
	return proof.WithCosignatures(c.Note, string(line[bytes.LastIndex(line, []byte("\n\n"))+2:])),
		proof.VKey("w.example", 4, chaintest.Signer("witness").Public(0).Public)
}

// TestWitnessedRemote: who asks for witnesses is shown what they cosigned, which the
// newest checkpoint has to go on from; what can't be relied on leaves the newest to be
// judged.
func TestWitnessedRemote(t *testing.T) {
	l, other := newLog("witnessed", 300), newLog("witnessed", 280)
	other.Record("ws_1", "other", `{}`)
	other.Fold()
	for range 30 {
		other.Record("ws_1", "more", `{}`)
	}
	other.Fold()
	small, size := l.Size()-10, l.Size()
	both := map[string][]byte{}
	for _, s := range []uint64{small, size} {
		l.serve(t, s)
		maps.Copy(both, l.files)
	}
	newest := both[tiles.CheckpointPath]
	good, vkey := cosigned(t, l.at(small))
	policy, err := proof.ParsePolicy(fmt.Appendf(nil, "witness w %s\nquorum w\n", vkey))
	if err != nil {
		t.Fatal(err)
	}
	whole, _ := cosigned(t, l.at(size))
	forked, _ := cosigned(t, other.at(small))
	beyond, _ := cosigned(t, other.at(other.Size()))
	for _, c := range []struct {
		name       string
		checkpoint []byte
		witnessed  []byte
		remembered *Remembered
		want       proof.Finding
		size       uint64
	}{
		{"the newest is witnessed", whole, nil, nil, proof.Clean, size},
		{"an earlier one is", newest, good, nil, proof.Clean, small},
		{"and is remembered", newest, good, l.remembered(small), proof.Clean, small},
		{"none is", newest, nil, nil, proof.WitnessQuorumNotMet, size},
		{"it lacks the cosignature", newest, l.at(small).Note, nil, proof.WitnessQuorumNotMet, size},
		{"it is none", newest, []byte("x"), nil, proof.WitnessQuorumNotMet, size},
		{"more is remembered", newest, good, l.remembered(size), proof.WitnessQuorumNotMet, size},
		{"it is of more than the newest", newest, beyond, nil, proof.WitnessQuorumNotMet, size},
		{"it is another history's", newest, forked, nil, proof.Forked, small},
	} {
		l.files = maps.Clone(both)
		l.files[tiles.CheckpointPath] = c.checkpoint
		if c.witnessed != nil {
			l.files[tiles.WitnessedPath] = c.witnessed
		}
		r := l.audit(t, Options{Key: l.key("checkpoint"), Policy: policy, Remembered: c.remembered})
		if r.Verdict != c.want || r.Head.Size != c.size {
			t.Errorf("%s: %s of %d entries, want %s of %d: %s", c.name, r.Verdict, r.Head.Size, c.want, c.size, r.Sentence)
		}
	}
	// Nobody who doesn't ask for witnesses is shown less for them.
	l.files = maps.Clone(both)
	l.files[tiles.WitnessedPath] = good
	if r := l.audit(t, Options{Key: l.key("checkpoint")}); r.Verdict != proof.Clean || r.Head.Size != size {
		t.Errorf("without a policy: %s of %d", r.Verdict, r.Head.Size)
	}
}
