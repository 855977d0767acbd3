package pack

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"text/template"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"annals/ledger/proof"
)

// Contents are what a pack is made of. Keys and Head are the server's answers, byte
// for byte; both are for Checkpoint.
type Contents struct {
	About      About
	Checkpoint []byte
	Keys       []byte
	Head       []byte
	// Lines are the entries, with the proofs and payloads that a pack's have. They are
	// iterated more than once.
	Lines func() iter.Seq2[proof.Line, error]
	// Erasures are the control entries that erased what some of the lines held, with
	// their proofs, by ascending index.
	Erasures []proof.Line
	// Catalogues are the workspace's own, by ascending entry ([Settle]): by them the
	// report tells records.
	Catalogues []Settled

	VKey  string // what the maker's own check trusted
	Maker string // the program, and its version
}

// Verify makes the checks of docs/format/pack.md on what a pack would hold, with the
// verifier key of the contents. Nobody should hand on what fails them.
func (c *Contents) Verify(ctx context.Context) (proof.TenantReport, error) {
	t := &proof.Tenant{
		Workspace: c.About.Workspace, Claimed: true, Origin: c.About.Origin, Ledger: c.About.Ledger, Tag: [32]byte(c.About.Tag),
		VKey: c.VKey, Checkpoint: c.Checkpoint, History: new(proof.KeyHistory), Answer: new(proof.HeadAnswer),
		Lines: c.Lines(), Part: true, First: c.About.First, Last: c.About.Last, Payloads: c.About.Payloads,
	}
	if err := exact(c.Keys, t.History); err != nil {
		return proof.TenantReport{}, fmt.Errorf("the server's keys: %w", err)
	}
	if err := exact(c.Head, t.Answer); err != nil {
		return proof.TenantReport{}, fmt.Errorf("the server's head of the workspace: %w", err)
	}
	for i := range c.Erasures {
		t.Erasures = append(t.Erasures, c.Erasures[i].KeyEntry())
	}
	return t.Verify(ctx)
}

// Write writes a pack: the same bytes for the same contents. report is what
// [Contents.Verify] said; the pack's report quotes it as its maker's word.
func Write(w io.Writer, c *Contents, report *proof.TenantReport) error {
	a := archive{zip.NewWriter(w)}
	about, err := json.Marshal(&c.About, jsontext.Multiline(true))
	if err != nil {
		return err
	}
	readme, err := readmeOf(c)
	if err != nil {
		return err
	}
	for _, f := range []File{
		{Readme, readme}, {Script, VerifyScript}, {Manifest, append(about, '\n')}, {Note, c.Checkpoint}, {Keys, c.Keys}, {Head, c.Head},
	} {
		if err := a.add(f.Name, f.Data); err != nil {
			return err
		}
	}
	types := map[string]bool{}
	if err := writeEntries(a, c, types); err != nil {
		return err
	}
	if err := writeErasures(a, c.Erasures); err != nil {
		return err
	}
	catalogue, err := c.catalogueOf(types)
	if err != nil {
		return err
	}
	if err := a.add(Catalogue, catalogue); err != nil {
		return err
	}
	page, err := a.create(Report)
	if err != nil {
		return err
	}
	if err := writeReport(page, c, report); err != nil {
		return err
	}
	return a.Close()
}

// writeEntries writes entries.jsonl, and notes the types of what it shows.
func writeEntries(a archive, c *Contents, types map[string]bool) error {
	w, err := a.create(Entries)
	if err != nil {
		return err
	}
	for l, err := range c.Lines() {
		if err != nil {
			return err
		}
		if err := WriteLine(w, &l); err != nil {
			return err
		}
		if s := c.readSaying(&l); s != nil && s.Type != "" {
			types[s.Type] = true
		}
	}
	return nil
}

// writeErasures writes erasures.jsonl, where something of the pack was erased.
func writeErasures(a archive, erasures []proof.Line) error {
	if len(erasures) == 0 {
		return nil
	}
	w, err := a.create(Erasures)
	if err != nil {
		return err
	}
	for i := range erasures {
		if err := WriteLine(w, &erasures[i]); err != nil {
			return err
		}
	}
	return nil
}

// WriteLine writes a line of an entries.jsonl.
func WriteLine(w io.Writer, l *proof.Line) error {
	b, err := json.Marshal(l)
	if err == nil {
		_, err = w.Write(append(b, '\n'))
	}
	return err
}

//go:embed README.txt
var readmeText string

var readmeTemplate = template.Must(template.New(Readme).Parse(readmeText))

// readmeOf is the pack's README.txt.
func readmeOf(c *Contents) ([]byte, error) {
	digest := sha256.Sum256(VerifyScript)
	var b bytes.Buffer
	err := readmeTemplate.Execute(&b, map[string]any{
		"About": c.About, "Selection": visible(c.About.Selection), "Workspace": visible(c.About.Workspace), "Origin": visible(c.About.Origin),
		"VKey": visible(c.VKey), "Maker": visible(c.Maker), "Digest": hex.EncodeToString(digest[:]),
	})
	return b.Bytes(), err
}
