package proof

import (
	"bytes"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"annals/ledger/chain"
)

// TestParseReceiptRefuses: what isn't printed so is refused, and said to be.
func TestParseReceiptRefuses(t *testing.T) {
	s := issue(t, sample())
	index := uint64(s.first(chain.KindRecord, 4))
	good := string(s.receipt(t, index, s.head.Size, true).Text())
	lines := strings.SplitN(good, "\n", 4)
	extra, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[1], "extra "))
	if err != nil {
		t.Fatal(err)
	}
	with := func(extra []byte) string {
		return strings.Join([]string{lines[0], "extra " + base64.StdEncoding.EncodeToString(extra), lines[2], lines[3]}, "\n")
	}
	edit := func(at int, change func(b []byte) []byte) string {
		return with(append(bytes.Clone(extra[:at]), change(bytes.Clone(extra[at:]))...))
	}
	const parts = len(receiptDomain) + 32
	if with(extra) != good {
		t.Fatal("the test takes the receipt apart wrongly")
	}
	for name, text := range map[string]string{
		"nothing":             "",
		"another version":     strings.Replace(good, "@v1", "@v2", 1),
		"no extra":            strings.Join([]string{lines[0], lines[2], lines[3]}, "\n"),
		"no index":            strings.Join([]string{lines[0], lines[1], lines[3]}, "\n"),
		"index with zero":     strings.Replace(good, "index ", "index 0", 1),
		"index with sign":     strings.Replace(good, "index ", "index +", 1),
		"another index":       strings.Replace(good, "index ", "index 1", 1),
		"no checkpoint":       good[:strings.Index(good, "\n\n")+1],
		"empty checkpoint":    good[:strings.Index(good, "\n\n")+2],
		"CR LF":               strings.ReplaceAll(good, "\n", "\r\n"),
		"space":               strings.Replace(good, "extra ", "extra  ", 1),
		"padding":             strings.Replace(good, "\nindex", "=\nindex", 1),
		"short hash":          strings.Replace(good, "\n\n", "\nAAAA\n\n", 1),
		"too many hashes":     strings.Replace(good, "\n\n", strings.Repeat("\n"+base64.StdEncoding.EncodeToString(make([]byte, 32)), maxProof)+"\n\n", 1),
		"too long":            good + strings.Repeat("x", MaxReceipt),
		"too long checkpoint": good + strings.Repeat("x", maxCheckpoint),
		"another domain":      edit(0, func(b []byte) []byte { b[0] ^= 1; return b }),
		"unknown part":        edit(parts, func(b []byte) []byte { b[0] |= 4; return b }),
		"payload, no salt":    edit(parts, func(b []byte) []byte { b[0] = partPayload; return b }),
		"no parts, but bytes": edit(parts, func(b []byte) []byte { b[0] = 0; return b }),
		"cut in the ledger":   with(extra[:parts-1]),
		"cut in the entry":    with(extra[:parts+100]),
		"cut in the body":     with(extra[:len(extra)-1]),
		"trailing byte":       with(append(bytes.Clone(extra), 0)),
		"entry's length":      edit(parts+1, func(b []byte) []byte { b[0] = 0xff; return b }),
		"entry's place":       edit(parts+5+10, func(b []byte) []byte { b[0], b[1] = 9, 9; return b }),
	} {
		if r, err := ParseReceipt([]byte(text)); !errors.Is(err, ErrReceipt) {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
	newer := edit(parts+5+3, func(b []byte) []byte { b[0] = 2; return b })
	if _, err := ParseReceipt([]byte(newer)); !errors.Is(err, ErrReceipt) || !errors.Is(err, chain.ErrUnsupported) {
		t.Errorf("an entry of version 2: %v", err)
	}
}

// TestLargestReceipt: the largest payload that is kept fits, and is read back.
func TestLargestReceipt(t *testing.T) {
	b := newBuilder("large")
	header := strings.Repeat("h", chain.MaxHeaders-100)
	b.Publish("activity.ws_1.app.renamed", strings.Repeat("x", chain.MaxBody), "ce-x", header)
	s := issue(t, b.done())
	r := s.receipt(t, s.head.Size-1, s.head.Size, true)
	got, err := ParseReceipt(r.Text())
	if err != nil || got.Payload == nil || len(got.Payload.Body) != chain.MaxBody || len(got.Payload.Envelope) < len(header) {
		t.Fatalf("%v", err)
	}
	if _, err := got.Verify(s.ring(t)); err != nil {
		t.Error(err)
	}
	t.Logf("%d bytes", len(r.Text()))
}

// TestShippedReceipts: the receipts that the examples read are those that the
// ledger of the test gives (-update writes them).
func TestShippedReceipts(t *testing.T) {
	b := newBuilder("shop")
	b.Publish("activity.ws_7.app.renamed", `{"id":"evt-1","actor":{"type":"user","id":"usr_dana"},"object":{"type":"app","id":"app_42"}}`)
	b.Publish("activity.ws_7.app.renamed", `{"id":"evt-2","actor":{"type":"user"}}`)
	b.Record("ws_7", "evt-3", `{}`)
	s := issue(t, b.done())
	for name, index := range map[string]uint64{"record": 2, "rejection": 3} {
		path := filepath.Join("testdata", name+".tlog-proof")
		text := s.receipt(t, index, s.head.Size, true).Text()
		if os.Getenv("ANNALS_UPDATE_RECEIPTS") != "" {
			if err := os.WriteFile(path, text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		shipped, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(shipped, text) {
			t.Errorf("%s is not what the ledger of this test gives now (ANNALS_UPDATE_RECEIPTS=1 writes it anew): %v\nverifier key %s", path, err, s.vkey)
		}
	}
}

func FuzzParseReceipt(f *testing.F) {
	s := issue(f, sample())
	for _, kind := range []chain.Kind{chain.KindRecord, chain.KindDuplicate, chain.KindRejection, chain.KindControl} {
		index := uint64(s.first(kind, 4))
		f.Add(s.receipt(f, index, s.head.Size, true).Text())
		f.Add(s.receipt(f, index, index+1, false).Text())
	}
	f.Add([]byte(receiptHeader))
	ring := s.ring(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseReceipt(b)
		if err != nil {
			if !errors.Is(err, ErrReceipt) {
				t.Fatalf("%v", err)
			}
			return
		}
		if !bytes.Equal(r.Text(), b) {
			t.Fatal("it is printed in another way")
		}
		proven, err := r.Verify(ring)
		if err != nil {
			return
		}
		// The fuzzer can't sign: what verifies is an entry of the ledger.
		if r.Index >= s.head.Size || !bytes.Equal(r.Raw, s.rows[r.Index].raw) || proven.Checkpoint.Size > s.head.Size {
			t.Fatalf("%+v verifies", r)
		}
	})
}
