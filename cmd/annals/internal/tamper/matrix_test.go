package tamper_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"annals/ledger/proof"
)

// tamperings is every way that the matrix holds.
func tamperings() (out []tampering) {
	out = append(out, entryTamperings()...)
	out = append(out, payloadTamperings()...)
	out = append(out, nodeTamperings()...)
	out = append(out, endTamperings()...)
	out = append(out, ruleTamperings()...)
	out = append(out, controlTamperings()...)
	out = append(out, governedTamperings()...)
	out = append(out, noteTamperings()...)
	out = append(out, tileTamperings()...)
	out = append(out, packTamperings()...)
	return complete(out)
}

// done is a tampering that was done: what each medium is made of.
type done struct {
	*tampering
	honest, book *book
	checkpoint   []byte
	served       uint64 // entries that the checkpoint speaks of
	knows        knowledge
}

// tamper tampers with a copy of the honest ledger.
func (c *tampering) tamper(honest *book) *done {
	d := &done{tampering: c, honest: honest, book: honest.clone(), knows: knowledge{ledger: honest.id, vkey: honest.vkey(), token: honest.token}}
	if c.do != nil {
		c.do(d.book)
	}
	d.served = d.book.head.Size
	switch {
	case c.signer != nil:
		d.checkpoint = sign(honest.origin, checkpointText(honest.origin, d.book.head), *c.signer)
	case c.insider:
		d.checkpoint = d.book.checkpoint()
	default:
		d.checkpoint, d.served = honest.checkpoint(), honest.head.Size
	}
	if c.noteOf != nil {
		c.note = c.noteOf(d.book)
	}
	if c.knows != nil {
		c.knows(honest, &d.knows)
	}
	return d
}

// TestMatrix tampers in each way, lays the outcome out in each medium and has it
// audited by each verifier that reads it.
func TestMatrix(t *testing.T) {
	honest := map[bool]*book{false: base(t), true: governed(t)}
	table := tamperings()
	all := make([]*done, len(table))
	packs, knows := make([]files, len(table)), make([]knowledge, len(table))
	names := map[string]bool{}
	for i := range table {
		c := &table[i]
		if names[c.name] {
			t.Errorf("two tamperings are called %q", c.name)
		}
		names[c.name] = true
		all[i] = c.tamper(honest[c.governed])
		packs[i], knows[i] = all[i].pack(), all[i].knows
		if c.unseen[inPack] != "" {
			knows[i].policy = nil // nobody asks a pack for witnesses
		}
	}
	scripts := auditAsScripts(t, packs, knows)
	ran, byServer := 0, 0
	for i, d := range all {
		t.Run(d.name, func(t *testing.T) {
			ran++
			d.judge(t, inFolder, d.auditFolder(t))
			f := d.log()
			d.judgeLog(t, f)
			url, ours := d.serve(t)
			if ours {
				byServer++
			}
			d.judge(t, atURL, auditTiles(t, url, d.knows))
			dir := t.TempDir()
			f.write(t, dir)
			d.judge(t, inExport, auditTiles(t, dir, d.knows))
			d.judge(t, inPack, scripts[i])
			packed := auditPack(t, packs[i], knows[i])
			d.judge(t, inPack, packed)
			alike(t, packed, scripts[i])
		})
	}
	const least = 40
	if ran == len(all) && byServer < least {
		t.Errorf("the server itself showed %d of the tampered ledgers, at least %d are expected", byServer, least)
	}
}

// auditFolder audits the tampered ledger's folder.
func (d *done) auditFolder(t testing.TB) proof.Report {
	note := d.checkpoint
	if d.older != nil {
		note = d.log()["checkpoint"]
	}
	if d.note != nil {
		note = d.note(note)
	}
	return auditFolder(t, folder(t, d.book, d.store), note, d.packOf(-1).retired(), d.knows)
}

// alike holds two verifiers of packs to finding the same in the same places.
func alike(t *testing.T, ours, script proof.Report) {
	t.Helper()
	list := func(r proof.Report) (out []string) {
		for _, f := range r.Findings {
			at := "-"
			if f.Index != nil {
				at = fmt.Sprint(*f.Index)
			}
			out = append(out, string(f.Finding)+" at "+at)
		}
		return slices.Compact(out) // how many sentences one of them takes to say it is its own affair
	}
	if a, b := list(ours), list(script); !slices.Equal(a, b) {
		t.Errorf("annals finds %v, verify.py %v%s%s", a, b, details(ours), details(script))
	}
}

// log is what the tampered ledger's URL serves, and its export holds.
func (d *done) log() files {
	f := layTiles(d.book, d.served, d.checkpoint)
	f["keys.json"] = d.keys()
	if d.older != nil {
		size := d.older(d.honest)
		note := d.honest.signed(proof.Head{Size: size, Root: rootOf(d.honest.nodes[0][:size])})
		maps.Copy(f, layTiles(d.honest, size, note))
	}
	if d.tiles != nil {
		d.tiles(f)
	}
	if d.note != nil {
		if f["checkpoint"] = d.note(f["checkpoint"]); f["checkpoint"] == nil {
			delete(f, "checkpoint")
		}
	}
	return f
}

// pack is the evidence pack of the workspace that the tampering is about.
func (d *done) pack() files {
	index := d.at(d.honest)
	if d.tenant != nil {
		index = d.tenant(d.honest)
	}
	e := d.packOf(index)
	if d.note != nil {
		e.note = d.note(e.note)
	}
	if d.made != nil {
		d.made(e)
	}
	f := e.lay()
	if e.note == nil {
		delete(f, "checkpoint")
	}
	if d.packed != nil {
		d.packed(f)
	}
	return f
}

// judge holds a report to the table.
func (d *done) judge(t *testing.T, m medium, r proof.Report) {
	t.Helper()
	at := -1
	if r.FirstBad != nil {
		at = int(*r.FirstBad)
	}
	want, index := d.want, d.at(d.honest)
	if other, ok := d.other[m]; ok {
		want, index = other, at // another thing is seen, elsewhere
	}
	if m == inPack {
		index = at // it has gaps where other workspaces' entries stand
	}
	if _, unseen := d.unseen[m]; unseen {
		want, index = proof.Clean, -1
	}
	if r.Verdict != want || at != index {
		t.Errorf("%s: %s at %d, want %s at %d\n%s%s", m, r.Verdict, at, want, index, r.Sentence, details(r))
	}
}

// judgeLog holds the log client to the table: it says no more than yes or no.
func (d *done) judgeLog(t *testing.T, f files) {
	t.Helper()
	err := auditAsLog(t, f, d.honest, d.knows)
	if _, unseen := d.unseen[byLog]; unseen != (err == nil) {
		t.Errorf("%s: %v, unseen %v", byLog, err, unseen)
	}
}

func details(r proof.Report) (out string) {
	for _, f := range r.Findings {
		at := "-"
		if f.Index != nil {
			at = fmt.Sprint(*f.Index)
		}
		out += fmt.Sprintf("\n  %s at %s: %s", f.Finding, at, f.Detail)
	}
	return out
}
