package proof_test

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"annals/ledger/chain"
	"annals/ledger/proof"
	"annals/ledger/proof/prooftest"
)

// TestReceiptWitnessed: the grade is what the policy's witnesses made of it, and no
// more.
func TestReceiptWitnessed(t *testing.T) {
	text, err := os.ReadFile("testdata/record.tlog-proof")
	if err != nil {
		t.Fatal(err)
	}
	keys, err := proof.NewKeyring(vkey)
	if err != nil {
		t.Fatal(err)
	}
	log := "log " + vkey + "\n"
	two := fmt.Sprintf("witness X1 %s\nwitness X2 %s\ngroup X all X1 X2\nquorum X\n", witnessKey("X1"), witnessKey("X2"))
	for _, c := range []struct {
		name, policy string
		by           []string
		grade        proof.Grade
		finding      proof.Finding
		is           error
	}{
		{"both", log + two, []string{"X1", "X2"}, proof.Witnessed, proof.Clean, nil},
		{"one of two", log + two, []string{"X1"}, proof.Recorded, proof.WitnessQuorumNotMet, nil},
		{"none", log + two, nil, proof.Recorded, proof.WitnessQuorumNotMet, nil},
		{"strangers", log + two, []string{"Y1", "Y2"}, proof.Recorded, proof.WitnessQuorumNotMet, nil},
		{"a policy that asks for none", log + "quorum none\n", []string{"X1", "X2"}, proof.Recorded, proof.Clean, nil},
		{"a policy of another log", "log " + prooftest.VKeyOf("annals.example/other", "other") + "\n" + two, []string{"X1", "X2"}, "", proof.UnknownKey, chain.ErrUnknownKey},
	} {
		policy, err := proof.ParsePolicy([]byte(c.policy))
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		r, err := proof.ParseReceipt(text)
		if err != nil {
			t.Fatal(err)
		}
		r.Checkpoint = cosigned(t, r.Checkpoint, c.by...)
		if r, err = proof.ParseReceipt(r.Text()); err != nil {
			t.Fatal(err)
		}
		proven, err := r.VerifyWitnessed(keys, policy)
		if proven.Grade != c.grade || proof.FindingOf(err) != c.finding || c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: %q, %v", c.name, proven.Grade, err)
		}
		if plain, err := r.Verify(keys); err != nil || plain.Grade != proof.Recorded {
			t.Errorf("%s, without a policy: %q, %v", c.name, plain.Grade, err)
		}
	}
}
