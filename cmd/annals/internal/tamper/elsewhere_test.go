package tamper_test

import (
	"annals/ledger/proof"
)

// Why a medium can't show something.
const (
	headersOnly = "tiles hold entries without their payloads"
	noTiles     = "nothing there is a tile"
	everyEighth = "tiles hold each eighth level of the tree"
	noRules     = "a log client knows hashes and signatures, not the ledger's rules"
	oneTenant   = "a pack shows one workspace, and this is between two"
	noMemory    = "a pack is compared with nothing that was kept"
	selected    = "a pack holds the payloads that its maker selected"
	noSystem    = "a pack holds a workspace's entries, not the system's"
	lagging     = "a folder's checkpoint may lag behind its ledger"
	unasked     = "what no checkpoint requires is not asked for"
	keyOnly     = "whoever reads a pack knows a key, not the ledger's id"
)

// elsewhere is what media see that don't see the same as the others do, by the
// name of the tampering: another finding, or why none. A pack is one workspace's
// history with the head of it that was signed and the last mark that speaks of it;
// to whoever rewrote history, with the real key, mark and entries don't agree any
// more.
func elsewhere() map[string]map[medium]any {
	pack := func(v any) map[medium]any { return map[medium]any{inPack: v} }
	tiles := func(v any) map[medium]any { return map[medium]any{atURL: v, inExport: v} }
	log := func(v any) map[medium]any { return map[medium]any{byLog: v} }
	both := func(t, p any) map[medium]any { return map[medium]any{atURL: t, inExport: t, inPack: p} }
	forked := pack(proof.Forked)
	return map[string]map[medium]any{
		"the checkpoint taken away":                            {inFolder: proof.TailUnproven},
		"the tail cut off, an older checkpoint served":         both(proof.Truncated, noMemory),
		"an older checkpoint served beside newer entries":      {inFolder: lagging, inExport: proof.StaleHead, inPack: noMemory},
		"entries exported that no checkpoint covers":           {inFolder: lagging, atURL: unasked, byLog: unasked, inPack: "a pack holds no more than its checkpoint covers"},
		"no witness cosigned, where the auditor asks for one":  {byLog: "a log client asks for no witness"},
		"a bit of a control statement flipped":                 pack(noSystem),
		"the genesis altered":                                  pack(noSystem),
		"a control signature flipped":                          forked,
		"a control statement changed under its signature":      forked,
		"a control statement signed by a stranger":             forked,
		"a control statement signed by a key without the role": forked,
		"a control statement signed by nobody":                 forked,
		"a control statement signed by a key that was removed": forked,
		"an epoch after another message than the last":         forked,
		"an epoch that is not the next one":                    forked,
		"an epoch of another history":                          forked,
		"a gap's notice of other messages":                     forked,
		"a gap wider than its notice":                          forked,
		"a record called a gap that nobody admits":             forked,
		"a change of keys that names an old key again":         pack(proof.UnauthorisedControl),
		"a seed signed by the operator":                        forked,
		"a control statement replayed":                         forked,
		"a control number left out":                            forked,
		// C2SP allows one, and the client reads a number as Go does.
		"a checkpoint with an extension line":     log("C2SP allows extension lines"),
		"a checkpoint's size with a leading zero": log("the log client reads numbers leniently"),
		"an entry more in the last bundle":        log("the log client looks at no more than it needs"),
		// What isn't what was recorded is not looked at any further in a pack.
		"version 2 claimed":                        pack(proof.AlteredEntry),
		"bytes behind an entry":                    pack(proof.AlteredEntry),
		"a copy of another entry put in its place": pack(proof.MissingEntry),
		"two neighbours swapped":                   pack(oneTenant),
		"two neighbours swapped and renumbered":    pack(proof.AlteredEntry),
		"a seed's secret altered":                  pack("a pack holds no secrets"),
		"a payload taken away":                     pack(selected),
		"what is kept of a duplicate taken away":   pack(selected),
		"the tail cut off behind a mark":           tiles(proof.Truncated),
		"the tail cut off before a mark":           tiles(proof.Truncated),
		"a larger size signed":                     both(proof.Truncated, proof.RootMismatch),
		"two histories signed by the real key":     pack(noMemory),
		"the end written anew without the key":     pack(proof.AlteredEntry),
		"another ledger in this one's place":       pack(keyOnly),
		"another root signed":                      {inFolder: proof.Forked, inPack: proof.Forked},
		// A pack has the whole body of a duplicate, and not how it was kept.
		"a byte put before what is kept of a duplicate":   pack(proof.AlteredPayload),
		"a duplicate's salt altered":                      pack(proof.AlteredPayload),
		"a duplicate of another record":                   both(proof.Forked, proof.Forked),
		"a duplicate of what is no record":                pack(proof.Forked),
		"another epoch that nothing began":                pack(proof.Reordered),
		"another count in one of a message's lines":       pack(proof.Hole),
		"an unknown flag":                                 pack(proof.Forked),
		"an unknown critical TLV":                         pack(proof.Forked),
		"a position skipped in a workspace's chain":       pack(proof.MissingEntry),
		"a message's entry taken out and all rehashed":    pack(proof.UnauthorisedControl),
		"two messages swapped and all rehashed":           pack(proof.Forked),
		"an entry folded twice and all rehashed":          pack(proof.Forked),
		"a control statement of another ledger":           forked,
		"a seed out of order":                             pack(proof.Forked),
		"a second genesis":                                pack(proof.Forked),
		"a control type to come":                          pack(proof.Forked),
		"a control body that doesn't parse":               pack(proof.Forked),
		"a mark of other workspaces' heads":               pack(proof.Forked),
		"a trim of another history":                       pack(proof.UnauthorisedControl),
		"an erasure of other entries than its signer saw": forked,
		"a genesis signed by no root key":                 tiles(proof.UnauthorisedControl),
	}
}

// complete adds to each tampering what other media see of it.
func complete(table []tampering) []tampering {
	more := elsewhere()
	for i := range table {
		c := &table[i]
		other, unseen := map[medium]proof.Finding{}, map[medium]string{}
		for m, f := range c.other {
			other[m] = f
		}
		for m, why := range c.unseen {
			unseen[m] = why
		}
		for m, v := range more[c.name] {
			switch v := v.(type) {
			case proof.Finding:
				other[m] = v
			case string:
				unseen[m] = v
			}
		}
		delete(more, c.name)
		c.other, c.unseen = other, unseen
	}
	for name := range more {
		panic("no tampering is called " + name)
	}
	return table
}
