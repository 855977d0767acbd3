package chain_test

import (
	"bytes"
	"encoding/hex"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/mod/sumdb/tlog"

	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
)

var update = flag.Bool("update", false, "write the published vectors anew")

// vectors is a file of docs/format/vectors: a stream, and all that an
// implementation in another language must make of it.
type vectors struct {
	About    string            `json:"about"`
	Ledger   string            `json:"ledger_id"`
	Key      string            `json:"workspace_key"`
	Tags     map[string]string `json:"workspace_tags"`
	Messages []vectorMessage   `json:"messages"`
	Entries  []vectorEntry     `json:"entries"`
	Dedupe   map[string]string `json:"first_record_by_dedupe_key"`
	Heads    string            `json:"heads_root"`
	Roots    []string          `json:"root_by_size"`
}

type vectorMessage struct {
	Sequence uint64      `json:"sequence"`
	Time     int64       `json:"time_ns"`
	Subject  string      `json:"subject"`
	Header   [][2]string `json:"header,omitempty"`
	Text     string      `json:"body_text,omitempty"`
	Hex      string      `json:"body_hex,omitempty"`
}

type vectorEntry struct {
	Index    uint64 `json:"index"`
	Outcome  string `json:"outcome"`
	Told     string `json:"told,omitempty"` // the record that an event tells
	ULID     string `json:"ulid"`
	Salt     string `json:"salt"`
	Envelope string `json:"envelope_hex"`
	Entry    string `json:"entry_hex"`
	Leaf     string `json:"leaf"`
}

// vectorsOf is what the stream s, folded to l, gives, with the tags of the
// workspaces named.
func vectorsOf(t *testing.T, s *chaintest.Stream, l *chaintest.Log, workspaces ...string) vectors {
	key := chaintest.WorkspaceKey()
	v := vectors{
		About:  "A stream and the ledger it folds to. docs/format/README.md says how to read it. All keys here are public: they protect nothing.",
		Ledger: l.State.Ledger().String(), Key: hex.EncodeToString(key[:]),
		Tags: map[string]string{}, Dedupe: map[string]string{}, Heads: chain.HeadsRoot(l.Heads).String(),
	}
	for _, w := range workspaces {
		v.Tags[w] = l.State.Tag(w).String()
	}
	for _, m := range s.Messages {
		out := vectorMessage{Sequence: m.Sequence, Time: m.Time, Subject: m.Subject}
		for _, name := range slices.Sorted(maps.Keys(m.Header)) {
			for _, value := range m.Header[name] {
				out.Header = append(out.Header, [2]string{name, value})
			}
		}
		if chain.ParseSubject(m.Subject).Root == chain.RootControl {
			out.Hex = hex.EncodeToString(m.Body)
		} else {
			out.Text = string(m.Body)
		}
		v.Messages = append(v.Messages, out)
	}
	var stored storedHashes
	for i := range l.Entries {
		e := &l.Entries[i]
		v.Entries = append(v.Entries, vectorEntry{
			Index: e.Entry.Index, Outcome: outcome(&e.Entry), ULID: e.Entry.ULID.String(),
			Salt: e.Payload.Salt.String(), Envelope: hex.EncodeToString(e.Payload.Envelope),
			Entry: hex.EncodeToString(e.Raw), Leaf: e.Leaf.String(),
		})
		if e.First {
			v.Dedupe[e.Key.String()] = e.Entry.ULID.String()
		}
		hashes, err := tlog.StoredHashesForRecordHash(int64(i), tlog.Hash(e.Leaf), stored)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, hashes...)
		root, err := tlog.TreeHash(int64(i+1), stored)
		if err != nil {
			t.Fatal(err)
		}
		v.Roots = append(v.Roots, chain.Hash(root).String())
	}
	return v
}

type storedHashes []tlog.Hash

func (s storedHashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, at := range indexes {
		out[i] = s[at]
	}
	return out, nil
}

// TestVectors holds the code to the published vectors. They may be added to; a
// change of what stands there is a change of the format.
func TestVectors(t *testing.T) {
	s := chaintest.Golden()
	published(t, "golden.json", vectorsOf(t, s, foldGolden(t, oneByOne), "ws_7", "ws_8", "ws_9"))
}

// published compares vectors with those of a file, or writes them there.
func published(t *testing.T, file string, v vectors) {
	t.Helper()
	path := filepath.Join("..", "..", "docs", "format", "vectors", file)
	got, err := json.Marshal(v, jsontext.WithIndent("  "), json.Deterministic(true))
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("the fold no longer gives what %s says: the format has changed", path)
	}
}
