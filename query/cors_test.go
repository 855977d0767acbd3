package query

import (
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// headersIn finds the names of the headers that packages read of requests and set in
// answers: the texts and constants that Get, Values, Set, Add and WithHeader are called
// with.
func headersIn(t *testing.T, folders ...string) (read, set []string) {
	t.Helper()
	named := map[string]string{} // constants
	var files []*ast.File
	for _, folder := range folders {
		paths, err := filepath.Glob(filepath.Join(folder, "*.go"))
		if err != nil || len(paths) == 0 {
			t.Fatalf("%s: %v", folder, err)
		}
		for _, path := range paths {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, f)
			ast.Inspect(f, func(n ast.Node) bool {
				if spec, ok := n.(*ast.ValueSpec); ok {
					for i, value := range spec.Values {
						if lit, ok := value.(*ast.BasicLit); ok && lit.Kind == token.STRING && i < len(spec.Names) {
							named[spec.Names[i].Name], _ = strconv.Unquote(lit.Value)
						}
					}
				}
				return true
			})
		}
	}
	nameOf := func(e ast.Expr) string {
		switch e := e.(type) {
		case *ast.BasicLit:
			s, _ := strconv.Unquote(e.Value)
			return s
		case *ast.Ident:
			return named[e.Name]
		case *ast.SelectorExpr:
			return named[e.Sel.Name]
		}
		return ""
	}
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			if at, ok := n.(*ast.IndexExpr); ok { // r.Header["Name"]
				if of, ok := at.X.(*ast.SelectorExpr); ok && of.Sel.Name == "Header" {
					read = append(read, nameOf(at.Index))
				}
			}
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			of, _ := sel.X.(*ast.SelectorExpr) // r.Header, of a request
			switch sel.Sel.Name {
			case "Get", "Values":
				if of != nil && of.Sel.Name == "Header" {
					read = append(read, nameOf(call.Args[0]))
				}
			case "WithHeader":
				set = append(set, nameOf(call.Args[0]))
			case "Set", "Add":
				h, isH := sel.X.(*ast.Ident)
				header, isHeader := sel.X.(*ast.CallExpr) // w.Header()
				if isHeader {
					s, ok := header.Fun.(*ast.SelectorExpr)
					isHeader = ok && s.Sel.Name == "Header"
				}
				if isHeader || isH && h.Name == "h" && len(call.Args) == 2 {
					set = append(set, nameOf(call.Args[0]))
				}
			}
			return true
		})
	}
	return read, set
}

// lists reports whether a header is in a list of them.
func lists(list, name string) bool {
	return slices.ContainsFunc(strings.Split(list, ", "), func(n string) bool { return strings.EqualFold(n, name) })
}

// TestPagesMaySendAndRead: what the doors read of a request a page of a listed origin may
// send, and what they set in an answer it may read: all but what a browser says by itself,
// or keeps to itself. A header that is new has to be on one of the lists.
func TestPagesMaySendAndRead(t *testing.T) {
	read, set := headersIn(t, ".", "../ingest/door", "../internal/access", "../internal/problem")
	for name := range parameters {
		if p := parameters[name]; p.in == "header" {
			read = append(read, p.name)
		}
	}
	bySelf := "Origin, Accept-Encoding, X-Forwarded-For, Access-Control-Request-Method, Access-Control-Request-Headers"
	for _, name := range read {
		if name == "" || !lists(corsHeaders, name) && !lists(bySelf, name) {
			t.Errorf("the header %q is read, and a page may not send it", name)
		}
	}
	// The Fetch Standard, 2.2.2, lets pages read the first of these anyway.
	toItself := "Cache-Control, Content-Length, Content-Type, " +
		"Access-Control-Allow-Headers, Access-Control-Allow-Methods, Access-Control-Allow-Origin, Access-Control-Expose-Headers, Access-Control-Max-Age, Vary, " +
		"Connection, Content-Encoding, Content-Security-Policy, Cross-Origin-Resource-Policy, Referrer-Policy, Strict-Transport-Security, X-Accel-Buffering, X-Content-Type-Options, X-Frame-Options"
	for _, name := range set {
		if name == "" || !lists(corsExposed, name) && !lists(toItself, name) {
			t.Errorf("the header %q is set, and a page may not read it", name)
		}
	}
	for _, known := range []string{"Idempotency-Key", "traceparent", "Last-Event-ID", "If-None-Match", "Annals-Workspace", "Authorization", "Content-Encoding"} {
		if !slices.Contains(read, known) {
			t.Errorf("%s is not found among what is read: the search is put wrongly: %q", known, read)
		}
	}
	for _, known := range []string{"ETag", "RateLimit", "RateLimit-Policy", "Retry-After", "Link", "Idempotency-Replayed", "WWW-Authenticate", "X-Request-Id"} {
		if !slices.Contains(set, known) {
			t.Errorf("%s is not found among what is set: the search is put wrongly: %q", known, set)
		}
	}
}

// TestPreflight asks as browsers do, for what our pages tell them to send.
func TestPreflight(t *testing.T) {
	const app = "https://app.example.com"
	s, _ := behind(t, Options{Origins: []string{app}})
	ask := func(headers string) string {
		t.Helper()
		got := s.do("OPTIONS", "/v1/workspaces/ws_a/records", "Origin", app, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", headers)
		if got.status != http.StatusNoContent || got.header.Get("Access-Control-Allow-Methods") != corsMethods {
			t.Fatalf("%d %v", got.status, got.header)
		}
		return got.header.Get("Access-Control-Allow-Headers")
	}
	const all = "annals-workspace,authorization,content-encoding,content-type,idempotency-key,if-none-match,last-event-id,traceparent,tracestate,x-request-id"
	for name := range strings.SplitSeq(all, ",") {
		if !lists(ask(all), name) {
			t.Errorf("%s may not be sent", name)
		}
	}
	event := ask("authorization,ce-specversion, ce-id,ce-myextension,ce-,ce-a_b,x-ce-id,cookie,ce-" + strings.Repeat(",ce-x", 1000))
	for _, name := range []string{"ce-specversion", "ce-id", "ce-myextension"} {
		if !lists(event, name) {
			t.Errorf("%s of an event may not be sent: %s", name, event)
		}
	}
	for _, name := range []string{"ce-", "ce-a_b", "x-ce-id", "cookie"} {
		if lists(event, name) {
			t.Errorf("%s may be sent", name)
		}
	}
	if n := strings.Count(event, "ce-"); n > maxEventHeaders {
		t.Errorf("%d headers are named", n)
	}
}
