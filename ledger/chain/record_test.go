package chain_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"annals/ledger/chain"
)

// envelopeOn is an envelope without headers.
func envelopeOn(subject string) []byte {
	b := binary.BigEndian.AppendUint16([]byte{1}, uint16(len(subject)))
	return append(append(b, subject...), 0, 0)
}

// TestRecordFollowsTheSubjectsRoot: a body is a door's frame where the subject's root
// says so, whatever else is wrong with the subject, and on no other.
func TestRecordFollowsTheSubjectsRoot(t *testing.T) {
	body := []byte(`{"door":{"grade":"asserted","producer":""},"record":{"type":"x"}}`)
	for _, subject := range []string{
		"vouched.ws.user.login", "vouched.ws._", "vouched.", "vouched", "vouched.NOT A WORKSPACE.x", "vouched._x.y", "vouched..",
		"activity.ws.user.login", "activity.vouched.user.login", "vouchedx.ws.x", "Vouched.ws.x", ".vouched.ws", "vouch", "", "annals.control.seed",
	} {
		leaf := chain.Leaf{Entry: chain.Entry{Kind: chain.KindRecord}, Payload: &chain.Payload{Envelope: envelopeOn(subject), Body: body}}
		_, record := leaf.Record()
		framed := !bytes.Equal(record, body)
		if want := chain.ParseSubject(subject).Root == chain.RootVouched; framed != want {
			t.Errorf("on %q: taken out of a frame: %t, want %t", subject, framed, want)
		}
	}
}

// TestRecordTakesNoMemory: it is called for each record that is shown or indexed.
func TestRecordTakesNoMemory(t *testing.T) {
	leaf := chain.Leaf{
		Entry:   chain.Entry{Kind: chain.KindRecord},
		Payload: &chain.Payload{Envelope: envelopeOn("activity.a-workspace-of-some-length.document.updated"), Body: []byte(`{}`)},
	}
	if n := testing.AllocsPerRun(100, func() { leaf.Record() }); n != 0 {
		t.Errorf("reading a record allocates %v times, want 0", n)
	}
}

// BenchmarkRecord finds a record's bytes in its payload.
func BenchmarkRecord(b *testing.B) {
	leaf := chain.Leaf{
		Entry:   chain.Entry{Kind: chain.KindRecord},
		Payload: &chain.Payload{Envelope: envelopeOn("activity.a-workspace-of-some-length.document.updated"), Body: []byte(`{}`)},
	}
	b.ReportAllocs()
	for b.Loop() {
		leaf.Record()
	}
}
