package chain_test

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
)

// TestTimestampVectors is the worked example of docs/format/control.md: a token, and
// what is rejected after it. The fold looks at no more of a token than its first byte.
func TestTimestampVectors(t *testing.T) {
	s := chaintest.New("timestamp vectors")
	s.Record("ws_7", "0", "1")
	l := newLog(t, s.Messages[0])
	if err := l.Fold(s.Messages, oneByOne); err != nil {
		t.Fatal(err)
	}
	size := l.State.Size
	root, _ := l.At(size)
	token := []byte{0x30, 0x03, 0x02, 0x01, 0x07}
	s.Timestamp(size, root, token)
	for _, c := range []struct {
		size  uint64
		root  chain.Hash
		token []byte
	}{
		{size, root, nil},
		{size, root, []byte("text")},
		{size, root, bytes.Repeat([]byte{0x30}, chain.MaxToken+1)},
		{size - 1, root, token},
		{0, chain.Hash{}, token},
		{size + 99, root, token},
	} {
		s.Timestamp(c.size, c.root, c.token)
		s.Control--
	}
	s.Publish("annals.control.timestamp", string(chain.SealControl(chain.Statement{
		Ledger: s.ID, Number: s.Control, Type: chain.ControlTimestamp, Size: size, Root: root, Body: token,
	}, []byte("words"), s.Keeper)))
	s.Publish("annals.control.timestamp", string(chain.SealTimestamp(s.ID, s.Control, size, root, token, s.Operator)))
	s.Timestamp(size, root, bytes.Repeat([]byte{0x30}, chain.MaxToken))
	s.Record("ws_7", "1", "1")
	if err := l.Fold(s.Messages[3:], oneByOne); err != nil {
		t.Fatal(err)
	}
	var got []string
	for i := range l.Entries[3:] {
		got = append(got, strings.TrimPrefix(outcome(&l.Entries[3+i].Entry), "rejection 0/1 "))
	}
	want := "control 0/1 timestamp|control_body|control_body|control_body|control_condition|control_condition|control_condition|control_body|control_signature|control 0/1 timestamp|record 0/1 asserted"
	if strings.Join(got, "|") != want {
		t.Errorf("%s\nwant %s", strings.Join(got, "|"), want)
	}

	s = chaintest.New("timestamp vectors")
	s.Record("ws_7", "0", "1")
	l = newLog(t, s.Messages[0])
	if err := l.Fold(s.Messages, oneByOne); err != nil {
		t.Fatal(err)
	}
	s.Timestamp(size, root, token)
	s.Timestamp(size, root, []byte("no token"))
	s.Control--
	s.Timestamp(size-1, root, token)
	s.Control--
	s.Record("ws_7", "1", "1")
	if err := l.Fold(s.Messages[3:], oneByOne); err != nil {
		t.Fatal(err)
	}
	published(t, "timestamp.json", vectorsOf(t, s, l, "ws_7"))
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "format", "control.md"))
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := l.Entries[3].Entry.Control()
	if err != nil {
		t.Fatal(err)
	}
	example := strings.Join(strings.Fields(string(page)), "")
	for name, b := range map[string][]byte{"ledger id": s.ID[:], "root": root[:], "statement": parsed.Statement.Append(nil)} {
		if !strings.Contains(example, hex.EncodeToString(b)) {
			t.Errorf("docs/format/control.md lacks the example's %s: %x", name, b)
		}
	}
}
