package pack_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"unicode"

	"annals/ledger/proof/pack"
	"annals/ledger/proof/prooftest"
)

// hostile are texts that mean something to a browser, a template, a terminal or a
// program that cells are copied into.
var hostile = []string{
	`</td></tr></table><script>alert(1)</script>`,
	`"><img src=x onerror=alert(1)>`, `' onmouseover='alert(1)`, `<svg/onload=alert(1)>`, `<a href="javascript:alert(1)">x</a>`,
	`</style><style>@import url(http://evil.example)</style>`, `</title><base href="http://evil.example">`, `</pre><iframe src=//evil.example>`,
	`<!-- `, `--><script>`, `]]>`, `<![CDATA[`, `<meta http-equiv="refresh" content="0;url=http://evil.example">`,
	`{{.}}`, `{{template "x"}}`, `&lt;script&gt;`, `&#x3c;script&#x3e;`,
	"\u202egnp.exe", "\u2066\u2067x\u2069", "a\u200bb", "\ufeffbom", "\x00\x07\x1b[2J\x7f", "\u0085\u009b31m", "line\r\nline\u2028line\u2029",
	`=HYPERLINK("http://evil.example","x")`, `+1+cmd|' /C calc'!A0`, `-2+3`, `@SUM(1+1)`,
	"\xff\xfe", "\U000e0041\U000e0042",
}

// TestReportIsInert packs hostile records, and takes the report apart: nothing in it
// runs, loads, hides or turns, and every hostile text is there as text.
func TestReportIsInert(t *testing.T) {
	l := prooftest.New("hostile")
	text := func(s string) string {
		b, err := json.Marshal(strings.ToValidUTF8(s, "?"))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	for i, s := range hostile {
		q := text(s)
		l.Publish("activity.ws_1.app.renamed", fmt.Sprintf(`{"id":"%d","actor":{"type":%s,"id":%s,"name":%s},"occurred_at":%s,"object":{"type":"app","id":%s,"name":%s},"data":{"previous_name":%s,"new_name":%s,%s:1},"amends":%s}`,
			i, q, q, q, q, q, q, q, q, q, q))
		l.Publish("activity.ws_1.app.renamed", s) // a rejection, with the very bytes
		l.Publish("activity.ws_1.app.renamed", fmt.Sprintf(`{"id":"n%d","actor":{"id":%s}}`, i, q))
	}
	l.Fold()
	size := l.Size()
	c := contents(t, l, "ws_1", size, 0, l.Head("ws_1", size).Count-1, prooftest.All)
	c.About.Selection = strings.Join(hostile[:len(hostile)-2], " ")
	c.Maker = hostile[0]
	report, readme := []byte(nil), []byte(nil)
	for _, f := range unzipped(t, written(t, c)) {
		switch f.Name {
		case pack.Report:
			report = f.Data
		case pack.Readme:
			readme = f.Data
		}
	}
	for _, b := range [][]byte{report, readme} {
		for _, r := range string(b) {
			if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029') {
				t.Fatalf("%U stands in it as it is", r)
			}
		}
	}
	cells := inert(t, report)
	for _, s := range hostile[:20] {
		if strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }) {
			continue
		}
		if !slices.ContainsFunc(cells, func(c string) bool { return strings.Contains(c, s) }) {
			t.Errorf("%q is not shown", s)
		}
	}
	for _, cell := range cells {
		if cell = strings.TrimSpace(cell); cell != "" && strings.ContainsRune("=+-@", rune(cell[0])) {
			t.Errorf("a cell reads as a formula: %q", cell)
		}
	}
}

// Elements and attributes that do nothing.
var (
	elements   = []string{"html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "strong", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "code", "pre", "span", "br"}
	attributes = []string{"lang", "charset", "http-equiv", "content", "name", "scope", "class", "colspan"}
)

// inert holds a page to elements and attributes that do nothing, and to a policy
// that allows its one style and nothing else. It returns the text of each cell.
func inert(t *testing.T, page []byte) (cells []string) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(bytes.TrimPrefix(page, []byte("<!DOCTYPE html>"))))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	var policy, style string
	var metas []string
	in, cell := "", ""
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			in = token.Name.Local
			if !slices.Contains(elements, in) {
				t.Errorf("<%s> stands in the page", in)
			}
			equiv := ""
			for _, a := range token.Attr {
				if !slices.Contains(attributes, a.Name.Local) {
					t.Errorf("<%s %s=%q> stands in the page", in, a.Name.Local, a.Value)
				}
				if a.Name.Local == "http-equiv" {
					equiv = a.Value
				}
				if a.Name.Local == "content" && equiv != "" {
					policy = a.Value
				}
			}
			if in == "meta" {
				metas = append(metas, equiv)
			}
			if in == "td" {
				cell = ""
			}
		case xml.EndElement:
			if token.Name.Local == "td" {
				cells = append(cells, cell)
			}
			in = ""
		case xml.CharData:
			cell += string(token)
			if in == "style" {
				style += string(token)
			}
		default:
			t.Errorf("%T %v stands in the page", token, token)
		}
	}
	sum := sha256.Sum256([]byte(style))
	want := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'"
	if policy != want {
		t.Errorf("the policy is %q, want %q", policy, want)
	}
	if !slices.Equal(metas, []string{"", "Content-Security-Policy", "", "", ""}) {
		t.Errorf("metas %q: one policy stands before everything that it is for", metas)
	}
	for _, load := range []string{"url(", "@import", "http:", "https:", "expression", "//"} {
		if strings.Contains(style, load) {
			t.Errorf("the style has %q", load)
		}
	}
	return cells
}

// TestReportClaimsNothing: what a pack's report says was verified is its maker's
// word, and the reader's verdict is left open.
func TestReportClaimsNothing(t *testing.T) {
	l := prooftest.Random(2, 30, 2)
	c := contents(t, l, "ws_1", l.Size(), 0, 3, none)
	for _, f := range unzipped(t, written(t, c)) {
		if f.Name != pack.Report {
			continue
		}
		for _, want := range []string{"This page proves nothing", "not verified, unless filled in by hand", "maker&#39;s word", "No payload was selected", "the later ones are not in this pack", l.VKey()} {
			want = strings.ReplaceAll(want, "+", "&#43;")
			if !strings.Contains(string(f.Data), want) && !strings.Contains(string(f.Data), strings.ReplaceAll(want, "&#39;", "'")) {
				t.Errorf("the report lacks %q", want)
			}
		}
	}
}
