package tamper_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"annals/ledger/proof"
)

const noPack = "nothing there is a pack"

// packTamperings change the files of an evidence pack, and nothing of the ledger.
func packTamperings() []tampering {
	others := map[medium]string{inFolder: noPack, atURL: noPack, inExport: noPack, byLog: noPack}
	change := func(name string, want proof.Finding, do func(f files)) tampering {
		return tampering{name: "in a pack: " + name, want: want, at: nowhere, tenant: middle, insider: true, packed: do, unseen: others}
	}
	made := func(name string, want proof.Finding, do func(e *evidence)) tampering {
		t := change(name, want, nil)
		t.made = do
		return t
	}
	lines := func(do func(l [][]byte) [][]byte) func(f files) {
		return func(f files) {
			l := slices.Collect(bytes.Lines(f["entries.jsonl"]))
			f["entries.jsonl"] = bytes.Join(do(l), nil)
		}
	}
	line := func(n int, do func(m map[string]any)) func(f files) {
		return lines(func(l [][]byte) [][]byte {
			var m map[string]any
			read(l[n], &m)
			do(m)
			l[n] = append(mustJSON(m), '\n')
			return l
		})
	}
	object := func(file string, do func(m map[string]any)) func(f files) {
		return func(f files) {
			var m map[string]any
			read(f[file], &m)
			do(m)
			f[file] = mustJSON(m)
		}
	}
	set := func(name string, v any) func(m map[string]any) { return func(m map[string]any) { m[name] = v } }
	letter := func(m map[string]any, name string) {
		b := []byte(m[name].(string))
		flip(b, len(b)/2)
		m[name] = string(b)
	}
	without := func(file string) func(f files) { return func(f files) { delete(f, file) } }
	return append(erasedTamperings(change), []tampering{
		change("a line taken out", proof.MissingEntry, lines(func(l [][]byte) [][]byte { return slices.Delete(l, 5, 6) })),
		change("the last line taken out", proof.Truncated, lines(func(l [][]byte) [][]byte { return l[:len(l)-1] })),
		change("two lines swapped", proof.Reordered, lines(func(l [][]byte) [][]byte { l[5], l[6] = l[6], l[5]; return l })),
		change("a line put in twice", proof.Reordered, lines(func(l [][]byte) [][]byte { return slices.Insert(l, 6, l[5]) })),
		made("another workspace's entry put in", proof.TrailingBytes, func(e *evidence) { e.foreign = true }),
		change("a line under another index", proof.Reordered, line(5, func(m map[string]any) { m["index"] = m["index"].(float64) + 1 })),
		change("an entry's bytes changed", proof.AlteredEntry, line(5, func(m map[string]any) { letter(m, "entry") })),
		change("a body changed", proof.AlteredPayload, line(5, func(m map[string]any) { letter(m, "body") })),
		change("an envelope changed", proof.AlteredPayload, line(5, func(m map[string]any) { letter(m, "envelope") })),
		change("a salt changed", proof.AlteredPayload, line(5, func(m map[string]any) { letter(m, "salt") })),
		change("an inclusion proof changed", proof.TreeDamaged, line(5, func(m map[string]any) {
			p := m["proof"].([]any)
			p[2] = p[1]
		})),
		change("an empty inclusion proof", proof.TreeDamaged, line(5, set("proof", []string{}))),
		change("a payload that was selected left out", proof.PayloadMissing, line(5, func(m map[string]any) {
			for _, name := range []string{"proof", "salt", "envelope", "body"} {
				delete(m, name)
			}
		})),
		change("a payload more than was selected", proof.TrailingBytes, object("pack.json", func(m map[string]any) {
			m["payloads"] = m["payloads"].(float64) - 1
		})),
		change("another ledger's id", proof.WrongLedger, object("pack.json", set("ledger", strings.Repeat("7", 64)))),
		change("another origin", proof.WrongLedger, object("pack.json", set("origin", "annals.example/elsewhere"))),
		change("another workspace's name", proof.WorkspaceChainBroken, object("pack.json", set("workspace", "ws_9"))),
		change("fewer positions claimed", proof.TrailingBytes, object("pack.json", func(m map[string]any) { m["last"] = m["last"].(float64) - 3 })),
		change("more positions claimed", proof.Truncated, object("pack.json", func(m map[string]any) { m["last"] = m["last"].(float64) + 3 })),
		change("a format to come", proof.Unsupported, object("pack.json", set("format", "annals/pack/v2"))),
		change("a member that nobody knows", proof.Inconclusive, object("pack.json", set("more", 1))),
		change("a member twice", proof.Inconclusive, func(f files) {
			f["pack.json"] = bytes.Replace(f["pack.json"], []byte(`{`), []byte(`{"payloads":0,`), 1)
		}),
		change("bytes behind the entries", proof.Inconclusive, func(f files) { f["entries.jsonl"] = append(f["entries.jsonl"], "{"...) }),
		change("the entries taken away", proof.Inconclusive, without("entries.jsonl")),
		change("the keys taken away", proof.Inconclusive, without("keys.json")),
		change("the signed head taken away", proof.TailUnproven, without("head.json")),
		change("a key put among the ledger's", proof.Inconclusive, object("keys.json", func(m map[string]any) {
			keys := m["keys"].([]any)
			m["keys"] = append(keys, keys[0])
		})),
		change("the genesis's proof changed", proof.RootMismatch, object("keys.json", func(m map[string]any) {
			p := m["genesis"].(map[string]any)["proof"].([]any)
			p[1] = p[0]
		})),
		change("a change of keys kept quiet", proof.UnknownKey, object("keys.json", set("changes", []any{}))),
		change("a head's signature changed", proof.BadSignature, object("head.json", func(m map[string]any) {
			b := []byte(m["head"].(string))
			flip(b, len(b)-20)
			m["head"] = string(b)
		})),
		made("a head signed by the checkpoint key", proof.UnknownKey, func(e *evidence) { e.headKey = &checkpointKey }),
		made("a head that ends before the last entry", proof.TailUnproven, func(e *evidence) { e.behind = 1 }),
		made("a head that counts one entry less, at the same size", proof.Forked, func(e *evidence) { e.fewer = 1 }),
		made("a head of another workspace", proof.WorkspaceChainBroken, func(e *evidence) { e.headTag = &otherTag }),
	}...)
}

var otherTag = [32]byte{7}

func read(b []byte, v any) {
	if err := json.Unmarshal(b, v); err != nil {
		panic(err)
	}
}
