package tamper_test

import (
	"annals/ledger/chain"
	"annals/ledger/proof"
)

// cut returns how a book is cut off at an index, its head with it or not.
func cut(b *book, i int, head bool) {
	b.rows = b.rows[:i]
	if head {
		b.seal()
	}
}

// remembering is an auditor who kept the honest ledger's last head.
func remembering(honest *book, k *knowledge) {
	k.remembered, k.note = &honest.head, honest.checkpoint()
}

// endTamperings change the ledger's end, and what is said of it.
func endTamperings() []tampering {
	mark := func(b *book) int { return b.control(chain.ControlMark, len(b.rows)-20) }
	behindMark := func(b *book) int { return mark(b) + 1 }
	older := func(b *book) uint64 { return uint64(len(b.rows) - 2) }
	last := func(b *book) int { return len(b.rows) - 1 }
	rewritten := func(b *book) {
		// The commitment is made to fit: a forger writes what he likes.
		i := last(b)
		b.payload(i, func(p *chain.Payload) { p.Body[len(p.Body)-3] ^= 1 })
		b.edit(i, func(e *chain.Entry) { e.Commitment, _ = b.rows[i].payload.Commitment(b.id, e, nil) })
		b.relink(i+1, false)
		b.seal()
	}
	return []tampering{
		changing("the tail cut off, the head left", behindMark, func(b *book, i int) { cut(b, i, false) }, proof.Truncated),
		{
			name: "the tail cut off behind a mark", do: func(b *book) { cut(b, behindMark(b), true) },
			knows: remembering, want: proof.Truncated, at: behindMark,
		},
		{
			name: "the tail cut off before a mark", do: func(b *book) { cut(b, mark(b), true) },
			knows: remembering, want: proof.Truncated, at: mark,
		},
		{
			name: "the tail cut off, an older checkpoint served", do: func(b *book) { cut(b, behindMark(b), true) },
			insider: true, knows: remembering, want: proof.Truncated, at: behindMark,
		},
		{
			name: "all entries taken away", do: func(b *book) { cut(b, 0, true) }, want: proof.Truncated, at: fixed(0), tenant: last,
		},
		{
			name: "the checkpoint taken away", insider: true, noteOf: func(*book) func([]byte) []byte { return func([]byte) []byte { return nil } },
			want: proof.Inconclusive, at: nowhere, // nothing is said of a ledger that nobody signed for
		},
		{
			name: "an older checkpoint served beside newer entries", older: older, insider: true, knows: remembering,
			want: proof.StaleHead, at: func(b *book) int { return int(older(b)) },
		},
		{
			name: "entries exported that no checkpoint covers", older: older, insider: true,
			want: proof.TailUnproven, at: func(b *book) int { return int(older(b)) },
		},
		{
			name: "no witness cosigned, where the auditor asks for one", insider: true,
			knows: func(honest *book, k *knowledge) { k.policy = witnessed(honest) },
			want:  proof.WitnessQuorumNotMet, at: nowhere,
		},
		{
			name: "the end written anew without the key", do: rewritten, tenant: last,
			knows: remembering, want: proof.Forked, at: nowhere,
		},
		{
			name: "the end written anew, signed by another key", do: rewritten,
			signer: &strangerKey, want: proof.UnknownKey, at: nowhere,
		},
		{
			name: "two histories signed by the real key", do: rewritten, insider: true,
			knows: remembering, want: proof.Forked, at: nowhere,
		},
		{
			name: "a middle entry written anew, signed by the real key", insider: true,
			do: func(b *book) {
				i := middle(b)
				b.payload(i, func(p *chain.Payload) { p.Body[len(p.Body)-3] ^= 1 })
				b.forge(i, func(e *chain.Entry) { e.Commitment, _ = b.rows[i].payload.Commitment(b.id, e, nil) })
			},
			// The mark behind it still says what stood there.
			tenant: middle, want: proof.Forked, at: func(b *book) int { return b.control(chain.ControlMark, middle(b)) }, unseen: map[medium]string{byLog: noRules},
		},
		{
			name: "another root signed", do: func(b *book) { b.head.Root[5] ^= 1 }, insider: true,
			want: proof.RootMismatch, at: nowhere,
		},
		{
			name: "a larger size signed", do: func(b *book) { b.head.Size += 3 }, insider: true,
			want: proof.Truncated, at: func(b *book) int { return len(b.rows) },
		},
		{
			name: "another ledger in this one's place", do: func(b *book) { *b = *b.other.clone() }, insider: true,
			knows: remembering, want: proof.WrongLedger, at: fixed(0),
		},
	}
}

// nodeTamperings change the tree and leave the entries.
func nodeTamperings() []tampering {
	flip := func(name string, level, n int, unseen map[medium]string) tampering {
		return tampering{
			name: name, do: func(b *book) { b.nodes[level][n][3] ^= 1 },
			want: proof.TreeDamaged, at: fixed(n << level), unseen: unseen,
		}
	}
	tilesOnly := map[medium]string{inFolder: "a folder stores no hashes of leaves", inPack: noTiles}
	storeOnly := map[medium]string{atURL: everyEighth, inExport: everyEighth, byLog: everyEighth, inPack: noTiles}
	return []tampering{
		flip("a leaf's hash flipped", 0, 77, tilesOnly),
		flip("a node of level 1 flipped", 1, 40, storeOnly),
		flip("a node of level 5 flipped", 5, 3, storeOnly),
		flip("a node of level 8 flipped", 8, 0, map[medium]string{inPack: noTiles}),
		{
			name: "the last leaf's hash flipped", do: func(b *book) { n := b.nodes[0]; n[len(n)-1][3] ^= 1 },
			want: proof.TreeDamaged, at: func(b *book) int { return len(b.rows) - 1 }, unseen: tilesOnly,
		},
		{
			name: "two leaves' hashes swapped", do: func(b *book) { n := b.nodes[0]; n[9], n[10] = n[10], n[9] },
			want: proof.TreeDamaged, at: fixed(9), unseen: tilesOnly,
		},
		{
			name: "an entry and a node flipped", do: func(b *book) {
				b.rows[middle(b)].raw[190] ^= 1
				b.nodes[8][0][3] ^= 1
			},
			want: proof.AlteredEntry, at: middle,
		},
	}
}

// witnessed is the policy of an auditor who wants one witness's word.
func witnessed(b *book) []byte {
	public := signerOf(strangerKey).Public(0).Public
	return []byte("log " + b.vkey() + "\nwitness one " + proof.VKey("witness.example", 4, public) + "\nquorum one\n")
}
