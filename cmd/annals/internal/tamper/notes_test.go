package tamper_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"annals/ledger/proof"
)

// noteTamperings change the signed head as it is served, exported and packed.
func noteTamperings() []tampering {
	// resigned is what the keeper's own key signs instead.
	resigned := func(change func(lines []string) []string, secret func(b *book) [sha256.Size]byte) func(b *book) func([]byte) []byte {
		return func(b *book) func([]byte) []byte {
			return func(note []byte) []byte {
				text, _, _ := strings.Cut(string(note), "\n\n")
				return sign(b.origin, strings.Join(change(strings.Split(text, "\n")), "\n")+"\n", secret(b))
			}
		}
	}
	own := func(b *book) [sha256.Size]byte { return keyAt(b.reigns, 1<<62) }
	same := func(lines []string) []string { return lines }
	type change struct {
		name string
		by   func(b *book) func(note []byte) []byte
		want proof.Finding
	}
	plain := func(do func(note []byte) []byte) func(*book) func([]byte) []byte {
		return func(*book) func([]byte) []byte { return do }
	}
	var out []tampering
	for _, c := range []change{
		{"a checkpoint's signature flipped", plain(func(note []byte) []byte {
			note = bytes.Clone(note)
			flip(note, len(note)-20)
			return note
		}), proof.BadSignature},
		{"a checkpoint's size changed under its signature", plain(func(note []byte) []byte {
			return bytes.Replace(note, []byte("\n3"), []byte("\n2"), 1)
		}), proof.BadSignature},
		{"a checkpoint without a signature", plain(func(note []byte) []byte {
			text, _, _ := bytes.Cut(note, []byte("\n\n"))
			return append(text, "\n\n"...)
		}), proof.Inconclusive},
		{"bytes behind a checkpoint", plain(func(note []byte) []byte { return append(bytes.Clone(note), "x\n"...) }), proof.Inconclusive},
		{"a web page in a checkpoint's place", plain(func([]byte) []byte { return []byte("<html>\n\n<p>Sign in\n") }), proof.Inconclusive},
		{"a checkpoint cut in half", plain(func(note []byte) []byte { return bytes.Clone(note[:len(note)/2]) }), proof.Inconclusive},
		{"a checkpoint that is a workspace's head", func(b *book) func([]byte) []byte {
			return func([]byte) []byte { return sign(b.origin, "annals/workspace-head/v1\n"+b.origin+"\n", headsKey) }
		}, proof.WrongLedger},
		{"a checkpoint with an extension line", resigned(func(l []string) []string { return append(l, "more") }, own), proof.BadSignature},
		{"a checkpoint of another origin", resigned(func(l []string) []string { return append([]string{"annals.example/elsewhere"}, l[1:]...) }, own), proof.WrongLedger},
		{"a checkpoint's size with a leading zero", resigned(func(l []string) []string { l[1] = "0" + l[1]; return l }, own), proof.BadSignature},
		{"a checkpoint's root that is cut short", resigned(func(l []string) []string { l[2] = l[2][:40]; return l }, own), proof.BadSignature},
		{"a checkpoint signed by the heads key", resigned(same, func(*book) [sha256.Size]byte { return headsKey }), proof.UnknownKey},
		{"a checkpoint signed by the root key", resigned(same, func(*book) [sha256.Size]byte { return rootKey }), proof.UnknownKey},
		{"a checkpoint signed by a key that was rotated away", resigned(same, func(*book) [sha256.Size]byte { return checkpointKey }), proof.UnknownKey},
	} {
		out = append(out, tampering{name: c.name, insider: true, noteOf: c.by, want: c.want, at: nowhere})
	}
	toldLast := map[medium]string{byLog: "a log client was told the ledger's last key"}
	strange := tampering{
		name: "the auditor's key is another ledger's", insider: true, want: proof.WrongLedger, at: nowhere, unseen: toldLast,
		knows: func(_ *book, k *knowledge) { k.vkey = vkey("annals.example/elsewhere", checkpointKey) },
	}
	unnamed := tampering{
		name: "the auditor's key was never this ledger's", insider: true, want: proof.UnknownKey, at: nowhere, unseen: toldLast,
		knows: func(honest *book, k *knowledge) { k.vkey = vkey(honest.origin, strangerKey) },
	}
	return append(out, strange, unnamed)
}

// flip changes a letter of base64 into another one.
func flip(b []byte, at int) {
	if b[at] == 'A' {
		b[at] = 'B'
		return
	}
	b[at] = 'A'
}

// tileTamperings change the files of a log, not what they are of.
func tileTamperings() []tampering {
	elsewhere := map[medium]string{inFolder: noTiles, inPack: noTiles}
	change := func(name, path string, do func(b []byte) []byte, want proof.Finding, at func(*book) int) tampering {
		return tampering{name: name, want: want, at: at, unseen: elsewhere, insider: true, tiles: func(f files) {
			full := ""
			for p := range f {
				if p == path || strings.HasPrefix(p, path+".p/") {
					full = p
				}
			}
			if full == "" {
				panic(fmt.Sprintf("no %s", path))
			}
			if f[full] = do(bytes.Clone(f[full])); f[full] == nil {
				delete(f, full)
			}
		}}
	}
	gone := func([]byte) []byte { return nil }
	short := func(n int) func([]byte) []byte { return func(b []byte) []byte { return b[:len(b)-n] } }
	more := func(b []byte) []byte { return append(b, make([]byte, 32)...) }
	return []tampering{
		change("a tile cut short", "tile/0/000", short(32), proof.TreeDamaged, fixed(0)),
		change("a tile cut within a hash", "tile/0/001", short(5), proof.TreeDamaged, fixed(256)),
		change("bytes behind a tile", "tile/0/000", more, proof.TreeDamaged, fixed(0)),
		change("a tile taken away", "tile/0/000", gone, proof.TreeDamaged, fixed(0)),
		change("a tile of level 1 taken away", "tile/1/000", gone, proof.TreeDamaged, fixed(0)),
		change("a bundle taken away", "tile/entries/000", gone, proof.MissingEntry, fixed(0)),
		change("the last bundle taken away", "tile/entries/001", gone, proof.Truncated, fixed(256)),
		change("a bundle cut within an entry", "tile/entries/001", short(5), proof.Truncated, func(b *book) int { return len(b.rows) - 1 }),
		change("bytes behind a bundle", "tile/entries/000", func(b []byte) []byte { return append(b, 0) }, proof.TrailingBytes, fixed(255)),
		change("an entry more in the last bundle", "tile/entries/001", func(b []byte) []byte { return append(b, b[:210]...) }, proof.TrailingBytes, func(b *book) int { return len(b.rows) - 1 }),
		change("two bundles' first entries swapped", "tile/entries/000", func(b []byte) []byte {
			n := 2 + int(b[0])<<8 + int(b[1])
			m := n + 2 + int(b[n])<<8 + int(b[n+1])
			return slices.Concat(b[n:m], b[:n], b[m:])
		}, proof.Reordered, fixed(0)),
	}
}
