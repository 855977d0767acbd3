package pack

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"annals/ledger/proof"
)

// About reads pack.json: what the pack is said to be. The error is a
// [*proof.FormError]; of a later format it wraps [ErrFormat] besides.
func (p *Pack) About() (About, error) {
	var a About
	b, err := p.read(Manifest)
	if err != nil {
		return a, err
	}
	if err := exact(b, &a); err != nil {
		if format := formatOf(b); format != "" && format != Format {
			return a, fmt.Errorf("%w: %q", ErrFormat, format)
		}
		return a, malformed("%s: %v", Manifest, err)
	}
	switch {
	case a.Format != Format:
		return a, fmt.Errorf("%w: %q", ErrFormat, a.Format)
	case a.First > a.Last:
		return a, malformed("%s: first is above last", Manifest)
	}
	return a, nil
}

// ErrFormat says that a pack is of another format than this version reads.
var ErrFormat = errors.New("the pack is of a format that this version does not know; a newer version of annals may read it")

// formatOf reads the format off a pack.json that may say anything else.
func formatOf(b []byte) string {
	var a struct {
		Format string `json:"format"`
	}
	if lenient(b, &a) != nil {
		return ""
	}
	return a.Format
}

// Verify makes the checks of docs/format/pack.md. vkey is the ledger's verifier key,
// which the reader knows from elsewhere; without one ("") the pack is only shown to
// agree with itself, and a notice says so. An error means that reading failed.
func (p *Pack) Verify(ctx context.Context, vkey string) (proof.TenantReport, error) {
	t, err := p.Tenant(vkey)
	if err != nil {
		return proof.TenantReport{}, err
	}
	return t.Verify(ctx)
}

// Tenant is what the pack holds for [proof.Tenant.Verify]; what could not be read is
// among its findings.
func (p *Pack) Tenant(vkey string) (*proof.Tenant, error) {
	t := &proof.Tenant{VKey: vkey, Part: true, Claimed: true}
	wrong := func(finding proof.Finding, err error) {
		t.Before = append(t.Before, proof.Found{Finding: finding, Detail: err.Error()})
	}
	if len(p.foreign) > 0 {
		t.Notices = append(t.Notices, proof.Notice{Notice: proof.ForeignFile, Detail: "not of a pack, and not looked at: " + visible(strings.Join(p.foreign[:min(10, len(p.foreign))], ", "))})
	}
	about, err := p.About()
	if err != nil {
		finding := proof.Inconclusive
		if errors.Is(err, ErrFormat) {
			finding = proof.Unsupported
		}
		wrong(finding, err)
		t.Part = false // nothing else is checked
		return t, nil
	}
	t.Workspace, t.Origin, t.Ledger, t.Tag = about.Workspace, about.Origin, about.Ledger, [32]byte(about.Tag)
	t.First, t.Last, t.Payloads = about.First, about.Last, about.Payloads
	if t.Checkpoint, err = p.read(Note); err != nil {
		wrong(proof.Inconclusive, err)
	}
	history := new(proof.KeyHistory)
	if err := p.json(Keys, history); err != nil {
		wrong(proof.Inconclusive, err)
	} else {
		t.History = history
	}
	answer := new(proof.HeadAnswer)
	if err := p.json(Head, answer); err == nil {
		t.Answer = answer
	} else {
		wrong(proof.TailUnproven, fmt.Errorf("the pack has no %s that says where the workspace's chain ends", Head))
		if p.Has(Head) {
			wrong(proof.Inconclusive, err)
		}
	}
	t.Lines = p.lines()
	if p.Has(Erasures) {
		if t.Erasures, err = p.erasures(); err != nil {
			wrong(proof.Inconclusive, err)
			t.ErasuresCut = true
		}
	}
	return t, nil
}

// erasures reads erasures.jsonl, as far as it can be read.
func (p *Pack) erasures() (out []proof.KeyEntry, err error) {
	r, err := p.open(Erasures)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	for l, err := range readLines(r, Erasures) {
		if err != nil {
			return out, err
		}
		if l.Proof == nil || l.Gone != nil || l.Salt != nil || len(out) > 0 && l.Index <= out[len(out)-1].Index {
			return out, malformed("%s: the line of entry %d has something else than index, entry and proof, or stands out of order", Erasures, l.Index)
		}
		out = append(out, l.KeyEntry())
	}
	return out, nil
}

// json reads a file of JSON.
func (p *Pack) json(name string, into any) error {
	b, err := p.read(name)
	if err != nil {
		return err
	}
	switch v := into.(type) {
	case *proof.KeyHistory:
		err = exact(b, v)
	case *proof.HeadAnswer:
		err = exact(b, v)
	}
	if err != nil {
		return malformed("%s: %v", name, err)
	}
	return nil
}

// lines iterates entries.jsonl.
func (p *Pack) lines() iter.Seq2[proof.Line, error] {
	return func(yield func(proof.Line, error) bool) {
		r, err := p.open(Entries)
		if err != nil {
			yield(proof.Line{}, err)
			return
		}
		defer r.Close()
		for l, err := range ReadLines(r) {
			if !yield(l, err) {
				return
			}
		}
	}
}

// ReadLines iterates the lines of an entries.jsonl. It ends with an error, a
// [*proof.FormError], at a line that is none.
func ReadLines(r io.Reader) iter.Seq2[proof.Line, error] { return readLines(r, Entries) }

// readLines is ReadLines for a file of that name.
func readLines(r io.Reader, name string) iter.Seq2[proof.Line, error] {
	return func(yield func(proof.Line, error) bool) {
		in := bufio.NewReaderSize(r, 64<<10)
		var buffer []byte
		for n, total := 1, 0; ; n++ {
			var err error
			buffer, err = readLine(in, buffer[:0])
			if errors.Is(err, io.EOF) && len(buffer) == 0 {
				return
			}
			total += len(buffer)
			var l proof.Line
			switch {
			case errors.Is(err, io.EOF), errors.Is(err, errLong), total > maxEntries:
				err = errors.New("it is not closed by a line feed, or too long")
			case err == nil:
				l, err = line(buffer[:len(buffer)-1])
			}
			if err != nil {
				yield(l, malformed("%s, line %d: %v", name, n, err))
				return
			}
			if !yield(l, nil) {
				return
			}
		}
	}
}

var errLong = errors.New("the line is too long")

// readLine appends one line, its line feed included, to dst.
func readLine(in *bufio.Reader, dst []byte) ([]byte, error) {
	for {
		part, err := in.ReadSlice('\n')
		dst = append(dst, part...)
		switch {
		case len(dst) > MaxLine:
			return dst, errLong
		case !errors.Is(err, bufio.ErrBufferFull):
			return dst, err
		}
	}
}
