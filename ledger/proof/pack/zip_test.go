package pack_test

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"annals/ledger/proof"
	"annals/ledger/proof/pack"
	"annals/ledger/proof/prooftest"
)

// TestOpenRefuses gives archives that are no pack's, or not one's within its bounds.
func TestOpenRefuses(t *testing.T) {
	make := func(files ...*zip.FileHeader) []byte {
		var b bytes.Buffer
		w := zip.NewWriter(&b)
		for _, h := range files {
			if _, err := w.CreateRaw(h); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	many := []*zip.FileHeader{}
	for i := range 1001 {
		many = append(many, &zip.FileHeader{Name: fmt.Sprint(i)})
	}
	for name, b := range map[string][]byte{
		"nothing":         {},
		"no archive":      []byte("PK but not really"),
		"a file twice":    make(&zip.FileHeader{Name: "pack.json"}, &zip.FileHeader{Name: "pack.json"}),
		"encrypted":       make(&zip.FileHeader{Name: "keys.json", Flags: 1}),
		"another packing": make(&zip.FileHeader{Name: "head.json", Method: 12}),
		"too large":       make(&zip.FileHeader{Name: "head.json", UncompressedSize64: 3 << 20}),
		"larger than 4 G": make(&zip.FileHeader{Name: "entries.jsonl", UncompressedSize64: 5 << 30}),
		"too many files":  make(many...),
	} {
		_, err := pack.Open(bytes.NewReader(b), int64(len(b)))
		var form *proof.FormError
		if !errors.As(err, &form) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestForms breaks the form of each file: nothing is said by that about the ledger,
// but for what is said of it all the same.
func TestForms(t *testing.T) {
	l := prooftest.Random(3, 40, 2)
	files := unzipped(t, written(t, contents(t, l, "ws_1", l.Size(), 0, l.Head("ws_1", l.Size()).Count-1, records)))
	edit := func(name string, change func(string) string) func([]pack.File) []pack.File {
		return func(files []pack.File) []pack.File {
			at := slices.IndexFunc(files, func(f pack.File) bool { return f.Name == name })
			changed := change(string(files[at].Data))
			if changed == string(files[at].Data) {
				t.Fatalf("%s is as it was", name)
			}
			files[at].Data = []byte(changed)
			return files
		}
	}
	replace := func(name, from, to string) func([]pack.File) []pack.File {
		return edit(name, func(s string) string { return strings.Replace(s, from, to, 1) })
	}
	without := func(name string) func([]pack.File) []pack.File {
		return func(files []pack.File) []pack.File {
			return slices.DeleteFunc(files, func(f pack.File) bool { return f.Name == name })
		}
	}
	longer := func(name string) func([]pack.File) []pack.File {
		return edit(name, func(s string) string { return s + " " })
	}
	for name, c := range map[string]struct {
		do   func([]pack.File) []pack.File
		want proof.Finding
	}{
		"no pack.json":            {without("pack.json"), proof.Inconclusive},
		"no checkpoint":           {without("checkpoint"), proof.Inconclusive},
		"no keys.json":            {without("keys.json"), proof.Inconclusive},
		"no head.json":            {without("head.json"), proof.TailUnproven},
		"no entries.jsonl":        {without("entries.jsonl"), proof.Inconclusive},
		"no report":               {without("REPORT.html"), proof.Clean},
		"no script":               {without("verify.py"), proof.Clean},
		"a file of another's":     {func(f []pack.File) []pack.File { return append(f, pack.File{Name: "notes/x.txt"}) }, proof.Clean},
		"white space":             {longer("pack.json"), proof.Clean},
		"white space in keys":     {longer("keys.json"), proof.Clean},
		"later format":            {replace("pack.json", "pack/v1", "pack/v2"), proof.Unsupported},
		"later format, more":      {replace("pack.json", `"annals/pack/v1"`, `"annals/pack/v2", "more": [1]`), proof.Unsupported},
		"member unknown":          {replace("pack.json", `"first"`, `"x": 1, "first"`), proof.Inconclusive},
		"member missing":          {replace("pack.json", `"selection": "what the test chose",`, ``), proof.Inconclusive},
		"member null":             {replace("pack.json", `"what the test chose"`, `null`), proof.Inconclusive},
		"member twice":            {replace("pack.json", `"first"`, `"last": 1, "first"`), proof.Inconclusive},
		"number with a fraction":  {replace("pack.json", `"first": 0`, `"first": 0.0`), proof.Inconclusive},
		"number with an exponent": {replace("pack.json", `"first": 0`, `"first": 0e0`), proof.Inconclusive},
		"number below zero":       {replace("pack.json", `"first": 0`, `"first": -0`), proof.Inconclusive},
		"hex in capitals": {edit("pack.json", func(s string) string {
			i := strings.Index(s, `"ledger"`) + 11
			return s[:i] + strings.ToUpper(s[i:i+64]) + s[i+64:]
		}), proof.Inconclusive},
		"another value behind":   {edit("pack.json", func(s string) string { return s + "{}" }), proof.Inconclusive},
		"first above last":       {replace("pack.json", `"first": 0`, `"first": 999`), proof.Inconclusive},
		"no UTF-8":               {replace("pack.json", "what the", "what\xffthe"), proof.Inconclusive},
		"a lone surrogate":       {replace("pack.json", "what the", `\ud800`), proof.Inconclusive},
		"base64 unpadded":        {replace("keys.json", `=",`, `",`), proof.Inconclusive},
		"base64 not canonical":   {edit("keys.json", loose), proof.Inconclusive},
		"base64 with a line end": {replace("head.json", `"tag":"`, `"tag":"\n`), proof.TailUnproven},
		"head's member unknown":  {replace("head.json", `"tag"`, `"x":"","tag"`), proof.TailUnproven},
		"keys' member missing":   {replace("keys.json", `"retired":[],`, ``), proof.Inconclusive},
		"keys' member null":      {replace("keys.json", `"retired":[]`, `"retired":null`), proof.Inconclusive},
		"line's member unknown":  {replace("entries.jsonl", `"entry"`, `"x":1,"entry"`), proof.Inconclusive},
		"line's proof null":      {edit("entries.jsonl", nulled), proof.Inconclusive},
		"line without index":     {edit("entries.jsonl", func(s string) string { i := strings.Index(s, `"entry"`); return "{" + s[i:] }), proof.Inconclusive},
		"line without entry": {edit("entries.jsonl", func(s string) string {
			i, j := strings.Index(s, `"entry"`), strings.Index(s, `"proof"`)
			return s[:i] + s[j:]
		}), proof.Inconclusive},
		"a part of a payload":     {replace("entries.jsonl", `"salt"`, `"envelope":"AA==","salt"`), proof.Inconclusive},
		"last line not closed":    {edit("entries.jsonl", func(s string) string { return strings.TrimSuffix(s, "\n") }), proof.Inconclusive},
		"an empty line":           {edit("entries.jsonl", func(s string) string { return "\n" + s }), proof.Inconclusive},
		"a line too long":         {edit("entries.jsonl", func(s string) string { return strings.Repeat(" ", pack.MaxLine) + s }), proof.Inconclusive},
		"proof where none is due": {edit("entries.jsonl", func(s string) string { return strings.Replace(s, `"}`+"\n", `","proof":[]}`+"\n", 1) }), proof.Inconclusive},
		"no line":                 {edit("entries.jsonl", func(string) string { return "" }), proof.Truncated},
		"checkpoint is no note":   {edit("checkpoint", func(s string) string { return s[:40] }), proof.Inconclusive},
	} {
		t.Run(name, func(t *testing.T) {
			b := zipped(t, c.do(slices.Clone(files)))
			if r := verdict(t, b, l.VKey()); r.Verdict != c.want {
				t.Errorf("verdict %s, want %s: %+v", r.Verdict, c.want, r.Findings)
			}
		})
	}
}

// loose turns the last base64 digit before a padding into another of the same bytes.
func loose(s string) string {
	i := strings.Index(s, `=",`)
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	at := strings.IndexByte(digits, s[i-1])
	return s[:i-1] + digits[at+1:at+2] + s[i:]
}

// nulled takes the second line's members and adds a null.
func nulled(s string) string {
	lines := strings.SplitAfterN(s, "\n", 3)
	lines[1] = strings.Replace(lines[1], `"entry"`, `"proof":null,"entry"`, 1)
	if strings.Count(lines[1], `"proof"`) == 2 {
		lines[1] = strings.Replace(lines[1], `"proof":[`, `"ignored":[`, 1)
	}
	return strings.Join(lines, "")
}

// TestBomb opens packs that unpack to much more than they are.
func TestBomb(t *testing.T) {
	l := prooftest.Random(3, 40, 2)
	files := unzipped(t, written(t, contents(t, l, "ws_1", l.Size(), 0, 4, none)))
	for _, name := range []string{"entries.jsonl", "keys.json"} {
		var b bytes.Buffer
		w := zip.NewWriter(&b)
		for _, f := range files {
			to, err := w.Create(f.Name)
			if err != nil {
				t.Fatal(err)
			}
			if f.Name != name {
				_, err = to.Write(f.Data)
			} else {
				_, err = io.CopyN(to, zeros{}, 60<<20)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		p, err := pack.Open(bytes.NewReader(b.Bytes()), int64(b.Len()))
		if err != nil {
			t.Fatal(err)
		}
		r, err := p.Verify(context.Background(), l.VKey())
		if err != nil || r.Entries > 5 || !slices.ContainsFunc(r.Findings, func(f proof.Found) bool { return f.Finding == proof.Inconclusive }) {
			t.Errorf("%s: %v %+v", name, err, r)
		}
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// FuzzPack opens and verifies anything: it ends, and says clean of nothing but what
// a ledger's key signed.
func FuzzPack(f *testing.F) {
	l := prooftest.Random(3, 12, 1)
	good := written(f, contents(f, l, "ws_1", l.Size(), 0, 3, records))
	f.Add(good)
	f.Add(zipped(f, nil))
	f.Add(zipped(f, []pack.File{{Name: "pack.json", Data: []byte(`{"format":"annals/pack/v1"}`)}, {Name: "entries.jsonl", Data: []byte("{}\n")}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := pack.Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		if _, err := p.Verify(context.Background(), l.VKey()); err != nil {
			t.Fatal(err)
		}
		if r, err := p.Verify(context.Background(), prooftest.VKeyOf(l.Settled.Origin, "nobody")); err != nil || r.Verdict == proof.Clean {
			t.Fatalf("%v, clean by a key that signed nothing", err)
		}
	})
}

// FuzzLines reads anything as lines: what is read is what is printed.
func FuzzLines(f *testing.F) {
	l := prooftest.Random(3, 12, 1)
	var b bytes.Buffer
	for _, line := range l.Lines("ws_1", l.Size(), 0, 3, true, records) {
		if err := pack.WriteLine(&b, &line); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(b.Bytes())
	f.Add([]byte(`{"index":1,"entry":""}` + "\n"))
	f.Add([]byte(`{"index":1,"entry":null,"proof":[null]}` + "\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var printed bytes.Buffer
		n := 0
		for line, err := range pack.ReadLines(bytes.NewReader(b)) {
			if err != nil {
				return
			}
			n++
			if err := pack.WriteLine(&printed, &line); err != nil {
				t.Fatal(err)
			}
		}
		again := 0
		for _, err := range pack.ReadLines(&printed) {
			if err != nil {
				t.Fatal(err)
			}
			again++
		}
		if n != again || n != bytes.Count(b, []byte("\n")) {
			t.Fatalf("%d lines, then %d", n, again)
		}
	})
}
