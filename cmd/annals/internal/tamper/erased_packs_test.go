package tamper_test

import (
	"bytes"
	"slices"

	"annals/ledger/chain"
	"annals/ledger/proof"
)

// erased is the first record that was erased.
func erased(b *book) int {
	return b.first(0, func(e *chain.Entry) bool { return e.Kind == chain.KindRecord && b.rows[e.Index].payload == nil })
}

// erasedTamperings change what an evidence pack says of what was erased. change makes
// one of them.
func erasedTamperings(change func(name string, want proof.Finding, do func(f files)) tampering) []tampering {
	edit := func(file string, which func(m map[string]any) bool, do func(m map[string]any)) func(f files) {
		return func(f files) {
			l := slices.Collect(bytes.Lines(f[file]))
			at := slices.IndexFunc(l, func(line []byte) bool {
				var m map[string]any
				read(line, &m)
				return which(m)
			})
			var m map[string]any
			read(l[at], &m)
			do(m)
			l[at] = append(mustJSON(m), '\n')
			f[file] = bytes.Join(l, nil)
		}
	}
	each := func(map[string]any) bool { return true }
	gone := func(m map[string]any) bool { return m["gone"] != nil }
	kept := func(m map[string]any) bool { return m["salt"] != nil }
	out := []tampering{
		change("the erasure taken away", proof.PayloadMissing, func(f files) { delete(f, "erasures.jsonl") }),
		change("an erasure's proof changed", proof.RootMismatch, edit("erasures.jsonl", each, func(m map[string]any) {
			p := m["proof"].([]any)
			p[1] = p[0]
		})),
		change("an erasure's statement changed", proof.RootMismatch, edit("erasures.jsonl", each, func(m map[string]any) {
			b := []byte(m["entry"].(string))
			flip(b, len(b)-20)
			m["entry"] = string(b)
		})),
		change("an erased payload made up", proof.ErasureIncomplete, func(f files) {
			var from map[string]any
			edit("entries.jsonl", kept, func(m map[string]any) { from = m })(f)
			edit("entries.jsonl", gone, func(m map[string]any) {
				delete(m, "gone")
				for _, name := range []string{"proof", "salt", "envelope", "body"} {
					m[name] = from[name]
				}
			})(f)
			edit("pack.json", each, func(m map[string]any) { m["payloads"] = m["payloads"].(float64) + 1 })(f)
		}),
		change("a payload said to be erased that is not", proof.PayloadMissing, func(f files) {
			var by any
			edit("entries.jsonl", gone, func(m map[string]any) { by = m["gone"] })(f)
			edit("entries.jsonl", kept, func(m map[string]any) {
				m["gone"] = by
				for _, name := range []string{"salt", "envelope", "body"} {
					delete(m, name)
				}
			})(f)
			edit("pack.json", each, func(m map[string]any) { m["payloads"] = m["payloads"].(float64) - 1 })(f)
		}),
		change("an erasure of a form to come", proof.Inconclusive, edit("erasures.jsonl", each, func(m map[string]any) { m["more"] = 1 })),
	}
	for i := range out {
		out[i].tenant = erased
	}
	return out
}
